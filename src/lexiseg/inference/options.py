"""How images are predicted: the options that the predictor, batches of files and the command line share."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import get_args

from lexiseg.clinic.view import AS_STORED, View
from lexiseg.engines.engine import EngineChoice, PrecisionChoice
from lexiseg.engines.option_names import advice
from lexiseg.engines.registry import engine_choices
from lexiseg.errors import UsageError
from lexiseg.runs.run import Run

#: Images per pass through the network: on a CPU 8 take less time per image than 16, as more of a layer stays
#: in the cache.
BATCH_SIZE = 8


@dataclass(frozen=True, kw_only=True)
class PredictionOptions:
    """How images are predicted.

    Attributes:
        device: "auto" (a GPU if there is one, else the CPU), "cpu", "cuda", "cuda:1", ...
        engine: What computes the network: the name of an engine (`lexiseg.engines.registry`), such as "onnx";
            "auto" chooses (`lexiseg.engines.choice.load_engine`).
        precision: Type of the numbers that it computes with: "fp32"; "bf16", which needs the engine openvino;
            or "auto", which is bf16 where the engine is openvino and the processor has it.
        flip_average: Whether to average the answers to each image and to its mirror image (words are
            mirrored back): about half as fast. For networks trained with horizontal flips.
        average_with: A second run with the same classes and words, whose answers are averaged with those of
            the first: half as fast. `lexiseg calibrate` fits one run, so an average is not calibrated.
        batch_size: Images per pass through the network, at least 1.
        spacing_mm: Height and width of a pixel in millimetres, the same for all images, for areas in mm2;
            None if they are not known.
        view: The window and the frame of DICOM files.

    Raises:
        UsageError: The batch size is below 1, the spacing is not above 0, or there is no such engine or
            precision.
    """

    device: str = "cpu"
    engine: EngineChoice = "auto"
    precision: PrecisionChoice = "fp32"
    flip_average: bool = False
    average_with: Run | str | Path | None = None
    batch_size: int = BATCH_SIZE
    spacing_mm: tuple[float, float] | None = None
    view: View = AS_STORED

    def __post_init__(self) -> None:
        check_spacing(self.spacing_mm)
        for name, value, known in (
            ("engine", self.engine, engine_choices()),
            ("precision", self.precision, get_args(PrecisionChoice)),
        ):
            if value not in known:
                raise UsageError(
                    f"{name}: expected one of {', '.join(known)}; got {value!r}.{advice(str(value))}",
                    code="LEX-USE-874",
                )
        if self.batch_size < 1:
            raise UsageError(
                f"Expected a batch size of at least 1 image, got {self.batch_size}.", code="LEX-USE-570"
            )

    def explaining(self) -> PredictionOptions:
        """Return these options with the engine that looks into the network, unless an engine is chosen."""
        return replace(self, engine="torch") if self.engine == "auto" else self


def check_spacing(spacing_mm: tuple[float, float] | None) -> None:
    """Refuse a pixel spacing that cannot be.

    Raises:
        UsageError: It is not above 0, or not finite.
    """
    if spacing_mm is not None and not all(0 < value < float("inf") for value in spacing_mm):
        raise UsageError(f"Expected a pixel spacing above 0 mm, got {spacing_mm}.", code="LEX-USE-045")
