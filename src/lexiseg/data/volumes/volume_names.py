"""Names of volume files; nothing is opened."""

from __future__ import annotations

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


def is_volume_file(path: Path) -> bool:
    """Return whether a file is a volume, by its ending."""
    return path.name.lower().endswith(VOLUME_SUFFIXES)


def volume_ending(name: str) -> str:
    """Return the ending of a volume file in lower case, such as ".nii.gz"; empty for other files."""
    return max((end for end in VOLUME_SUFFIXES if name.lower().endswith(end)), key=len, default="")


def volume_stem(name: str) -> str:
    """Return the name of a volume file without its ending, such as "a" of "a.nii.gz"."""
    return name[: len(name) - len(volume_ending(name))]
