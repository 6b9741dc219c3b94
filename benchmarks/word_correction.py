"""What a corrected word does to a mask: Dice with true, with partly said, and with false words.

    python benchmarks/word_correction.py RUN DATA [--split val] [--seed 0]

The words of the report sheet stand for a person. Rows: the model's own mask; all words of the sheet said;
only those said that the model has wrong; one false phrase about a place said. Columns: mean per-case Dice and
its difference to the first row, with the 95 % interval of a bootstrap over patients; the smallest tercile of
lesions; the cases in which the model has a zone wrong; the mean expected Dice; the share that is flagged. The
last line is the time that a refinement takes after the prediction.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from machine import describe_machine

import lexiseg
from lexiseg.data import open_dataset
from lexiseg.data.readers import read_image, read_mask
from lexiseg.data.sample import Sample
from lexiseg.evaluation.scores.statistics import paired_difference, size_terciles
from lexiseg.inference.result import Prediction
from lexiseg.mask_overlap import mean_dice
from lexiseg.words.description import UNKNOWN
from lexiseg.words.reading.reports import parse_sheet
from lexiseg.words.zones import place_factors

Indices = tuple[int, ...]


@dataclass
class Row:
    """One way of saying words: its figures per case; NaN where nothing is expected."""

    dice: list[float] = field(default_factory=list)
    expected: list[float] = field(default_factory=list)
    flagged: list[bool] = field(default_factory=list)

    def add(self, dice: float, expected: float | None, flagged: bool) -> None:
        """Add a case."""
        self.dice.append(dice)
        self.expected.append(float("nan") if expected is None else expected)
        self.flagged.append(flagged)


@dataclass
class Study:
    """All cases of a split."""

    rows: dict[str, Row]
    area: list[float] = field(default_factory=list)
    zone_wrong: list[bool] = field(default_factory=list)
    patients: list[str | None] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)


def said_words(
    predictor: lexiseg.Predictor, found: Prediction, true: Indices, rng: np.random.Generator
) -> dict[str, Indices]:
    """Return what is said of a case in each row but the first."""
    vocabulary = predictor.run.spoken_vocabulary
    assert vocabulary is not None
    retrieved = [word.index for word in found.words]
    wrong = tuple(t if t not in (UNKNOWN, r) else UNKNOWN for t, r in zip(true, retrieved, strict=True))
    place = vocabulary.names.index(str(rng.choice(place_factors(vocabulary))))
    others = [i for i in range(len(vocabulary.factors[place].phrases)) if i != true[place]]
    false = [UNKNOWN] * len(true)
    false[place] = int(rng.choice(others))
    return {
        "all true words": true,
        "true words where the model is wrong": wrong,
        "one false place": tuple(false),
    }


def run_study(
    predictor: lexiseg.Predictor,
    samples: Sequence[Sample],
    words: Sequence[Indices],
    read: Callable[[Sample], npt.NDArray[np.uint8]],
    classes: int,
    seed: int,
) -> Study:
    """Refine every case in every row."""
    rng = np.random.default_rng(seed)
    names = ("model", "all true words", "true words where the model is wrong", "one false place")
    study = Study(rows={name: Row() for name in names})
    vocabulary = predictor.run.spoken_vocabulary
    assert vocabulary is not None
    places = [vocabulary.names.index(name) for name in place_factors(vocabulary)]
    for sample, true, (_, found) in zip(
        samples, words, predictor.predict_paths([s.image for s in samples]), strict=True
    ):
        assert isinstance(found, Prediction)
        truth, image = read(sample), read_image(sample.image)
        plain = mean_dice(found.mask, truth, classes)
        study.rows["model"].add(plain, found.expected_dice, found.flagged)
        study.patients.append(sample.patient)
        study.area.append(float((truth > 0).mean()))
        study.zone_wrong.append(any(true[p] not in (UNKNOWN, found.words[p].index) for p in places))
        for name, indices in said_words(predictor, found, true, rng).items():
            say = {
                f.name: f.phrases[i] for f, i in zip(vocabulary.factors, indices, strict=True) if i != UNKNOWN
            }
            try:
                start = time.perf_counter()
                done = lexiseg.refine(predictor, image, say=say, prediction=found)
                study.seconds.append(time.perf_counter() - start)
            except lexiseg.LexisegError:  # nothing to say, or nothing that names a place
                study.rows[name].add(plain, found.expected_dice, found.flagged)
                continue
            study.rows[name].add(mean_dice(done.mask, truth, classes), done.expected_dice, done.flagged)
    return study


def print_study(study: Study, seed: int) -> None:
    """Print the table."""
    area, wrong = np.array(study.area), np.array(study.zone_wrong)
    cuts = size_terciles([a for a in area if a > 0])
    small = (area > 0) & (area <= cuts[0])
    plain = np.array(study.rows["model"].dice)
    print(f"{len(area)} cases; the model has a zone wrong in {100 * wrong.mean():.1f} % of them")
    print(
        "| words said | Dice | difference (95 %) | smallest tercile | zones wrong | expected Dice | flagged |"
    )
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for name, row in study.rows.items():
        dice = np.array(row.dice)
        change = dice - plain
        low, high = paired_difference(dice, plain, study.patients, seed=seed).ci95
        expected = "-" if np.isnan(row.expected).all() else f"{np.nanmean(row.expected):.3f}"
        print(
            f"| {name} | {dice.mean():.4f} | {change.mean():+.4f} ({low:+.4f} to {high:+.4f}) | "
            f"{dice[small].mean():.4f} ({change[small].mean():+.4f}) | {dice[wrong].mean():.4f} "
            f"({change[wrong].mean():+.4f}) | {expected} | {100 * np.mean(row.flagged):.1f} % |"
        )
    print(
        f"A refinement takes {1000 * statistics.median(study.seconds):.1f} ms (median) after the prediction."
    )


def main() -> None:
    """Parse the arguments, refine all cases, print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run")
    parser.add_argument("data")
    parser.add_argument("--split", default="val", choices=("val", "test"))
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    print(f"{describe_machine()}; {options.run}, split {options.split}, seed {options.seed}")
    index = open_dataset(options.data)
    predictor = lexiseg.load(options.run)
    vocabulary = predictor.run.spoken_vocabulary
    if vocabulary is None:
        parser.error(f"{options.run} names no words")
    samples = [s for s in index.split(options.split) if s.mask is not None and s.report]
    sheet = parse_sheet({s.id: s.report or "" for s in samples}, vocabulary, side=predictor.run.side)

    def read(sample: Sample) -> npt.NDArray[np.uint8]:
        assert sample.mask is not None
        return read_mask(sample.mask, index.coding)

    words = [sheet.descriptions[s.id].indices for s in samples]
    print_study(run_study(predictor, samples, words, read, index.num_classes, options.seed), options.seed)


if __name__ == "__main__":
    main()
