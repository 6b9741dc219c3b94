"""The rule from mask pixel values to labels."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from lexiseg.data.decoding.few_bits import as_listed, for_nearest
from lexiseg.data.decoding.mask_pixels import MaskPixels, resolve_palette

Kind = Literal["values", "colours", "threshold", "binary", "nearest"]

#: Threshold of a lossy binary mask: values above are lesion.
LOSSY_THRESHOLD = 127

UNKNOWN_LABEL = 255


@dataclass(frozen=True, kw_only=True)
class MaskCoding:
    """The rule from pixel values to labels.

    Attributes:
        kind: "values" and "colours" look up each pixel and refuse unknown ones; "threshold" applies
            `LOSSY_THRESHOLD` to a binary mask with noise; "binary" does so too, except for lossless masks of
            0 and 1, which are labels already; "nearest" takes the nearest listed grey value.
        values: Pixel values with a label: grey values, palette indices, or colours packed as 0xRRGGBB.
        labels: The label of each of `values`; 0 is the background.
        indexed: Whether palette files are read by index; otherwise by the colours of their palette.
    """

    kind: Kind
    values: tuple[int, ...] = (0, 255)
    labels: tuple[int, ...] = (0, 1)
    indexed: bool = False

    @property
    def num_classes(self) -> int:
        """Number of labels, background included."""
        return max(self.labels) + 1

    def to_labels(self, pixels: MaskPixels) -> npt.NDArray[np.uint8]:
        """Return the labels of a mask's pixels.

        Args:
            pixels: A decoded mask.

        Returns:
            (H, W) uint8 labels.

        Raises:
            ValueError: A pixel value has no label; the message lists such values.
            UnclearDepthError: It is open what the values of a mask of 1, 2 or 4 bits stand for.
        """
        if not self.indexed:
            pixels = resolve_palette(pixels)
        pixels = self._of_8_bits(pixels)
        values = pixels.values
        if self.kind == "colours":
            if not pixels.is_colour:
                # A mask without colours, such as an empty one, is decoded as grey.
                values = values.astype(np.uint32) * 0x010101
            return self._look_up_sorted(values, colour_name)
        if pixels.is_colour:
            raise ValueError("it holds colours, but the other masks hold grey values")
        if self.kind == "binary" and not pixels.is_lossy and values.max(initial=0) <= 1:
            return np.asarray(values, dtype=np.uint8)
        if self.kind in ("threshold", "binary"):
            return np.asarray(values > LOSSY_THRESHOLD, dtype=np.uint8)
        if self.kind == "nearest":
            return self._nearest(values)
        if values.dtype == np.uint8 and max(self.values) < 256:
            labels: npt.NDArray[np.uint8] = self._table[values]
            if labels.max(initial=0) == UNKNOWN_LABEL:
                raise ValueError(_no_label(np.unique(values[labels == UNKNOWN_LABEL]), self.values, str))
            return labels
        return self._look_up_sorted(values, str)

    def _of_8_bits(self, pixels: MaskPixels) -> MaskPixels:
        """Return the pixels of a mask of fewer bits as labels or as shades, whichever have a label."""
        if pixels.bits == 8 or self.kind == "threshold":
            return pixels.shades()
        if self.kind == "binary":
            # Here 0 and 1 are labels; with 1 bit, 1 is also white.
            return pixels if pixels.values.max(initial=0) <= 1 else pixels.shades()
        labels = dict(zip(self.values, self.labels, strict=True))
        if self.kind == "colours":
            labels = {
                value & 255: label for value, label in labels.items() if value == (value & 255) * 0x010101
            }
        return for_nearest(pixels, labels) if self.kind == "nearest" else as_listed(pixels, labels)

    def to_dict(self) -> dict[str, Any]:
        """Return the coding as JSON-able values; `from_dict` is its inverse."""
        return {
            "kind": self.kind,
            "values": list(self.values),
            "labels": list(self.labels),
            "indexed": self.indexed,
        }

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> MaskCoding:
        """Build a coding from the values of `to_dict`."""
        return cls(
            kind=value["kind"],
            values=tuple(value["values"]),
            labels=tuple(value["labels"]),
            indexed=value["indexed"],
        )

    @functools.cached_property
    def _table(self) -> npt.NDArray[np.uint8]:
        """Label per grey value 0..255; `UNKNOWN_LABEL` for values without one."""
        known = np.asarray(self.values)
        labels = np.asarray(self.labels, dtype=np.uint8)
        table = np.full(256, UNKNOWN_LABEL, dtype=np.uint8)
        table[known] = labels
        return table

    def _nearest(self, values: npt.NDArray[np.integer]) -> npt.NDArray[np.uint8]:
        """Return the label of the nearest listed value, of values of any size; half way is the lower one."""
        order = np.argsort(self.values)
        known = np.asarray(self.values, dtype=np.float64)[order]
        place = np.searchsorted((known[1:] + known[:-1]) / 2, values, side="left")
        return np.asarray(self.labels, dtype=np.uint8)[order][place]

    def _look_up_sorted(self, values: npt.NDArray[np.integer], show: Any) -> npt.NDArray[np.uint8]:
        """Return the labels of values of any size, by bisection."""
        order = np.argsort(self.values)
        known = np.asarray(self.values, dtype=np.int64)[order]
        place = np.minimum(np.searchsorted(known, values), len(known) - 1)
        wrong = known[place] != values
        if wrong.any():
            raise ValueError(_no_label(np.unique(values[wrong]), self.values, show))
        return np.asarray(self.labels, dtype=np.uint8)[order][place]


def colour_name(colour: int) -> str:
    """Return a packed colour as "#rrggbb"."""
    return f"#{colour:06x}"


def _no_label(values: npt.NDArray[np.integer], known: tuple[int, ...], show: Any) -> str:
    found = ", ".join(show(int(value)) for value in values[:8]) + (", ..." if len(values) > 8 else "")
    return f"it holds {found}; known are {', '.join(show(value) for value in sorted(known))}"
