"""Cards: one HTML page per image that explains the prediction."""

from __future__ import annotations

from pathlib import Path

from lexiseg.inference.explanation.card import build_card
from lexiseg.inference.explanation.explain import check_explainable, explain_decoded
from lexiseg.inference.formats.registry import file_place
from lexiseg.inference.predictor import Predictor
from lexiseg.inference.writers.base import Batch, ImageWriter, PredictedImage


class CardWriter(ImageWriter):
    """Writes `cards/NAME.html`, see the modules `explain` and `card` of `lexiseg.inference.explanation`."""

    name, folder, suffix = file_place("card")

    def check(self, predictor: Predictor) -> None:
        """Refuse a predictor whose predictions cannot be explained.

        Raises:
            UsageError: Its engine is not torch.
        """
        check_explainable(predictor)

    def save(self, image: PredictedImage, batch: Batch, path: Path) -> None:
        """Explain the prediction of one image and write its card.

        Raises:
            DataError: The image cannot be read any more.
        """
        predictor, name = batch.predictor, str(image.target.name)
        explained = explain_decoded(predictor, image.decoded, prediction=image.prediction)
        page = build_card(image.decoded.displayed, explained, name=name, run=predictor.run.name)
        path.write_text(page, encoding="utf-8", errors="backslashreplace")
