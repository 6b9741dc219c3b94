"""What the server says of a model: its card, its vocabulary, and what its words can do."""

from __future__ import annotations

from pathlib import Path

from lexiseg.inference.predictor import Predictor
from lexiseg.runs.manifest import CARD_FILE
from lexiseg.runs.word_effects import WordEffects
from lexiseg.serving.records.models import FactorRecord, ModelRecord, PhraseRecord, VocabularyRecord
from lexiseg.serving.zone_picture import has_zone

_LARGEST_CARD = 1 << 20


def model_record(
    predictor: Predictor, *, name: str, version: str, loaded: str, is_default: bool
) -> ModelRecord:
    """Return what the server says of a model.

    Args:
        predictor: The loaded model.
        name: Its name.
        version: SHA-256 of its files.
        loaded: When it was loaded, ISO date and time.
        is_default: Whether requests that name no model get it.
    """
    run = predictor.run
    effects = WordEffects.of(run)
    words = None if effects is None else _vocabulary_record(effects)
    return ModelRecord(
        name=name,
        version=version,
        weights_sha256=predictor.weights_sha256[0],
        loaded=loaded,
        trained_with=run.manifest.lexiseg_version,
        is_default=is_default,
        classes=run.class_names,
        image_size=run.manifest.image_size,
        fit=run.manifest.fit,
        side=run.spoken_side,
        vocabulary=words,
        can_refine=words is not None and any(p.moves_mask for f in words.factors for p in f.phrases),
        is_calibrated=predictor.calibration is not None,
        knows_training_images=predictor.compares_images,
        engine=str(predictor.engine.description),
        card=_card(run.path / CARD_FILE),
    )


def _vocabulary_record(effects: WordEffects) -> VocabularyRecord:
    run, vocabulary = effects.run, effects.vocabulary
    return VocabularyRecord(
        name=vocabulary.name,
        title=vocabulary.title,
        factors=tuple(
            FactorRecord(
                name=factor.name,
                title=factor.title,
                phrases=tuple(
                    PhraseRecord(
                        index=index,
                        phrase=phrase,
                        moves_mask=effects.phrase_can_move(factor.name, index),
                        has_zone=has_zone(run, vocabulary, position, index),
                    )
                    for index, phrase in enumerate(factor.phrases)
                ),
            )
            for position, factor in enumerate(vocabulary.factors)
        ),
    )


def _card(file: Path) -> str:
    if not file.is_file():
        return ""
    with open(file, encoding="utf-8", errors="replace") as content:
        return content.read(_LARGEST_CARD)
