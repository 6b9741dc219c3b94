"""Choices that the arms of an audit would make differently, settled for all its trainings at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from lexiseg.studies.trials import Trial
from lexiseg.training.unmasked_images import MaskUse

Trials = tuple[Trial, ...]


def with_common_precision(trials: Sequence[Trial]) -> Trials:
    """Return the trials with a stated precision: a probe could choose another one in each arm."""
    return tuple(
        changed(trial, precision="fp32") if trial.config.precision == "auto" else trial for trial in trials
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
        changed(trial, selection="last") if trial.config.selection is None else trial for trial in trials
    )


def changed(trial: Trial, **fields: object) -> Trial:
    """Return a trial with other values of some fields of its configuration."""
    return replace(trial, config=trial.config.model_copy(update=fields))
