"""Cases under two runs in pictures: the largest gain, the median and the largest loss."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lexiseg.data import DatasetIndex, Split
from lexiseg.data.readers import read_image_with_facts, read_labels
from lexiseg.errors import LexisegError
from lexiseg.evaluation.predictor_protocol import PathPredictor
from lexiseg.evaluation.report.case_picture import case_picture
from lexiseg.evaluation.report.figures import Picture

_LONGEST_SIDE = 320


@dataclass(frozen=True, kw_only=True)
class ModelMasks:
    """One of the two models whose masks are compared.

    Attributes:
        title: Its name for a caption.
        predictor: The model, loaded.
        dice: Its Dice by case, 0..1.
    """

    title: str
    predictor: PathPredictor
    dice: Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class CaseMask:
    """The mask of one model for a case, beside the true mask.

    Attributes:
        title: Name of the model.
        dice: Its Dice, 0..1.
        picture: The outlines of both masks on the image.
    """

    title: str
    dice: float
    picture: Picture


@dataclass(frozen=True, kw_only=True)
class CaseChange:
    """One case under two models.

    Attributes:
        title: Why it is shown, such as "Largest gain".
        id: The case.
        difference: Its difference in Dice.
        masks: The mask of each model.
    """

    title: str
    id: str
    difference: float
    masks: tuple[CaseMask, ...]


def choose_changes(differences: Mapping[str, float]) -> dict[str, str]:
    """Choose the cases that a page shows: highest, median and lowest difference, as far as they differ.

    Args:
        differences: Difference in Dice by case; at least one case.

    Returns:
        Title to case; a title states what is true of the case.
    """
    ranked = sorted(differences, key=lambda case: (differences[case], case))
    lowest, highest = ranked[0], ranked[-1]
    if len(ranked) == 1:
        return {"Only case": lowest}
    if differences[lowest] == differences[highest]:
        return {"One of the cases, which all have this difference": lowest}
    median = {"Median": ranked[len(ranked) // 2]} if len(ranked) > 2 else {}
    return {
        _title(differences[highest], "Largest gain", "Smallest loss"): highest,
        **median,
        _title(differences[lowest], "Smallest gain", "Largest loss"): lowest,
    }


def _title(difference: float, gain: str, loss: str) -> str:
    return gain if difference > 0 else loss if difference < 0 else "No change"


def draw_changes(
    differences: Mapping[str, float],
    models: Sequence[ModelMasks],
    index: DatasetIndex,
    split: Split,
) -> list[CaseChange]:
    """Predict the chosen cases with both models and draw them.

    Args:
        differences: Difference in Dice by case.
        models: The two models.
        index: The data set.
        split: The split of the cases.

    Raises:
        LexisegError: A file that could be read a moment ago no longer can.
    """
    chosen = choose_changes(differences)
    masks = [_draw(list(chosen.values()), model, index, split) for model in models]
    return [
        CaseChange(
            title=title,
            id=case,
            difference=differences[case],
            masks=tuple(of_model[case] for of_model in masks),
        )
        for title, case in chosen.items()
    ]


def _draw(ids: Sequence[str], model: ModelMasks, index: DatasetIndex, split: Split) -> dict[str, CaseMask]:
    samples = [sample for sample in index.split(split) if sample.id in ids]
    drawn = {}
    predictions = model.predictor.predict_paths([sample.image for sample in samples])
    for sample, (_, prediction) in zip(samples, predictions, strict=True):
        if isinstance(prediction, LexisegError):
            raise prediction
        assert sample.mask is not None, "only cases with a mask are evaluated"
        truth = read_labels(sample, index.coding)
        image = read_image_with_facts(sample.image)
        uri = case_picture(image, prediction.mask, truth, longest_side=_LONGEST_SIDE)
        dice = model.dice[sample.id]
        alt = (
            f"Image {sample.id}, {model.title}: {'the' if prediction.mask.any() else 'no'} predicted outline "
            f"(solid orange) and {'the' if truth.any() else 'no'} true outline (dashed blue); Dice "
            f"{dice:.3f}."
        )
        picture = Picture(uri=uri, alt=alt)
        drawn[sample.id] = CaseMask(title=model.title, dice=dice, picture=picture)
    return drawn
