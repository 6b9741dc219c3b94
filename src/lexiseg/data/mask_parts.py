"""Several mask files of one image: `NAME_mask.png` with `NAME_mask_1.png`, `NAME_mask_2.png`, ..."""

from __future__ import annotations

import errno
import re
from pathlib import Path

#: What data sets write behind the name of an image to name its mask: X_mask, X-seg; "." as in 3D Slicer's
#: X.seg.nrrd.
MASK_ENDING = "[_.-](?:mask|masks|label|labels|seg|segmentation|gt)"
_MASK = re.compile(rf"{MASK_ENDING}$", re.IGNORECASE)
_NUMBERED = re.compile(rf"^(?P<first>.*{MASK_ENDING})[_-][0-9]+$", re.IGNORECASE)


def mask_parts(mask: Path) -> tuple[Path, ...]:
    """Return the files that hold one image's mask: the mask itself, then its numbered parts.

    Args:
        mask: The mask that is paired with the image. Only a name such as `NAME_mask.png` can have parts:
            `NAME_mask_1.png` and so on, in the same folder, with the same ending, without a gap.
    """
    if not _MASK.search(mask.stem):
        return (mask,)
    parts = [mask]
    while _is_file(part := mask.with_name(f"{mask.stem}_{len(parts)}{mask.suffix}")):
        parts.append(part)
    return tuple(parts)


def _is_file(path: Path) -> bool:
    """Return whether a file exists; a name longer than the file system allows belongs to none."""
    try:
        return path.is_file()
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            raise
        return False


def first_part(mask: Path) -> Path | None:
    """Return the mask that a numbered part belongs to; None if the file is not joined to another one."""
    match = _NUMBERED.match(mask.stem)
    first = mask.with_name(match["first"] + mask.suffix) if match else None
    return first if first is not None and mask in mask_parts(first) else None
