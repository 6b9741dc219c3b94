"""What the self-test expects: a drawn image, and its mask and words by a model that comes with Lexiseg.

`python docs/make_self_test.py` writes the files. As they are stored, one installed engine alone can be
tested, and no other package draws the image.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from lexiseg.json_records import Record, read_record

#: The folder of the files.
FOLDER = Path(__file__).parent / "expected"
IMAGE_FILE, MASK_FILE, WORDS_FILE = "image.png", "mask.png", "words.json"


class ExpectedWords(Record):
    """What the model retrieves for the image.

    Attributes:
        model: Name of the model that comes with Lexiseg.
        phrases: The phrase of each factor, in the order of its vocabulary.
    """

    model: str
    phrases: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Expectation:
    """The image of the self-test, with its expected prediction.

    Attributes:
        image: (H, W, 3) uint8.
        mask: (H, W) bool.
        words: The words, and the model.
    """

    image: npt.NDArray[np.uint8]
    mask: npt.NDArray[np.bool_]
    words: ExpectedWords


def expectation() -> Expectation:
    """Return the expectation that comes with Lexiseg.

    Raises:
        DataError: Its record is damaged.
        OSError: One of its pictures is missing or damaged.
    """
    with Image.open(FOLDER / IMAGE_FILE) as grey, Image.open(FOLDER / MASK_FILE) as mask:
        return Expectation(
            image=np.asarray(grey.convert("RGB")),
            mask=np.asarray(mask) > 0,
            words=read_record(
                FOLDER / WORDS_FILE, ExpectedWords, remedy="Install Lexiseg again: its files are damaged."
            ),
        )
