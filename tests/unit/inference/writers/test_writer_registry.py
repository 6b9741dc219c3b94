"""The output formats by name."""

from __future__ import annotations

from pathlib import Path

from lexiseg.inference.formats.registry import FORMATS, check_formats, format_names, image_folders
from lexiseg.inference.inputs.target import Target
from lexiseg.inference.writers.base import ImageWriter, Writer
from lexiseg.inference.writers.loading import make_writers, unwritten_formats
from lexiseg.inference.writers.mask import MaskWriter
from refusals import refuses


def test_the_registry_says_what_the_writers_do() -> None:
    assert format_names() == (
        *("mask", "overlay", "card", "probability"),
        *("seg", "labelmap", "sr", "sc", "gsps", "nifti"),
        *("records", "parquet"),
    )
    for known, writer in zip(FORMATS, make_writers(format_names()), strict=True):
        accepted: Writer = writer
        assert accepted.name == known.name
        if isinstance(writer, ImageWriter):
            assert writer.folder == known.folder
            assert writer.suffix == known.suffix
            assert (writer.suffix in (".png", ".tif", ".dcm", ".nii.gz")) == known.are_images
        else:
            assert known.folder is None
    pictures = ("masks", "overlays", "probabilities")
    assert image_folders() == (*pictures, "seg", "labelmap", "sr", "sc", "gsps", "nifti")


def test_formats_that_are_not_written_are_known_by_their_files() -> None:
    own = MaskWriter()
    others = unwritten_formats([own])
    assert [writer.name for writer in others] == [
        name for name in format_names() if name not in ("mask", "records", "parquet")
    ]
    (report,) = [writer for writer in others if writer.name == "sr"]
    assert isinstance(report, ImageWriter)
    assert report.file(Target(image=Path("a"), name=Path("b/a")), Path("out")) == Path("out/sr/b/a.dcm")


def test_a_format_is_written_once_in_the_order_of_its_first_mention() -> None:
    own = MaskWriter()
    writers = make_writers(["overlay", own, "mask", "overlay"])
    assert [writer.name for writer in writers] == ["overlay", "mask"]
    assert writers[1] is own


def test_an_unknown_format_is_refused() -> None:
    with refuses("LEX-USE-571", "'dicom', 'rtstruct': expected"):
        check_formats(["mask", "dicom", "rtstruct"])
