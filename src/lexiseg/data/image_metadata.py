"""Signs of identifying data in the metadata of PNG, JPEG, TIFF and WebP files; nothing is removed.

A sign names the field, never the value: EXIF and TIFF tags of people, places, times and free text; texts of
PNG files; comments of JPEG files; XMP and IPTC blocks, which hold such fields too.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import tifffile
from PIL import Image, UnidentifiedImageError

from lexiseg.clinic.identifying_data import Sign, SignKind
from lexiseg.data.decoding.container import BROKEN, FORMATS, quietly_opened
from lexiseg.errors import DataError

_EXIF, _GPS = 0x8769, 0x8825
_TAGS: dict[int, tuple[SignKind, str]] = {
    0x010D: ("attribute", "DocumentName"),
    0x010E: ("attribute", "ImageDescription"),
    0x011D: ("attribute", "PageName"),
    0x0132: ("date", "DateTime"),
    0x013B: ("attribute", "Artist"),
    0x013C: ("attribute", "HostComputer"),
    0x02BC: ("attribute", "XMP"),
    0x8298: ("attribute", "Copyright"),
    0x83BB: ("attribute", "IPTC"),
    0x8649: ("attribute", "Photoshop"),
    0x8825: ("attribute", "GPS position"),
    0x9003: ("date", "DateTimeOriginal"),
    0x9004: ("date", "DateTimeDigitized"),
    0x927C: ("private", "MakerNote"),
    0x9286: ("attribute", "UserComment"),
    0x9C9B: ("attribute", "XPTitle"),
    0x9C9C: ("attribute", "XPComment"),
    0x9C9D: ("attribute", "XPAuthor"),
    0x9C9E: ("attribute", "XPKeywords"),
    0x9C9F: ("attribute", "XPSubject"),
    0xA420: ("attribute", "ImageUniqueID"),
    0xA430: ("attribute", "CameraOwnerName"),
    0xA431: ("attribute", "BodySerialNumber"),
    0xA435: ("attribute", "LensSerialNumber"),
}
#: Keywords of PNG texts that are shown; another one may hold a value itself.
_PNG_KEYWORDS = (
    "Title",
    "Author",
    "Description",
    "Copyright",
    "Creation Time",
    "Source",
    "Comment",
    "Patient",
)
#: Blocks that Pillow finds beside the tags.
_BLOCKS = {"xmp": "XMP", "photoshop": "Photoshop or IPTC block"}
#: What programs write of themselves: no sign.
_OF_PROGRAMS = re.compile(
    rb"""\{"shape": \[[\d, ]*\]\}|CREATOR: gd-jpeg[^\n]*\n?|Lavc[\d.]+|Created with (?:The )?GIMP"""
)
# What files hold where a time is not known.
_NO_VALUE = re.compile(rb"[\s\0:0]*")
_UNREADABLE = Sign(kind="attribute", detail="metadata that cannot be read")


def metadata_signs(content: bytes, path: Path) -> tuple[Sign, ...]:
    """Return the signs in the metadata of an image file that is no DICOM file.

    Args:
        content: The file.
        path: Its name; nothing of it is read.
    """
    found: dict[Sign, None] = {}
    try:
        if content[:2] in (b"II", b"MM"):
            found |= dict.fromkeys(_tiff_signs(content))
        image = quietly_opened(content, FORMATS)
        exif = image.getexif()
        tags = {**dict(exif), **exif.get_ifd(_EXIF)}
        if exif.get_ifd(_GPS):
            tags[_GPS] = "present"
        found |= dict.fromkeys(_of_tags(tags.items(), "TIFF" if image.format == "TIFF" else "EXIF"))
        if image.format == "PNG":
            image.load()  # texts may stand behind the pixels
            found |= dict.fromkeys(_png_signs(image))
        if image.info.get("comment") and not _is_empty(image.info["comment"]):
            found[Sign(kind="attribute", detail="JPEG comment")] = None
        for key, name in _BLOCKS.items():
            if image.info.get(key):
                found[Sign(kind="attribute", detail=name)] = None
    except UnidentifiedImageError:
        pass  # the reader of the pixels says so
    except (*BROKEN, Image.DecompressionBombError, DataError):
        found[_UNREADABLE] = None
    return tuple(found)


def _of_tags(tags: Iterable[tuple[int, Any]], source: str) -> list[Sign]:
    """Return the signs in EXIF or TIFF tags, given as number and value."""
    return [
        Sign(kind=_TAGS[number][0], detail=f"{source} {_TAGS[number][1]}")
        for number, value in tags
        if number in _TAGS and not _is_empty(value)
    ]


def _tiff_signs(content: bytes) -> list[Sign]:
    """Return the signs in the tags of all pages of a TIFF, also of one that Pillow cannot open."""
    with tifffile.TiffFile(io.BytesIO(content)) as tiff:
        # A tag may be there twice: programs add a description of their own.
        tags = [(tag.code, tag.value) for page in tiff.pages for tag in getattr(page, "tags", ())]
    return _of_tags(tags, "TIFF")


def _png_signs(image: Any) -> list[Sign]:
    """Return the signs in the texts of a PNG file; the name of a program is none."""
    found = []
    for keyword, text in image.text.items():
        if keyword == "Software" or _is_empty(str(text)):
            continue
        if keyword.startswith("date:") or keyword == "Creation Time":
            found.append(Sign(kind="date", detail="PNG text with a time"))
        else:
            shown = keyword if keyword in _PNG_KEYWORDS else "with another keyword"
            found.append(Sign(kind="attribute", detail=f"PNG text {shown}"))
    return found


def _is_empty(value: Any) -> bool:
    """Return whether a value says nothing, or only which program wrote the file."""
    if isinstance(value, str):
        value = value.encode("utf-8", "replace")
    if not isinstance(value, bytes):
        return value is None
    text = value.strip(b"\0 ")
    return bool(_NO_VALUE.fullmatch(text) or _OF_PROGRAMS.fullmatch(text))
