"""The images of deploy/Dockerfile are small, run without rights, and predict what is predicted here."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from container_program import ContainerProgram
from PIL import Image
from pydicom import dcmread

import lexiseg
from gateway_setup import image_bytes, picture

#: Largest size of the image of the server in bytes, without compression.
MOST_BYTES = 500e6

#: A user that the images do not know.
USER = f"{os.getuid() or 4242}:{os.getgid() or 4242}"


@pytest.fixture
def png(tmp_path: Path) -> Path:
    path = tmp_path / "image.png"
    Image.fromarray(picture(1)).save(path)
    return path


def expected(png: Path) -> npt.NDArray[np.uint8]:
    return lexiseg.load("covid-xray", engine="onnx").predict(png).mask


def open_folder(path: Path) -> Path:
    """Make a folder that the user of a container can write to."""
    path.mkdir()
    path.chmod(0o777)
    return path


def test_the_image_of_the_server_is_small_and_not_root(program: ContainerProgram, server: str) -> None:
    found = program.inspected(server)
    print(f"{found['Size'] / 1e6:.0f} MB")
    assert found["Size"] < MOST_BYTES
    assert found["Config"]["User"] == "10001:10001"
    packages = program.run(
        "run", "--rm", "--entrypoint", "ls", server, "/opt/lexiseg/lib/python3.11/site-packages"
    )
    assert not {"torch", "pip", "pytest"} & set(packages.split())


def test_the_server_predicts_without_rights(program: ContainerProgram, server: str, png: Path) -> None:
    with program.started(server, "--publish", "127.0.0.1::8000") as container:
        assert program.becomes_healthy(container, server)
        assert program.run("exec", container, "id", "-u").strip() == "10001"
        assert "Read-only" in program.run("exec", container, "touch", "/opt/lexiseg/file", check=False)
        address = program.run("port", container, "8000").split()[-1]
        with lexiseg.Client(f"http://{address}") as client:
            found = client.predict(png)
        assert np.array_equal(found.mask, expected(png))
        # It stops by itself, not by force.
        program.run("stop", "--time", "30", container)
        assert program.run("inspect", "--format", "{{.State.ExitCode}}", container).strip() == "0"


def test_a_module_of_mercure_needs_no_network_and_no_user_of_its_own(
    program: ContainerProgram, mercure: str, tmp_path: Path
) -> None:
    images, out = open_folder(tmp_path / "in"), open_folder(tmp_path / "out")
    (images / "2.25.2#2.25.10001.dcm").write_bytes(image_bytes())
    # As mercure starts it: with the user of mercure, and no command.
    program.run(
        *("run", "--rm", "--network", "none", "--read-only", "--user", USER),
        *("--env", "MERCURE_IN_DIR=/tmp/data", "--env", "MERCURE_OUT_DIR=/tmp/output"),
        *("--volume", f"{images}:/tmp/data", "--volume", f"{out}:/tmp/output", mercure),
    )
    found = sorted(dcmread(path).Modality for path in out.glob("*.dcm"))
    assert found == ["OT", "SEG", "SR"]
    result = json.loads((out / "result.json").read_text())
    assert result["__mercure_notification"]["text"].startswith("1 image segmented")
    assert program.inspected(mercure)["Config"].get("Volumes") is None


def test_a_gateway_sends_without_rights(program: ContainerProgram, gateway: str, tmp_path: Path) -> None:
    images, out, settings = (open_folder(tmp_path / name) for name in ("in", "out", "settings"))
    (settings / "gateway.yaml").write_text(
        "state: /var/lib/lexiseg\n"
        "sources: {inbox: {kind: folder, path: /in, every_s: 0.2, settle_s: 0.2}}\n"
        "rules: [{name: chest, modality: [CR], run: covid-xray, send_to: [out]}]\n"
        "destinations: {out: {kind: folder, path: /out}}\n"
    )
    folders = [("in", images, ""), ("out", out, ""), ("etc/lexiseg", settings, ":ro")]
    volumes = [word for place, folder, mode in folders for word in ("--volume", f"{folder}:/{place}{mode}")]
    with program.started(gateway, "--network", "none", *volumes) as container:
        assert program.becomes_healthy(container, gateway)
        (tmp_path / "image.dcm").write_bytes(image_bytes())
        shutil.move(tmp_path / "image.dcm", images / "image.dcm")
        program.run("exec", container, "python", "-c", _WAIT)
        program.run("exec", container, "which", "dciodvfy")
        found = program.run("exec", container, "find", "/out", "-name", "*.dcm").split()
    assert sorted(Path(name).name for name in found) == ["seg.dcm", "sr.dcm"]


#: Ends when the folder /out holds the record of a prediction.
_WAIT = """
import pathlib, time
while not list(pathlib.Path("/out").rglob("prediction.json")):
    time.sleep(0.1)
"""
