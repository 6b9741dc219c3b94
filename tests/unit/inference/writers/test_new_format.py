"""A new output format is known everywhere once it is in the registry."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import lexiseg
from lexiseg.inference.formats.output_format import Format
from lexiseg.inference.formats.registry import (
    FORMATS,
    format_names,
    volume_formats,
    volume_names,
)
from lexiseg.inference.volumes.volume_writer import VolumeWriter
from lexiseg.inference.volumes.writers import images_only, volume_writers
from volume_files import nifti

TESTS = Path(__file__).resolve().parents[3]

#: The entry of a format, whose writers `tests/toy_format.py` holds; in a process of its own, before the
#: modules that read the registry are imported.
REGISTERED = """
from lexiseg.inference.formats import registry
from lexiseg.inference.formats.output_format import Content, Format

registry.FORMATS += (
    Format(
        name="toy",
        content=Content.SEGMENTATION,
        folder="toys",
        suffix=".png",
        writer=("toy_format", "ToyWriter"),
        volume_writer=("toy_format", "ToyVolumeWriter"),
        says_correction=True,
    ),
)
"""

LISTS = """
import json
from pathlib import Path
from lexiseg.gateway.configuration import DICOM_FORMATS, WRITABLE
from lexiseg.gateway.destinations.destination import Parcel
from lexiseg.inference.remote.outputs import _ENDINGS
from lexiseg.inference.inputs.target_search import _RESULTS
from lexiseg.inference.inputs.unread_files import output_ending
from lexiseg.inference.volumes.writers import images_only, volume_writers
from lexiseg.serving.corrected_files import CORRECTED_FORMATS
from lexiseg.serving.jobs.work import served_formats

parcel = Parcel(id="a", image=Path("a"), results=Path("parcel"))
found = {
    "written by gateways": "toy" in WRITABLE,
    "taken by archives": "toy" in DICOM_FORMATS,
    "sent to archives": [file.name for file in parcel.objects],
    "written by servers": "toy" in served_formats(),
    "written of corrected masks": "toy" in CORRECTED_FORMATS,
    "written of volumes": [writer.name for writer in volume_writers(registry.format_names())],
    "said of volumes": "also seg, labelmap, toy, sr, sc and gsps" in images_only(),
    "no inputs": "toys" in registry.image_folders() and "toys" in _RESULTS and _ENDINGS["toys"] == ".png",
    "no inputs in archives": output_ending("a.toy.png"),
}
print(json.dumps(found))
"""


def run(program: str, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a program in a folder, with a registry that holds one format more."""
    paths = os.pathsep.join([str(TESTS), str(Path(lexiseg.__file__).parents[1])])
    return subprocess.run(
        [sys.executable, "-c", REGISTERED + program, *words],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=False,
    )


def test_every_list_of_formats_follows_from_the_registry(tmp_path: Path) -> None:
    parcel = tmp_path / "parcel"
    parcel.mkdir()
    for name in ("sr.dcm", "toy.png", "seg.dcm", "prediction.json", "mask.png"):
        (parcel / name).touch()
    done = run(LISTS, tmp_path)
    assert json.loads(done.stdout or "{}") == {
        "written by gateways": True,
        "taken by archives": True,
        "sent to archives": ["seg.dcm", "toy.png", "sr.dcm"],
        "written by servers": True,
        "written of corrected masks": True,
        "written of volumes": ["nifti", "seg", "labelmap", "toy", "sr", "sc", "gsps", "overlay", "card"],
        "said of volumes": True,
        "no inputs": True,
        "no inputs in archives": ".toy.png",
    }, done.stderr


def test_the_command_line_offers_and_writes_a_registered_format(tmp_path: Path) -> None:
    Image.fromarray(np.full((40, 30), 90, np.uint8)).save(tmp_path / "a.png")
    nifti(tmp_path / "b.nii.gz", np.zeros((8, 9, 3), np.int16), np.eye(4))
    command = "from lexiseg.cli import main\nmain()"
    help_page = run(command, tmp_path, "predict", "--help")
    assert "toy" in help_page.stdout
    refused = run(command, tmp_path, "predict", "covid-xray", "a.png", "--write", "other")
    assert refused.returncode == 2
    assert "records, parquet, toy." in " ".join(refused.stderr.split())
    words = ("predict", "covid-xray", "a.png", "b.nii.gz", "--write", "toy", "-o", "out")
    planned = run(command, tmp_path, *words, "--dry-run")
    assert "2 in out/toys" in " ".join(planned.stdout.split()), planned.stderr
    done = run(command, tmp_path, *words)
    assert (tmp_path / "out" / "toys" / "a.png").read_text(encoding="ascii") == "1200 pixels", done.stderr
    assert (tmp_path / "out" / "toys" / "b.png").read_text(encoding="ascii") == "216 voxels"


@pytest.mark.parametrize("known", FORMATS, ids=lambda known: known.name)
def test_what_an_entry_says_of_volumes_is_so(known: Format) -> None:
    if known.volume_format is not None:
        assert volume_names([known.name]) == (known.volume_format,)
        return
    writers: tuple[VolumeWriter, ...] = volume_writers([known.name])
    assert [writer.name for writer in writers] == [known.name] * (known.volume_writer is not None)
    assert [(writer.folder, writer.suffix) for writer in writers] == [(known.folder, known.suffix)] * len(
        writers
    )


def test_volumes_have_these_formats_in_this_order() -> None:
    order = ("nifti", "seg", "labelmap", "sr", "sc", "gsps", "overlay", "card")
    assert tuple(known.name for known in volume_formats()) == order
    assert tuple(writer.name for writer in volume_writers(format_names())) == order
    assert volume_names(["mask", "nifti", "probability"]) == ("nifti", "probability")
    assert images_only() == (
        "This format is one of single images. Volumes have nifti, overlay and card, and DICOM series also "
        "seg, labelmap, sr, sc and gsps; with single slices, the slices of a DICOM series are predicted as "
        "images."
    )


def test_servers_and_gateways_write_what_they_can() -> None:
    from lexiseg.gateway.configuration import DICOM_FORMATS, WRITABLE
    from lexiseg.serving.corrected_files import CORRECTED_FORMATS
    from lexiseg.serving.jobs.work import served_formats

    objects = ("seg", "labelmap", "sr", "sc", "gsps")
    assert set(objects) == DICOM_FORMATS
    assert ("mask", "overlay", "probability", *objects, "nifti") == WRITABLE
    assert served_formats() == (*WRITABLE, "records")
    assert CORRECTED_FORMATS == ("seg", "labelmap", "sr")
