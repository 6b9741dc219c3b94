"""What is settled before the first step: words, text bank, network, manifest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from rich.console import Console

from lexiseg._version import __version__
from lexiseg.data.sample import DatasetIndex, Split
from lexiseg.describing.description_file import SUFFIX, DescriptionFile, read_descriptions
from lexiseg.describing.vocabulary_choice import find_vocabulary, keyword_notes
from lexiseg.embeddings.bank import build_bank
from lexiseg.embeddings.encoders import TextEncoder, load_text_encoder
from lexiseg.errors import DataError, RunError, UsageError
from lexiseg.models.bank import TextBank
from lexiseg.models.spec import NetworkSpec
from lexiseg.runs.run import Manifest, Run, TextSource
from lexiseg.systems.build import check_image_size, check_spec, normalisation
from lexiseg.training.config import AugmentConfig, TrainConfig
from lexiseg.training.described import check_described, recorded, recorded_file, vocabulary_of_file
from lexiseg.training.examples import Words
from lexiseg.training.few_masks import (
    MaskUse,
    check_words_for_unmasked,
    shuffled,
    words_taught,
)
from lexiseg.training.sides import check_side
from lexiseg.training.words import choose_text, side_of, words_of
from lexiseg.words.description import UNKNOWN
from lexiseg.words.flips import AXES, with_mirrored
from lexiseg.words.vocabulary import Vocabulary

_LEARNED: tuple[Split, ...] = ("train", "val")


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is settled before the first step.

    Attributes:
        text: "reports", "concepts", "lmm" or "none".
        vocabulary: The vocabulary; None without text.
        bank: The text bank; None where the network names no words.
        encoder: The text encoder, for a teacher that reads sentences; None without text, and where a resumed
            run needs none.
        train: Words of the training samples.
        val: Words of the validation samples.
        manifest: The run's manifest as it stands at the start.
        unmasked: What training images without mask do; None if there are none.
    """

    text: TextSource
    vocabulary: Vocabulary | None
    bank: TextBank | None
    encoder: TextEncoder | None
    train: Words | None
    val: Words | None
    manifest: Manifest
    unmasked: Literal["words", "pseudo_labels"] | None = None


def plan_run(use: MaskUse, config: TrainConfig, console: Console) -> Plan:
    """Settle words, bank and network of a new run.

    Args:
        use: The data set, and which training images take part.
        config: The configuration.
        console: Where assumptions are said.
    """
    index = use.index
    spec = _network_spec(index, config)
    check_image_size(spec, config.size)
    descriptions = read_descriptions(config.text) if config.text.endswith(SUFFIX) else None
    text = choose_text(config.text, [*index.split("train"), *index.split("val")], descriptions)
    check_spec(spec, with_text=text != "none")
    check_words_for_unmasked(use, text, from_file=descriptions is not None)
    if config.shuffle_words and text == "none":
        raise UsageError(
            "`shuffle_words` needs words, but this training has none (--text none).", code="LEX-USE-077"
        )
    vocabulary = bank = train = val = encoder = None
    if text != "none":
        encoder = load_text_encoder(config.phrase_encoder)
        vocabulary, train, val = _settle_words(use, config, console, text, descriptions, encoder)
        if spec.names_words:
            bank = build_bank(vocabulary, encoder)
    manifest = _manifest(use, config, spec, text=text, vocabulary=vocabulary, descriptions=descriptions)
    return Plan(
        text=text,
        vocabulary=vocabulary,
        bank=bank,
        encoder=encoder,
        train=train,
        val=val,
        manifest=manifest,
        unmasked=use.unmasked,
    )


def _manifest(
    use: MaskUse,
    config: TrainConfig,
    spec: NetworkSpec,
    *,
    text: TextSource,
    vocabulary: Vocabulary | None,
    descriptions: DescriptionFile | None,
) -> Manifest:
    """Return a run's manifest as it stands at the start."""
    index, norm = use.index, normalisation(spec)
    return Manifest(
        lexiseg_version=__version__,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        network=spec,
        image_size=config.size,
        mean=norm.mean,
        std=norm.std,
        class_names=index.class_names,
        text=text,
        side=side_of(index, vocabulary, text, descriptions) if vocabulary is not None else "image",
        vocabulary=vocabulary.to_dict() if vocabulary is not None else None,
        data={
            "name": index.name,
            "layout": index.layout,
            "samples": {split: len(index.split(split)) for split in _LEARNED},
            **({} if descriptions is None else {"descriptions": recorded(descriptions)}),
            **({} if use.sentence() is None else {"masks": use.record(config)}),
            **({"shuffled_words": True} if config.shuffle_words else {}),
        },
        training={"finished": False, "seed": config.seed},
    )


