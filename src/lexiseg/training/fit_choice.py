"""The fit of a training: as configured, or chosen by the sizes of its images and lesions."""

from __future__ import annotations

import random
from collections.abc import Sequence

from rich.console import Console

from lexiseg.data.fit_suggestion import FitSuggestion, ImageFacts, is_large, lesion_width, suggest_fit
from lexiseg.data.image_fit import Fit, tiles
from lexiseg.data.readers import image_size, read_labels
from lexiseg.data.sample import DatasetIndex, Sample
from lexiseg.errors import UsageError
from lexiseg.systems.configuration import TrainConfig
from lexiseg.systems.registry import system_of
from lexiseg.training.distillation.teacher_runs import teachers_of
from lexiseg.training.unmasked_images import MaskUse

#: Training images that are looked at, a seeded choice.
LOOKED_AT = 50


def settle_fit(use: MaskUse, config: TrainConfig, console: Console) -> TrainConfig:
    """Return the configuration with its fit settled, and say what a user should know about it.

    Args:
        use: The data set, and which training images take part.
        config: The configuration.
        console: Where the choice, or a suggestion, is said.

    Raises:
        DataError: An image or mask cannot be read.
        UsageError: The system does not take the fit, or teachers are to draw masks under it.
    """
    chosen: Fit
    if config.fit == "auto" or config.fit == "stretch":
        only_stretch = _why_only_stretch(use, config)
        found = _suggestion(use.index, config) if only_stretch is None else FitSuggestion(fit="stretch")
        if found.fit not in system_of(config).fits:
            found = FitSuggestion(fit="stretch")
        chosen = found.fit if config.fit == "auto" else "stretch"
        _say_choice(found, only_stretch, config, console)
    else:
        chosen = config.fit
        check_fit(use, config)
    if chosen == "tiles":
        _say_small_images(use.index, config, console)
    return config.model_copy(update={"fit": chosen})


def check_fit(use: MaskUse, config: TrainConfig) -> None:
    """Refuse a fit other than "stretch" and "auto" that the training cannot take.

    Args:
        use: The data set, and which training images take part.
        config: The configuration.

    Raises:
        UsageError: The system does not take the fit, or teachers are to draw masks under it.
    """
    if config.fit == "auto" or config.fit == "stretch":
        return
    system_of(config).check_fit(config.fit)
    if use.unmasked is not None:
        raise UsageError(
            f"fit: {config.fit} cannot be used while teachers draw masks for images without mask: they draw "
            f"on stretched images. Add --fit stretch, or leave these images out: --unmasked leave_out.",
            code="LEX-USE-1333",
        )
    if teachers_of(config):
        raise UsageError(
            f"fit: {config.fit} cannot be used with teachers: they draw on stretched images. Add --fit "
            f"stretch, or leave `teachers` out.",
            code="LEX-USE-1567",
        )


def common_fit(trainings: Sequence[tuple[MaskUse, TrainConfig]]) -> Fit:
    """Return the fit that several trainings take together where each may choose.

    The images of the first training suggest it. If one of the trainings can only stretch its images, all do.

    Args:
        trainings: Which training images take part, and the configuration; at least one.

    Raises:
        DataError: An image or mask cannot be read.
    """
    if any(_why_only_stretch(use, config) is not None for use, config in trainings):
        return "stretch"
    use, first = trainings[0]
    found = _suggestion(use.index, first).fit
    taken = all(found in system_of(config).fits for _, config in trainings)
    return found if taken else "stretch"


def fit_of(config: TrainConfig) -> Fit:
    """Return the fit of a configuration that `settle_fit` returned."""
    assert config.fit != "auto"
    return config.fit


def kept_pixels(index: DatasetIndex, config: TrainConfig) -> int:
    """Return about how many pixels the training and validation images hold as they are kept in memory."""
    samples = (*index.split("train"), *index.split("val"))
    if config.fit != "tiles":
        return len(samples) * config.image_size**2
    sizes = _sizes(_some(samples, config.seed))
    return round(len(samples) * sum(height * width for height, width in sizes) / len(sizes))


def pictures_per_image(samples: Sequence[Sample], config: TrainConfig) -> float:
    """Return how many pictures the network sees of an image, on average: its tiles and its overview, or one.

    Args:
        samples: The samples of the images, at least one.
        config: A configuration that `settle_fit` returned.
    """
    if config.fit != "tiles":
        return 1.0
    sizes = _sizes(_some(samples, config.seed))
    return 1 + sum(len(tiles(size, config.image_size)) for size in sizes) / len(sizes)


def _suggestion(index: DatasetIndex, config: TrainConfig) -> FitSuggestion:
    """Return the fit that suits the training images; masks are read only where images are large."""
    samples = _some([s for s in index.split("train") if s.mask is not None], config.seed)
    sizes = _sizes(samples)
    if not is_large(sizes, config.image_size):
        return suggest_fit([ImageFacts(size=size) for size in sizes], config.image_size)
    facts = [
        ImageFacts(size=size, lesion_px=lesion_width(read_labels(sample, index.coding)))
        for sample, size in zip(samples, sizes, strict=True)
        if sample.mask is not None
    ]
    return suggest_fit(facts, config.image_size)


def _why_only_stretch(use: MaskUse, config: TrainConfig) -> str | None:
    """Return why a training can only stretch its images; None where it can take every fit."""
    system = system_of(config)
    if system.fits == ("stretch",):
        return f"the {system.called} takes no other fit"
    if use.unmasked is not None or teachers_of(config):
        return "teachers draw masks on stretched images"
    return None


def _say_choice(
    found: FitSuggestion, only_stretch: str | None, config: TrainConfig, console: Console
) -> None:
    said = found.sentence()
    if config.fit == "auto":
        reason = found.reason if only_stretch is None else only_stretch
        said = f"fit: {found.fit}" + ("." if reason is None else f", because {reason}.")
    elif said is not None:
        said += " This training stretches its images; --fit chooses."
    if said is not None:
        console.print(said, markup=False, highlight=False)


def _say_small_images(index: DatasetIndex, config: TrainConfig, console: Console) -> None:
    sizes = _sizes(_some(index.split("train"), config.seed))
    small = sum(min(size) < config.image_size for size in sizes)
    if small:
        console.print(
            f"{small} of {len(sizes)} training images that were looked at are smaller than a tile of "
            f"{config.image_size} x {config.image_size} pixels and are padded. A smaller --image-size makes "
            f"smaller tiles.",
            markup=False,
            highlight=False,
        )


def _some(samples: Sequence[Sample], seed: int) -> list[Sample]:
    return random.Random(seed).sample(list(samples), min(LOOKED_AT, len(samples)))


def _sizes(samples: Sequence[Sample]) -> list[tuple[int, int]]:
    return [image_size(sample.image) for sample in samples]
