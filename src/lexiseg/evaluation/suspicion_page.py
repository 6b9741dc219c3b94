"""`suspicions.html`: one self-contained page with the most suspicious cases of a data set."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from PIL import Image

from lexiseg.data import DatasetIndex, Sample
from lexiseg.data.readers import read_image, read_mask
from lexiseg.evaluation.suspicion_file import Suspicion, Suspicions
from lexiseg.html_template import html_template
from lexiseg.inference.overlay import PREDICTED_COLOUR, TRUTH_COLOUR, draw_overlay
from lexiseg.inference.result import Prediction
from lexiseg.words.description import SIDE_NOTES, names_sides

#: At most this many cases are shown.
MOST_SHOWN = 50

_LONGEST_SIDE = 320
_JPEG_QUALITY = 85


@dataclass(frozen=True, kw_only=True)
class ShownCase:
    """One case of the page.

    Attributes:
        case: The case.
        plain: The image as a data URI.
        outlined: The image with the outlines of mask and prediction as a data URI.
        words: Rows of the table of words: title of the factor, phrase of the report, of the run and of the
            mask; a phrase that is not known is None.
    """

    case: Suspicion
    plain: str
    outlined: str
    words: tuple[tuple[str, str | None, str | None, str | None], ...]


def build_page(found: Suspicions, drawn: Mapping[str, tuple[Sample, Prediction]], index: DatasetIndex) -> str:
    """Return the page as HTML: no scripts, no other files, no requests.

    Args:
        found: The ranked cases.
        drawn: Sample and prediction of the cases to show, by id.
        index: The data set.
    """
    shown = [_shown(case, *drawn[case.id], index) for case in found.cases if case.id in drawn]
    sided = names_sides(
        text for item in shown for row in item.words for text in row if text is not None
    )  # fmt: skip
    return html_template("lexiseg.evaluation", "suspicions.html.j2", {}).render(
        found=found,
        shown=shown,
        side_note=SIDE_NOTES[found.side] if found.side is not None and sided else None,
        predicted_colour=PREDICTED_COLOUR,
        truth_colour=TRUTH_COLOUR,
    )


def _shown(case: Suspicion, sample: Sample, prediction: Prediction, index: DatasetIndex) -> ShownCase:
    image = read_image(sample.image)
    given = None if sample.mask is None else read_mask(sample.mask, index.coding)
    nothing = np.zeros(image.shape[:2], np.uint8)
    return ShownCase(
        case=case,
        plain=_data_uri(draw_overlay(image, nothing, longest_side=_LONGEST_SIDE)),
        outlined=_data_uri(draw_overlay(image, prediction.mask, given, longest_side=_LONGEST_SIDE)),
        words=tuple(
            (word.title, case.told.get(word.factor), word.phrase, case.measured.get(word.factor))
            for word in prediction.words
        ),
    )


def _data_uri(picture: Image.Image) -> str:
    buffer = io.BytesIO()
    picture.save(buffer, format="JPEG", quality=_JPEG_QUALITY)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
