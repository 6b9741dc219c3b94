"""One scored case, and the table of all scored cases (`cases.csv`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.ndimage import label as label_components

from lexiseg.data.sample import Sample
from lexiseg.evaluation.scores.metrics import METRICS, CaseScores
from lexiseg.evaluation.scores.statistics import size_groups, size_terciles
from lexiseg.printable import exact_cell, row_of_cells
from lexiseg.words.description import UNKNOWN
from lexiseg.words.vocabulary import Vocabulary

#: Names of the size strata, in order.
TERCILES = ("small", "medium", "large")
#: Size stratum of a case whose true mask is empty.
NO_LESION = "no lesion"
#: All size strata, in the order of `statistics.size_groups`.
SIZE_GROUPS = (NO_LESION, *TERCILES)

_EIGHT_NEIGHBOURS = np.ones((3, 3), dtype=int)


@dataclass(frozen=True, kw_only=True)
class ScoredCase:
    """The scores of one case: numbers only, so that memory does not grow with the size of the images.

    Attributes:
        sample: The sample that was evaluated.
        scores: Its scores at its own grid.
        image_px: Pixels of the image.
        lesions: Number of connected components (8 neighbours) of the true foreground.
        retrieved: Index of the retrieved phrase per factor; empty for a run without words.
        confidence: Confidence of each retrieved phrase, in 0..1.
        reference: Index of the reference phrase per factor, or `UNKNOWN`; empty for a run without words.
        agreement: Share of factors on which retrieved words and words measured on the predicted mask agree,
            0..1; None without words, or where nothing can be measured.
        flagged: The prediction is flagged for review.
        expected_dice: Dice expected from the prediction's own signals, 0..1; None for a run that is not
            calibrated, and for an image that is unlike the training images.
        unlike: Whether the image is unlike the training images of the run; None if that is not known.
    """

    sample: Sample
    scores: CaseScores
    image_px: int
    lesions: int
    retrieved: tuple[int, ...]
    confidence: tuple[float, ...]
    reference: tuple[int, ...]
    agreement: float | None
    flagged: bool
    expected_dice: float | None = None
    unlike: bool | None = None

    @property
    def truth_px(self) -> int:
        """Foreground pixels of the true mask, all classes."""
        return sum(scores.truth_px for scores in self.scores.classes)

    @property
    def predicted_px(self) -> int:
        """Foreground pixels of the predicted mask, all classes."""
        return sum(scores.predicted_px for scores in self.scores.classes)

    @property
    def truth_share(self) -> float:
        """Share of the image that the true foreground covers, in 0..1."""
        return self.truth_px / self.image_px


def count_lesions(truth: npt.NDArray[np.integer]) -> int:
    """Return the number of connected components (8 neighbours) of a label map's foreground."""
    return int(label_components(truth > 0, structure=_EIGHT_NEIGHBOURS)[1])


def tercile_cuts(cases: Sequence[ScoredCase]) -> tuple[float, float] | None:
    """Return the shares of the image that separate small, medium and large lesions; None without lesions."""
    shares = [case.truth_share for case in cases]
    return size_terciles(shares) if any(shares) else None


def size_stratum(case: ScoredCase, cuts: tuple[float, float] | None) -> str:
    """Return the name of a case's size stratum, one of `SIZE_GROUPS`."""
    return NO_LESION if cuts is None else SIZE_GROUPS[int(size_groups([case.truth_share], cuts)[0])]


def case_table(
    cases: Sequence[ScoredCase],
    *,
    root: Path,
    vocabulary: Vocabulary | None,
    class_names: Sequence[str],
    side: str,
) -> str:
    """Return one CSV row per case: scores, areas, stratum, and words as phrases.

    Args:
        cases: The evaluated cases.
        root: The data set's folder; images are named relative to it.
        vocabulary: Turns indices into phrases; None for a run without words.
        class_names: Names of all labels, background first; several foreground classes get columns each.
        side: Whose left the words "left" and "right" mean.
    """
    cuts = tercile_cuts(cases)
    rows = [_row(case, root, cuts, vocabulary, class_names, side) for case in cases]
    return str(
        pd.DataFrame([row_of_cells(row) for row in rows]).to_csv(
            index=False, float_format="%.6g", lineterminator="\n"
        )
    )


def _row(
    case: ScoredCase,
    root: Path,
    cuts: tuple[float, float] | None,
    vocabulary: Vocabulary | None,
    class_names: Sequence[str],
    side: str,
) -> dict[str, object]:
    sample = case.sample
    row: dict[str, object] = {
        # These two are read back.
        "id": exact_cell(sample.id),
        "image": _shown_path(sample.image, root),
        "patient": None if sample.patient is None else exact_cell(sample.patient),
        "source": sample.source,
        **{name: getattr(case.scores, name) for name in METRICS},
        "one_sided_empty": case.scores.one_sided_empty,
        "predicted_px": case.predicted_px,
        "truth_px": case.truth_px,
    }
    if sample.spacing_mm is not None:
        pixel_mm2 = sample.spacing_mm[0] * sample.spacing_mm[1]
        row |= {"predicted_mm2": case.predicted_px * pixel_mm2, "truth_mm2": case.truth_px * pixel_mm2}
    row |= {"truth_share": case.truth_share, "tercile": size_stratum(case, cuts), "lesions": case.lesions}
    if len(case.scores.classes) > 1:
        for name, scores in zip(class_names[1:], case.scores.classes, strict=True):
            row |= {f"{metric}_{name}": getattr(scores, metric) for metric in METRICS}
    if case.unlike is not None:
        row["unlike_training_images"] = case.unlike
    if case.expected_dice is not None or case.unlike:
        row["expected_dice"] = case.expected_dice
    if vocabulary is None:
        return row | {"flagged": case.flagged}
    row |= {"agreement": case.agreement, "flagged": case.flagged, "side": side}
    for position, factor in enumerate(vocabulary.factors):
        reference = case.reference[position]
        row |= {
            f"retrieved_{factor.name}": factor.phrases[case.retrieved[position]],
            f"confidence_{factor.name}": case.confidence[position],
            f"reference_{factor.name}": None if reference == UNKNOWN else factor.phrases[reference],
        }
    return row


def _shown_path(image: Path, root: Path) -> str:
    """Return an image's path relative to its data set, where it lies inside it."""
    return (image.relative_to(root) if image.is_relative_to(root) else image).as_posix()
