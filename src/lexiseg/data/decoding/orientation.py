"""EXIF orientation: it is noted and never applied, so that image and mask stay on their stored grid."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from lexiseg.data.decoding.container import BROKEN, load

_EXIF_ORIENTATION = 0x0112
QUARTER_TURNS = (5, 6, 7, 8)
_UNDO_ORIENTATION = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


def orientation_of(image: Image.Image) -> int:
    """Return the EXIF orientation, 1 (as stored) to 8."""
    if image.format == "TIFF":
        found = getattr(image, "tag_v2", {}).get(_EXIF_ORIENTATION, 1)
    elif image.format == "PNG" and "exif" not in image.info:
        # Pillow would decode the pixels to look for EXIF data behind them.
        return 1
    else:
        try:
            found = image.getexif().get(_EXIF_ORIENTATION, 1)
        except BROKEN:
            # Without readable EXIF data the orientation is as stored.
            return 1
    return found if found in _UNDO_ORIENTATION else 1


def load_as_stored(image: Image.Image, path: Path) -> Image.Image:
    """Decode the pixels on the grid on which they are stored.

    Raises:
        DataError: The file is damaged or too large.
    """
    orientation = orientation_of(image) if image.format == "TIFF" else 1
    load(image, path)
    # Pillow applies the orientation of TIFFs, but of no other format; undo that.
    return image.transpose(_UNDO_ORIENTATION[orientation]) if orientation != 1 else image
