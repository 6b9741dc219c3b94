"""Print how many images of other kinds a run flags as unlike its training images, and how many of its own.

    python benchmarks/unlike_images.py RUN DATA [--split test] [--images endoscopy=FOLDER ...]

Other kinds: pictures that come with scikit-image (tissue, retina, photographs, moon and cells) and pydicom
(CT slices, ultrasound, MR), noise, and inverted radiographs of DATA. Of each picture random parts are cut,
mirrored and changed in brightness (seed 0), as there are few pictures of a kind. `--images` adds a folder of
pictures as a kind. The limits of the run were chosen on validation images; no figure here changes them.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pydicom
from machine import describe_machine
from PIL import Image
from pydicom.pixels import apply_color_lut
from skimage import data as pictures

import lexiseg
from lexiseg.data import open_dataset
from lexiseg.data.readers import read_image
from lexiseg.inference.predictor import Predictor

Pixels = npt.NDArray[np.uint8]

_PER_KIND = 48
_BATCH = 8
# Windows of CT in Hounsfield units, (centre, width): soft tissue, lung, bone.
_WINDOWS = ((40, 400), (-600, 1500), (300, 1500))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run")
    parser.add_argument("data", type=Path)
    parser.add_argument("--split", default="test", choices=("val", "test"))
    parser.add_argument("--images", action="append", default=[], metavar="KIND=FOLDER")
    options = parser.parse_args()
    print(describe_machine())
    predictor = lexiseg.load(options.run)
    samples = open_dataset(options.data).split(options.split)
    print(f"{'kind':34}{'images':>8}{'unlike':>9}{'flagged':>9}{'with a Dice':>13}")
    for kind, images in kinds(options.images):
        print_row(predictor, kind, images)
    some = [read_image(sample.image) for sample in samples[:: max(1, len(samples) // 200)]]
    print_row(predictor, "inverted radiographs", [255 - image for image in some])
    print_row(predictor, "upside down radiographs", [np.ascontiguousarray(image[::-1]) for image in some])
    print_own(predictor, options.split, [sample.image for sample in samples])


def print_row(predictor: Predictor, kind: str, images: Sequence[Pixels]) -> None:
    unlike = flagged = expected = 0
    for start in range(0, len(images), _BATCH):
        for prediction in predictor.predict_arrays(images[start : start + _BATCH]):
            unlike += bool(prediction.unlike_training_images)
            flagged += prediction.flagged
            expected += prediction.expected_dice is not None
    shares = "".join(f"{100 * n / len(images):>7.1f} %" for n in (unlike, flagged))
    print(f"{kind:34}{len(images):>8}{shares}{expected:>13}")


def print_own(predictor: Predictor, split: str, files: Sequence[Path]) -> None:
    """Print how many images of the data are flagged with and without the comparison."""
    rule = None if predictor.calibration is None else predictor.calibration.review
    before = after = unlike = 0
    for _, prediction in predictor.predict_paths(files):
        if isinstance(prediction, Exception):
            raise prediction
        low = rule is not None and rule.expected_dice(prediction.signals) < rule.below
        share = prediction.agreement
        if rule is None:
            low = share is not None and share < predictor.run.manifest.review_below
        before += low
        after += prediction.flagged
        unlike += bool(prediction.unlike_training_images)
    percent = [f"{100 * n / len(files):.2f} %" for n in (unlike, before, after, after - before)]
    print(
        f"{split} images of the data: {len(files)}; unlike {percent[0]}; flagged without the comparison "
        f"{percent[1]}, with it {percent[2]}: {percent[3]} more"
    )


def kinds(folders: Sequence[str]) -> Iterator[tuple[str, list[Pixels]]]:
    """Yield the kinds of images by name."""
    photographs = [pictures.astronaut(), pictures.chelsea(), pictures.coffee(), pictures.rocket()]
    ultrasound = list(_ultrasound())
    yield "stained tissue", parts([pictures.immunohistochemistry()], 1, least=0.3)
    yield "stained tissue in grey", parts([_grey(pictures.immunohistochemistry())], 1, least=0.3)
    yield "retina in colour", parts([pictures.retina()], 2)
    yield "photographs", parts(photographs, 3)
    grey = [*map(_grey, photographs), _rgb(pictures.camera()), _rgb(pictures.coins())]
    yield "photographs in grey", parts(grey, 4)
    yield (
        "moon, cells, retina in grey",
        parts([_rgb(pictures.moon()), _rgb(pictures.cell()), _rgb(pictures.microaneurysms())], 5),
    )
    yield "pages of text", parts([_rgb(pictures.page()), _rgb(pictures.text())], 6)
    yield "CT slices", parts(list(_ct()), 7, least=0.7)
    yield "MR slices", parts(list(_mr()), 8, least=0.7)
    yield "ultrasound", parts(ultrasound, 9, least=0.7)
    yield "ultrasound in grey", parts([_grey(image) for image in ultrasound], 9, least=0.7)
    yield "noise", list(_noise())
    yield "even grey", [np.full((224, 224, 3), level, np.uint8) for level in range(0, 256, 15)]
    for named in folders:
        kind, _, folder = named.partition("=")
        found = [read_image(file) for file in sorted(Path(folder).iterdir())]
        yield kind, parts(found, 10)
        yield f"{kind} in grey", parts([_grey(image) for image in found], 10)


def parts(images: Sequence[Pixels], seed: int, *, least: float = 0.4) -> list[Pixels]:
    """Return random parts of images, mirrored and changed in brightness at random.

    Args:
        images: `(H, W, 3)` each; all are used equally often.
        seed: Seed.
        least: Least side of a part, as a share of the image's.
    """
    rng = np.random.default_rng([0, seed])
    found = []
    for number in range(_PER_KIND):
        image = images[number % len(images)]
        share = rng.uniform(least, 1.0)
        rows, columns = int(image.shape[0] * share), int(image.shape[1] * share)
        top, left = rng.integers(0, image.shape[0] - rows + 1), rng.integers(0, image.shape[1] - columns + 1)
        part = image[top : top + rows, left : left + columns]
        part = part[:, ::-1] if rng.random() < 0.5 else part
        gamma = rng.uniform(0.8, 1.25)
        found.append((255 * (part / 255) ** gamma).round().astype(np.uint8))
    return found


def _noise() -> Iterator[Pixels]:
    rng = np.random.default_rng([0, 11])
    for number in range(_PER_KIND):
        side = int(rng.integers(100, 400))
        if number % 4 == 0:
            yield rng.integers(0, 256, (side, side, 3), dtype=np.uint8)
        elif number % 4 == 1:
            yield _rgb(rng.integers(0, 256, (side, side), dtype=np.uint8))
        elif number % 4 == 2:
            yield _rgb(np.clip(rng.normal(128, 40, (side, side)), 0, 255).astype(np.uint8))
        else:
            coarse = Image.fromarray(rng.integers(0, 256, (8, 8), dtype=np.uint8))
            yield _rgb(np.array(coarse.resize((side, side), Image.Resampling.BICUBIC)))


def _ct() -> Iterator[Pixels]:
    for name in ("CT_small.dcm", "693_J2KI.dcm", "J2K_pixelrep_mismatch.dcm"):
        file, values = _dicom(name)
        hounsfield = values * float(file.get("RescaleSlope", 1)) + float(file.get("RescaleIntercept", 0))
        for centre, width in _WINDOWS:
            shown = np.clip((hounsfield - centre) / width + 0.5, 0, 1)
            yield _rgb((255 * shown).astype(np.uint8))


def _mr() -> Iterator[Pixels]:
    for name in ("examples_overlay.dcm", "MR_small.dcm"):
        _, values = _dicom(name)
        yield _rgb((255 * np.clip(values / np.percentile(values, 99.5), 0, 1)).astype(np.uint8))


def _ultrasound() -> Iterator[Pixels]:
    for name in ("examples_rgb_color.dcm", "examples_palette.dcm", "examples_jpeg2k.dcm"):
        file, values = _dicom(name)
        if file.PhotometricInterpretation == "PALETTE COLOR":
            values = apply_color_lut(values, file)
        scaled = values if values.dtype == np.uint8 else values / 256
        yield scaled[..., :3].astype(np.uint8)
    yield from _dicom("examples_ybr_color.dcm")[1][::6]


def _dicom(name: str) -> tuple[pydicom.Dataset, npt.NDArray[np.generic]]:
    file = pydicom.dcmread(Path(pydicom.__file__).parent / "data" / "test_files" / name)
    return file, file.pixel_array


def _rgb(image: npt.NDArray[np.uint8]) -> Pixels:
    return np.repeat(image[:, :, None], 3, axis=2) if image.ndim == 2 else image[:, :, :3]


def _grey(image: npt.NDArray[np.uint8]) -> Pixels:
    return _rgb(np.array(Image.fromarray(_rgb(image)).convert("L")))


if __name__ == "__main__":
    main()
