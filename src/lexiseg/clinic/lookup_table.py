"""Tables of grey values in DICOM files (Modality LUT and VOI LUT, PS3.3 C.11.1.1.1 and C.11.2.1.1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

from lexiseg.clinic.dataset import numbers
from lexiseg.printable import counted

#: Entries of the largest table.
MOST_ENTRIES = 1 << 16
# Of the LUTDescriptor: the count of entries, the first value, and the bits of an entry.
_NUMBERS = 3
_FEWEST_BITS, _MOST_BITS = 8, 16


@dataclass(frozen=True, kw_only=True, eq=False)
class LookupTable:
    """A table of grey values.

    Attributes:
        first: The value that the first entry belongs to; lower values have it too.
        entries: The entries of this value and the next ones; higher values have the last one.
        bits: Bits of an entry, as the table states them.
    """

    first: int
    entries: npt.NDArray[np.uint16]
    bits: int

    def of(self, values: npt.NDArray[Any]) -> npt.NDArray[np.uint16]:
        """Return the entry of each value."""
        # The type of the values, or of the entries, may be too narrow for their distance from the first one.
        place = np.rint(values).astype(np.int64) - self.first
        return np.asarray(self.entries[np.clip(place, 0, len(self.entries) - 1)])


def lookup_table(dataset: Dataset, keyword: str) -> LookupTable:
    """Return the first table of a file; it raises one of `lexiseg.clinic.dataset.BROKEN` if it is damaged.

    Args:
        dataset: The file; it states its transfer syntax.
        keyword: The sequence that holds the table: "ModalityLUTSequence" or "VOILUTSequence".

    Raises:
        ValueError: The table contradicts itself.
    """
    item = dataset[keyword].value[0]
    stated = [int(value) for value in numbers(item.LUTDescriptor)]
    if len(stated) != _NUMBERS:
        raise ValueError(f"its LUTDescriptor holds {counted(len(stated), 'number')}; expected {_NUMBERS}")
    count, first, bits = stated
    # 65536 entries are stated as 0, and in a descriptor of signed numbers 32768 and more as negative ones.
    count = count % MOST_ENTRIES or MOST_ENTRIES
    if not _FEWEST_BITS <= bits <= _MOST_BITS:
        raise ValueError(f"it states {bits} bits per entry; expected {_FEWEST_BITS} to {_MOST_BITS}")
    data = item.LUTData
    if data is None:
        raise ValueError(f"it holds no entries; expected {count:,}")
    if isinstance(data, bytes):
        order = "<" if dataset.file_meta.TransferSyntaxUID.is_little_endian else ">"
        words = np.frombuffer(data, f"{order}u2", count=len(data) // 2).astype(np.uint16)
    else:
        words = np.atleast_1d(np.asarray(data, np.uint16))
    if bits == _FEWEST_BITS and count > len(words) >= (count + 1) // 2:
        # Two entries per word, the lower half first.
        words = np.stack([words & 0xFF, words >> 8], axis=1).ravel().astype(np.uint16)
    if len(words) < count:
        raise ValueError(f"it holds {counted(len(words), 'entry', 'entries')}; expected {count:,}")
    return LookupTable(first=first, entries=words[:count], bits=bits)
