"""What results call an image, and how its outputs are named."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from lexiseg.clinic.detection import may_be_dicom
from lexiseg.data.decode import IMAGE_SUFFIXES
from lexiseg.data.volumes.volume_names import is_volume_file, volume_stem
from lexiseg.files import fitting_name
from lexiseg.inference.formats.registry import image_formats
from lexiseg.inference.inputs.image_sources import ImageSource
from lexiseg.inference.inputs.target import Target

_LONGEST_SUFFIX = max(len(known.suffix) for known in image_formats())


def named_target(
    image: Path,
    name: str,
    *,
    source: str | None = None,
    origin: ImageSource | None = None,
    copied_from: str | None = None,
) -> Target:
    """Return an image.

    Args:
        image: Its file.
        name: Its path from the folder that was searched, with "/" between folders.
        source: What results call it where its file is a private copy.
        origin: Where it comes from if it is no file of this computer.
        copied_from: The archive or the address of which its file is a private copy.
    """
    return Target(
        image=image, name=Path(output_name(name)), source=source, origin=origin, copied_from=copied_from
    )


def output_name(name: str, *, room: int = _LONGEST_SUFFIX) -> str:
    """Return the path of an image without suffix, shortened so that every output of it can be stored.

    Args:
        name: The path, with "/" between folders.
        room: Bytes of a file name that suffixes of outputs need.
    """
    folder, slash, last = name.rpartition("/")
    return f"{folder}{slash}{fitting_name(image_stem(last), room=room)}"


def image_stem(name: str) -> str:
    """Return the name of an image or volume file, without folders, without its ending."""
    stem, ending = os.path.splitext(name)
    if ending.lower() in IMAGE_SUFFIXES:
        return stem
    path = Path(name)
    # The last number of a UID is no ending.
    return volume_stem(name) if is_volume_file(path) else name if may_be_dicom(path) else path.stem


def source_of(file: Path, folder: Path, labels: Mapping[Path, str] | None) -> str | None:
    """Return what results call a private copy; None for other files.

    Args:
        file: The file, or a folder of a series.
        folder: The folder that was searched.
        labels: What folders of private copies are called.
    """
    label = (labels or {}).get(folder)
    if label is None:
        return None
    inside = file.relative_to(folder).as_posix()
    return label if inside == "." else f"{label}/{inside}"
