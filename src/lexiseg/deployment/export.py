"""Export of a run: one model file that computes without torch, written only if it agrees with torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import cast, get_args

from lexiseg._version import __version__
from lexiseg.deployment.onnx_model import make_onnx_model
from lexiseg.deployment.parity import (
    EXACT,
    ROUNDED,
    ParityReport,
    compare_engines,
    drawn_images,
)
from lexiseg.engines.engine import EngineInputs
from lexiseg.engines.model_file import ModelFile, ModelRecord, WeightsType
from lexiseg.engines.registry import EngineKind, exported_kinds
from lexiseg.engines.torch_engine import TorchEngine
from lexiseg.errors import RunError, UsageError, WeightsError
from lexiseg.files import atomic_path
from lexiseg.inference.inputs.target import Target
from lexiseg.inference.inputs.target_search import find_images
from lexiseg.inference.inputs.temporary_images import displayed_images
from lexiseg.inference.options import PredictionOptions
from lexiseg.inference.predictor import Predictor
from lexiseg.inference.reliability.calibration import CALIBRATION_FILE
from lexiseg.printable import brief
from lexiseg.runs.run import Run


@dataclass(frozen=True, kw_only=True)
class Export:
    """A model file that was written.

    Attributes:
        file: The file.
        parity: How it compares with torch.
        notes: What of `check` was not compared, and why, a sentence per reason.
    """

    file: Path
    parity: ParityReport
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return brief(self, str(self.file), f"Dice {self.parity.dice:.5f} with {self.parity.reference}")


def export(
    run: Run | str | Path,
    *,
    to: str = "onnx",
    out: str | Path | None = None,
    check: Sequence[str | Path] = (),
    weights: WeightsType = "fp32",
    allow_difference: bool = False,
) -> Export:
    """Write the network of a run as one file that computes without torch.

    The file holds the network with everything that the text bank fixes, for any batch size, and what
    prediction needs to know: classes, vocabulary, side, image size, normalisation and calibration. An engine
    reads it from the run folder.

    Args:
        run: The run, or its folder or name.
        to: The engine whose format the file has, "onnx" or "openvino".
        out: The file; None: `model.onnx` or `model.openvino` in the run folder.
        check: Images, folders, patterns, archives (.tar) or URLs; the file is compared with torch on these
            images, of which a few at a time are read. None: on a few images of noise.
        weights: Type of the numbers that hold the weights. "shared" reads them from the weights file of the
            run, which must stay beside the model file.
        allow_difference: Whether to write a file that differs from torch by more than the limits of
            `lexiseg.deployment.parity`.

    Returns:
        The file and its comparison with torch.

    Raises:
        RunError: The run cannot be used, or comes with Lexiseg and `out` is missing.
        WeightsError: torch cannot export the network, or the file differs too much from torch.
        UsageError: A package is missing, there is no such format or type of weights, or the weights cannot be
            shared there.
        DataError: An image of `check` cannot be read.
        DiskError: The file cannot be written.
    """
    run, kind = Run.of(run), _kind(to)
    if weights not in get_args(WeightsType):
        raise UsageError(
            f"weights: expected one of {', '.join(get_args(WeightsType))}; got {weights!r}.",
            code="LEX-USE-2055",
        )
    if out is None and run.shipped:
        raise RunError(
            f"{run.shown} comes with Lexiseg and cannot be changed. Name a file with --out.",
            code="LEX-RUN-877",
        )
    file = run.path / kind.files[0] if out is None else Path(out)
    if weights == "shared" and (not kind.shares_weights or file.parent.resolve() != run.path.resolve()):
        raise UsageError(
            f"Shared weights need an ONNX file in the run folder {run.path}, beside its weights. Choose "
            f"--weights fp32 or fp16 for {file}.",
            code="LEX-USE-878",
        )
    found = find_images([str(path) for path in check]) if check else None
    targets: Sequence[Target] = () if found is None else found.targets
    reference = Predictor(run, PredictionOptions(engine="torch"))
    model = make_onnx_model(run, cast("TorchEngine", reference.engine))
    record = _record(run, weights)
    with atomic_path(file) as beside:
        kind.import_exporter()(model, record, run, beside)
        parity = _compare(run, reference, ModelFile.open(beside), kind, targets)
        if parity.outside and not allow_difference:
            raise WeightsError(
                f"The exported network of {run.shown} differs from torch: {'; '.join(parity.outside)}. "
                f"Nothing was written. --allow-difference writes it nevertheless.",
                code="LEX-WEIGHTS-879",
            )
    return Export(file=file, parity=parity, notes=() if found is None else found.unread.notes())


def _kind(to: str) -> EngineKind:
    """Return the engine whose format a file has.

    Raises:
        UsageError: No engine of that name is exported.
    """
    known = {kind.name: kind for kind in exported_kinds()}
    if to not in known:
        raise UsageError(
            f"to: expected one of {', '.join(known)}; got {to!r}.",
            code="LEX-USE-1961",
        )
    return known[to]


def _record(run: Run, weights: WeightsType) -> ModelRecord:
    manifest, calibration = run.manifest, run.path / CALIBRATION_FILE
    return ModelRecord(
        lexiseg_version=__version__,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        run=run.path.resolve().name,
        system=(manifest.network.model, manifest.network.preset),
        weights_sha256=run.weights_sha256(),
        weights=weights,
        image_size=manifest.image_size,
        fit=manifest.fit,
        mean=manifest.mean,
        std=manifest.std,
        class_names=run.class_names,
        side=run.side,
        vocabulary=run.spoken_vocabulary,
        calibration=calibration.read_text(encoding="utf-8") if calibration.is_file() else None,
    )


def _compare(
    run: Run, reference: Predictor, file: ModelFile, kind: EngineKind, targets: Sequence[Target]
) -> ParityReport:
    engine = kind.import_loader()(EngineInputs(run=run, file=file))
    return compare_engines(
        reference,
        Predictor(run, reference.options, engine=engine),
        displayed_images(targets) if targets else drawn_images(run.manifest.image_size, run.manifest.fit),
        limits=ROUNDED if file.record.weights == "fp16" else EXACT,
        drawn=not targets,
    )
