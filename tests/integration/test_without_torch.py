"""Without packages of extras: prediction, evaluation and data sets work, the rest names its extra."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from command_line import TIMEOUT_S, Outcome, environment
from PIL import Image

import lexiseg
from lexiseg.extras import PACKAGES
from volume_files import ORIENTATIONS, body, nifti, stored

#: The command line in a process that does not find some packages.
_BLOCKED = """
from importlib.machinery import PathFinder
find = PathFinder.find_spec
hidden = {hidden!r}
PathFinder.find_spec = lambda name, *place: None if name in hidden else find(name, *place)
from lexiseg.cli import main
main()
"""


def run(*arguments: object, extras: frozenset[str] = frozenset()) -> Outcome:
    """Run a command where only the packages of some extras are found besides those of the base."""
    hidden = [name for extra, names in PACKAGES.items() if extra not in extras for name in names]
    done = subprocess.run(
        [sys.executable, "-c", _BLOCKED.format(hidden=hidden), *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        env=environment(),
    )
    return Outcome(done.returncode, done.stdout, done.stderr)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("without") / "data"
    lexiseg.write_phantom(folder, num_train=4, num_val=2, num_test=6, size=200, seed=5)
    return folder


def test_predicts_as_torch_does(data: Path, tmp_path: Path) -> None:
    images = data / "Test_Folder" / "img"
    done = run("predict", "covid-xray", images, "--out", tmp_path / "out")
    assert done.code == 0, done.stderr
    assert "Engine: onnx " in done.stdout
    predictor = lexiseg.load("covid-xray", engine="torch")
    lines = (tmp_path / "out" / "predictions.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(lines) == 6
    for line in map(json.loads, lines):
        expected = predictor.predict(line["image"])
        with Image.open(tmp_path / "out" / line["mask"]) as mask:
            found = np.asarray(mask) > 0
        assert np.mean(found != expected.mask) < 1e-4
        assert [word["phrase"] for word in line["words"]] == [word.phrase for word in expected.words]
        assert line["flagged"] == expected.flagged
        assert line["expected_dice"] == pytest.approx(expected.expected_dice, abs=2e-4)
        assert line["engine"].startswith("onnx ")


def test_evaluates(data: Path, tmp_path: Path) -> None:
    done = run("evaluate", "covid-xray", data, "--out", tmp_path / "out")
    assert done.code == 0, done.stderr
    execution = json.loads((tmp_path / "out" / "metrics.json").read_text(encoding="utf-8"))["execution"]
    assert execution["engine"].startswith("onnx ")
    assert "torch" not in execution["versions"]
    assert (tmp_path / "out" / "report.html").is_file()


def test_tests_the_installation() -> None:
    done = run("doctor", "--json")
    assert done.code == 0, done.stdout + done.stderr
    found = json.loads(done.stdout)
    assert [(engine["name"], engine["words_equal"]) for engine in found["engines"]] == [("onnx", True)]
    assert found["engines"][0]["dice"] > 0.999


def test_predicts_volume_files_with_the_extra_for_volumes_alone(tmp_path: Path) -> None:
    scan = nifti(tmp_path / "scan.nii.gz", *stored(body(), *ORIENTATIONS[0]))
    formats = ("--write", "nifti,overlay,seg")
    done = run("predict", "covid-xray", scan, "--out", tmp_path, *formats, extras=frozenset({"volumes"}))
    # The segmentation is refused, because the file is no DICOM series.
    assert done.code == 1, done.stderr
    (line,) = map(json.loads, (tmp_path / "volumes.jsonl").read_text(encoding="utf-8").splitlines())
    assert (len(line["slices"]), line["slices"][0]["file"]) == (8, None)
    assert list(line["not_written"]) == ["seg"]
    assert line["not_written"]["seg"].endswith("[LEX-DATA-1206]")
    assert (tmp_path / "nifti" / "scan.nii.gz").is_file()
    assert (tmp_path / "overlays" / "scan.png").is_file()


def test_checks_data(data: Path) -> None:
    assert run("data", "check", data).code == 0


@pytest.mark.parametrize(
    "command",
    [
        ("train", "{data}", "--out", "{out}", "--max-minutes", "1"),
        ("export", "covid-xray", "--out", "{out}/model.onnx"),
        ("predict", "covid-xray", "{data}/Test_Folder/img", "--out", "{out}", "--engine", "torch"),
        ("predict", "covid-xray", "{data}/Test_Folder/img", "--out", "{out}", "--explain"),
    ],
    ids=lambda command: command[0],
)
def test_the_rest_names_its_extra(command: tuple[str, ...], data: Path, tmp_path: Path) -> None:
    done = run(*(part.format(data=data, out=tmp_path / "out") for part in command))
    done.refuses(2, "Install the extra 'train' with: pip install", "LEX-USE-860")
    assert "Traceback" not in done.stderr
