"""Print how well `lexiseg data check --with RUN` finds masks and reports that were made wrong.

    python benchmarks/wrong_data.py RUN DATA [--split val] [--share 0.1] [--seed 0]

In a share of the cases, drawn with the seed, one lesion of the mask is removed (a component with at least a
tenth of the lesion's area), or the report is exchanged for that of another patient that says something else,
or left and right of a report that is not symmetric are swapped. AUROC is the probability that a wrong case
has a larger sign than another one, once with all of the sign, once without the comparison of report and mask.
Precision is the share of wrong cases among the first 50 by the sign. The last line has all three errors at
once, in a twentieth of the cases each, ranked together as the command does. Where patients are not known,
each image counts as a patient of its own.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from machine import describe_machine
from scipy.ndimage import label
from scipy.stats import rankdata

import lexiseg
from lexiseg.data import DatasetIndex, Sample, open_dataset
from lexiseg.data.decoded_image import DecodedImage
from lexiseg.data.readers import read_image_with_facts, read_mask
from lexiseg.errors import LexisegError
from lexiseg.evaluation.scores.retrieval import References
from lexiseg.evaluation.suspicions.case_check import case_findings
from lexiseg.evaluation.suspicions.ranking import CaseFindings, rank
from lexiseg.evaluation.suspicions.signs import KINDS, Expectation, Kind
from lexiseg.inference.predictor import Predictor
from lexiseg.words.flips import flip
from lexiseg.words.measure import measure_indices

_FIRST = 50
_ALL_AT_ONCE = 0.05
_LEAST_SHARE = 0.1
#: What makes an error possible.
_NEEDED: dict[Kind, str] = {
    "missing lesion": "A mask needs a lesion.",
    "other report": "Reports need to say different things of different patients.",
    "swapped sides": "A report needs to name a side.",
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Case:
    """One case with everything that its signs are made of."""

    sample: Sample
    image: DecodedImage
    given: npt.NDArray[np.uint8]
    told: tuple[int, ...]
    measured: tuple[int, ...]
    expectation: Expectation


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run")
    parser.add_argument("data", type=Path)
    parser.add_argument("--split", default="val", choices=("train", "val", "test"))
    parser.add_argument("--share", type=float, default=0.1)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    print(describe_machine())
    predictor = lexiseg.load(options.run)
    index = open_dataset(options.data)
    references = References(
        kind="reports", vocabulary=predictor.run.spoken_vocabulary, side=predictor.run.side,
        data_side=index.side,
    )  # fmt: skip
    cases = read_cases(predictor, index, references, index.split(options.split))
    print(f"{options.split} images with mask and report: {len(cases)}; seed {options.seed}")
    print(f"{'error':18}{'wrong':>7}{'AUROC':>9}{'without report and mask':>26}{'precision of 50':>18}")
    for number, kind in enumerate(("missing lesion", "other report", "swapped sides")):
        rng = np.random.default_rng([options.seed, number])
        changed, wrong = inject(cases, kind, options.share, rng, references)
        signs = signs_of(changed, kind, references)
        alone = signs_of(changed, kind, references, compare=False)
        known = ~np.isnan(signs)
        first = np.argsort(-np.where(known, signs, -np.inf), kind="stable")[:_FIRST]
        print(
            f"{kind:18}{wrong.sum():>7}{auroc(signs[known], wrong[known]):>9.3f}"
            f"{auroc(alone[known], wrong[known]):>26.3f}{wrong[first].mean():>18.2f}"
        )
    print_together(cases, references, index, options.seed)


def print_together(cases: Sequence[Case], references: References, index: DatasetIndex, seed: int) -> None:
    """Print how many of the first 50 of one list are wrong, with all errors in the data at once."""
    changed, wrong = list(cases), np.zeros(len(cases), bool)
    for number, kind in enumerate(("missing lesion", "other report", "swapped sides")):
        rng = np.random.default_rng([seed, 10 + number])
        changed, now = inject(changed, kind, _ALL_AT_ONCE, rng, references, leave=wrong)
        wrong = wrong | now
    ids = {case.sample.id for case, is_wrong in zip(changed, wrong, strict=True) if is_wrong}
    ranked = rank([judged(case, references) for case in changed], index)
    first = [case.id in ids for case in ranked[:_FIRST]]
    print(f"all errors at once: {len(ids)} wrong; precision of the first {_FIRST}: {np.mean(first):.2f}")
    unchanged = rank([judged(case, references) for case in cases], index)
    for title, found in (("all errors", ranked), ("the data as they are", unchanged)):
        kinds = ", ".join(
            f"{sum(case.kind == kind for case in found[:_FIRST])} {kind}" for kind in KINDS
        )  # fmt: skip
        print(f"first {_FIRST} of {title}: {kinds}")


def read_cases(
    predictor: Predictor, index: DatasetIndex, references: References, samples: Sequence[Sample]
) -> list[Case]:
    """Predict all samples with a mask and a report that is read in full."""
    samples = [sample for sample in samples if sample.mask is not None and sample.report is not None]
    found = []
    for sample, (_, prediction) in zip(
        samples, predictor.predict_paths([sample.image for sample in samples]), strict=True
    ):
        if isinstance(prediction, LexisegError):
            raise prediction
        image, given = read_image_with_facts(sample.image), read_mask(sample.mask, index.coding)
        expectation = Expectation(
            probability=prediction.probability.sum(axis=0).astype(np.float16).astype(np.float32),
            words=tuple(np.array(word.probabilities) for word in prediction.words),
        )
        told = references.of(sample, given, image.pixels).indices
        if min(told) >= 0:
            measured = measured_on(given, image, references)
            found.append(
                Case(
                    sample=sample, image=image, given=given, told=told, measured=measured,
                    expectation=expectation,
                )
            )  # fmt: skip
    return found


def measured_on(given: npt.NDArray[np.uint8], image: DecodedImage, references: References) -> tuple[int, ...]:
    return measure_indices(
        image.turn.apply(given), references.vocabulary, image=image.displayed, side=references.side
    )


def inject(
    cases: Sequence[Case],
    kind: Kind,
    share: float,
    rng: np.random.Generator,
    references: References,
    *,
    leave: npt.NDArray[np.bool_] | None = None,
) -> tuple[list[Case], npt.NDArray[np.bool_]]:
    """Return the cases with one kind of error in a share of them, and which are wrong.

    Args:
        cases: The cases.
        kind: The error.
        share: Share of the cases that become wrong, where there are enough that can.
        rng: Draws the cases, the lesions and the other reports.
        references: How words are measured.
        leave: Cases that are not changed.

    Raises:
        SystemExit: No case could be made wrong, or none stays right, so there is nothing to compare.
    """
    changed, wrong = list(cases), np.zeros(len(cases), bool)
    for position in rng.permutation(len(cases)):
        if wrong.sum() >= round(share * len(cases)):
            break
        if leave is not None and leave[position]:
            continue
        case = cases[position]
        new = _wrong(case, cases[int(rng.integers(len(cases)))], kind, rng, references)
        if new is not None:
            changed[position], wrong[position] = new, True
    if not 0 < wrong.sum() < len(cases):
        raise SystemExit(
            f"{kind}: {wrong.sum()} of {len(cases)} cases could be made wrong, with a share of {share:g}; "
            f"expected at least one, and one that stays right. {_NEEDED[kind]} Choose other data or --share."
        )
    return changed, wrong


def _wrong(
    case: Case, other: Case, kind: Kind, rng: np.random.Generator, references: References
) -> Case | None:
    """Return a case with an error; None where there is no such error in it."""
    if kind == "missing lesion":
        components, count = label(case.given > 0, structure=np.ones((3, 3)))
        area = np.bincount(components.ravel(), minlength=count + 1)[1:]
        if not count:
            return None
        chosen = rng.choice(np.flatnonzero(area >= _LEAST_SHARE * area.sum())) + 1
        given = np.where(components == chosen, 0, case.given).astype(np.uint8)
        return dataclasses.replace(case, given=given, measured=measured_on(given, case.image, references))
    if kind == "other report":
        patient = case.sample.patient
        same_patient = other is case or (patient is not None and other.sample.patient == patient)
        same = other.told == case.told or same_patient
        return None if same else dataclasses.replace(case, told=other.told)
    mirrored = flip(references.vocabulary, case.told, "horizontal")
    return None if mirrored == case.told else dataclasses.replace(case, told=mirrored)


def judged(case: Case, references: References, *, compare: bool = True) -> CaseFindings:
    measured = case.measured if compare else None
    return case_findings(
        case.sample,
        case.given,
        case.expectation,
        told=case.told,
        measured=measured,
        vocabulary=references.vocabulary,
    )


def signs_of(
    cases: Sequence[Case], kind: Kind, references: References, *, compare: bool = True
) -> npt.NDArray[np.float64]:
    """Return the sign of all cases, NaN where a case has none."""
    return np.array([judged(case, references, compare=compare).signs.get(kind, np.nan) for case in cases])


def auroc(signs: npt.NDArray[np.float64], wrong: npt.NDArray[np.bool_]) -> float:
    ranks = rankdata(signs)
    positive = int(wrong.sum())
    above = ranks[wrong].sum() - positive * (positive + 1) / 2
    return float(above / (positive * (len(wrong) - positive)))


if __name__ == "__main__":
    main()
