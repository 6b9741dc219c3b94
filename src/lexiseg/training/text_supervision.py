"""The words that a training teaches: of which vocabulary, for which images, and what is said about them."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console

from lexiseg.console import print_note
from lexiseg.data.sample import DatasetIndex, Split
from lexiseg.data.side_check import check_side
from lexiseg.describing.vocabulary_choice import find_vocabulary, keyword_notes
from lexiseg.embeddings.text_encoders import TextEncoder
from lexiseg.errors import DataError, UsageError
from lexiseg.systems.configuration import AugmentConfig, TrainConfig
from lexiseg.systems.registry import system_of
from lexiseg.training.description_words import check_described, vocabulary_of_file
from lexiseg.training.inputs.examples import Words
from lexiseg.training.text_source import WordSource
from lexiseg.training.unmasked_images import MaskUse, shuffled, words_taught
from lexiseg.words.description import UNKNOWN, Side
from lexiseg.words.flips import AXES, with_mirrored
from lexiseg.words.vocabulary import Vocabulary


def trained_words(words: Words, use: MaskUse, config: TrainConfig) -> Words:
    """Return the words that teach a network: the true ones, unless the configuration shuffles them."""
    samples = use.index.split("train")
    words = shuffled(words, samples, seed=config.seed) if config.shuffle_words else words
    return words_taught(words, samples, use)


def settle_words(
    use: MaskUse,
    config: TrainConfig,
    console: Console,
    source: WordSource,
    encoder: TextEncoder,
) -> tuple[Vocabulary, Words, Words]:
    """Return the vocabulary to learn, and the words of the training and validation samples in it.

    Raises:
        DataError: The words do not fit the data set, or say nothing.
        UsageError: A factor can be learned only from flipped images, and flipping is off.
    """
    index = use.index
    vocabulary = settle_vocabulary(index, config, console, source, encoder)
    side = source.side(index, vocabulary)
    if source.reads_sheet and index.side is None:
        print_note(console, _side_note(side, quoted=vocabulary.quotes_sentences))

    def read(split: Split, vocabulary: Vocabulary) -> tuple[Words, tuple[str, ...]]:
        return source.words(index, split, vocabulary, side=side)

    train, notes = read("train", vocabulary)
    val = None
    if source.descriptions is not None or source.text == "reports":
        # Validation images too: where few training images have a mask, these alone may settle nothing.
        val, val_notes = read("val", vocabulary)
        check_side(
            index,
            [*index.split("train"), *index.split("val")],
            [*train.indices, *val.indices],
            vocabulary,
            stated=side,
            file=None if source.descriptions is None else source.descriptions.path,
        )
    true, train = train, trained_words(train, use, config)
    if config.shuffle_words:
        print_note(console, _true_by_chance(true, train))
    known = _known_factors(vocabulary, train)
    for note in notes:
        print_note(console, note)
    if len(known) < len(vocabulary.factors):
        learned = vocabulary.only(known)
        for note in _notes_on_factors(vocabulary, learned, known, config.augment):
            print_note(console, note)
        vocabulary, train, val = learned, train.only(learned), None
    if val is None:
        val, val_notes = read("val", vocabulary)
    for note in val_notes:
        print_note(console, note)
    return vocabulary, train, val


def settle_vocabulary(
    index: DatasetIndex,
    config: TrainConfig,
    console: Console,
    source: WordSource,
    encoder: TextEncoder | None,
) -> Vocabulary:
    """Return the vocabulary of a training, and say what was assumed about it.

    Args:
        index: The data set, without the images that are left out.
        config: The configuration.
        console: Where it is said.
        source: Where words come from; not "none".
        encoder: As for `find_vocabulary`.

    Raises:
        DataError: It does not fit the descriptions or the sheet of the data set.
    """
    notes: tuple[str, ...] = ()
    if source.descriptions is not None:
        vocabulary = vocabulary_of_file(source.descriptions, index, config.vocabulary)
        check_described(source.descriptions, index, vocabulary)
    else:
        assert source.text != "none"
        vocabulary, notes = find_vocabulary(
            index, text=source.text, wanted=config.vocabulary, encoder=encoder
        )
    reads_sentences = system_of(config).reads_sentences
    sentence_notes = keyword_notes(vocabulary, index) if reads_sentences else ()
    for note in (*notes, *sentence_notes):
        print_note(console, note)
    return vocabulary


def _side_note(side: Side, *, quoted: bool) -> str:
    """Say whose left and right the reports of a data set mean that does not state it."""
    if quoted:
        return (
            "Whose left and right the sentences mean is not known, as no vocabulary reads them; `side:` in "
            "dataset.yaml states it."
        )
    return f"Left and right are taken as the {side}'s; `side:` in dataset.yaml states another."


def _true_by_chance(true: Words, given: Words) -> str:
    """Say how much of shuffled words is true all the same, as many images have the same words."""
    parts = []
    for k, factor in enumerate(given.vocabulary.factors):
        rows = [(a[k], b[k]) for a, b in zip(true.indices, given.indices, strict=True) if b[k] != UNKNOWN]
        if rows:
            parts.append(f"{factor.title} {100 * sum(a == b for a, b in rows) / len(rows):.1f} %")
    return f"Shuffled words that are true by chance: {', '.join(parts)}."


def _notes_on_factors(
    whole: Vocabulary, learned: Vocabulary, known: Sequence[str], augment: AugmentConfig
) -> list[str]:
    """Say which factors are left out, and which are learned from mirrored images alone.

    Raises:
        UsageError: A factor can be learned only from flipped images, and flipping is off.
    """
    axes = [axis for axis in AXES if getattr(augment, f"{axis}_flip") > 0]
    shown = with_mirrored(learned, known, axes)
    unseen = [factor.title for factor in learned.factors if factor.name not in shown]
    if unseen:
        raise UsageError(
            f"No training image has words for these factors: {', '.join(unseen)}. They are mirror images of "
            f"known factors (as left is of right), so they can be learned only from flipped images, and "
            f"flipping is off. Set horizontal_flip or vertical_flip above 0 under `augment` in a "
            f"--config file, or remove the pair from the vocabulary's `opposites`.",
            code="LEX-USE-079",
        )
    dropped = [factor.title for factor in whole.factors if factor.name not in learned.names]
    mirrored = [factor.title for factor in learned.factors if factor.name not in known]
    notes = []
    if dropped:
        notes.append(f"No training image has words for these factors: {', '.join(dropped)}.")
    if mirrored:
        notes.append(f"These factors are learned from mirrored images alone: {', '.join(mirrored)}.")
    return notes


def _known_factors(vocabulary: Vocabulary, words: Words) -> tuple[str, ...]:
    """Return the factors that at least one training sample says something about.

    The others would never be learned, and yet be retrieved: colour, for example, on grey images.

    Raises:
        DataError: There is none.
    """
    known = tuple(
        name
        for position, name in enumerate(vocabulary.names)
        if any(indices[position] != UNKNOWN for indices in words.indices)
    )
    if not known:
        raise DataError(
            f"No training image has words of the vocabulary '{vocabulary.name}'. Choose another with "
            f"--vocabulary, or use --text none.",
            code="LEX-DATA-130",
        )
    return known
