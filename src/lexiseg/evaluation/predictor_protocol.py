"""What evaluation needs of a predictor."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Protocol

from lexiseg.engines.engine import Engine
from lexiseg.errors import LexisegError
from lexiseg.inference.options import BATCH_SIZE
from lexiseg.inference.reliability.calibration import Calibration
from lexiseg.inference.result import Prediction
from lexiseg.runs.run import Run


class PathPredictor(Protocol):
    """Image files in, predictions out, in order; `lexiseg.inference.predictor.Predictor` is one."""

    @property
    def run(self) -> Run:
        """The run that predicts; of an average, the first."""
        ...

    @property
    def runs(self) -> tuple[Run, ...]:
        """All runs whose answers are averaged."""
        ...

    @property
    def weights_sha256(self) -> tuple[str, ...]:
        """The SHA-256 of the weights of each of these runs."""
        ...

    @property
    def calibration(self) -> Calibration | None:
        """The calibration of its probabilities; None if they are not calibrated."""
        ...

    @property
    def engine(self) -> Engine:
        """The engine that computes the (first) network."""
        ...

    def predict_paths(
        self, paths: Iterable[str | Path], *, batch_size: int = BATCH_SIZE
    ) -> Iterator[tuple[Path, Prediction | LexisegError]]:
        """Yield each path with its prediction, or with the error that prevented it."""
        ...
