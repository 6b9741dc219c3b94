"""Cards: one HTML page per image that explains the prediction."""

from __future__ import annotations

from lexiseg.files import write_text
from lexiseg.inference.card import CARD_TITLE, build_card
from lexiseg.inference.explain import explain
from lexiseg.inference.writers.base import Batch, ImageWriter, PredictedImage


class CardWriter(ImageWriter):
    """Writes `cards/NAME.html`, see `lexiseg.inference.explain` and `lexiseg.inference.card`."""

    name, folder, suffix = "card", "cards", ".html"
    mark = f"<title>{CARD_TITLE}".encode("ascii")

    def write(self, image: PredictedImage, batch: Batch) -> None:
        """Explain the prediction of one image and write its card.

        Raises:
            DataError: The image cannot be read any more.
            DiskError: There is no space or no permission.
        """
        predictor, name = batch.predictor, str(image.target.name)
        explained = explain(predictor, image.pixels, prediction=image.prediction)
        page = build_card(image.pixels, explained, name=name, run=predictor.run.path.name)
        write_text(self.file(image.target, batch), page)
