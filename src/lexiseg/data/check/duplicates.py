"""Images that are in two splits: the same picture, or nearly the same."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from lexiseg.data.check.inspection import Inspection
from lexiseg.data.check.picture_hash import THUMBNAIL

#: Two pictures are suspected duplicates where at most this many of the 64 bits of their difference hashes
#: differ, and nearly the same where their thumbnails also correlate at least this well.
MAX_BITS = 6
MIN_CORRELATION = 0.98

_CHUNK = 512
_BITS = np.array([bin(value).count("1") for value in range(1 << 16)], dtype=np.uint8)


def exact_duplicates(inspections: Sequence[Inspection]) -> list[tuple[Inspection, ...]]:
    """Return groups of images with the same bytes or pixels that are in more than one split.

    Pictures of a single colour show nothing and are in no group.
    """
    groups: dict[str, list[Inspection]] = {}
    for inspection in inspections:
        same = inspection.pixels or inspection.digest
        if same is not None and not inspection.is_plain:
            groups.setdefault(same, []).append(inspection)
    return [tuple(group) for group in groups.values() if len({item.sample.split for item in group}) > 1]


def near_duplicates(inspections: Sequence[Inspection]) -> Iterator[tuple[Inspection, Inspection, float]]:
    """Yield nearly identical pictures in two splits, with their correlation; exact copies are left out."""
    items = [item for item in inspections if item.hash is not None]
    hashes = np.array([item.hash for item in items], dtype=np.uint64)
    splits = np.array([item.sample.split for item in items])
    pictures = _standardised(items)
    names = list(dict.fromkeys(splits.tolist()))
    for place, first in enumerate(names):
        for second in names[place + 1 :]:
            rows, columns = np.flatnonzero(splits == first), np.flatnonzero(splits == second)
            for row, column in _close(hashes, rows, columns):
                correlation = float(pictures[row] @ pictures[column])
                if correlation >= MIN_CORRELATION and items[row].pixels != items[column].pixels:
                    yield items[row], items[column], correlation


def _standardised(items: Sequence[Inspection]) -> npt.NDArray[np.float32]:
    """Return thumbnails (N, 1024) of mean 0 and length 1; a picture of a single grey value becomes 0."""
    stack = np.array([item.thumbnail for item in items], dtype=np.float32).reshape(len(items), THUMBNAIL**2)
    stack -= stack.mean(axis=1, keepdims=True)
    length = np.linalg.norm(stack, axis=1, keepdims=True)
    return np.asarray(stack / np.maximum(length, 1.0))


def _close(
    hashes: npt.NDArray[np.uint64], rows: npt.NDArray[np.intp], columns: npt.NDArray[np.intp]
) -> Iterator[tuple[int, int]]:
    """Yield the pairs whose hashes differ in few bits."""
    for start in range(0, len(rows), _CHUNK):
        chunk = rows[start : start + _CHUNK]
        differing = hashes[chunk][:, None] ^ hashes[columns][None, :]
        bits = (
            _BITS[differing.view(np.uint16)].reshape(len(chunk), len(columns), 4).sum(axis=2, dtype=np.uint8)
        )
        for row, column in np.argwhere(bits <= MAX_BITS).tolist():
            yield int(chunk[row]), int(columns[column])
