"""Why this mask: words by scale, where each phrase acts, and the mask under other phrases."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast

import numpy as np
import numpy.typing as npt

from lexiseg.data.decoded_image import DecodedImage
from lexiseg.data.image_fit import Placement
from lexiseg.engines.engine import FloatArray
from lexiseg.errors import UsageError
from lexiseg.inference.dicom_images import as_displayed, check_same_image
from lexiseg.inference.explanation.word_correction import correct_mask
from lexiseg.inference.inputs.image_inputs import ImageInput, Pixels, decoded_image
from lexiseg.inference.predictor import Predictor, predictor_of
from lexiseg.inference.result import Prediction
from lexiseg.inference.words.report_draft import draft_of
from lexiseg.inference.words.retrieved_words import check_words
from lexiseg.mask_overlap import label_dice
from lexiseg.printable import brief, counted
from lexiseg.runs.run import Run
from lexiseg.runs.word_effects import WordEffects, only
from lexiseg.systems.registry import system_of

if TYPE_CHECKING:
    from torch import Tensor

    from lexiseg.engines.torch_engine import TorchEngine
    from lexiseg.models.prompt_trace import Phrase, PromptTrace, TracePrompts

NO_WORDS = "This run names no words, so there are none to explain."
NO_HEAT = "This network does not show where a phrase acts; the compact presets do."
ONE_EMBEDDING = (
    "One embedding of the image prompts all scales of the decoder; the words are predicted from it and do "
    "not act by themselves. To force a phrase, the embedding is moved until the network predicts that phrase."
)
MIRROR = (
    "Mask and words are averaged with the mirror image; where phrases act and the masks under other phrases "
    "are those of the image alone."
)
AVERAGED = (
    "Mask and words are averaged over two networks; where phrases act and the masks under other phrases are "
    "those of the first one alone."
)


OVERVIEW = (
    "Mask and words are made from tiles of the image; where phrases act and the masks under other phrases "
    "are those of the whole image seen at once, with less detail."
)
CORRECTED = (
    "The masks under other phrases about places are those that the command lexiseg refine gives for the "
    "phrase."
)
CORRECTED_ALONE = (
    "The masks under other phrases about places are made by the method of the command lexiseg refine. Its "
    "masks can differ: it corrects the mask that is predicted."
)

#: Index of a phrase, and whether it moves the mask when a person says it.
Alternative = tuple[int, bool]


@dataclass(frozen=True, kw_only=True)
class WhatIf:
    """The mask under another phrase for one factor.

    Attributes:
        phrase: The forced phrase.
        confidence: Its probability by the network, 0..1.
        mask: Labels `(H, W)` uint8; None where no prompt makes the network predict the phrase.
        overlap: Dice of this mask with the one that was not forced, 0..1.
        area_change: Change of the foreground's area, in pixels of the image.
    """

    phrase: str
    confidence: float
    mask: npt.NDArray[np.uint8] | None
    overlap: float | None
    area_change: int | None

    def __repr__(self) -> str:
        return brief(
            self,
            f"{self.phrase!r} {self.confidence:.2f}",
            None if self.overlap is None else f"Dice {self.overlap:.2f} with the mask",
            None if self.area_change is None else f"area {self.area_change:+d} px",
        )


@dataclass(frozen=True, kw_only=True)
class ExplainedWord:
    """One retrieved phrase, explained.

    Attributes:
        factor: Name of the factor; the phrase itself is in the prediction.
        heat: Where the phrase acts, `(h, w)` float32 with maximum 1, on a coarse grid over the whole image;
            None if the network does not show it.
        what_if: The runners-up, forced one by one, best first.
    """

    factor: str
    heat: npt.NDArray[np.float32] | None
    what_if: tuple[WhatIf, ...]

    def __repr__(self) -> str:
        return brief(
            self,
            self.factor,
            "no heat" if self.heat is None else "heat",
            counted(len(self.what_if), "other phrase"),
        )


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """A prediction with what led to it.

    Attributes:
        prediction: The prediction; its mask is that of the usual display of a DICOM file, as are all others.
        words: One entry per retrieved word, in the same order.
        plain: The mask that forced ones are compared with, `(H, W)`: of the (first) network alone, without
            any averaging; with tiles, of the whole image seen at once.
        heat_kind: What heat is: attention of the phrase, or gradient of its score; None without.
        scales: Per scale, in the order of computation, its stride and the factors whose phrases prompt it;
            empty where one prompt serves all scales.
        prompted_part: The part of the network that the scales belong to.
        notes: What a reader must know, and what cannot be shown.
        draft: The words as the draft of a report sentence; empty without words.
    """

    prediction: Prediction
    words: tuple[ExplainedWord, ...]
    plain: npt.NDArray[np.uint8]
    heat_kind: Literal["attention", "gradient"] | None
    scales: tuple[tuple[int, tuple[str, ...]], ...]
    prompted_part: Literal["encoder", "decoder"]
    notes: tuple[str, ...]
    draft: str = ""

    def __repr__(self) -> str:
        return brief(
            self,
            " x ".join(map(str, self.plain.shape)),
            counted(len(self.words), "word"),
            None if self.heat_kind is None else f"heat by {self.heat_kind}",
            counted(len(self.notes), "note"),
        )


def explain(
    predictor: Predictor | Run | str | Path, image: ImageInput, *, prediction: Prediction | None = None
) -> Explanation:
    """Explain the prediction for one image.

    Args:
        predictor: A loaded run, or a run folder or the name of a run, which is loaded with the default
            options and the engine torch.
        image: As for `lexiseg.inference.predictor.Predictor.predict`.
        prediction: The prediction, where it was made already by this predictor for this image.

    Raises:
        DataError: The file cannot be read.
        UsageError: The array is not an image, or the prediction is that of another image or run.
        RunError: The run cannot be loaded; also a `WeightsError`.
    """
    predictor = predictor_of(predictor, needs_torch=True)
    return explain_decoded(predictor, decoded_image(image, predictor.options.view), prediction=prediction)


def explain_decoded(
    predictor: Predictor, image: DecodedImage, *, prediction: Prediction | None = None
) -> Explanation:
    """Explain the prediction for an image that is decoded already; see `explain`.

    Raises:
        UsageError: The prediction is that of another image or run.
    """
    given = prediction if prediction is not None else predictor.predict_decoded([image])[0]
    check_same_image(given, image)
    check_words(given, predictor.run.spoken_vocabulary)
    # As the network gets it.
    pixels, found = image.displayed, as_displayed(given)
    alternatives = _alternatives(predictor, found)
    forced: list[Phrase] = [
        (word.factor, index)
        for word, stated in zip(found.words, alternatives, strict=True)
        for index, moves in stated
        if not moves
    ]
    retrieved = {word.factor: word.index for word in found.words}
    trace = _trace(predictor, pixels, retrieved, forced)
    notes = [] if found.words else [NO_WORDS]
    vocabulary = predictor.run.spoken_vocabulary
    draft = "" if vocabulary is None else draft_of(found, vocabulary)
    if trace is None:
        return Explanation(
            prediction=found,
            words=(),
            plain=found.mask,
            heat_kind=None,
            scales=(),
            prompted_part="decoder",
            notes=tuple(notes),
            draft=draft,
        )
    notes += [NO_HEAT] if trace.heat_kind is None else []
    notes += [ONE_EMBEDDING] if trace.heat_kind == "gradient" else []
    notes += [MIRROR] if predictor.options.flip_average else []
    notes += [OVERVIEW] if predictor.run.manifest.fit == "tiles" else []
    notes += [AVERAGED] if len(predictor.runs) > 1 else []
    if any(moves for stated in alternatives for _, moves in stated):
        # The masks without averaging and tiles are others than those that `refine` corrects.
        notes.append(CORRECTED_ALONE if {MIRROR, OVERVIEW, AVERAGED} & set(notes) else CORRECTED)
    plain, words = _words(predictor, found, trace, alternatives)
    return Explanation(
        prediction=found,
        words=words,
        plain=plain,
        heat_kind=trace.heat_kind,
        scales=trace.factors_by_scale,
        prompted_part=trace.prompted_part,
        notes=tuple(notes),
        draft=draft,
    )


def _alternatives(predictor: Predictor, prediction: Prediction) -> list[list[Alternative]]:
    """Return the runners-up of each word: the index, and whether the phrase moves the mask when said."""
    effects = WordEffects.of(predictor.run)
    if effects is None:
        return []
    return [
        [
            (index, effects.phrase_can_move(word.factor, index))
            for phrase, _ in word.runners_up
            for index in (effects.vocabulary.factor(word.factor).phrases.index(phrase),)
        ]
        for word in prediction.words
    ]


def _trace(
    predictor: Predictor, pixels: Pixels, retrieved: dict[str, int], forced: list[Phrase]
) -> PromptTrace | None:
    """Return what prompts do inside the (first) network; None where it names no words."""
    trace_prompts = _tracer(predictor)
    if trace_prompts is None:
        return None
    engine = _torch_engine(predictor)
    image = engine.tensor(predictor.prepare([pixels]))
    with engine.no_gradients():
        return trace_prompts(engine.network, image, retrieved=retrieved, forced=forced)


def check_explainable(predictor: Predictor) -> None:
    """Refuse a predictor whose predictions `explain` cannot explain, before any is made.

    Args:
        predictor: A loaded run.

    Raises:
        UsageError: Its engine does not show what is inside a network.
    """
    if _tracer(predictor) is not None:
        _torch_engine(predictor)


def _tracer(predictor: Predictor) -> TracePrompts | None:
    """Return what traces prompts in the (first) network; None where it names no words."""
    if predictor.run.spoken_vocabulary is None:
        return None
    return system_of(predictor.run.manifest.network).builders.trace_prompts


def _torch_engine(predictor: Predictor) -> TorchEngine:
    """Return the predictor's engine, which must be torch: others do not show what is inside a network."""
    if predictor.engine.description.name != "torch":
        raise UsageError(
            f"Explanations look into the network, which the engine {predictor.engine.description.name} does "
            f"not allow. Use --engine torch, in Python lexiseg.load(run, engine='torch').",
            code="LEX-USE-870",
        )
    return cast("TorchEngine", predictor.engine)


