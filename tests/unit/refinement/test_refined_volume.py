"""Refinement of volumes: one slice at a time, and a message for everything else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from dicom_files import dicom_file, ramp
from lexiseg.cli.app import app
from lexiseg.clinic.orientation import Directions
from lexiseg.clinic.view import AS_STORED
from lexiseg.refinement.refinement_file import RefinementRecord
from lexiseg.refinement.volume_slice import refined_image
from refusals import refuses
from volume_files import ORIENTATIONS, STEPS, body, ct_series, nifti, stored


@pytest.mark.parametrize("stored_as", ORIENTATIONS[::9])
def test_a_slice_is_the_one_that_was_predicted_in_its_usual_display(tmp_path: Path, stored_as: Any) -> None:
    values, affine = stored(body(), *stored_as)
    path = nifti(tmp_path / "a.nii.gz", values, affine)
    order, signs = stored_as
    axis = order.index(2)
    # Slice 2 from the feet, as the file counts it.
    number = 2 if signs[axis] > 0 else 7
    found = refined_image(path, AS_STORED, number=number, axis="axial")
    assert found.name == f"a_{'ijk'[axis]}{number}"
    assert (found.axis, found.slice) == ("ijk"[axis], number)
    assert np.array_equal(found.decoded.pixels[..., 0], body()[:, :, 1].T)
    facts = found.decoded.facts
    assert facts is not None
    assert facts.directions == Directions(row="L", column="P")
    assert facts.turn.is_none
    assert facts.spacing.body_mm == pytest.approx((STEPS[1], STEPS[0]))


def test_what_cannot_be_refined_is_said(tmp_path: Path) -> None:
    values, affine = stored(body(), *ORIENTATIONS[0])
    path = nifti(tmp_path / "a.nii", values, affine)
    ct_series(tmp_path / "ct")
    with refuses("LEX-USE-1432", "a.nii is a volume", "--slice NUMBER"):
        refined_image(path, AS_STORED)
    with refuses("LEX-USE-1430", "is a folder", "volumes.jsonl"):
        refined_image(tmp_path / "ct", AS_STORED)
    for number in (0, 9):
        with refuses("LEX-USE-1433", "has 8 slices along k", f"no slice {number}", "from 1 to 8"):
            refined_image(path, AS_STORED, number=number)
    section = dicom_file(tmp_path / "a.dcm", ramp())
    with refuses("LEX-USE-1431", "a.dcm is none", "--frame"):
        refined_image(section, AS_STORED, number=1)
    with refuses("LEX-USE-1431"):
        refined_image(section, AS_STORED, axis="axial")


def test_a_slice_is_refined_on_the_command_line(tmp_path: Path) -> None:
    values, affine = stored(np.kron(body(), np.ones((4, 4, 1), np.uint8)), *ORIENTATIONS[0])
    path = nifti(tmp_path / "scan.nii.gz", values, affine)
    arguments = [
        "refine",
        "covid-xray",
        str(path),
        "--say",
        "left: lower left lung",
        "--out",
        str(tmp_path / "out"),
    ]
    refused = CliRunner().invoke(app, arguments)
    assert getattr(refused.exception, "code", None) == "LEX-USE-1432"
    assert not (tmp_path / "out").exists()
    done = CliRunner().invoke(app, [*arguments, "--slice", "3"])
    assert done.exit_code == 0, done.output
    content = json.loads((tmp_path / "out" / "scan_k3.json").read_text())
    record = RefinementRecord.model_validate(content)
    assert (record.image, record.axis, record.slice) == (str(path), "k", 3)
    assert record.side == "image"
    assert record.area_mm2 is not None
    assert Image.open(tmp_path / "out" / record.mask).size == (48, 40)
    other = CliRunner().invoke(app, [*arguments, "--slice", "4"])
    assert other.exit_code == 0, other.output
    assert len(list((tmp_path / "out").glob("*.json"))) == 2


def test_areas_of_a_slice_are_those_of_its_voxels_whatever_spacing_is_stated(tmp_path: Path) -> None:
    noise = np.random.default_rng(1).normal(size=(40, 44, 12)).astype(np.float32)
    path = nifti(tmp_path / "scan.nii.gz", noise, np.diag([2.0, 2.0, 3.0, 1.0]))
    done = CliRunner().invoke(
        app,
        [
            *("refine", "covid-xray", str(path), "--slice", "3", "--spacing-mm", "5", "5"),
            *("--say", "left: lower left lung", "--out", str(tmp_path / "out")),
        ],
    )
    assert done.exit_code == 0, done.output
    assert "--spacing-mm is not used for volumes" in done.output
    record = RefinementRecord.model_validate(json.loads((tmp_path / "out" / "scan_k03.json").read_text()))
    area = record.area_px["lesion"]
    assert area > 0
    assert record.area_mm2 == {"lesion": pytest.approx(area * 2 * 2)}
