"""A short draw of the fuzzing campaign with a fixed seed, and the inputs that it once found."""

from __future__ import annotations

import io
import json
import os
import signal
import sys
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile

sys.path.insert(0, str(Path(__file__).parent))

import reading_process
from campaign import fuzz, main
from reading_process import ReadingProcess
from targets import TARGETS, Target

#: Inputs of each kind in the normal test run: about a second of processor time each.
DRAW = {
    "images": 120,
    "masks": 25,
    "sheets": 50,
    "yaml": 40,
    "runs": 15,
    "archives": 120,
    "records": 80,
    "dicom": 40,
}

needs_linux = pytest.mark.skipif(sys.platform != "linux", reason="reads memory from /proc")


@needs_linux
@pytest.mark.parametrize("target", TARGETS)
def test_changed_inputs_are_read_or_refused(target: str) -> None:
    table = fuzz(target, DRAW[target], start=20261129)
    print(table.row)
    assert not table.faults, "\n".join(outcome.detail for _, outcome in table.faults.values())
    assert table.results["refused"]


def test_an_unknown_target_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["campaign.py", "images", "image"])
    with pytest.raises(SystemExit):
        main()
    assert "there is no target image; expected some of images, masks" in capsys.readouterr().err


def read_toy(folder: Path) -> None:
    """Do what the input says."""
    word = (folder / "a").read_text()
    if word == "traceback":
        raise KeyError(word)
    if word == "slow":
        while True:
            pass
    if word == "memory":
        assert bytearray(3 << 30)
    if word == "end":
        os._exit(7)
    if word == "crash":
        os.kill(os.getpid(), signal.SIGSEGV)


@needs_linux
def test_faults_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """The campaign finds a traceback, a hang, much memory, and a process that ends."""
    monkeypatch.setattr(reading_process, "CPU_LIMIT_S", 1)
    monkeypatch.setitem(TARGETS, "toy", Target(seeds=lambda: [], changed=lambda name: None, read=read_toy))
    process = ReadingProcess("toy")
    try:
        results = {word: process.read({"a": word.encode()}).result for word in ("fine", "traceback", "slow")}
        results |= {word: process.read({"a": word.encode()}).result for word in ("memory", "end", "good")}
        crash = process.read({"a": b"crash"})
    finally:
        process.close()
    assert results == {
        "fine": "read", "traceback": "fault", "slow": "slow", "memory": "memory", "end": "fault",
        "good": "read",
    }  # fmt: skip
    assert crash.result == "fault"
    assert "read_toy" in crash.detail
    assert crash.detail.endswith("-11")


def workbook(change: dict[str, bytes]) -> bytes:
    """Return an Excel file with some of its parts replaced."""
    plain, changed = io.BytesIO(), io.BytesIO()
    pd.DataFrame({"image": ["a.png"], "report": ["Upper left lung."]}).to_excel(plain, index=False)
    with zipfile.ZipFile(plain) as old, zipfile.ZipFile(changed, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, change.get(name, old.read(name)))
    return changed.getvalue()


def archive(name: str, *, kind: bytes = tarfile.REGTYPE) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        member = tarfile.TarInfo(name)
        member.type, member.linkname = kind, "/etc/passwd"
        tar.addfile(member)
    return buffer.getvalue()


