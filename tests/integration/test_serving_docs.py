"""The examples of docs/serve.md run against a real server: curl, JavaScript and Python."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from command_line import TIMEOUT_S, environment

from dicom_files import dicom_file
from doc_blocks import DOCS, Block, blocks_of
from pictures import png_file, soft_picture
from server_process import ServerProcess, served
from volume_files import ct_series, nifti

PAGE = blocks_of(DOCS / "serve.md")
WRITTEN = "http://127.0.0.1:8000"


def examples(kind: str, holding: str) -> list[Block]:
    return [block for block in PAGE if block.kind == kind and holding in block.text]


@pytest.fixture(scope="module")
def server() -> Iterator[ServerProcess]:
    with served("covid-xray") as server:
        yield server


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    images = tmp_path / "new-images"
    images.mkdir()
    for number in (1, 2):
        (images / f"case-{number}.png").write_bytes(png_file(soft_picture(number)))
    return tmp_path


def volumes(folder: Path) -> list[Path]:
    """Write scan.nii.gz, and a DICOM series in the folder ct; return the files of the series."""
    values = np.stack([soft_picture(k, 32, 40) for k in range(3)], axis=-1)
    nifti(folder / "scan.nii.gz", values, np.diag([1.0, 1, 3, 1]))
    return ct_series(folder / "ct")


def run(command: list[str], folder: Path) -> str:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=TIMEOUT_S, env=environment(PATH=path)
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def needs(program: str) -> None:
    if shutil.which(program) is None:
        pytest.skip(f"needs {program}")


def test_curl_predicts_and_refines(server: ServerProcess, folder: Path) -> None:
    needs("curl")
    block = examples("text", "/v1/refine")[0]
    run(["bash", "-ec", block.text.replace(WRITTEN, server.address)], folder)
    answer = json.loads((folder / "answer.json").read_text())
    assert [result["name"] for result in answer["results"]] == ["case-1.png", "case-2.png"]
    refined = json.loads((folder / "refined.json").read_text())["refined"]
    assert "person" in [word["said_by"] for word in refined["words"]]


def test_curl_follows_a_job(server: ServerProcess, folder: Path) -> None:
    needs("curl")
    block = examples("text", "/v1/jobs")[0]
    shown = run(["bash", "-ec", block.text.replace(WRITTEN, server.address)], folder)
    assert "event: end" in shown
    names = zipfile.ZipFile(folder / "outputs.zip").namelist()
    assert names == ["predictions.jsonl", "masks/case-1.png", "masks/case-2.png", "overlays/case-1.png",
                     "overlays/case-2.png"]  # fmt: skip


def test_curl_sends_volumes_and_corrections(server: ServerProcess, folder: Path) -> None:
    needs("curl")
    series = volumes(folder)
    with zipfile.ZipFile(folder / "study.zip", "w") as study:
        for file in series:
            study.write(file, f"ct/{file.name}")
    dicom_file(folder / "chest.dcm", soft_picture(2), PatientOrientation=["L", "F"])
    blocks = examples("text", "scan.nii.gz") + examples("text", "formats=mask,seg,sr")
    assert len(blocks) == 2
    shown = run(["bash", "-ec", blocks[0].text.replace(WRITTEN, server.address)], folder)
    assert shown.count('"state":"queued"') == 2
    shown = run(["bash", "-ec", blocks[1].text.replace(WRITTEN, server.address)], folder)
    assert '"formats":["mask","seg","sr"]' in shown
    refined = json.loads((folder / "refined.json").read_text())["refined"]
    assert [file["format"] for file in refined["files"]] == ["seg", "sr"], refined["not_written"]


def test_javascript_predicts(server: ServerProcess, folder: Path) -> None:
    needs("node")
    (block,) = examples("javascript", "/v1/predict")
    (folder / "example.mjs").write_text(block.text.replace(WRITTEN, server.address))
    shown = run(["node", "example.mjs"], folder)
    assert shown.startswith("covid-xray case-1.png ")
    assert "left lung" in shown


def test_python_predicts_and_refines(server: ServerProcess, folder: Path) -> None:
    (block,) = examples("python", "client.predict")
    shown = run([sys.executable, "-c", block.text.replace(WRITTEN, server.address)], folder)
    assert "'lesion'" in shown


def test_python_follows_jobs(server: ServerProcess, folder: Path) -> None:
    (block,) = examples("python", "client.submit")
    volumes(folder)
    shown = run([sys.executable, "-c", block.text.replace(WRITTEN, server.address)], folder)
    assert "done 2 of 2" in shown
    assert shown.splitlines()[-1].endswith("to look at")
    assert sorted(file.name for file in (folder / "outputs" / "masks").iterdir()) == [
        "case-1.png",
        "case-2.png",
    ]
    names = zipfile.ZipFile(folder / "volumes.zip").namelist()
    assert [name for name in names if name.startswith("seg/")]
    assert [name for name in names if name.endswith("scan.nii.gz")]
