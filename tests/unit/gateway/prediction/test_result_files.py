"""The files of the results of an image: which are DICOM objects, and in which order they are sent."""

from __future__ import annotations

from pathlib import Path

from lexiseg.gateway.prediction.result_files import dicom_objects, result_file_name
from lexiseg.inference.formats.registry import format_named


def test_segmentations_come_before_the_reports_that_refer_to_them(tmp_path: Path) -> None:
    for name in ("sr.dcm", "gsps.dcm", "seg.dcm", "mask.png", "labelmap.dcm", "sc.dcm", "other.dcm"):
        (tmp_path / name).touch()
    found = [file.name for file in dicom_objects(tmp_path)]
    assert found == ["labelmap.dcm", "seg.dcm", "gsps.dcm", "sc.dcm", "sr.dcm"]
    assert dicom_objects(tmp_path / "gone") == []


def test_a_file_is_named_after_its_format() -> None:
    names = [result_file_name(format_named(name)) for name in ("mask", "seg", "sr")]
    assert names == ["mask.png", "seg.dcm", "sr.dcm"]
