"""Names of the segments of a label map that 3D Slicer wrote (`.seg.nrrd`): they are in its NRRD header."""

from __future__ import annotations

import re
from pathlib import Path

from lexiseg.data.volumes.volume_names import NRRD_ENDINGS

#: A header is read up to here at most.
_HEADER_BYTES = 1 << 20
_FIELD = re.compile(r"^Segment(\d+)_(Name|LabelValue):=(.*)$", re.MULTILINE)


def segment_names(file: Path) -> dict[int, str]:
    """Return the name of each label of a NRRD file; empty for other files and where it states none.

    A file that cannot be opened has none: reading its labels says why.
    """
    if file.suffix.lower() not in NRRD_ENDINGS:
        return {}
    try:
        with open(file, "rb") as opened:
            head = opened.read(_HEADER_BYTES)
    except OSError:
        return {}
    # An empty line ends the header.
    text = re.split(rb"\r?\n\r?\n", head, maxsplit=1)[0].decode("utf-8", "replace").replace("\r\n", "\n")
    segments: dict[str, dict[str, str]] = {}
    for number, field, value in _FIELD.findall(text):
        segments.setdefault(number, {})[field] = value.strip()
    return {
        int(segment["LabelValue"]): segment.get("Name", "")
        for segment in segments.values()
        if segment.get("LabelValue", "").isascii() and segment.get("LabelValue", "").isdigit()
    }
