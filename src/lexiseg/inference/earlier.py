"""Cards and overlays that an earlier batch left where images are predicted again."""

from __future__ import annotations

from pathlib import Path

from PIL import Image, PngImagePlugin

from lexiseg.files import atomic_path, disk_errors

#: What a card's title begins with; no other page is taken for one.
CARD_TITLE = "Lexiseg card: "
_OVERLAY_KIND = "Lexiseg overlay"
# Both marks stand at the top of their files.
_HEAD_BYTES = 1024


def write_overlay(path: Path, picture: Image.Image) -> None:
    """Write an overlay as PNG, marked as one.

    Raises:
        DiskError: There is no space or no permission.
    """
    about = PngImagePlugin.PngInfo()
    about.add_text("Software", _OVERLAY_KIND)
    with atomic_path(path) as beside:
        picture.save(beside, pnginfo=about)


def remove_earlier(*, card: Path, overlay: Path) -> None:
    """Remove the card and the overlay of an earlier mask, which would not show the new one.

    Files that Lexiseg did not write stay.

    Args:
        card: Where the card would be.
        overlay: Where the overlay would be.

    Raises:
        DiskError: There is no permission.
    """
    for path, mark in ((card, f"<title>{CARD_TITLE}"), (overlay, f"Software\0{_OVERLAY_KIND}")):
        with disk_errors(path):
            if path.is_file() and mark.encode("ascii") in _head(path):
                path.unlink()


def _head(path: Path) -> bytes:
    """Return how a file begins; nothing of one that cannot be read, which then is not taken for ours."""
    try:
        with open(path, "rb") as file:
            return file.read(_HEAD_BYTES)
    except OSError:
        return b""
