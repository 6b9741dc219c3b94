"""Measure how the time of a prediction grows: with images, pixels, classes, phrases and lesions.

    python benchmarks/cost_curves.py [RUN] [--repeats 5] [--images 8 16 32 64] [--sides 256 512 1024 2048]

For each size, the median time of some repeats is printed, and the exponent of a power that is fitted to them:
time = a * size ** exponent. An exponent of 1 means that twice the size takes twice the time, and 0 that the
size does not matter. At the end it says how long two large collections take at the measured rate.

Images: files to mask files. Pixels: one image in memory, by its number of pixels. Classes: scores to labels
and probabilities on the grid of a 512 x 512 image. Phrases: the scores of a bank with so many phrases.
Lesions: the words that are measured on a mask with so many regions.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
import numpy.typing as npt
from machine import describe_machine
from PIL import Image

import lexiseg
from lexiseg.engines.grid import foreground_probability, resize_scores
from lexiseg.words.measure import measure

#: Collections for the estimate: name and number of images.
COLLECTIONS = (("MIMIC-CXR", 377_000), ("a billion images", 1_000_000_000))
#: Width of the embeddings of a text bank.
_EMBEDDING = 384
_GRID = 512


@dataclass(frozen=True)
class Curve:
    """Times by size.

    Attributes:
        name: What grows.
        sizes: The sizes.
        seconds: Median time for each.
    """

    name: str
    sizes: tuple[int, ...]
    seconds: tuple[float, ...]

    @property
    def exponent(self) -> float:
        """The exponent of the power that fits best, by least squares of the logarithms."""
        return float(np.polyfit(np.log(self.sizes), np.log(self.seconds), 1)[0])

    @property
    def row(self) -> str:
        """A row of a table."""
        times = ", ".join(f"{size}: {1000 * s:.3g}" for size, s in zip(self.sizes, self.seconds, strict=True))
        return f"| {self.name} | {times} | {self.exponent:.2f} |"


def timed(work: Callable[[], object], repeats: int) -> float:
    """Return the median time of some repeats, after one that does not count."""
    work()
    times = []
    for _ in range(repeats):
        begun = time.perf_counter()
        work()
        times.append(time.perf_counter() - begun)
    return median(times)


def curve(
    name: str, sizes: Sequence[int], make: Callable[[int], Callable[[], object]], repeats: int
) -> Curve:
    """Return the times of the work that `make` returns for each size."""
    return Curve(name, tuple(sizes), tuple(timed(make(size), repeats) for size in sizes))


def noise(side: int, seed: int = 0) -> npt.NDArray[np.uint8]:
    """Return a grey image of smooth noise, `(side, side, 3)`."""
    small = np.random.default_rng(seed).integers(0, 255, (16, 16), dtype=np.uint8)
    return np.asarray(Image.fromarray(small).resize((side, side)).convert("RGB"))


def of_images(predictor: lexiseg.Predictor, folder: Path) -> Callable[[int], Callable[[], object]]:
    """Files to mask files, by their number."""

    def make(count: int) -> Callable[[], object]:
        place = folder / str(count)
        place.mkdir()
        for number in range(count):
            Image.fromarray(noise(224, number)).save(place / f"{number}.png")
        targets = lexiseg.find_targets([place])
        return lambda: lexiseg.predict_to_files(predictor, targets, folder / f"out-{count}")

    return make


def of_pixels(predictor: lexiseg.Predictor) -> Callable[[int], Callable[[], object]]:
    """One image in memory, by its number of pixels."""

    def make(pixels: int) -> Callable[[], object]:
        image = noise(round(pixels**0.5))
        return lambda: predictor.predict(image)

    return make


def of_classes(classes: int) -> Callable[[], object]:
    """Scores to labels and probabilities on the grid of an image, by the number of classes."""
    shape = (1, classes + 1, 112, 112)
    scores = np.random.default_rng(0).normal(size=shape).astype(np.float32)

    def work() -> object:
        found = resize_scores(scores, (_GRID, _GRID))[0]
        return found.argmax(axis=0), foreground_probability(found)

    return work


def of_phrases(phrases: int) -> Callable[[], object]:
    """The scores of all phrases of a bank for one image."""
    rng = np.random.default_rng(0)
    bank = rng.normal(size=(phrases, _EMBEDDING)).astype(np.float32)
    image = rng.normal(size=_EMBEDDING).astype(np.float32)
    return lambda: np.argsort(-(bank @ image))


def of_lesions(predictor: lexiseg.Predictor) -> Callable[[int], Callable[[], object]]:
    """The words that are measured on a mask, by its number of regions."""
    vocabulary = predictor.run.spoken_vocabulary
    assert vocabulary is not None, "choose a run that names words"

    def make(lesions: int) -> Callable[[], object]:
        mask = np.zeros((_GRID, _GRID), np.uint8)
        for y, x in _places(lesions):
            mask[y : y + 4, x : x + 4] = 1
        image = noise(_GRID)
        return lambda: measure(mask, vocabulary, image=image, side=predictor.run.side)

    return make


def _places(count: int) -> Iterator[tuple[int, int]]:
    """Yield the corners of regions that do not touch."""
    across = _GRID // 8
    for number in range(count):
        yield 8 * (number // across), 8 * (number % across)


def estimate(images: Curve) -> Iterator[str]:
    """Yield a sentence per collection, by the rate of the largest measured number of images."""
    rate = images.sizes[-1] / images.seconds[-1]
    for name, count in COLLECTIONS:
        hours = count / rate / 3600
        yield f"{name} ({count:,}) at {rate:.1f} images/s: {hours:,.1f} hours of one such machine."


def main() -> None:
    """Parse the arguments, measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", nargs="?", default="covid-xray")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--images", type=int, nargs="+", default=[8, 16, 32, 64])
    parser.add_argument("--sides", type=int, nargs="+", default=[256, 512, 1024, 2048])
    parser.add_argument("--classes", type=int, nargs="+", default=[1, 2, 4, 8, 16])
    parser.add_argument("--phrases", type=int, nargs="+", default=[100, 1000, 10_000, 100_000])
    parser.add_argument("--lesions", type=int, nargs="+", default=[4, 16, 64, 256, 1024])
    options = parser.parse_args()
    print(describe_machine(), flush=True)
    predictor = lexiseg.load(options.run)
    print(f"Engine: {predictor.engine.description}.", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        images = curve("images", options.images, of_images(predictor, Path(folder)), options.repeats)
    pixels = [side * side for side in options.sides]
    curves = [
        images,
        curve("pixels", pixels, of_pixels(predictor), options.repeats),
        curve("classes", options.classes, of_classes, options.repeats),
        curve("phrases", options.phrases, of_phrases, options.repeats),
        curve("lesions", options.lesions, of_lesions(predictor), options.repeats),
    ]
    print("| what grows | milliseconds by size | exponent |\n| --- | --- | --- |")
    print("\n".join(found.row for found in curves))
    print("\n".join(estimate(images)))


if __name__ == "__main__":
    main()
