"""A tiny data set on disk, and a predictor whose answers are written down."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from PIL import Image

from lexiseg.engines.engine import EngineDescription
from lexiseg.errors import DataError, LexisegError
from lexiseg.inference.reliability.calibration import Calibration
from lexiseg.inference.result import Prediction, RetrievedWord
from lexiseg.models.spec import NetworkSpec
from lexiseg.runs.manifest import Manifest, TextSource, TrainingRecord
from lexiseg.runs.run import Run
from lexiseg.words.description import Side
from lexiseg.words.measure import agreement, measure
from lexiseg.words.vocabulary import load_vocabulary


def disc(size: int, row: float, column: float, radius: float) -> np.ndarray:
    """Return a `(size, size)` uint8 mask with one disc."""
    rows, columns = np.mgrid[:size, :size]
    return ((rows - row) ** 2 + (columns - column) ** 2 <= radius**2).astype(np.uint8)


def make_run(
    *,
    text_source: TextSource = "reports",
    side: Side = "image",
    class_names: tuple[str, ...] = ("background", "lesion"),
) -> Run:
    manifest = Manifest(
        lexiseg_version="0.1.0",
        created="2026-11-22T00:00:00+00:00",
        network=NetworkSpec(),
        image_size=64,
        mean=(0.5, 0.5, 0.5),
        std=(0.25, 0.25, 0.25),
        class_names=class_names,
        text=text_source,
        side=side,
        vocabulary=None if text_source == "none" else load_vocabulary("chest"),
        training=TrainingRecord(finished=True, seed=5, machine="<fake & tested>"),
    )
    return Run(Path("runs/fake"), manifest)


class FakePredictor:
    """Answers with given masks and indices, by image name; images without an answer are unreadable."""

    def __init__(self, run: Run, answers: dict[str, tuple[np.ndarray, tuple[int, ...]]]) -> None:
        self.run = run
        self.runs: tuple[Run, ...] = (run,)
        self.engine: Any = SimpleNamespace(
            description=EngineDescription(name="onnx", version="1", precision="fp32", device="cpu")
        )
        self.calibration: Calibration | None = None
        self.answers = answers
        self.asked: list[list[str]] = []

    @property
    def weights_sha256(self) -> tuple[str, ...]:
        return tuple(f"{number:064x}" for number in range(len(self.runs)))

    def predict_paths(
        self, paths: Iterable[str | Path], *, batch_size: int = 16
    ) -> Iterator[tuple[Path, Prediction | LexisegError]]:
        paths = [Path(path) for path in paths]
        self.asked.append([path.stem for path in paths])
        for path in paths:
            if path.stem in self.answers:
                yield path, self._prediction(*self.answers[path.stem])
            else:
                yield path, DataError(f"{path} cannot be read as an image.")

    def _prediction(self, mask: np.ndarray, indices: tuple[int, ...]) -> Prediction:
        vocabulary, words, measured, agree = self.run.vocabulary, (), None, None
        if vocabulary is not None:
            measured = measure(mask, vocabulary, side=self.run.side)
            agree = agreement(indices, measured.indices)
            words = tuple(
                RetrievedWord(
                    factor=factor.name,
                    title=factor.title,
                    index=index,
                    phrase=factor.phrases[index],
                    confidence=0.75,
                    runners_up=((factor.phrases[index - 1], 0.25),),
                    probabilities=(),
                )
                for factor, index in zip(vocabulary.factors, indices, strict=True)
            )
        return Prediction(
            mask=mask,
            probability=mask[None].astype(np.float32),
            words=words,
            measured=measured,
            side=self.run.side,
            agreement=agree,
            flagged=agree is not None and agree < 0.5,
            area_px={"lesion": int(mask.sum())},
            area_mm2=None,
        )


def write_case(folder: Path, name: str, mask: np.ndarray, split: str = "test") -> Path:
    """Write an image with its mask, and return the path of the image."""
    image = folder / split / "images" / f"{name}.png"
    picture = np.full((*mask.shape, 3), 90, np.uint8)
    # No image is in two splits.
    picture[0, 0] = list(zlib.crc32(f"{split}/{name}".encode()).to_bytes(4, "big")[:3])
    for kind, pixels in (("images", picture), ("masks", mask * 255)):
        (folder / split / kind).mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(folder / split / kind / image.name)
    return image
