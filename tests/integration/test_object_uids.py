"""UIDs of written DICOM objects: each content has its own, and the same content keeps it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pydicom
import pytest
from torch import nn

from dicom_files import dicom_file, ramp
from lexiseg.clinic.view import View, Window
from lexiseg.inference.batches.batch import predict_to_files
from lexiseg.inference.inputs.target_search import find_targets
from lexiseg.inference.options import PredictionOptions
from lexiseg.inference.predictor import Predictor
from lexiseg.inference.reliability.calibration import (
    Calibration,
    CalibrationData,
    with_calibration,
    write_calibrations,
)
from lexiseg.inference.reliability.review import ReviewRule, Signal
from lexiseg.inference.volumes.batch import predict_volumes_to_files
from lexiseg.inference.volumes.targets import find_volumes
from lexiseg.inference.writers import dicom_content
from lexiseg.runs.run import Run
from volume_files import enhanced_ct

Written = Callable[..., dict[str, str]]


@pytest.fixture
def written(tmp_path: Path) -> Written:
    """Predict one radiograph; return the instance UID of each object by format."""
    image, numbers = dicom_file(tmp_path / "a.dcm", ramp(40, 60, step=3)), count()

    def write(predictor: Predictor, formats: str = "seg,labelmap,sr,sc,gsps") -> dict[str, str]:
        out = tmp_path / f"out-{next(numbers)}"
        summary = predict_to_files(predictor, find_targets([image]), out, formats=formats.split(","))
        assert (summary.failed, summary.refused) == ((), ())
        return {
            name: str(pydicom.dcmread(out / name / "a.dcm").SOPInstanceUID) for name in formats.split(",")
        }

    return write


def calibrated(run: Run, temperature: float) -> Predictor:
    rule = ReviewRule(signals={"overlap": Signal(mean=0.5, spread=0.1, weight=1.0)}, bias=0.0, below=0.5)
    data = CalibrationData(name="chest", split="val", samples=5, ids_sha256="0")
    found = Calibration(
        temperature=temperature, ece_before=0.02, ece_after=0.01, nll_before=0.2, nll_after=0.1, pixels=100,
        review=rule, data=data, lexiseg_version="0", created="2026-11-22T00:00:00+00:00",
    )  # fmt: skip
    write_calibrations(run, with_calibration(run, found, flip_average=False))
    return Predictor(run)


def test_objects_of_each_kind_have_uids_of_their_own(
    written: Written, made: tuple[Run, nn.Module], tmp_path: Path
) -> None:
    found = written(Predictor(made[0]))
    assert len(set(found.values())) == len(found) == 5
    series = [pydicom.dcmread(tmp_path / "out-0" / name / "a.dcm").SeriesInstanceUID for name in found]
    assert len(set(series)) == 5


def test_segmentations_of_a_series_have_uids_of_their_own(
    made: tuple[Run, nn.Module], tmp_path: Path
) -> None:
    targets = find_volumes([enhanced_ct(tmp_path / "a.dcm", None)]).targets
    predict_volumes_to_files(Predictor(made[0]), targets, tmp_path / "out", formats=("seg", "labelmap", "sr"))
    found = [pydicom.dcmread(file) for file in sorted((tmp_path / "out").rglob("*.dcm"))]
    assert len({dataset.SOPInstanceUID for dataset in found}) == 3
    assert len({dataset.SeriesInstanceUID for dataset in found}) == 3


def test_what_decides_the_result_decides_the_uids(
    written: Written,
    tmp_path: Path,
    make_run: Callable[..., tuple[Run, nn.Module]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run, _ = make_run(tmp_path / "run")
    plain = Predictor(run)
    different = [
        written(plain),
        written(Predictor(run, PredictionOptions(spacing_mm=(0.5, 0.5)))),
        written(Predictor(run, PredictionOptions(spacing_mm=(0.5, 0.25)))),
        written(Predictor(run, PredictionOptions(flip_average=True))),
        *(
            written(Predictor(run, PredictionOptions(view=View(window=Window(center=center, width=99.0)))))
            for center in (1000.0, 1000.0001)
        ),
    ]
    for change in ({"name": "openvino"}, {"version": "0"}, {"precision": "bf16"}, {"device": "cuda:0"}):
        with monkeypatch.context() as patched:
            patched.setattr(Predictor, "engines", (_described(plain, **change),))
            different.append(written(plain))
    different += [written(calibrated(run, 2.0)), written(calibrated(run, 3.0))]
    with monkeypatch.context() as patched:
        patched.setattr(dicom_content, "__version__", "0.0.1")
        different.append(written(plain))
    uids = [uid for found in different for uid in found.values()]
    assert len(set(uids)) == len(uids)
    assert written(plain) == different[0]
    assert written(calibrated(run, 3.0)) == different[-2]


def test_the_number_of_a_gpu_decides_nothing(
    written: Written, made: tuple[Run, nn.Module], monkeypatch: pytest.MonkeyPatch
) -> None:
    predictor, found = Predictor(made[0]), []
    for device in ("cuda:0", "cuda:1"):
        monkeypatch.setattr(Predictor, "engines", (_described(predictor, device=device),))
        found.append(written(predictor, "seg"))
    assert found[0] == found[1]


def test_a_report_with_a_reference_is_another_report(written: Written, made: tuple[Run, nn.Module]) -> None:
    predictor = Predictor(made[0])
    reports = {written(predictor, formats)["sr"] for formats in ("sr", "seg,sr", "labelmap,sr")}
    assert len(reports) == 3
    assert written(predictor, "sr,seg")["sr"] == written(predictor, "seg,sr")["sr"]


def _described(predictor: Predictor, **change: Any) -> Any:
    return SimpleNamespace(description=dataclasses.replace(predictor.engine.description, **change))
