"""A process that decodes images which came over the network, and nothing else.

It reads requests from its standard input and writes answers to its standard output; see
`lexiseg.serving.child_process`.

Examples:
    python -m lexiseg.serving.decoding_process LIMIT_BYTES
"""

from __future__ import annotations

import sys
from pathlib import Path

from lexiseg.clinic.facts import ImageFacts
from lexiseg.clinic.view import View
from lexiseg.data.decoded_image import decode_with_facts
from lexiseg.data.grey import grey_of
from lexiseg.errors import DataError, LexisegError
from lexiseg.extras import is_installed
from lexiseg.json_records import Record
from lexiseg.serving.child_process import ChildAnswer, answer_requests, limit_memory
from lexiseg.serving.declared_size import check_declared_size


class DecodingRequest(Record):
    """What is to be decoded; the bytes of the file follow.

    Attributes:
        name: Name of the file, for messages.
        view: The window and the frame of a DICOM file.
        pixels: Most pixels of the image.
        frames: Most frames of a DICOM file.
    """

    name: str
    view: View
    pixels: int
    frames: int


class DecodingAnswer(ChildAnswer):
    """What was decoded; the pixels follow.

    Attributes:
        shape: Rows, columns and channels of the pixels; one channel for a grey file.
        facts: What a DICOM file says about its image.
        orientation: EXIF orientation of the file, 1 to 8.
    """

    shape: tuple[int, int, int] = (0, 0, 3)
    facts: ImageFacts | None = None
    orientation: int = 1


def main() -> None:
    """Decode one image after the other until the standard input ends."""
    limit_memory(int(sys.argv[1]))
    if is_installed("pydicom"):  # takes a second, which the first DICOM file should not wait
        import lexiseg.clinic.image  # noqa: F401
    answer_requests(DecodingRequest, _decode)


def _decode(request: DecodingRequest, content: bytes) -> tuple[DecodingAnswer, bytes]:
    path = Path(request.name)
    try:
        check_declared_size(content, path, request.view, pixels=request.pixels, frames=request.frames)
        image = decode_with_facts(content, path, request.view)
    except LexisegError as error:
        return DecodingAnswer.of_error(error), b""
    except MemoryError:
        refused = DataError(
            f"{path} needs more memory than the server gives to one image. Save it with fewer pixels, or "
            "without compression.",
            code="LEX-DATA-1100",
        )
        return DecodingAnswer.of_error(refused), b""
    grey = grey_of(image.pixels)
    pixels = image.pixels if grey is None else grey[..., None]
    height, width, channels = pixels.shape
    answer = DecodingAnswer(shape=(height, width, channels), facts=image.facts, orientation=image.orientation)
    return answer, pixels.tobytes()


if __name__ == "__main__":
    main()
