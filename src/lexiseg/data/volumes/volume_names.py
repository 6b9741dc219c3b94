"""Names of volume files; nothing is opened."""

from __future__ import annotations

import re
from pathlib import Path

#: Endings of volume files, with the module of `lexiseg.data.volumes` that reads them.
VOLUME_READERS = {
    ".nii": "nifti_file",
    ".nii.gz": "nifti_file",
    ".mha": "itk_file",
    ".mhd": "itk_file",
    ".nrrd": "itk_file",
    ".nhdr": "itk_file",
}

#: Endings of volume files.
VOLUME_SUFFIXES = tuple(VOLUME_READERS)

#: Endings of NRRD files.
NRRD_ENDINGS = frozenset({".nrrd", ".nhdr"})

#: Usual endings of the data files that MetaImage and NRRD headers name.
DATA_SUFFIXES = frozenset({".raw", ".zraw"})

#: What the paths of labels of one slice end in.
LABELS_ENDING = "_label.png"


_SLICE = re.compile(r"_([ijk][0-9]+)(?:_label)?\.png$")


def is_volume_file(path: Path) -> bool:
    """Return whether a file is a volume, by its ending."""
    return path.name.lower().endswith(VOLUME_SUFFIXES)


def stored_file(path: Path) -> tuple[Path, str]:
    """Return the file that holds an image or a mask of a data set, and which part of it that is.

    Args:
        path: The path of an image or a mask; slices of volumes and labels of images of a segmented series
            have one below their file.

    Returns:
        The file; and the part: the slice, such as "k012" (along the third axis, from 0), or the UID of the
        image that is segmented. It is empty for the whole file.
    """
    found = _SLICE.search(path.name)
    if found and is_volume_file(path.parent) and path.parent.is_file():
        return path.parent, found[1]
    if path.name.endswith(LABELS_ENDING) and path.parent.parent.is_file():
        return path.parent.parent, path.parent.name
    return path, ""


def stored_state(path: Path) -> tuple[int, int]:
    """Return time of the last change and size of the file that holds an image or a mask; 0 if it is gone.

    Args:
        path: As for `stored_file`.
    """
    try:
        facts = stored_file(path)[0].stat()
    except OSError:
        return 0, 0
    return facts.st_mtime_ns, facts.st_size


def volume_ending(name: str) -> str:
    """Return the ending of a volume file in lower case, such as ".nii.gz"; empty for other files."""
    return max((end for end in VOLUME_SUFFIXES if name.lower().endswith(end)), key=len, default="")


def volume_stem(name: str) -> str:
    """Return the name of a volume file without its ending, such as "a" of "a.nii.gz"."""
    return name[: len(name) - len(volume_ending(name))]
