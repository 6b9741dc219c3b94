"""What is settled before the first step: words, text bank, network, manifest."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import torch
from rich.console import Console

from lexiseg._version import __version__
from lexiseg.data.sample import LEARNED_SPLITS
from lexiseg.embeddings.text_bank_builder import build_bank
from lexiseg.embeddings.text_encoders import TextEncoder, load_text_encoder
from lexiseg.errors import UsageError
from lexiseg.models.spec import NetworkSpec
from lexiseg.models.text_bank import TextBank
from lexiseg.runs.manifest import DataRecord, Manifest, TextSource, TrainingRecord
from lexiseg.systems.configuration import TrainConfig
from lexiseg.systems.registry import system_of
from lexiseg.systems.system import TrainingInputs, TrainingParts
from lexiseg.training.description_words import recorded
from lexiseg.training.fit_choice import fit_of
from lexiseg.training.inputs.examples import Words
from lexiseg.training.text_source import WordSource
from lexiseg.training.text_supervision import settle_words
from lexiseg.training.unmasked_images import MaskUse, check_words_for_unmasked
from lexiseg.words.vocabulary import Vocabulary


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is settled before the first step.

    Attributes:
        text: "reports", "concepts", "lmm" or "none".
        vocabulary: The vocabulary; None without text.
        bank: The text bank; None where the network names no words.
        encoder: The text encoder, for a text supervisor that reads sentences; None without text, and where a
            resumed run needs none.
        train: Words of the training samples.
        val: Words of the validation samples.
        manifest: The run's manifest as it stands at the start.
    """

    text: TextSource
    vocabulary: Vocabulary | None
    bank: TextBank | None
    encoder: TextEncoder | None
    train: Words | None
    val: Words | None
    manifest: Manifest

    def training_parts(self, config: TrainConfig, *, goes_on: bool, from_run: bool = False) -> TrainingParts:
        """Build a network with its objective and text supervisor; the random start depends on the seed alone.

        Args:
            config: The configuration.
            goes_on: Whether a checkpoint is loaded afterwards.
            from_run: Whether the weights of a finished run are loaded afterwards.
        """
        torch.manual_seed(config.seed)
        inputs = TrainingInputs(
            spec=self.manifest.network,
            bank=self.bank,
            vocabulary=self.vocabulary,
            indices=None if self.train is None else self.train.indices,
            text_encoder=self.encoder,
            pretrained=not (goes_on or from_run),
            goes_on=goes_on,
        )
        return system_of(config).builders.training(config, inputs)


def plan_run(use: MaskUse, config: TrainConfig, console: Console) -> Plan:
    """Settle words, bank and network of a new run.

    Args:
        use: The data set, and which training images take part.
        config: The configuration.
        console: Where assumptions are said.
    """
    index = use.index
    system = system_of(config)
    out_channels = 1 if index.num_classes == 2 else index.num_classes
    spec = system.builders.network_spec(config, out_channels)
    system.image_sizes.check(config.image_size)
    source = WordSource.of(index, config)
    text = source.text
    system.check_network(spec, with_text=text != "none")
    check_words_for_unmasked(use, source)
    if config.shuffle_words and text == "none":
        raise UsageError(
            "`shuffle_words` needs words, but this training has none (--text none).", code="LEX-USE-077"
        )
    vocabulary = bank = train = val = encoder = None
    if text != "none":
        encoder = load_text_encoder(config.text_encoder)
        vocabulary, train, val = settle_words(use, config, console, source, encoder)
        if system.names_words:
            bank = build_bank(vocabulary, encoder)
    manifest = _manifest(use, config, spec, source, vocabulary)
    return Plan(
        text=text,
        vocabulary=vocabulary,
        bank=bank,
        encoder=encoder,
        train=train,
        val=val,
        manifest=manifest,
    )


def _manifest(
    use: MaskUse,
    config: TrainConfig,
    spec: NetworkSpec,
    source: WordSource,
    vocabulary: Vocabulary | None,
) -> Manifest:
    """Return a run's manifest as it stands at the start."""
    index, norm = use.index, system_of(spec).builders.normalisation(spec)
    return Manifest(
        lexiseg_version=__version__,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        network=spec,
        image_size=config.image_size,
        fit=fit_of(config),
        mean=norm.mean,
        std=norm.std,
        class_names=index.class_names,
        text=source.text,
        side=source.side(index, vocabulary) if vocabulary is not None else "image",
        vocabulary=vocabulary,
        data=DataRecord(
            name=index.name,
            layout=index.layout,
            samples={split: len(index.split(split)) for split in LEARNED_SPLITS},
            descriptions=None if source.descriptions is None else recorded(source.descriptions),
            masks=None if use.sentence() is None else use.record(config),
            shuffled_words=config.shuffle_words,
            leaks=index.leaks,
        ),
        training=TrainingRecord(finished=False, seed=config.seed),
    )
