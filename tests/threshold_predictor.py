"""A predictor without a network, for tests of what happens to its results."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from PIL import Image

from lexiseg.data.readers import read_image_with_facts
from lexiseg.errors import LexisegError
from lexiseg.inference.options import PredictionOptions
from lexiseg.inference.result import Prediction


class Thresholds:
    """Calls bright pixels lesion; flags images whose name says so."""

    run = SimpleNamespace(
        class_names=("background", "lesion"), path=Path("runs/bright"), name="bright", spoken_vocabulary=None
    )

    options = PredictionOptions()
    calibration = None
    compares_images = False
    engine = SimpleNamespace(description="thresholds")
    weights_sha256 = ("0" * 64,)

    def predict_paths(self, paths: Iterable[Path]) -> Iterator[tuple[Path, Prediction | LexisegError]]:
        for path in paths:
            try:
                image = read_image_with_facts(path)
                mask = (image.pixels[..., 0] > 127).astype(np.uint8)
            except LexisegError as error:
                yield path, error
                continue
            yield (
                path,
                Prediction(
                    mask=mask,
                    probability=mask[None].astype(np.float32),
                    words=(),
                    measured=None,
                    side="image",
                    agreement=None,
                    flagged="odd" in path.name,
                    area_px={"lesion": int(mask.sum())},
                    area_mm2=None,
                    exif_orientation=image.orientation,
                ),
            )


def write_image(path: Path, size: tuple[int, int] = (20, 30)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.zeros((*size, 3), np.uint8)
    pixels[2:5, 3:9] = 255
    Image.fromarray(pixels).save(path)
    return path
