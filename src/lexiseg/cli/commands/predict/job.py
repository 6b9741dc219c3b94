"""One prediction of `lexiseg predict`, with everything that is settled before it begins."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lexiseg.cli.commands.predict.inputs import PredictInputs
    from lexiseg.cli.commands.predict.options import PredictRequest
    from lexiseg.inference.predictor import Predictor
    from lexiseg.inference.writers.base import Writer


@dataclass(frozen=True, kw_only=True)
class PredictJob:
    """What is predicted with which model to where.

    Attributes:
        request: The request.
        predictor: The predictor.
        inputs: What is predicted.
        place: The output folder on this computer.
        writers: Output formats of images.
        named: Returns a message in which private copies have the names of their sources.
    """

    request: PredictRequest
    predictor: Predictor
    inputs: PredictInputs
    place: Path
    writers: Sequence[str | Writer]
    named: Callable[[str], str]
