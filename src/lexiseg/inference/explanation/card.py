"""The card of one prediction: one self-contained HTML file a person can judge it by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from lexiseg.html_template import NO_SCRIPTS, html_template, jpeg_uri
from lexiseg.inference.explanation.explain import ExplainedWord, Explanation, WhatIf
from lexiseg.inference.explanation.overlay import PREDICTED_COLOUR, TRUTH_COLOUR, draw_heat, draw_overlay
from lexiseg.inference.inputs.image_inputs import Pixels
from lexiseg.inference.result import Prediction, RetrievedWord
from lexiseg.words.description import SIDE_NOTES, names_sides

#: What a card does not show: of places where phrases act, and of masks under other phrases.
LIMIT_OF_HEAT = (
    "The colours show where a phrase acts in the network. They do not show whether the phrase is right."
)
LIMIT_OF_WHAT_IF = (
    "If the mask does not change under another phrase, it depends on the image and not on this word."
)

#: What a prediction without a flag says, as on the page of `lexiseg serve`.
NOT_SURE = "This does not mean that the mask is right."
NOT_FLAGGED = f"No sign of doubt is above its limit. {NOT_SURE}"

# Masks whose Dice is above this are told apart by nobody who looks at them.
_HARDLY = 0.98
_LONGEST_SIDE = 400


@dataclass(frozen=True, kw_only=True)
class CardSheet:
    """Several slices of a volume in one picture.

    Attributes:
        picture: The picture, in RGB.
        alt: What it shows, for those who do not see it.
        caption: What is said below it.
    """

    picture: Image.Image
    alt: str
    caption: str


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
    change_note: str
    picture: _Picture | None


def build_card(
    image: Pixels,
    explanation: Explanation,
    *,
    name: str,
    run: str,
    notes: Sequence[str] = (),
    sheet: CardSheet | None = None,
) -> str:
    """Return the card as HTML: no scripts, no other files, no requests.

    Args:
        image: `(H, W, 3)` uint8.
        explanation: Its explanation.
        name: Name of the image, for the title.
        run: Name of the run.
        notes: What stands above the picture, such as which slice of a volume it shows.
        sheet: Several slices of the volume that the image is a slice of.
    """
    filters = {"percent": _percent}
    prediction = explanation.prediction
    by_factor = {word.factor: word for word in prediction.words}
    return html_template("lexiseg.inference.explanation", "card.html.j2", filters).render(
        name=name,
        policy=NO_SCRIPTS,
        findings=card_findings(prediction),
        not_flagged=NOT_FLAGGED,
        run=run,
        notes=notes,
        p=prediction,
        e=explanation,
        sheet=sheet,
        sheet_uri=None if sheet is None else jpeg_uri(sheet.picture),
        mask=_picture(image, prediction.mask, None, _alt(name, prediction)),
        words=[
            _word(image, explanation, word, explained)
            for word, explained in zip(prediction.words, explanation.words, strict=True)
        ],
        scales=[
            (stride, [by_factor[factor] for factor in factors]) for stride, factors in explanation.scales
        ],
        limits=_limits(explanation),
        side_note=SIDE_NOTES[prediction.words_side],
        predicted_colour=PREDICTED_COLOUR,
        own_colour=TRUTH_COLOUR,
    )


def card_findings(prediction: Prediction) -> tuple[str, str, str]:
    """Return what the mask marks, what the words are, and whether a person should check, as three sentences.

    Args:
        prediction: The prediction.
    """
    return _mask_finding(prediction), _word_finding(prediction), _review_finding(prediction)


def _mask_finding(prediction: Prediction) -> str:
    marked = {name: area for name, area in prediction.area_px.items() if area}
    if not marked:
        return "The mask is empty: no lesion was found."
    parts = [
        f"{name} in {area:,} pixels ({100 * area / prediction.mask.size:.1f} % of the image)"
        for name, area in marked.items()
    ]
    return f"The mask marks {' and '.join(parts)}."


def _word_finding(prediction: Prediction) -> str:
    if not prediction.words:
        return "This run names no words."
    return f"The words are: {'; '.join(f'{word.title}: {word.phrase}' for word in prediction.words)}."


def _review_finding(prediction: Prediction) -> str:
    flag = "A person should check this" if prediction.flagged else "Not flagged"
    caution = "" if prediction.flagged else f" {NOT_SURE}"
    if prediction.unlike_training_images:
        return f"{flag}: the image is unlike the training images, so the expected Dice is unknown."
    if prediction.expected_dice is not None:
        return f"{flag}; the expected Dice of the mask is {prediction.expected_dice:.2f}.{caution}"
    if prediction.agreement is not None:
        return f"{flag}; {_percent(prediction.agreement)} of the words agree with the mask.{caution}"
    return (
        "This run cannot tell how good the mask is: it is not calibrated, and no words are compared with it."
    )


def _word(image: Pixels, explanation: Explanation, word: RetrievedWord, explained: ExplainedWord) -> _Word:
    measured = explanation.prediction.measured
    heat = None
    if explained.heat is not None:
        heat = _Picture(
            uri=jpeg_uri(draw_heat(image, explained.heat, explanation.plain, longest_side=_LONGEST_SIDE)),
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
        change_note=_change_note(explained.what_if, len(changed)),
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
    which = "other phrase" if len(overlaps) == len(what_if) else "other phrase that could be forced"
    if not overlaps or min(overlaps) <= _HARDLY:
        return None
    if min(overlaps) == 1:
        return f"No {which} changes the mask."
    return f"The mask hardly changes under any {which}: the Dice stays above {_HARDLY}."


def _change_note(what_if: Sequence[WhatIf], changed: int) -> str:
    """Say how the phrase that is drawn compares with the other phrases; `changed` of them change the mask."""
    if any(other.overlap is None for other in what_if):
        return "Of the phrases that could be forced, this one changes the mask the most."
    if changed == 1 < len(what_if):
        return "No phrase but this one changes the mask."
    return "This phrase changes the mask the most."


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
    return _Picture(uri=jpeg_uri(draw_overlay(image, mask, other, longest_side=_LONGEST_SIDE)), alt=alt)


def _percent(share: float) -> str:
    # A no-break space keeps the figure and its sign on one line.
    return f"{100 * share:.0f}\N{NO-BREAK SPACE}%"
