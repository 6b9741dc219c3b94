"""What is settled before the first step: words, text bank, network, manifest."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from rich.console import Console

from lexiseg._version import __version__
from lexiseg.data.sample import DatasetIndex, Split
from lexiseg.errors import DataError, RunError
from lexiseg.models.bank import TextBank
from lexiseg.models.build import check_image_size, check_spec, normalisation
from lexiseg.models.spec import NetworkSpec
from lexiseg.run import Manifest, Run, TextSource
from lexiseg.text.bank import build_bank
from lexiseg.text.encoders import load_text_encoder
from lexiseg.training.config import TrainConfig
from lexiseg.training.examples import Words
from lexiseg.training.sides import check_side
from lexiseg.training.words import choose_text, find_vocabulary, side_of, words_of
from lexiseg.words.description import UNKNOWN
from lexiseg.words.vocabulary import Vocabulary

_LEARNED: tuple[Split, ...] = ("train", "val")


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is settled before the first step.

    Attributes:
        text: "reports", "concepts" or "none".
        vocabulary: The vocabulary; None without text.
        bank: The text bank; None without text.
        train: Words of the training samples.
        val: Words of the validation samples.
        manifest: The run's manifest as it stands at the start.
    """

    text: TextSource
    vocabulary: Vocabulary | None
    bank: TextBank | None
    train: Words | None
    val: Words | None
    manifest: Manifest


def plan_run(index: DatasetIndex, config: TrainConfig, console: Console) -> Plan:
    """Settle words, bank and network of a new run."""
    spec = NetworkSpec(
        model=config.model,
        preset=config.preset,
        encoder="resnet101" if config.paper else config.encoder,
        out_channels=1 if index.num_classes == 2 else index.num_classes,
        width=config.width,
    )
    check_image_size(spec, config.size)
    text = choose_text(config.text, [*index.split("train"), *index.split("val")])
    check_spec(spec, with_text=text != "none")
    vocabulary = bank = train = None
    if text != "none":
        encoder = load_text_encoder(config.phrase_encoder)
        vocabulary, notes = find_vocabulary(index, text=text, wanted=config.vocabulary, encoder=encoder)
        for note in notes:
            _say(console, note)
        side = side_of(index, vocabulary, text)
        if text == "reports" and index.side is None:
            _say(
                console, f"Left and right are taken as the {side}'s; `side:` in dataset.yaml states another."
            )
        train, notes = words_of(index, "train", vocabulary, text=text, side=side)
        if text == "reports":
            check_side(index, index.split("train"), train)
        known = _known_factors(vocabulary, train)
        for note in notes:
            _say(console, note)
        if len(known) < len(vocabulary.factors):
            dropped = [factor.title for factor in vocabulary.factors if factor.name not in known]
            _say(console, f"Nothing is known of these factors in any training image: {', '.join(dropped)}.")
            vocabulary = vocabulary.only(known)
            train = train.only(vocabulary)
        bank = build_bank(vocabulary, encoder)
    norm = normalisation(spec)
    manifest = Manifest(
        lexiseg_version=__version__,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        network=spec,
        image_size=config.size,
        mean=norm.mean,
        std=norm.std,
        class_names=index.class_names,
        text=text,
        side=side_of(index, vocabulary, text) if vocabulary is not None else "image",
        vocabulary=vocabulary.to_dict() if vocabulary is not None else None,
        data={
            "name": index.name,
            "layout": index.layout,
            "samples": {split: len(index.split(split)) for split in _LEARNED},
        },
        training={"finished": False, "seed": config.seed},
    )
    val, notes = _words(index, "val", manifest, vocabulary)
    for note in notes:
        _say(console, note)
    return Plan(text=text, vocabulary=vocabulary, bank=bank, train=train, val=val, manifest=manifest)


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
            f"--vocabulary, or use --text none."
        )
    return known


def _say(console: Console, note: str) -> None:
    """Say what was assumed; the note may hold paths, so nothing in it is markup."""
    console.print(note, style="dim", markup=False, highlight=False)


def continue_run(index: DatasetIndex, run: Run) -> Plan:
    """Take up what an interrupted run had settled."""
    manifest = run.manifest
    _check_same_data(index, run)
    bank = TextBank.load(run.bank_file) if manifest.text != "none" else None
    train, _ = _words(index, "train", manifest, run.vocabulary)
    val, _ = _words(index, "val", manifest, run.vocabulary)
    return Plan(
        text=manifest.text, vocabulary=run.vocabulary, bank=bank, train=train, val=val, manifest=manifest
    )


def _check_same_data(index: DatasetIndex, run: Run) -> None:
    """Refuse to resume on other images or other splits than the run was started on."""
    if run.splits is None:
        raise RunError(f"{run.path} cannot be resumed: its splits.json is missing. Start a new run.")
    for split in _LEARNED:
        expected, found = set(run.splits.get(split, ())), {sample.id for sample in index.split(split)}
        if expected != found:
            raise RunError(
                f"The run in {run.path} was started on other data: of its {len(expected)} {split} images "
                f"{len(expected - found)} are not in the {split} split of {index.root}, which holds "
                f"{len(found - expected)} others. Resume with the same data."
            )


def _words(
    index: DatasetIndex, split: Split, manifest: Manifest, vocabulary: Vocabulary | None
) -> tuple[Words | None, tuple[str, ...]]:
    """Return the words of a split, and what could not be read; no words without a vocabulary."""
    if vocabulary is None:
        return None, ()
    return words_of(index, split, vocabulary, text=manifest.text, side=manifest.side)
