"""Files do not depend on how many images are predicted together, nor on how many threads decode."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import lexiseg
from lexiseg.engines.engine import EngineChoice
from lexiseg.inference.inputs import image_reading
from lexiseg.read_ahead import read_ahead


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("in")
    for number in range(7):
        rng = np.random.default_rng(number)
        shape = (120 + 10 * number, 200 - 15 * number)
        Image.fromarray(rng.integers(0, 255, shape, dtype=np.uint8)).save(root / f"{number}.png")
    return root


def written(images: Path, out: Path, *, engine: EngineChoice, batch_size: int) -> dict[str, bytes]:
    predictor = lexiseg.load("covid-xray", batch_size=batch_size, engine=engine)
    lexiseg.predict_to_files(
        predictor, lexiseg.find_targets([images]), out, formats=("mask", "overlay", "probability")
    )
    return {str(p.relative_to(out)): p.read_bytes() for p in sorted(out.rglob("*")) if p.is_file()}


@pytest.mark.parametrize("engine", ["onnx", "openvino", "torch"])
def test_batch_size_and_threads(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: EngineChoice
) -> None:
    one = written(images, tmp_path / "1", engine=engine, batch_size=1)
    assert len(one) == 3 * 7 + 2
    for batch_size, threads in ((3, 1), (8, 5)):
        with monkeypatch.context() as patch:
            patch.setattr(
                image_reading,
                "read_ahead",
                lambda items, read, *, depth, n=threads: read_ahead(items, read, depth=depth, threads=n),
            )
            assert written(images, tmp_path / str(batch_size), engine=engine, batch_size=batch_size) == one
