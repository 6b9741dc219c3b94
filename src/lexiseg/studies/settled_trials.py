"""Choices that the arms of an audit would make differently, settled for all its trainings at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from lexiseg.console import PrintableConsole
from lexiseg.data.transforms import words_follow
from lexiseg.embeddings.text_encoders import TextEncoder, load_text_encoder
from lexiseg.errors import UsageError
from lexiseg.studies.trials import Trial
from lexiseg.training.fit_choice import check_fit, common_fit
from lexiseg.training.text_source import WordSource
from lexiseg.training.text_supervision import settle_vocabulary
from lexiseg.training.unmasked_images import MaskUse
from lexiseg.words.vocabulary import Vocabulary

Trials = tuple[Trial, ...]


def with_common_precision(trials: Sequence[Trial]) -> Trials:
    """Return the trials with a stated precision: a probe could choose another one in each arm."""
    return tuple(
        _changed(trial, precision="fp32") if trial.config.precision == "auto" else trial for trial in trials
    )


def with_common_selection(trials: Sequence[Trial], uses: Sequence[MaskUse]) -> Trials:
    """Return the trials with one rule by which weights are selected.

    A training that is left to choose keeps the weights of its last step if pseudo labels teach, else the best
    ones. If they teach in one arm, all arms keep those of the last step. Otherwise all choose the same, and
    nothing is changed.

    Args:
        trials: The trials.
        uses: Which training images take part in each.
    """
    if all(use.unmasked is None for use in uses):
        return tuple(trials)
    return tuple(
        _changed(trial, selection="last") if trial.config.selection is None else trial for trial in trials
    )


def with_common_fit(trials: Sequence[Trial], uses: Sequence[MaskUse]) -> Trials:
    """Return the trials with one stated fit, which all of them can take.

    A training that is left to choose takes another fit if teachers draw masks for it, and looks at images
    that its seed chooses.

    Args:
        trials: The trials.
        uses: Which training images take part in each.

    Raises:
        DataError: An image or mask cannot be read.
        UsageError: The fit is stated, and a trial cannot take it.
    """
    pairs = [(use, trial.config) for use, trial in zip(uses, trials, strict=True)]
    taught = [trial for use, trial in zip(uses, trials, strict=True) if use.unmasked is not None]
    refused = [trial for trial in taught if trial.config.fit not in ("auto", "stretch")]
    if refused:
        arms = (trial.arm.removeprefix(f"{trial.config.model}-") for trial in refused)
        names = ", ".join(dict.fromkeys(arms))
        raise UsageError(
            f"An audit cannot use `fit: {refused[0].config.fit}` with these arms: {names}. In them, teachers "
            "draw masks for images without mask, and they draw on stretched images. Set `fit: stretch` in "
            "the --config file, or remove these arms from --arms.",
            code="LEX-USE-1825",
        )
    for use, config in pairs:
        check_fit(use, config)
    if all(trial.config.fit != "auto" for trial in trials):
        return tuple(trials)
    fit = common_fit(pairs)
    return tuple(_changed(trial, fit=fit) if trial.config.fit == "auto" else trial for trial in trials)


def with_common_shifts(trials: Sequence[Trial], uses: Sequence[MaskUse]) -> Trials:
    """Return the trials without rotations, shifts and deformations if the words of one could not follow.

    Args:
        trials: The trials.
        uses: Which training images take part in each.

    Raises:
        DataError: The words of a trial do not fit the data set.
        WeightsError: The text encoder cannot be found.
    """
    moves = any(trial.config.augment.affine > 0 or trial.config.augment.elastic > 0 for trial in trials)
    if not moves or all(words_follow(vocabulary) for vocabulary in _vocabularies(trials, uses)):
        return tuple(trials)
    still = {"affine": 0.0, "elastic": 0.0}
    return tuple(_changed(trial, augment=trial.config.augment.model_copy(update=still)) for trial in trials)


def _vocabularies(trials: Sequence[Trial], uses: Sequence[MaskUse]) -> list[Vocabulary]:
    """Return the vocabularies of all trials with words; trials with the same texts and images have one."""
    console = PrintableConsole(quiet=True)
    encoder: TextEncoder | None = None
    found: dict[tuple[str, tuple[str, ...]], Vocabulary] = {}
    for trial, use in zip(trials, uses, strict=True):
        config = trial.config
        key = (config.text, tuple(sample.id for sample in use.index.samples))
        source = WordSource.of(use.index, config)
        if source.text == "none" or key in found:
            continue
        if source.reads_sheet and encoder is None:
            encoder = load_text_encoder(config.text_encoder)
        found[key] = settle_vocabulary(use.index, config, console, source, encoder)
    return list(found.values())


def _changed(trial: Trial, **fields: object) -> Trial:
    """Return a trial with other values of some fields of its configuration."""
    return replace(trial, config=trial.config.model_copy(update=fields))
