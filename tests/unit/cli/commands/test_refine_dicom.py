"""`lexiseg refine` takes a frame and a window of a DICOM file, as `predict` does."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from dicom_files import dicom_file, shipped
from lexiseg.cli.app import app
from lexiseg.clinic.view import View, Window
from lexiseg.data.readers import read_image_with_facts
from refusals import refuses

RUNNER = CliRunner()


def test_a_frame_and_a_window_are_refined(tmp_path: Path) -> None:
    path = Path(shutil.copy(shipped("eCT_Supplemental.dcm"), tmp_path / "ct.dcm"))
    arguments = [
        "refine",
        "covid-xray",
        str(path),
        "--say",
        "left: lower left lung",
        "--out",
        str(tmp_path / "out"),
    ]
    with refuses("LEX-DATA-948", "option 'frame'"):
        RUNNER.invoke(app, arguments, catch_exceptions=False)
    done = RUNNER.invoke(app, [*arguments, "--frame", "2", "--window", "40,400"])
    assert done.exit_code == 0, done.output
    drawn = np.asarray(Image.open(tmp_path / "out" / "ct_frame2_overlay.png"))

    def share_of(view: View) -> float:
        return float((drawn == read_image_with_facts(path, view).pixels).all(axis=2).mean())

    # The outlines cover some pixels; all others are those of the chosen frame and window.
    window = Window(center=40, width=400)
    chosen = share_of(View(frame=2, window=window))
    assert chosen > 0.8
    assert share_of(View(frame=1, window=window)) < chosen
    assert share_of(View(frame=2)) < chosen
    # Another frame of the file has names of its own; another window of the frame is refused.
    done = RUNNER.invoke(app, [*arguments, "--frame", "1", "--window", "40,400"])
    assert done.exit_code == 0, done.output
    records = [json.loads((tmp_path / "out" / f"ct_frame{n}.json").read_text()) for n in (1, 2)]
    assert [record["frame"] for record in records] == [1, 2]
    with refuses("LEX-USE-308", "window"):
        RUNNER.invoke(app, [*arguments, "--frame", "2", "--window", "50,350"], catch_exceptions=False)
    with pytest.raises(Exception, match="no frame 3"):
        RUNNER.invoke(app, [*arguments, "--frame", "3"], catch_exceptions=False)


def test_files_that_are_named_by_their_uid_have_results_of_their_own(tmp_path: Path) -> None:
    names = ["1.2.840.113619.2.5.1", "1.2.840.113619.2.5.2"]
    for number, name in enumerate(names):
        dicom_file(tmp_path / name, np.full((40, 40), 60 + number, np.uint8), number=number)
        arguments = ["refine", "covid-xray", str(tmp_path / name), "--say", "left: lower left lung"]
        done = RUNNER.invoke(app, [*arguments, "--out", str(tmp_path / "out")])
        assert done.exit_code == 0, done.output
    assert sorted(file.name for file in (tmp_path / "out").glob("*.json")) == [
        f"{name}.json" for name in names
    ]
    for name in names:
        assert (tmp_path / "out" / f"{name}_refined.png").is_file()