def _taught(words: Words, use: MaskUse, config: TrainConfig) -> Words:
    """Return the words that training images are taught with: the true ones, unless told otherwise."""
    samples = use.index.split("train")
    words = shuffled(words, samples, seed=config.seed) if config.shuffle_words else words
    return words_taught(words, samples, use)


def _network_spec(index: DatasetIndex, config: TrainConfig) -> NetworkSpec:
    """Return the network that a configuration asks for.

    Raises:
        UsageError: The CLIPSeg to start from is "imagenet" or "none".
        WeightsError: The configuration of the CLIPSeg cannot be found.
    """
    encoder, clipseg = config.encoder, None
    if config.paper and config.model == "stpnet":
        encoder = "resnet101"
    elif config.paper:
        # Imported here, as transformers takes seconds.
        from lexiseg.systems.cotexnet.pretrained import clipseg_config

        encoder = config.start_weights
        if encoder in ("imagenet", "none"):
            raise UsageError(
                f"The paper preset of CoTexNet keeps its CLIPSeg frozen, so it cannot start from "
                f"'{encoder}'. Give the folder of a CLIPSeg with --encoder-weights, or leave the option out.",
                code="LEX-USE-078",
            )
        clipseg = clipseg_config(encoder)
    return NetworkSpec(
        model=config.model,
        preset=config.preset,
        encoder=encoder,
        out_channels=1 if index.num_classes == 2 else index.num_classes,
        width=config.width,
        clipseg=clipseg,
    )


