"""The writers of volumes, found by the names of their formats."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import cast

from lexiseg.inference.formats.registry import volume_formats, volume_names
from lexiseg.inference.volumes.volume_writer import VolumeWriter
from lexiseg.printable import enumerated


def volume_writers(formats: Sequence[str]) -> tuple[VolumeWriter, ...]:
    """Return the writers of the formats that volumes have, in the order in which they write.

    A report refers to the segmentation before it.

    Args:
        formats: Names that `check_formats` has not refused; others than those of volumes have no writer.
    """
    names = volume_names(formats)
    places = [known.volume_writer for known in volume_formats() if known.name in names]
    return tuple(
        cast("VolumeWriter", getattr(import_module(place[0]), place[1])())
        for place in places
        if place is not None
    )


def images_only() -> str:
    """Return why a volume has no output of a format of single images."""
    formats = volume_formats()
    every = enumerated([known.name for known in formats if not known.is_dicom])
    series = enumerated([known.name for known in formats if known.is_dicom])
    return (
        f"This format is one of single images. Volumes have {every}, and DICOM series also {series}; with "
        "single slices, the slices of a DICOM series are predicted as images."
    )
