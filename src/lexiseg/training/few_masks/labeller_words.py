"""Whether words can make the masks of labellers better, settled before any labeller is trained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from rich.console import Console

from lexiseg.printable import counted
from lexiseg.systems.configuration import TrainConfig
from lexiseg.training.few_masks.labellers import fold_numbers
from lexiseg.training.inputs.examples import Words
from lexiseg.training.plan import Plan
from lexiseg.training.unmasked_images import MaskUse
from lexiseg.training.zone_atlas import with_places
from lexiseg.words.zone_correction import halves_without_lesion


def settle_labellers(use: MaskUse, plan: Plan, config: TrainConfig, console: Console) -> tuple[MaskUse, Plan]:
    """Leave images without mask out if the check of the labellers cannot show that their words help.

    Words change the masks of labellers if they name places, or halves without a lesion. If words of the
    images with a mask do neither, masks with and without words are equal, so no labeller needs to be trained.

    Args:
        use: Which training images take part.
        plan: The plan of the training, new or resumed.
        config: Its configuration.
        console: Where it is said that labellers are told no places, or that images are left out.

    Returns:
        Both as given, or without the images that have no mask.
    """
    if use.unmasked != "words" or plan.train is None:
        return use, plan
    assert config.unmasked_settings is not None
    words, samples = plan.train, use.index.split("train")
    masked = [position for position, sample in enumerate(samples) if sample.mask is not None]
    parts = fold_numbers(samples, seed=config.seed)
    # A labeller is checked on one part, with the places that the words of the other parts name.
    named = {parts[position] for position in with_places(words, masked)}
    if len(named) > 1 and config.unmasked_settings.word_map:
        return use, plan
    why = _why_no_places(words, len(named))
    excludes = any(_excludes(words, position) for position in masked)
    if use.checked and not excludes:
        left_out = len(samples) - len(masked)
        _say(
            console,
            f"No teacher is trained: {why}, and no word says that a half of an image has no lesion, so words "
            f"cannot change the masks of teachers. "
            f"{counted(left_out, 'training image without mask is', 'training images without mask are')} left "
            f"out. To use them without a check, add --unmasked words or --unmasked pseudo_labels.",
        )
        return use.with_masks_only(), _with_masks_only(use, plan, config, masked)
    if len(named) < 2:
        _say(
            console,
            f"Teachers are told no places: {why}. Words {'exclude halves without a lesion, and ' * excludes}"
            "weigh the pseudo labels.",
        )
    return use, plan


def _why_no_places(words: Words, parts: int) -> str:
    """Return why labellers are told no places, given the number of parts whose words name some."""
    if parts > 1:
        return "`word_map: false` keeps the places from teachers"
    images = f"the images with a mask (vocabulary '{words.vocabulary.name}')"
    if parts == 1:
        return f"only the words of one part of {images} name places, and teachers are checked on other parts"
    return f"the words of {images} name no places"


def _with_masks_only(use: MaskUse, plan: Plan, config: TrainConfig, masked: Sequence[int]) -> Plan:
    """Return the plan of a training that leaves images without mask out."""
    words = plan.train
    assert words is not None
    rows = [words.indices[position] for position in masked]
    data = plan.manifest.data
    changes = {
        "masks": use.with_masks_only().record(config),
        "samples": {**data.samples, "train": len(masked)},
    }
    return replace(
        plan,
        train=Words(words.vocabulary, rows, source=words.source, side=words.side),
        manifest=plan.manifest.model_copy(update={"data": data.model_copy(update=changes)}),
    )


def _excludes(words: Words, position: int) -> bool:
    """Return whether the words of an image say that a half of it has no lesion."""
    size = (2, 2)  # two columns, one per half
    excluded = halves_without_lesion(words.vocabulary, words.indices[position], size, side=words.side)
    return bool(excluded.any())


def _say(console: Console, sentence: str) -> None:
    console.print(sentence, style="yellow", markup=False, highlight=False)
