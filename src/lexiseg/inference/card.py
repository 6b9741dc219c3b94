"""The card of one prediction: one self-contained HTML file a person can judge it by."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from lexiseg.html_template import html_template
from lexiseg.inference.explain import ExplainedWord, Explanation, WhatIf
from lexiseg.inference.image_inputs import Pixels
from lexiseg.inference.overlay import PREDICTED_COLOUR, TRUTH_COLOUR, draw_heat, draw_overlay
from lexiseg.inference.result import Prediction, RetrievedWord
from lexiseg.words.description import SIDE_NOTES, names_sides

#: What the title of a card begins with; no other page is taken for one.
CARD_TITLE = "Lexiseg card: "
#: What a card does not show: of places where phrases act, and of masks under other phrases.
LIMIT_OF_HEAT = (
    "The colours show where a phrase acts in the network. They do not show whether the phrase is right."
)
LIMIT_OF_WHAT_IF = (
    "If the mask does not change under another phrase, it depends on the image and not on this word."
)

# Masks whose Dice is above this are told apart by nobody who looks at them.
_HARDLY = 0.98
_LONGEST_SIDE = 400
_JPEG_QUALITY = 85


@dataclass(frozen=True, kw_only=True)
class _Picture:
    uri: str
    alt: str


@dataclass(frozen=True, kw_only=True)
class _Word:
    """One word as the card shows it."""

    word: RetrievedWord
    measured: str | None
    sided: bool
    heat: _Picture | None
    what_if: tuple[WhatIf, ...]
    effect: str | None
    pictured: WhatIf | None
    picture: _Picture | None


def build_card(
    image: Pixels, explanation: Explanation, *, name: str, run: str, notes: Sequence[str] = ()
) -> str:
    """Return the card as HTML: no scripts, no other files, no requests.

    Args:
        image: `(H, W, 3)` uint8.
        explanation: Its explanation.
        name: Name of the image, for the title.
        run: Name of the run.
        notes: What stands above the picture, such as which slice of a volume it shows.
    """
    filters = {"percent": _percent}
    prediction = explanation.prediction
    by_factor = {word.factor: word for word in prediction.words}
    return html_template("lexiseg.inference", "card.html.j2", filters).render(
        title=CARD_TITLE + name,
        name=name,
        run=run,
        notes=notes,
        p=prediction,
        e=explanation,
        mask=_picture(image, prediction.mask, None, _alt(name, prediction)),
        words=[
            _word(image, explanation, word, explained)
            for word, explained in zip(prediction.words, explanation.words, strict=True)
        ],
        scales=[
            (stride, [by_factor[factor] for factor in factors]) for stride, factors in explanation.scales
        ],
        limits=_limits(explanation),
        side_note=SIDE_NOTES[prediction.side],
        predicted_colour=PREDICTED_COLOUR,
        own_colour=TRUTH_COLOUR,
    )


def _word(image: Pixels, explanation: Explanation, word: RetrievedWord, explained: ExplainedWord) -> _Word:
    measured = explanation.prediction.measured
    heat = None
    if explained.heat is not None:
        heat = _Picture(
            uri=_data_uri(draw_heat(image, explained.heat, explanation.plain, longest_side=_LONGEST_SIDE)),
            alt=f"Where '{word.phrase}' acts: {_where(explained.heat)}.",
        )
    changed = [other for other in explained.what_if if other.overlap is not None and other.overlap < 1]
    pictured = min(changed, key=lambda other: other.overlap or 0.0, default=None)
    picture = None
    if pictured is not None and pictured.mask is not None:
        alt = f"The mask with the phrase '{pictured.phrase}' (solid), and the predicted mask (dashed)."
        picture = _picture(image, pictured.mask, explanation.plain, alt)
    return _Word(
        word=word,
        measured=None if measured is None else measured.phrases[word.factor],
        sided=names_sides((word.title, word.phrase, *(phrase for phrase, _ in word.runners_up))),
        heat=heat,
        what_if=explained.what_if,
        effect=_effect(explained.what_if),
        pictured=pictured,
        picture=picture,
    )


def _alt(name: str, prediction: Prediction) -> str:
    if prediction.mask.any():
        return f"{name} with the outline of the predicted mask."
    return f"{name} without an outline: no lesion was found."


def _limits(explanation: Explanation) -> list[str]:
    """Return what the card does not show, of the things that it holds."""
    forced = any(word.what_if for word in explanation.words)
    return [LIMIT_OF_HEAT] * (explanation.heat_kind is not None) + [LIMIT_OF_WHAT_IF] * forced


def _effect(what_if: Sequence[WhatIf]) -> str | None:
    """Say that other phrases change the mask hardly or not at all; None where one does or none was forced."""
    overlaps = [other.overlap for other in what_if if other.overlap is not None]
    which = "these" if len(overlaps) == len(what_if) else "those that could be forced"
    if not overlaps or min(overlaps) <= _HARDLY:
        return None
    if min(overlaps) == 1:
        return f"None of {which} changes the mask."
    return f"The mask hardly changes under any of {which}: the Dice stays above {_HARDLY}."


def _where(heat: npt.NDArray[np.float32]) -> str:
    """Say where the heat has its centre, in the image's own directions."""
    rows, columns = np.indices(heat.shape)
    total = max(float(heat.sum()), 1e-12)
    down = float((rows * heat).sum()) / total / max(1, heat.shape[0] - 1)
    across = float((columns * heat).sum()) / total / max(1, heat.shape[1] - 1)
    return (
        f"on average {100 * across:.0f} % of the way from the image's left edge to its right one, and "
        f"{100 * down:.0f} % of the way down"
    )


def _picture(
    image: Pixels, mask: npt.NDArray[np.uint8], other: npt.NDArray[np.uint8] | None, alt: str
) -> _Picture:
    return _Picture(uri=_data_uri(draw_overlay(image, mask, other, longest_side=_LONGEST_SIDE)), alt=alt)


def _data_uri(picture: Image.Image) -> str:
    buffer = io.BytesIO()
    picture.save(buffer, format="JPEG", quality=_JPEG_QUALITY, subsampling=0)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def _percent(share: float) -> str:
    # A no-break space keeps the figure and its sign on one line.
    return f"{100 * share:.0f}\N{NO-BREAK SPACE}%"
