"""A procedural phantom data set: chest-like images with lesions, exact masks and true report sentences.

With it, `make demo`, tests and benchmarks run without patient data. It is not a model of anatomy: results on
it show that the software works, and say nothing about clinical performance.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from PIL import Image
from scipy import ndimage

from lexiseg.data.phantom_anatomy import Anatomy, draw_anatomy, render_chest
from lexiseg.data.phantom_lesions import draw_lesions, render_lesions
from lexiseg.data.readers import write_mask
from lexiseg.data.sample import SPLITS, Split
from lexiseg.data.splits import SPLITS_FILE
from lexiseg.errors import UsageError
from lexiseg.files import atomic_path, refuse_blocked, write_json, write_text
from lexiseg.renamed_arguments import renamed
from lexiseg.words.measure import measure
from lexiseg.words.vocabulary import load_vocabulary

_VOCABULARY = "chest"
_NUMBER_WORDS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_MIN_SIZE = 64

#: Images per patient are 1 or 2: this share of patients has a second exam.
_SECOND_EXAM = 0.3


@dataclass(frozen=True, kw_only=True)
class PhantomCase:
    """One phantom image with its ground truth.

    Attributes:
        name: File name without extension, in the style of `cxr_s00012-e1-r1`, which contains the patient.
        split: Its split.
        image: (H, W) uint8.
        labels: (H, W) uint8, 0 for the background.
        report: A sentence in the published grammar that describes `labels`, in the image's side convention.
    """

    name: str
    split: Split
    image: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.uint8]
    report: str


@renamed(folder="out")
def write_phantom(
    out: str | Path,
    *,
    num_train: int,
    num_val: int,
    num_test: int,
    size: int = 224,
    seed: int = 0,
    classes: int = 1,
) -> None:
    """Write a phantom data set.

    With one class it has the layout of the published COVID-Xray
    (`Train_Folder/{img,labelcol,Train_text.xlsx}`, ...); with two classes that of Lexiseg (`images/ masks/
    reports.csv splits.json`), with masks of 0, 1 (diffuse opacities) and 2 (nodules).

    Args:
        out: The folder to create; it may exist if it is empty.
        num_train: Number of training images.
        num_val: Number of validation images.
        num_test: Number of test images.
        size: Rows and columns of each image, at least 64.
        seed: The same seed gives the same images and sentences.
        classes: Number of lesion classes, 1 or 2.

    Raises:
        UsageError: A number is out of range, or the folder is not empty or is a file.
        DiskError: There is no space, or no permission.
    """
    folder = Path(out)
    if folder.is_dir() and any(folder.iterdir()):
        raise UsageError(
            f"{folder} is not empty. Give a new folder for the phantom data set.", code="LEX-USE-004"
        )
    refuse_blocked(folder)
    numbers: dict[Split, int] = {"train": num_train, "val": num_val, "test": num_test}
    cases = make_phantom(numbers, size=size, seed=seed, classes=classes)
    if classes == 1:
        _write_published(folder, cases)
        kinds = "{0: background, 255: opacity}"
    else:
        _write_folders(folder, cases)
        kinds = "{0: background, 1: opacity, 2: nodule}"
    write_text(
        folder / "dataset.yaml",
        f"name: phantom (seed {seed})\nvocabulary: {_VOCABULARY}\nside: image\nclasses: {kinds}\n",
        private=False,
    )


def make_phantom(
    numbers: dict[Split, int], *, size: int, seed: int, classes: int = 1
) -> Iterator[PhantomCase]:
    """Yield phantom cases split by split; see `write_phantom` for the arguments.

    Each patient has its own anatomy and random generator, seeded by `seed`, split and number, so a case does
    not depend on the number of other cases.

    Raises:
        UsageError: A number is out of range.
    """
    if size < _MIN_SIZE:
        raise UsageError(
            f"Phantom images must be at least {_MIN_SIZE} pixels wide, got {size}.", code="LEX-USE-005"
        )
    if classes not in (1, 2):
        raise UsageError(f"Phantom data sets have 1 or 2 lesion classes, got {classes}.", code="LEX-USE-006")
    if any(number < 0 for number in numbers.values()) or not sum(numbers.values()):
        raise UsageError(
            f"Expected numbers of images from 0 up, not all 0; got {numbers}.", code="LEX-USE-007"
        )
    return _cases(numbers, size, seed, classes)


def _cases(numbers: dict[Split, int], size: int, seed: int, classes: int) -> Iterator[PhantomCase]:
    for split in SPLITS:
        made = patient = 0
        while made < numbers.get(split, 0):
            rng = np.random.default_rng((seed, SPLITS.index(split), patient))
            anatomy = draw_anatomy(rng)
            exams = 2 if rng.random() < _SECOND_EXAM else 1
            for exam in range(1, min(exams, numbers[split] - made) + 1):
                name = f"phantom_s{SPLITS.index(split) + 1}{patient:05d}-e{exam}-r1"
                yield _case(rng, name, split, anatomy, size, classes)
                made += 1
            patient += 1


def _case(
    rng: np.random.Generator, name: str, split: Split, anatomy: Anatomy, size: int, classes: int
) -> PhantomCase:
    """Draw one image of a patient, with at least one lesion."""
    chest = render_chest(rng, anatomy, size)
    lesions = draw_lesions(rng, classes)
    density, labels = render_lesions(rng, lesions, chest)
    image = chest.expose(rng, density)
    return PhantomCase(name=name, split=split, image=image, labels=labels, report=report_sentence(labels))


def report_sentence(labels: npt.NDArray[np.uint8]) -> str:
    """Return a sentence that describes a mask in the published grammar, in the image's side convention.

    Example: "Bilateral pulmonary infection, two infected areas, all left lung and middle lower right lung."

    Args:
        labels: (H, W) labels with at least one lesion; all labels are treated alike.
    """
    vocabulary = load_vocabulary(_VOCABULARY)
    phrases = measure(labels, vocabulary, side="image").phrases
    # The vocabulary states one or many, without specks; a sentence states the number.
    regions = ndimage.label(labels, structure=np.ones((3, 3)))[1]
    count = 1 if phrases["count"] == "one infected area" else max(2, regions)
    number = _NUMBER_WORDS[count] if count < len(_NUMBER_WORDS) else str(count)
    places = [phrases[side] or "" for side in ("left", "right")]
    lungs = [
        place.replace("upper middle lower", "all") for place in places if not place.startswith("no lesion")
    ]
    sentence = (
        f"{phrases['laterality']}, {number} infected area{'s' if count > 1 else ''}, {' and '.join(lungs)}."
    )
    return sentence[0].upper() + sentence[1:]


def _write_published(folder: Path, cases: Iterator[PhantomCase]) -> None:
    rows: dict[Split, list[tuple[str, str]]] = {}
    for case in cases:
        place = folder / f"{case.split.title()}_Folder"
        _write_image(place / "img" / f"{case.name}.png", case.image)
        write_mask(place / "labelcol" / f"mask_{case.name}.png", case.labels)
        rows.setdefault(case.split, []).append((f"mask_{case.name}.png", case.report))
    for split, of_split in rows.items():
        path = folder / f"{split.title()}_Folder" / f"{split.title()}_text.xlsx"
        with atomic_path(path, private=False) as beside:
            pd.DataFrame(of_split, columns=["Image", "Description"]).to_excel(beside, index=False)


def _write_folders(folder: Path, cases: Iterator[PhantomCase]) -> None:
    rows: list[tuple[str, str]] = []
    splits: dict[str, list[str]] = {split: [] for split in SPLITS}
    for case in cases:
        _write_image(folder / "images" / f"{case.name}.png", case.image)
        write_mask(folder / "masks" / f"{case.name}.png", case.labels, num_classes=3)
        rows.append((f"{case.name}.png", case.report))
        splits[case.split].append(case.name)
    with atomic_path(folder / "reports.csv", private=False) as beside:
        pd.DataFrame(rows, columns=["image", "description"]).to_csv(beside, index=False)
    write_json(folder / SPLITS_FILE, splits, private=False)


def _write_image(path: Path, image: npt.NDArray[np.uint8]) -> None:
    with atomic_path(path, private=False) as beside:
        Image.fromarray(image).save(beside, compress_level=1)
