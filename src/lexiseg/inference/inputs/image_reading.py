"""Images of files for prediction, read in the background, in batches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import chain
from pathlib import Path

from lexiseg.chunks import chunks
from lexiseg.clinic.view import View
from lexiseg.data.decoded_image import DecodedImage
from lexiseg.data.readers import read_image_with_facts
from lexiseg.errors import LexisegError
from lexiseg.read_ahead import read_ahead

#: A file with its image, or with the reason why it cannot be read.
ReadImage = tuple[Path, DecodedImage | LexisegError]

# Images that a thread reads at a time: handing one over costs about 0.1 ms of processor time.
_READ_TOGETHER = 4


def read_batches(paths: Iterable[str | Path], view: View, *, batch_size: int) -> Iterator[list[ReadImage]]:
    """Yield the images of files in lists of `batch_size`, in order; at most two lists are read ahead.

    Args:
        paths: Image files; consumed only as far as needed.
        view: The window and the frame of DICOM files.
        batch_size: Images per list; the last one may be shorter.
    """
    together = min(_READ_TOGETHER, batch_size)
    read = partial(_read, view=view)
    groups = read_ahead(chunks(map(Path, paths), together), read, depth=2 * batch_size // together)
    return chunks(chain.from_iterable(groups), batch_size)


def _read(paths: Sequence[Path], view: View) -> list[ReadImage]:
    """Read some images; an unreadable one becomes its error, so that it does not stop the rest."""
    found: list[ReadImage] = []
    for path in paths:
        try:
            found.append((path, read_image_with_facts(path, view)))
        except LexisegError as error:
            found.append((path, error))
    return found
