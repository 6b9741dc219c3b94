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

import pytest
from command_line import TIMEOUT_S, environment

from doc_blocks import DOCS, Block, blocks_of
from pictures import png_file, soft_picture
from server_process import ServerProcess, served

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
    (block,) = examples("text", "/v1/refine")
    run(["bash", "-ec", block.text.replace(WRITTEN, server.address)], folder)
    answer = json.loads((folder / "answer.json").read_text())
    assert [result["name"] for result in answer["results"]] == ["case-1.png", "case-2.png"]
    refined = json.loads((folder / "refined.json").read_text())["refined"]
    assert "person" in [word["said_by"] for word in refined["words"]]


def test_curl_follows_a_job(server: ServerProcess, folder: Path) -> None:
    needs("curl")
    (block,) = examples("text", "/v1/jobs")
    shown = run(["bash", "-ec", block.text.replace(WRITTEN, server.address)], folder)
    assert "event: end" in shown
    names = zipfile.ZipFile(folder / "outputs.zip").namelist()
    assert names == ["predictions.jsonl", "masks/case-1.png", "masks/case-2.png", "overlays/case-1.png",
                     "overlays/case-2.png"]  # fmt: skip


def test_javascript_predicts(server: ServerProcess, folder: Path) -> None:
    needs("node")
    (block,) = examples("javascript", "/v1/predict")
    (folder / "example.mjs").write_text(block.text.replace(WRITTEN, server.address))
    shown = run(["node", "example.mjs"], folder)
    assert shown.startswith("covid-xray case-1.png ")
    assert "left lung" in shown


def test_python_predicts_and_refines(server: ServerProcess, folder: Path) -> None:
    (block,) = examples("python", "lexiseg.Client")
    shown = run([sys.executable, "-c", block.text.replace(WRITTEN, server.address)], folder)
    assert "'lesion'" in shown
