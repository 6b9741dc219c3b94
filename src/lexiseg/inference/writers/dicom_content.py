"""A prediction as the content of DICOM objects: segments, words in patient coordinates, algorithm."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from lexiseg._version import __version__
from lexiseg.clinic.facts import ImageFacts
from lexiseg.clinic.result_content import (
    Algorithm,
    Correction,
    ResultContent,
    SegmentContent,
    WordContent,
    WordSide,
)
from lexiseg.inference.predictor import Predictor
from lexiseg.inference.result import Prediction, RetrievedWord
from lexiseg.inference.words.corrected_prediction import CorrectedPrediction, CorrectedWord
from lexiseg.inference.words.report_draft import report_draft
from lexiseg.inference.words.word_sides import reasons_of_other_side, words_of_other_side
from lexiseg.json_records import record_sha256
from lexiseg.runs.run import Run
from lexiseg.words.codes import Codes
from lexiseg.words.flips import flip
from lexiseg.words.half_features import Half
from lexiseg.words.vocabulary import Vocabulary, load_vocabulary, shipped_vocabularies


def result_content(prediction: Prediction, facts: ImageFacts, predictor: Predictor) -> ResultContent:
    """Return what DICOM objects say of a prediction.

    Where the file says where the patient's left is, all words are given in the patient's left and right: a
    model that was taught the image's left says "left lung" of what a reader of a report calls the right one.
    Where it does not, they are given in the left and right of the image. Words of which it is not known whose
    left they mean stay as they are.

    Args:
        prediction: On the stored grid.
        facts: What the source says about its image.
        predictor: The predictor.
    """
    run, vocabulary = predictor.run, predictor.run.spoken_vocabulary
    codes = Codes() if vocabulary is None else vocabulary_codes(vocabulary)
    side = word_side(run, facts)
    segments = tuple(
        SegmentContent(
            number=label,
            name=name,
            code=codes.finding if len(run.class_names) == 2 else None,
            mask=prediction.mask == label,
            area_mm2=None if prediction.area_mm2 is None else prediction.area_mm2[name],
        )
        for label, name in enumerate(run.class_names)
        if label > 0
    )
    words, reasons = prediction.words, prediction.reasons
    correction = Correction(who=prediction.who) if isinstance(prediction, CorrectedPrediction) else None
    measured = None if prediction.measured is None else prediction.measured.indices
    if vocabulary is not None and side not in ("unknown", run.side):
        words = words_of_other_side(prediction.words, vocabulary)
        reasons = reasons_of_other_side(prediction, vocabulary)
        measured = None if measured is None else flip(vocabulary, measured, "horizontal")
    return ResultContent(
        facts=facts,
        segments=segments,
        words=() if vocabulary is None else word_contents(words, vocabulary, codes),
        side=side,
        agreement=prediction.agreement,
        expected_dice=prediction.expected_dice,
        flagged=prediction.flagged,
        reasons=reasons,
        draft="" if vocabulary is None else report_draft(_as_said(words), measured, vocabulary),
        algorithm=algorithm_of(predictor, facts.shown, *_said(words, correction)),
        fallback_date=fallback_date(predictor),
        correction=correction,
    )


def word_side(run: Run, facts: ImageFacts) -> WordSide:
    """Return whose left and right the words of an object mean.

    Args:
        run: The run.
        facts: What the source says about its image.
    """
    if run.shown_side == "unknown":
        return "unknown"
    return "patient" if facts.knows_sides else "image"


def vocabulary_codes(vocabulary: Vocabulary) -> Codes:
    """Return the codes of a vocabulary; of one without codes, those of the shipped one with the same name.

    Runs of version 0.1.0 hold their vocabulary without codes.
    """
    if vocabulary.codes != Codes() or vocabulary.name not in shipped_vocabularies():
        return vocabulary.codes
    return load_vocabulary(vocabulary.name).codes


def word_contents(
    words: Sequence[RetrievedWord], vocabulary: Vocabulary, codes: Codes
) -> tuple[WordContent, ...]:
    """Return words as objects hold them, with the sides on which they place a lesion.

    Args:
        words: In the side convention of the object.
        vocabulary: Their vocabulary.
        codes: Codes of its factors and phrases.
    """
    return tuple(_word(word, vocabulary, codes) for word in words)


def _as_said(words: Sequence[RetrievedWord]) -> list[RetrievedWord]:
    """Return words for the draft of a report; the model is not asked how sure it is of what a person said."""
    return [word if word.said_by == "model" else dataclasses.replace(word, confidence=1.0) for word in words]


def _said(words: Sequence[RetrievedWord], correction: Correction | None) -> tuple[tuple[str, str], ...]:
    """Return what decides a corrected result besides the model: what was said, and who said it."""
    if correction is None:
        return ()
    said = "; ".join(f"{word.factor}: {word.phrase}" for word in words if word.said_by == "person")
    return (("corrected by words", said), ("corrected by", correction.who or "not known"))


def _word(word: RetrievedWord, vocabulary: Vocabulary, codes: Codes) -> WordContent:
    factor = vocabulary.factor(word.factor)
    halves: dict[Half, bool] = {}
    if factor.measure is not None:
        halves = factor.measure.lesion_in_halves(factor.phrases, word.index)
    model_phrase = ""
    if isinstance(word, CorrectedWord) and word.model_index is not None and word.model_index != word.index:
        model_phrase = factor.phrases[word.model_index]
    return WordContent(
        factor=factor.name,
        title=factor.title,
        phrase=word.phrase,
        confidence=word.confidence,
        factor_code=codes.factors.get(factor.name),
        phrase_code=codes.phrases.get(word.phrase),
        sides=tuple(half for half, lesion in halves.items() if lesion),
        said_by=word.said_by,
        model_phrase=model_phrase,
    )


def fallback_date(predictor: Predictor) -> str:
    """Return the date of objects whose source states none: that of the run, YYYYMMDDHHMMSS."""
    return "".join(character for character in predictor.run.manifest.created if character.isdigit())[:14]


def algorithm_of(predictor: Predictor, shown: str, *more: tuple[str, str]) -> Algorithm:
    """Return what made a prediction: all that decides the result, as the UIDs of objects are made of it.

    Args:
        predictor: The predictor.
        shown: How grey values were shown to the network.
        *more: What else decides the result, as pairs of name and value.
    """
    run = predictor.run
    parameters = [
        (f"weights {number} SHA-256", weights) for number, weights in enumerate(predictor.weights_sha256, 1)
    ]
    parameters += _fitted(predictor)
    if predictor.options.flip_average:
        parameters.append(("flip average", "yes"))
    if predictor.options.spacing_mm is not None:
        height, width = predictor.options.spacing_mm
        parameters.append(("pixel spacing given", f"{height!r} x {width!r} mm"))
    for number, engine in enumerate(predictor.engines, 1):
        found = engine.description
        # Without the number of a GPU: which of several computes decides nothing.
        place = found.device.partition(":")[0]
        parameters.append((f"engine {number}", f"{found.name} {found.version} {found.precision} on {place}"))
    parameters += [("shown", shown), *more]
    return Algorithm(
        name=Path(run.shown).name,
        version=run.manifest.lexiseg_version,
        software_version=__version__,
        parameters=tuple(parameters),
    )


def _fitted(predictor: Predictor) -> list[tuple[str, str]]:
    """Return the hashes of what decides flags and expected Dice besides the weights."""
    found = []
    if predictor.calibration is not None:
        found.append(("calibration SHA-256", record_sha256(predictor.calibration)))
    for number, images in enumerate(predictor.training_images, 1):
        if images is not None:
            found.append((f"training images {number} SHA-256", record_sha256(images.record)))
    return found
