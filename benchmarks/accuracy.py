"""How accurate does a compact network become with all masks? Arms that each add one thing.

    python benchmarks/accuracy.py DATA --out DIR [--arms hour,long] [--epochs 40] [--model stpnet]
        [--threads 1] [--set FIELD=VALUE] [--teachers RUN,RUN] [--table-only] [--test]

    hour        the settings of covid_xray_hour.yaml, for as many steps as the others
    long        covid_xray_40.yaml: no frozen layers, slower averaging, stronger changes of the images
    lite2       as long, with the encoder tf_efficientnet_lite2
    distilled   as lite2, taught half by the averaged soft masks of long and lite2
    large       as distilled, the last 15 % of the steps at 288 px, at which it then predicts

All weights are selected by the validation Dice that is standardised by lesion size, and so is the best arm.
Trainings that are finished in DIR are not trained again; an interrupted one is resumed. Several of these
commands may work on one DIR at the same time; `distilled` and `large` need `long` and `lite2`, or the
finished runs of --teachers (names of arms in DIR, or runs such as covid-xray). The test split is opened with
--test only, which adds its columns to the table: use it once, when all arms are trained.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
import yaml
from rich.console import Console
from study_table import dice, paired
from torch.utils.flop_counter import FlopCounterMode

from lexiseg.evaluation.evaluate import evaluate_on
from lexiseg.evaluation.options import EvaluationOptions
from lexiseg.evaluation.scores.case_table import case_groups
from lexiseg.evaluation.scores.metrics_file import MeanScore
from lexiseg.models.text_bank import TextBank
from lexiseg.printable import counted
from lexiseg.runs.run import Run
from lexiseg.studies.results import TrialResult, read_result
from lexiseg.studies.study_data import open_study_data
from lexiseg.studies.trials import CLAIMS_FOLDER, Study, Trial, run_study
from lexiseg.systems.registry import system_of
from lexiseg.training.config import make_config

Changes = Mapping[str, object]

_FOLDER = Path(__file__).parent
_HOUR, _LONG = _FOLDER / "covid_xray_hour.yaml", _FOLDER / "covid_xray_40.yaml"
_LITE2: Changes = {"encoder": "tf_efficientnet_lite2"}
_SHARE_LARGE = 0.15

#: The file of each arm and what it changes, in the order in which arms are trained and compared.
ARMS: dict[str, tuple[Path, Changes]] = {
    "hour": (_HOUR, {}),
    "long": (_LONG, {}),
    "lite2": (_LONG, _LITE2),
    "distilled": (_LONG, _LITE2),
    "large": (_LONG, {**_LITE2, "full_last": _SHARE_LARGE}),
}
#: The arms that teach, unless --teachers names others.
TEACHERS = ("long", "lite2")
_TAUGHT = ("distilled", "large")
_SIZES = ("small lesions", "medium lesions", "large lesions")


def study_of(options: argparse.Namespace) -> Study:
    """Return the study of the chosen arms; they are evaluated on validation."""
    return Study(
        index=open_study_data(options.data, seeds=[options.seed]),
        trials=tuple(trial_of(options, name) for name in options.arms),
        folder=options.out,
        claims_folder=options.out / CLAIMS_FOLDER,
        evaluation=EvaluationOptions(split="val"),
    )


def trial_of(options: argparse.Namespace, name: str) -> Trial:
    """Return the training of an arm."""
    file, changes = ARMS[name]
    fields: dict[str, object] = {
        "model": options.model,
        "seed": options.seed,
        "image_size": options.image_size,
        "selection": "size_standardised_dice",
        "precision": "bf16",
        **changes,
        **dict(options.set),
    }
    fields["steps" if options.steps else "epochs"] = options.steps or options.epochs
    if name == "large":
        fields |= {"image_size": options.large_size, "main_size": options.image_size}
    if name in _TAUGHT:
        fields["teachers"] = [
            str(run_folder(options, teacher)) if teacher in ARMS else teacher for teacher in options.teachers
        ]
    return Trial(arm=name, seed=options.seed, config=make_config(fields, file))


def run_folder(options: argparse.Namespace, name: str) -> Path:
    """Return the absolute path of the run folder of an arm."""
    folder: Path = options.out.absolute() / f"{name}-s{options.seed}"
    return folder


def check_order(options: argparse.Namespace) -> None:
    """End where an arm is to be taught by arms that are neither finished nor trained before it."""
    for position, name in enumerate(options.arms):
        missing = [
            teacher
            for teacher in options.teachers
            if name in _TAUGHT
            and teacher in ARMS
            and teacher not in options.arms[:position]
            and not is_trained(run_folder(options, teacher))
        ]
        if missing:
            sys.exit(f"The arm {name} is taught by {' and '.join(missing)}: train them first, with --arms.")


def is_trained(folder: Path) -> bool:
    """Return whether a folder holds a finished training."""
    return (folder / "run.json").is_file() and Run.open(folder).manifest.training.finished


def read_all(options: argparse.Namespace, study: Study) -> dict[str, TrialResult]:
    """Return the validation results of all arms that are finished in the folder, in order."""
    return {
        name: read_result(name, options.seed, run_folder(options, name), study.evaluation.split)
        for name in ARMS
        if (run_folder(options, name) / study.evaluation.split / "metrics.json").is_file()
    }


def standardised(result: TrialResult) -> float:
    """Return the validation Dice of an arm that is standardised by lesion size."""
    value = result.training.validation.dice_size_standardised
    assert value is not None
    return value


def operations(run: Run) -> int:
    """Return the floating-point operations of a prediction of one image."""
    manifest = run.manifest
    bank = None if run.spoken_vocabulary is None else TextBank.load(run.bank_file)
    network = system_of(manifest.network).builders.network(manifest.network, bank)
    image = torch.zeros(1, 3, manifest.image_size, manifest.image_size)
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        network.eval()(image)
    return int(counter.get_total_flops())


def print_table(options: argparse.Namespace, study: Study) -> None:
    """Print a row per finished arm, and the arm that validation chooses."""
    results = read_all(options, study)
    if not results:
        sys.exit(f"No arm is finished in {options.out}.")
    tests = test_results(options, study, list(results)) if options.test else {}
    cases = len(next(iter(results.values())).cases)
    print(f"{options.model}, seed {options.seed}; mean per-case Dice on {cases} validation images\n")
    first = next(iter(results))
    base = operations(Run.open(run_folder(options, first)))
    header = header_of(first, tests)
    rows, before = [], None
    for name, result in results.items():
        run = Run.open(run_folder(options, name))
        change = "" if before is None else paired(result.cases, before.cases, result.cases.index)
        cells = [
            name,
            str(result.training.steps),
            f"{result.training.minutes / 60:.1f}",
            result.training.machine,
            f"{run.manifest.network.num_parameters / 1e6:.2f} M",
            f"{operations(run) / base:.2f}",
            f"{standardised(result):.4f}",
            f"{result.training.validation.dice:.4f}",
            *by_size(result),
            change,
        ]
        rows.append(cells + (tested(tests[name]) if tests else []))
        before = result
    for row in [header, ["---"] * len(header), *rows]:
        print(f"| {' | '.join(row)} |")
    best = max(results, key=lambda name: standardised(results[name]))
    print(f"\nChosen on validation (Dice standardised by lesion size): {best}.")


def header_of(first: str, tests: Mapping[str, TrialResult]) -> list[str]:
    """Return the names of the columns.

    Args:
        first: The arm of the first row.
        tests: Results on the test split; empty without its columns.
    """
    header = [
        "arm",
        "steps",
        "hours",
        "trained on",
        "parameters",
        f"operations ({first}: 1)",
        "Dice, standardised by size",
        "Dice",
    ]
    header += [f"{name} (Dice)" for name in _SIZES] + ["Dice against the row above (95 %)"]
    if tests:
        images = counted(len(tests[first].cases), "image")
        header += [f"test Dice ({images})", *(f"test, {name}" for name in _SIZES), "test, pooled Dice"]
    return header


def by_size(result: TrialResult) -> list[str]:
    """Return the mean Dice of small, medium and large lesions, terciles of the split that was scored."""
    groups = case_groups(result.cases)
    scores = dice(result.cases, result.cases.index)
    return [f"{np.mean(scores[groups[name]]):.4f}" if name in groups else "-" for name in _SIZES]


def test_results(options: argparse.Namespace, study: Study, names: Sequence[str]) -> dict[str, TrialResult]:
    """Return the results of arms on the test split; an arm is evaluated on it once."""
    how = dataclasses.replace(study.evaluation, split="test")
    for name in names:
        folder = run_folder(options, name)
        if not (folder / how.split / "metrics.json").is_file():
            evaluate_on(study.index, Run.open(folder), how, out=folder / how.split)
    return {n: read_result(n, options.seed, run_folder(options, n), how.split) for n in names}


def tested(result: TrialResult) -> list[str]:
    """Return the cells of an arm on the test split."""
    metrics = result.metrics
    return [interval(metrics.dice), *by_size(result), f"{metrics.pooled_dice:.4f}"]


def interval(score: MeanScore) -> str:
    """Return a mean with its 95 % interval."""
    if score.ci95 is None:
        return f"{score.mean:.4f}"
    return f"{score.mean:.4f} ({score.ci95[0]:.4f} to {score.ci95[1]:.4f})"


def _arms(text: str) -> tuple[str, ...]:
    """Return names of arms from a list with commas, in the order of `ARMS`."""
    names = text.split(",")
    unknown = [name for name in names if name not in ARMS]
    if unknown:
        raise argparse.ArgumentTypeError(f"no arm {', '.join(unknown)}; the arms are {', '.join(ARMS)}")
    return tuple(name for name in ARMS if name in names)


def _field(text: str) -> tuple[str, object]:
    """Return a field of the configuration and its value, which is read as YAML."""
    name, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"expected FIELD=VALUE, got {text}")
    return name, yaml.safe_load(value)


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--arms", type=_arms, default=tuple(ARMS), help="list with commas; all by default")
    parser.add_argument("--epochs", type=int, default=40, help="passes over the training images")
    parser.add_argument("--steps", type=int, help="instead of --epochs")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--model", choices=("stpnet", "cotexnet"), default="stpnet")
    parser.add_argument("--image-size", type=int, default=224)
    parser.add_argument("--large-size", type=int, default=288, help="image size at the end of the arm large")
    parser.add_argument(
        "--set", type=_field, action="append", default=[], metavar="FIELD=VALUE",
        help="a field of the configuration that all arms share, such as precision=bf16; may be repeated",
    )  # fmt: skip
    parser.add_argument(
        "--teachers", type=lambda text: tuple(text.split(",")), default=TEACHERS, metavar="RUN,RUN",
        help="runs that teach the arms distilled and large",
    )  # fmt: skip
    parser.add_argument("--threads", type=int, help="threads of torch; by default as many as there are cores")
    parser.add_argument("--table-only", action="store_true", help="train nothing; print what is finished")
    parser.add_argument("--test", action="store_true", help="score the finished arms on the test split too")
    return parser.parse_args(arguments)


def run(options: argparse.Namespace) -> None:
    """Train the chosen arms that are not finished, and print the table."""
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    study = study_of(options)
    if not options.table_only:
        check_order(options)
        run_study(study, console=Console(width=140))
    print_table(options, study)


if __name__ == "__main__":
    run(parse())
