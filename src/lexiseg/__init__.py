"""Lexiseg: medical image segmentation taught with words, used without them."""

from lexiseg._version import __version__

__all__ = ["__version__"]