def zip_bomb() -> bytes:
    """Return an archive that declares 30 GB in some kilobytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("a", b"0" * 1_000_000)
    content = bytearray(buffer.getvalue())
    place = content.rindex(b"PK\x01\x02") + 24
    content[place : place + 4] = (0xFFFFFFF0).to_bytes(4, "little")
    return bytes(content)


BILLION_LAUGHS = (
    b"<!DOCTYPE l [<!ENTITY a0 'ha'>"
    + b"".join(b"<!ENTITY a%d '%s'>" % (n, b"&a%d;" % (n - 1) * 10) for n in range(1, 10))
    + b"]><workbook>&a9;</workbook>"
)

NO_NUMBER = b'<workbook><bookViews><workbookView firstSheet="x"/></bookViews></workbook>'
FAR = (
    b'<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>'
    b'<row r="1048576"><c r="XFD1048576"><v>1</v></c></row></sheetData></worksheet>'
)


def tiff_with(tag: int) -> bytes:
    """Return a TIFF whose tag has two different values, where one is meant."""
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, np.zeros((8, 8), np.uint8), metadata=None)
    content = bytearray(buffer.getvalue())
    first = int.from_bytes(content[4:8], "little")
    for place in range(first + 2, first + 2 + 12 * int.from_bytes(content[first : first + 2], "little"), 12):
        if int.from_bytes(content[place : place + 2], "little") == tag:
            content[place + 2 : place + 12] = b"\x03\x00\x02\x00\x00\x00\x08\x00\x07\x00"
    return bytes(content)


ATTRIBUTE = b"name: a\nsentence: {clauses: [{parts: ['{a.b}']}]}\n"

#: Inputs by kind that the campaign found, or that its authors thought of.
FOUND: dict[str, tuple[str, dict[str, bytes]]] = {
    "a TIFF with two widths": ("images", {"a.tif": tiff_with(256)}),
    "broken XML of a workbook": ("sheets", {"a.xlsx": workbook({"xl/workbook.xml": b"<workbook"})}),
    "no XML in a workbook": ("sheets", {"a.xlsx": workbook({"xl/styles.xml": b"\x00"})}),
    "no number in a workbook": (
        "sheets",
        {"a.xlsx": workbook({"xl/workbook.xml": NO_NUMBER})},
    ),
    "entities in a workbook": ("sheets", {"a.xlsx": workbook({"xl/workbook.xml": BILLION_LAUGHS})}),
    "a workbook that unpacks to much": (
        "sheets", {"a.xlsx": workbook({"xl/worksheets/sheet1.xml": b" " * (80 << 20)})},
    ),
    "a cell far from the others": (
        "sheets",
        {"a.xlsx": workbook({"xl/worksheets/sheet1.xml": FAR})},
    ),
    "names that are no text": ("yaml", {"config.yaml": b"model: [1]\npreset: {a: 1}\n"}),
    "a template with attributes": ("yaml", {"vocabulary.yaml": ATTRIBUTE}),
    "an expression that never ends": ("yaml", {"dataset.yaml": b"patient: '(a|aa)+$'\n"}),
    "a date that is none": ("yaml", {"dataset.yaml": b"name: 2026-99-99\n"}),
    "digits": ("yaml", {"dataset.yaml": b"spacing_mm: " + b"9" * 5000}),
    "a path outside": ("archives", {"a.tar": archive("../../outside")}),
    "an absolute path": ("archives", {"a.tar": archive("/tmp/outside")}),
    "a link": ("archives", {"a.tar": archive("link", kind=tarfile.SYMTYPE)}),
    "a hard link": ("archives", {"a.tar": archive("link", kind=tarfile.LNKTYPE)}),
    "a device": ("archives", {"a.tar": archive("null", kind=tarfile.CHRTYPE)}),
    "a pipe": ("archives", {"a.tar": archive("pipe", kind=tarfile.FIFOTYPE)}),
    "a bomb": ("archives", {"a.zip": zip_bomb()}),
    "deep predictions": ("records", {"predictions.jsonl": b"[" * 100_000 + b"\n"}),
    "deep descriptions": ("records", {"words.jsonl": b'{"id":' * 10_000 + b"\n"}),
    "scores that are not finite": (
        "records", {"cases.csv": b"id,patient,dice,truth_share,lesions\na,,inf,0.1,1\n"},
    ),
    "NaN in metrics": ("records", {"metrics.json": json.dumps({"n": float("nan")}).encode()}),
}  # fmt: skip


@needs_linux
@pytest.mark.parametrize(("target", "files"), FOUND.values(), ids=FOUND.keys())
def test_found_inputs(target: str, files: dict[str, bytes]) -> None:
    process = ReadingProcess(target)
    try:
        outcome = process.read(files)
    finally:
        process.close()
    allowed = ("refused",) if "predictions.jsonl" not in files else ("read", "refused")
    assert outcome.result in allowed, outcome.detail
