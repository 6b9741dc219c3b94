"""A killed prediction from an archive to a URL goes on, and nothing is lost or comes twice."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from command_line import environment, finish
from test_interrupted import wait_for

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")]

COPIES = 20


def start_in(folder: Path, *arguments: object) -> subprocess.Popen[str]:
    """Start the command line in a folder."""
    folder.mkdir(exist_ok=True)
    return subprocess.Popen(
        [sys.executable, "-m", "lexiseg", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
        cwd=folder,
    )


def files(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_an_archive_into_a_url(images: Path, tmp_path: Path) -> None:
    archive, here = tmp_path / "x.tar", tmp_path / "here"
    with tarfile.open(archive, "w") as tar:
        for number in range(COPIES):
            for image in sorted(images.iterdir()):
                tar.add(image, f"{number:02}/{image.name}")
    whole, out = tmp_path / "whole", tmp_path / "out"
    outcome = finish(start_in(here, "predict", "covid-xray", archive, "--out", whole.as_uri()))
    assert outcome.code == 0, outcome.stderr
    assert list(here.iterdir()) == []

    command = ("predict", "covid-xray", archive, "--out", out.as_uri())
    process = start_in(here, *command)
    wait_for(process, lambda: len(list(here.glob("*/masks/*/*/*.png"))) > 16)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert set(files(out)) == {".lexiseg-upload.json"}
    (work,) = here.iterdir()
    done = (work / "predictions.jsonl.partial").read_bytes().count(b"\n")
    assert 0 < done < COPIES * 6

    outcome = finish(start_in(here, *command))
    assert outcome.code == 0, outcome.stderr
    assert "Not predicted again" in outcome.stdout
    assert files(out) == files(whole)
    assert len(files(out)) == 1 + COPIES * 6
    lines = [json.loads(line) for line in (out / "predictions.jsonl").read_text().splitlines()]
    assert len({line["image"] for line in lines}) == len(lines) == COPIES * 6
    assert list(here.iterdir()) == []
    shutil.rmtree(out)


def test_unpacked_images_of_a_killed_process_do_not_stay(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    archive = Path(shutil.make_archive(str(tmp_path / "x"), "zip", images))
    command = ("predict", "covid-xray", archive, "--out", tmp_path / "out")
    process = start_in(tmp_path / "here", *command)
    wait_for(process, lambda: list(temporary.glob("lexiseg-images-*/0/x/*.png")))
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert list(temporary.glob("lexiseg-images-*"))
    outcome = finish(start_in(tmp_path / "here", *command))
    assert outcome.code == 0, outcome.stderr
    assert list(temporary.glob("lexiseg-*")) == []