def _words(
    predictor: Predictor,
    prediction: Prediction,
    trace: PromptTrace,
    alternatives: Sequence[Sequence[Alternative]],
) -> tuple[npt.NDArray[np.uint8], tuple[ExplainedWord, ...]]:
    """Return the mask without forcing, and one explained word per retrieved one."""
    size = (prediction.mask.shape[0], prediction.mask.shape[1])
    place = predictor.place(size)
    plain, probability = predictor.on_grid(place.inner_of(_array(trace.logits)), size)
    vocabulary = predictor.run.spoken_vocabulary
    assert vocabulary is not None, "only a run that names words is traced"
    retrieved = [word.index for word in prediction.words]
    rows = iter(trace.forced)
    words = []
    for word, stated in zip(prediction.words, alternatives, strict=True):
        what_if = []
        for (phrase, confidence), (index, moves) in zip(word.runners_up, stated, strict=True):
            mask: npt.NDArray[np.uint8] | None
            if moves:
                said = only(vocabulary, word.factor, index)
                mask = correct_mask(predictor, probability, said, retrieved).mask
            else:
                logits = next(rows)
                forced = None if logits is None else place.inner_of(_array(logits))
                mask = None if forced is None else predictor.on_grid(forced, size)[0]
            what_if.append(_what_if(phrase, confidence, mask, plain))
        heat = None
        if trace.heat_kind is not None:
            heat = _heat(_array(trace.heat[word.factor]), place, predictor)
        words.append(ExplainedWord(factor=word.factor, heat=heat, what_if=tuple(what_if)))
    return plain, tuple(words)


def _heat(heat: FloatArray, place: Placement, predictor: Predictor) -> FloatArray:
    """Return where a phrase acts in an image, with maximum 1, for its heat `(h, w)` in the picture."""
    if predictor.run.manifest.fit != "stretch":
        heat = place.inner_of(predictor.engine.resize(heat[None, None], (place.side, place.side)))[0, 0]
    scaled: FloatArray = heat / np.maximum(heat.max(), np.float32(1e-12))
    return scaled


def _array(logits: Tensor) -> FloatArray:
    array: FloatArray = logits.float().cpu().numpy()
    return array


def _what_if(
    phrase: str,
    confidence: float,
    mask: npt.NDArray[np.uint8] | None,
    plain: npt.NDArray[np.uint8],
) -> WhatIf:
    if mask is None:
        return WhatIf(phrase=phrase, confidence=confidence, mask=None, overlap=None, area_change=None)
    area, before = int((mask > 0).sum()), int((plain > 0).sum())
    overlap = label_dice(mask, plain)
    return WhatIf(phrase=phrase, confidence=confidence, mask=mask, overlap=overlap, area_change=area - before)