def _settle_words(
    use: MaskUse,
    config: TrainConfig,
    console: Console,
    text: Literal["reports", "concepts", "lmm"],
    descriptions: DescriptionFile | None,
    encoder: TextEncoder,
) -> tuple[Vocabulary, Words, Words]:
    """Return the vocabulary to learn, and the words of the training and validation samples in it.

    Raises:
        DataError: The words do not fit the data set, or say nothing.
        UsageError: A factor could be learned from mirrored images alone, and none are to be shown.
    """
    index = use.index
    notes: tuple[str, ...] = ()
    if descriptions is not None:
        vocabulary = vocabulary_of_file(descriptions, index, config.vocabulary)
        check_described(descriptions, index, vocabulary)
    else:
        vocabulary, notes = find_vocabulary(index, text=text, wanted=config.vocabulary, encoder=encoder)
    spoken = keyword_notes(vocabulary, index) if config.model == "cotexnet" else ()
    for note in (*notes, *spoken):
        _say(console, note)
    side = side_of(index, vocabulary, text, descriptions)
    if text == "reports" and descriptions is None and index.side is None:
        _say(console, f"Left and right are taken as the {side}'s; `side:` in dataset.yaml states another.")

    def read(split: Split, vocabulary: Vocabulary) -> tuple[Words, tuple[str, ...]]:
        return words_of(index, split, vocabulary, text=text, side=side, descriptions=descriptions)

    train, notes = read("train", vocabulary)
    val = None
    if descriptions is not None or text == "reports":
        # Validation images too: where few training images have a mask, these alone may settle nothing.
        val, val_notes = read("val", vocabulary)
        told = Words(vocabulary, [*train.indices, *val.indices], source=train.source, side=side)
        samples = [*index.split("train"), *index.split("val")]
        check_side(index, samples, told, file=None if descriptions is None else descriptions.path)
    true, train = train, _taught(train, use, config)
    if config.shuffle_words:
        _say(console, _true_by_chance(true, train))
    known = _known_factors(vocabulary, train)
    for note in notes:
        _say(console, note)
    if len(known) < len(vocabulary.factors):
        learned = vocabulary.only(known)
        for note in _notes_on_factors(vocabulary, learned, known, config.augment):
            _say(console, note)
        vocabulary, train, val = learned, train.only(learned), None
    if val is None:
        val, val_notes = read("val", vocabulary)
    for note in val_notes:
        _say(console, note)
    return vocabulary, train, val


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
        UsageError: No such images are to be shown.
    """
    axes = [axis for axis in AXES if getattr(augment, f"{axis}_flip") > 0]
    shown = with_mirrored(learned, known, axes)
    unseen = [factor.title for factor in learned.factors if factor.name not in shown]
    if unseen:
        raise UsageError(
            f"Nothing is known of these factors in any training image: {', '.join(unseen)}. They belong to "
            f"others of which something is known, as left to right, so only mirrored images could teach "
            f"them, and none are shown. Set horizontal_flip or vertical_flip above 0 under `augment` in a "
            f"--config file, or take the pair out of the vocabulary's `opposites`.",
            code="LEX-USE-079",
        )
    dropped = [factor.title for factor in whole.factors if factor.name not in learned.names]
    mirrored = [factor.title for factor in learned.factors if factor.name not in known]
    notes = []
    if dropped:
        notes.append(f"Nothing is known of these factors in any training image: {', '.join(dropped)}.")
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
            f"The vocabulary '{vocabulary.name}' says nothing about any training image. Name another with "
            f"--vocabulary, or use --text none.",
            code="LEX-DATA-130",
        )
    return known


def _say(console: Console, note: str) -> None:
    """Say what was assumed; the note may hold paths, so nothing in it is markup."""
    console.print(note, style="dim", markup=False, highlight=False)


def continue_run(use: MaskUse, run: Run, config: TrainConfig) -> Plan:
    """Take up what an interrupted run had settled."""
    index, manifest = use.index, run.manifest
    _check_same_data(index, run)
    bank = TextBank.load(run.bank_file) if run.spoken_vocabulary is not None else None
    reads = config.model == "cotexnet" and not config.paper and config.teach != "none"
    encoder = load_text_encoder(config.phrase_encoder) if reads and manifest.text != "none" else None
    descriptions = recorded_file(run)
    _check_same_masks(use, run, config)
    train, _ = _words(index, "train", manifest, run.vocabulary, descriptions)
    val, _ = _words(index, "val", manifest, run.vocabulary, descriptions)
    return Plan(
        text=manifest.text,
        vocabulary=run.vocabulary,
        bank=bank,
        encoder=encoder,
        train=None if train is None else _taught(train, use, config),
        val=val,
        manifest=manifest,
        unmasked=use.unmasked,
    )


def _check_same_masks(use: MaskUse, run: Run, config: TrainConfig) -> None:
    """Refuse to resume where other training images have a mask than at the start."""
    recorded_use = None if use.sentence() is None else use.record(config)
    same = recorded_use == run.manifest.data.get("masks")
    if not same or run.with_mask not in (None, use.with_mask):
        raise RunError(
            f"The run in {run.path} was started with other masks: the same training images must have theirs. "
            f"Restore the data, or start a new run.",
            code="LEX-RUN-013",
        )


def _check_same_data(index: DatasetIndex, run: Run) -> None:
    """Refuse to resume on other images or other splits than the run was started on."""
    if run.splits is None:
        raise RunError(
            f"{run.path} cannot be resumed: its splits.json is missing. Start a new run.", code="LEX-RUN-014"
        )
    for split in _LEARNED:
        # Images that are left out are no concern of the training; masks.json tells whether they are the same.
        expected = set(run.splits.get(split, ())) - run.left_out
        found = {sample.id for sample in index.split(split)}
        if expected != found:
            raise RunError(
                f"The run in {run.path} was started on other data: of its {len(expected)} {split} images "
                f"{len(expected - found)} are not in the {split} split of {index.root}, which holds "
                f"{len(found - expected)} others. Resume with the same data.",
                code="LEX-RUN-015",
            )


def _words(
    index: DatasetIndex,
    split: Split,
    manifest: Manifest,
    vocabulary: Vocabulary | None,
    descriptions: DescriptionFile | None,
) -> tuple[Words | None, tuple[str, ...]]:
    """Return the words of a split, and what could not be read; no words without a vocabulary."""
    if vocabulary is None:
        return None, ()
    assert manifest.text != "none"
    return words_of(
        index, split, vocabulary, text=manifest.text, side=manifest.side, descriptions=descriptions
    )
