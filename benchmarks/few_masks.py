"""What do words buy where few training images have a mask? A gate, then a table of arms, shares and seeds.

    python benchmarks/few_masks.py DATA --out DIR [--config benchmarks/covid_xray_few.yaml] [--steps 2000]
        [--model stpnet] [--image-size 128] [--shares 0.05,0.01,0.1,0.25] [--without-gate] [--table-only]

Arms of one share and seed see the same masks and make the same number of steps; all keep their last weights.

    m    masks only, no words               s1   self-training; words exclude halves without a lesion
    m3x  the same with three times the steps  s2   teachers that are told the words through a word map
    s0   self-training without words        s3   as s2, the words shuffled
    u    all masks, no words

The gate is 5 % of the masks, seed 0: by cross-validation on the masks, words must improve the masks of the
teachers by 0.03, and on validation s2 must be 0.015 better than s0. The table has 1 and 5 % with three seeds,
10 and 25 % with one. Trainings that are finished in DIR are not trained again; an interrupted one is resumed.
Differences are paired, with 95 % intervals over patients and seeds; p-values of s2 - s0 and s2 - s3 at 1 and
5 % are adjusted by Holm.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from machine import describe_machine
from rich.console import Console

from lexiseg.data.readers import read_mask
from lexiseg.data.resize import resize_labels
from lexiseg.data.sample import DatasetIndex, Sample
from lexiseg.evaluation.scores.case_table import ALL, case_groups, patients_of
from lexiseg.evaluation.scores.metrics_file import Interval
from lexiseg.mask_overlap import mean_dice
from lexiseg.runs.run import Run
from lexiseg.studies.analysis import adjusted, compare_arms
from lexiseg.studies.audit_file import ArmComparison
from lexiseg.studies.results import TrialResult, dice_table, read_results, same_cases
from lexiseg.studies.study_data import open_study_data
from lexiseg.studies.trials import CLAIMS_FOLDER, Study, StudyArm, plan_trials, run_study
from lexiseg.training.few_masks.pseudo_labels import PSEUDO_LABELS_FILE, SoftMasks, StoredMasks

Changes = Mapping[str, object]

_SELF: Changes = {"text": "none", "unmasked": "pseudo_labels"}
_TOLD: Changes = {"text": "reports", "unmasked": "words"}
_ALONE: Changes = {"text": "none", "unmasked": "leave_out"}

#: What each arm does; "times" multiplies its steps.
ARMS: dict[str, Changes] = {
    "m": _ALONE,
    "m3x": {**_ALONE, "times": 3},
    "s0": _SELF,
    "s1": {**_TOLD, "word_map": False},
    "s2": _TOLD,
    "s3": {**_TOLD, "shuffle_words": True},
    "u": {**_ALONE, "masks": None},
}

#: Arms of a share in the order in which they are trained: those of the gate first.
_ORDER = ("s2", "s0", "m", "s3", "s1", "m3x")
_SEEDS = {0.05: (0, 1, 2), 0.01: (0, 1, 2)}
_GATE_SHARE, _GATE_LABELS, _GATE_STUDENT = 0.05, 0.03, 0.015
_PRIMARY = (("s2", "s0"), ("s2", "s3"))


@dataclass(frozen=True, kw_only=True)
class Block:
    """Trainings of one share and seed.

    Attributes:
        share: Share of the masks; None: all.
        seed: The seed, of the choice of the masks too.
        arms: Names of the arms.
    """

    share: float | None
    seed: int
    arms: tuple[str, ...]

    @property
    def folder(self) -> str:
        """Name of its folder."""
        return "all" if self.share is None else f"{100 * self.share:g}_percent"


def blocks(shares: Sequence[float]) -> list[Block]:
    """Return all trainings in order: seed 0 of shares with several seeds, further seeds, the others."""
    several = [share for share in shares if share in _SEEDS]
    ordered = [Block(share=share, seed=0, arms=_ORDER) for share in several[:1]]
    ordered.append(Block(share=None, seed=0, arms=("u",)))
    ordered += [Block(share=share, seed=0, arms=_ORDER) for share in several[1:]]
    ordered += [Block(share=share, seed=seed, arms=_ORDER) for seed in (1, 2) for share in several]
    return ordered + [Block(share=share, seed=0, arms=_ORDER) for share in shares if share not in _SEEDS]


def study_of(options: argparse.Namespace, block: Block) -> Study:
    """Return the study of a block; the masks that it hides are not opened."""
    shared = {"image_size": options.image_size, "model": options.model, "selection": "last"}
    arms = []
    for name in block.arms:
        changes = {**shared, "masks": block.share, **ARMS[name]}
        changes["steps"] = options.steps * int(changes.pop("times", 1))
        arms.append(StudyArm(name=name, changes=changes, seeds=(block.seed,)))
    folder = options.out / block.folder
    return Study(
        index=open_study_data(options.data, seeds=[block.seed], share=block.share),
        trials=plan_trials(arms, {}, options.config),
        folder=folder,
        claims_folder=folder / CLAIMS_FOLDER,
    )


def gate(options: argparse.Namespace) -> bool:
    """Train the two arms of the gate, print how they do on validation, and return whether it is passed."""
    study = study_of(options, Block(share=_GATE_SHARE, seed=0, arms=_ORDER[:2]))
    run_study(study, console=Console(width=140))
    told, alone = (Run.open(study.run_folder(trial)) for trial in study.trials)
    assert told.manifest.data.masks is not None
    teacher = told.manifest.data.masks.teacher
    assert teacher is not None
    assert teacher.gain is not None
    difference = told.finished_training.validation.dice - alone.finished_training.validation.dice
    passed = teacher.gain >= _GATE_LABELS and difference >= _GATE_STUDENT
    print(
        f"Gate, {100 * _GATE_SHARE:g} % of the masks, seed 0: words improve the teachers' masks by "
        f"{teacher.gain:+.4f} "
        f"(at least {_GATE_LABELS} is needed), and the student on validation by {difference:+.4f} over "
        f"self-training (at least {_GATE_STUDENT}): {'passed' if passed else 'not passed'}.",
        flush=True,
    )
    return passed


def label_dice(index: DatasetIndex, run: Run, size: int) -> float | None:
    """Return the mean Dice of pseudo labels against the masks hidden from the run; None without any."""
    file = run.path / PSEUDO_LABELS_FILE
    if not file.is_file():
        return None
    labels = StoredMasks.load(file)
    samples = {sample.id: sample for sample in index.split("train")}
    scores = []
    hidden = [samples[name] for name in labels.ids if samples[name].mask is not None]
    drawn = SoftMasks(labels, [_without_mask(sample) for sample in hidden], size=size)
    for position, sample in enumerate(hidden):
        assert sample.mask is not None
        truth = resize_labels(read_mask(sample.mask, index.coding), (size, size))
        scores.append(mean_dice(drawn.labels(position), truth, index.num_classes))
    return float(np.mean(scores)) if scores else None


def _without_mask(sample: Sample) -> Sample:
    return dataclasses.replace(sample, mask=None)


def print_tables(options: argparse.Namespace) -> None:
    """Print, for each share, all finished trainings and the comparisons of their arms."""
    print(describe_machine())
    print(f"{options.model}, {options.steps} steps, {options.image_size} px; mean per-case Dice\n")
    everything = open_study_data(options.data, seeds=[0])
    reference = _results(options, Block(share=None, seed=0, arms=("u",)))
    primary: list[tuple[float, ArmComparison]] = []
    for share in options.shares:
        results = {
            seed: found
            for seed in _SEEDS.get(share, (0,))
            if (found := _results(options, Block(share=share, seed=seed, arms=_ORDER)))
        }
        if not results:
            continue
        print(f"\n{100 * share:g} % of the masks, seeds {', '.join(map(str, results))}\n")
        _print_arms(options, share, [*results.items(), (None, reference)], everything)
        compared = _comparisons(results)
        primary += [
            (share, one) for one in compared if share in _SEEDS and (one.arm, one.against) in _PRIMARY
        ]
        print("\n| difference | mean | 95 % over patients and seeds | 95 % of these trainings | by seed |")
        print("| --- | --- | --- | --- | --- |")
        for one in compared:
            seeds = ", ".join(f"{value:+.4f}" for value in one.by_seed)
            print(
                f"| {one.arm} - {one.against} | {one.mean:+.4f} | {_between(one.ci95)} | "
                f"{_between(one.ci95_trained)} | {seeds} |"
            )
    print("\nPrimary differences, adjusted by Holm:")
    for (share, _), one in zip(primary, adjusted([one for _, one in primary]), strict=True):
        print(f"- {100 * share:g} %: {one.arm} - {one.against} {one.mean:+.4f}, p = {one.p_holm:.2g}")


def _results(options: argparse.Namespace, block: Block) -> dict[str, TrialResult]:
    """Return the finished trainings of a block by arm."""
    study = study_of(options, block)
    done = tuple(trial for trial in study.trials if study.is_done(trial))
    return (
        {found.arm: found for found in read_results(dataclasses.replace(study, trials=done))} if done else {}
    )


def _print_arms(
    options: argparse.Namespace,
    share: float,
    results: Sequence[tuple[int | None, Mapping[str, TrialResult]]],
    everything: DatasetIndex,
) -> None:
    """Print a row per training."""
    groups = ("all", "small lesions", "medium lesions", "large lesions")
    print(f"| arm | seed | validation | {' | '.join(groups)} | pooled | pseudo labels |")
    print("| --- |" + " --- |" * (len(groups) + 4))
    for seed, found in results:
        for name, result in found.items():
            folder = options.out / Block(share=None if seed is None else share, seed=0, arms=()).folder
            labels = label_dice(everything, Run.open(folder / result.name), options.image_size)
            members = case_groups(result.cases)
            cells = [f"{result.cases.loc[members[group], 'dice'].mean():.4f}" for group in groups]
            print(
                f"| {name} | {result.seed} | {result.training.validation.dice:.4f} | {' | '.join(cells)} | "
                f"{result.metrics.pooled_dice:.4f} | {'' if labels is None else f'{labels:.4f}'} |"
            )


def _comparisons(results: Mapping[int, Mapping[str, TrialResult]]) -> list[ArmComparison]:
    """Return the comparisons of the arms that every seed has."""
    arms = [name for name in _ORDER if all(name in found for found in results.values())]
    if not arms:
        return []
    runs = {name: [found[name] for found in results.values()] for name in arms}
    same_cases([result for of_arm in runs.values() for result in of_arm])
    first = runs[arms[0]][0].cases
    dice = {name: dice_table(of_arm, first.index) for name, of_arm in runs.items()}
    masks_only = max(
        (name for name in ("m", "m3x") if name in arms), key=lambda n: dice[n].mean(), default="m"
    )
    pairs = [*_PRIMARY, ("s2", masks_only), ("s2", "s1"), ("s1", "s0"), ("s3", "s0"), ("s0", masks_only)]
    known = [pair for pair in pairs if set(pair) <= set(arms)]
    everyone = {ALL: np.ones(len(first), dtype=bool)}
    return compare_arms(dice, known, everyone, patients_of(first), model="")


def _between(interval: Interval | None) -> str:
    return "" if interval is None else f"{interval[0]:+.4f} to {interval[1]:+.4f}"


def _shares(text: str) -> tuple[float, ...]:
    """Return shares from a list with commas."""
    return tuple(float(part) for part in text.split(","))


def main() -> None:
    """Parse the arguments, train, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--config", type=Path, help="YAML file with further fields of the configuration")
    parser.add_argument(
        "--steps", type=int, default=2000, help="steps of an arm, without those of its teachers"
    )
    parser.add_argument("--image-size", type=int, default=128)
    parser.add_argument("--model", choices=("stpnet", "cotexnet"), default="stpnet")
    parser.add_argument("--shares", type=_shares, default=_shares("0.05,0.01,0.1,0.25"))
    parser.add_argument("--without-gate", action="store_true", help="train the table whatever the gate says")
    parser.add_argument("--table-only", action="store_true", help="print the table of what is finished")
    options = parser.parse_args()
    if not options.table_only:
        if not gate(options) and not options.without_gate:
            sys.exit("The table is not trained. Find out why, or add --without-gate.")
        for block in blocks(options.shares):
            run_study(study_of(options, block), console=Console(width=140))
    print_tables(options)


if __name__ == "__main__":
    main()
