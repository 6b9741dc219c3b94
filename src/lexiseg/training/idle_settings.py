"""Settings of a training that are given and have no effect."""

from __future__ import annotations

from collections.abc import Mapping

from lexiseg.systems.configuration import AugmentConfig, TrainConfig
from lexiseg.training.plan import Plan
from lexiseg.training.unmasked_images import MaskUse


def idle_settings(config: TrainConfig, use: MaskUse, plan: Plan) -> str | None:
    """Return, as a sentence, which settings differ from their defaults and have no effect; None: none does.

    They are not refused: a file of settings may serve several trainings, as with and without words.

    Args:
        config: The configuration.
        use: Which training images take part.
        plan: The plan of the training, which knows whether there are words.
    """
    settled = config.model_copy(update={"text": plan.text, "unmasked": use.unmasked or "leave_out"})
    found = {**_idle(settled), **{f"augment.{name}": why for name, why in _idle(config.augment).items()}}
    if not found:
        return None
    return f"Settings without effect: {', '.join(f'{name} ({why})' for name, why in found.items())}."


def _idle(config: TrainConfig | AugmentConfig) -> Mapping[str, str]:
    """Return why fields have no effect, of those that differ from their defaults and have none."""
    fields = type(config).model_fields
    return {
        name: case.why
        for case in type(config).without_effect
        if getattr(config, case.other) == case.value
        for name in case.fields
        if getattr(config, name) != fields[name].default
    }
