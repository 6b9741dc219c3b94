"""The options of an audit: one object, and the same options as keyword arguments."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from lexiseg.data.sample import Split
from lexiseg.systems.configuration import TrainConfig
from lexiseg.systems.registry import names
from lexiseg.training.config import make_config


class AuditKeywords(TypedDict, total=False):
    """The fields of `AuditOptions` as keyword arguments."""

    models: Sequence[str] | None
    arms: Sequence[str] | None
    arms_file: Path | None
    seeds: int
    epochs: int | None
    steps: int | None
    max_minutes: float | None
    image_size: int | None
    masks: float | None
    limit: int | None
    split: Split
    allow_leak: bool
    config_file: Path | None


@dataclass(frozen=True, kw_only=True)
class AuditOptions:
    """What is compared, and how.

    Attributes:
        models: Names of systems; None: all that have a form without text.
        arms: "none" and some of "pseudo_labels", "shuffled", "reports", "concepts" and the arms of
            `arms_file`; None: all that the data set allows.
        arms_file: YAML file with further arms, see `lexiseg.studies.arms.read_arms`.
        seeds: Number of seeds per arm; at least 2 for a verdict, better 3 or more.
        epochs: Passes over the training images, the fairer budget: every arm takes the same steps.
        steps: Steps per arm instead.
        max_minutes: Wall-clock minutes per arm instead.
        image_size: Height and width in pixels; None: 224.
        masks: Share of the training masks that are used, chosen by the seed, 0..1; None: all. Images that
            lose theirs take part through their reports ("reports", "shuffled"), through pseudo labels
            ("pseudo_labels"), or not at all (the other arms).
        limit: Train on this many training images, the same in every arm; None: all.
        split: The split that the arms are compared on.
        allow_leak: Whether splits may share images or patients; all results then say so.
        config_file: YAML file with further fields of the configuration, for all arms.
    """

    models: Sequence[str] | None = None
    arms: Sequence[str] | None = None
    arms_file: Path | None = None
    seeds: int = 3
    epochs: int | None = None
    steps: int | None = None
    max_minutes: float | None = None
    image_size: int | None = None
    masks: float | None = None
    limit: int | None = None
    split: Split = "test"
    allow_leak: bool = False
    config_file: Path | None = None

    @property
    def systems(self) -> tuple[str, ...]:
        """Names of the systems that are audited."""
        return names(without_text=True) if self.models is None else tuple(self.models)

    @property
    def shared_fields(self) -> dict[str, object]:
        """Fields of the configuration that all arms share; those that are None count as not given."""
        fields = ("epochs", "steps", "max_minutes", "image_size", "masks")
        return {name: getattr(self, name) for name in fields} | {"allow_leak": self.allow_leak or None}

    def example_configuration(self) -> TrainConfig:
        """Return a configuration with the fields that all arms share.

        Raises:
            UsageError: A field is not possible.
        """
        # The planning of the arms refuses systems that do not exist.
        known = next((name for name in self.systems if name in names()), None)
        return make_config({**self.shared_fields, "model": known}, self.config_file)

    def command(self, data: Path, out: Path, arms: Sequence[str]) -> str:
        """Return the command line that does the same.

        Args:
            data: The data set's folder.
            out: The audit's folder.
            arms: The arms that were compared.
        """
        words = ["lexiseg", "audit", str(data), "--models", ",".join(self.systems)]
        words += ["--arms", ",".join(arms), "--seeds", str(self.seeds)]
        options = {
            "--arms-file": self.arms_file,
            "--epochs": self.epochs,
            "--steps": self.steps,
            "--max-minutes": self.max_minutes,
            "--image-size": self.image_size,
            "--masks": self.masks,
            "--limit": self.limit,
            "--config": self.config_file,
        }
        for option, value in options.items():
            if value is not None:
                words += [option, f"{value:g}" if isinstance(value, float) else str(value)]
        if self.split != "test":
            words += ["--split", self.split]
        if self.allow_leak:
            words.append("--allow-leak")
        return shlex.join([*words, "--out", str(out)])
