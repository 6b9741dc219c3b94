"""Write the image of the self-test with its expected mask and words: `python docs/make_self_test.py`.

Run it when the first model that comes with Lexiseg changes.
"""

from __future__ import annotations

import numpy as np
from PIL import Image

import lexiseg
from lexiseg.data.phantom import make_phantom
from lexiseg.installation.expectation import FOLDER, IMAGE_FILE, MASK_FILE, WORDS_FILE, ExpectedWords
from lexiseg.json_records import write_record
from lexiseg.runs.shipped import model_names

_SIZE = 224


def main() -> None:
    """Draw the image and predict it."""
    (case,) = make_phantom({"train": 1}, size=_SIZE, seed=0)
    name = model_names()[0]
    found = lexiseg.load(name, engine="onnx").predict(np.repeat(case.image[..., None], 3, axis=2))
    FOLDER.mkdir(exist_ok=True)
    Image.fromarray(case.image).save(FOLDER / IMAGE_FILE, optimize=True)
    Image.fromarray(found.mask > 0).save(FOLDER / MASK_FILE, optimize=True)
    words = ExpectedWords(model=name, phrases=tuple(word.phrase for word in found.words))
    write_record(FOLDER / WORDS_FILE, words)


if __name__ == "__main__":
    main()
