"""Pack a run as a model that comes with Lexiseg: half-precision weights, calibration, a model card.

    python benchmarks/pack_zoo.py RUN DATA --name NAME --version VERSION [--data-set qata-cov19]
                                  [--config FILE] [--average-with RUN2]

Matrices and kernels take 16 bits; vectors (biases, statistics of norms) keep 32. The packed model is scored
on the validation split beside the run, and refused if its mean Dice moves by more than 0.001. Then it is
calibrated on validation and evaluated on test, plainly, flip-averaged and, with `--average-with`, averaged
with a second run; the card holds these figures, and the images per second of each way. `--config` names the
file the run was trained with, which is checked against the run. `model.onnx`, for the engines without torch,
shares the weights. Writes src/lexiseg/runs/shipped/NAME. A model of that name with another version becomes
NAME@ITS_VERSION, and stays loadable by that name.
"""

from __future__ import annotations

import argparse
import json
import shlex
import shutil
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from machine import describe_machine
from safetensors.torch import load_file, save_file

import lexiseg
from lexiseg.data import open_dataset
from lexiseg.data.public.registry import Entry, find_entry
from lexiseg.inference.reliability.calibration import load_calibration
from lexiseg.runs.run import Run
from lexiseg.runs.shipped import VERSION_MARK, VERSIONS_FILE
from lexiseg.runs.splits import MASKS_FILE, SPLITS_FILE
from lexiseg.training.config import CONFIG_FILE, make_config

_ZOO = Path(lexiseg.__file__).parent / "runs" / "shipped"
_ATLAS = "zone_atlas.safetensors"
_KEPT = ("run.json", "bank.safetensors", _ATLAS, CONFIG_FILE, SPLITS_FILE, MASKS_FILE, "history.csv")
_MAX_MOVE = 0.001
_MAX_MB = 16.0
_WATTS = 20
_CHECKED = 64
_UNKNOWN = "-"
# What a training settles by itself where the file leaves it open; it changes no result worth a line.
_SETTLED = {"precision": "auto", "workers": None, "cache": None}


def main() -> None:
    """Parse the arguments, pack, compare, calibrate, evaluate, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--name", required=True)
    parser.add_argument("--version", required=True, help="numbers with points, such as 0.2")
    parser.add_argument("--data-set", default="qata-cov19", help="name in `lexiseg data list`")
    parser.add_argument("--config", type=Path, help="file the run was trained with, for the card")
    parser.add_argument("--average-with", type=Path, metavar="RUN2", help="for the card's test table")
    options = parser.parse_args()
    print(describe_machine())
    commands = [training_command(options.run, options.config), packing_command(options)]
    with tempfile.TemporaryDirectory() as folder:
        packed = Path(folder) / options.name
        pack(options.run, packed, command=commands[0])
        size = megabytes(packed, without=_ATLAS)
        before, after = (scores(run, options.data, "val")["dice"]["mean"] for run in (options.run, packed))
        print(f"validation Dice: run {before:.5f}, packed {after:.5f} ({after - before:+.5f})")
        if abs(after - before) > _MAX_MOVE:
            raise SystemExit(f"Half precision moves the Dice by more than {_MAX_MOVE}: nothing written.")
        for flip_average in (False, True):
            lexiseg.calibrate(packed, options.data, flip_average=flip_average)
        # Shares the weights beside it, so that the model is not stored twice.
        images = [sample.image for sample in open_dataset(options.data).split("val")]
        lexiseg.export(packed, weights="shared", check=images[:_CHECKED])
        run, about = Run.open(packed), find_entry(options.data_set)
        card = model_card(
            facts(run, about, size=size, move=after - before),
            scores_section(measured(packed, options.data, options.average_with), options.average_with),
            fit_section(run),
            name=options.name,
            commands=commands,
        )
        (packed / "model_card.md").write_text(card, encoding="utf-8")
        if (whole := megabytes(packed)) > _MAX_MB:
            raise SystemExit(f"The model takes {whole:.1f} MB, more than {_MAX_MB:.0f}: nothing written.")
        place(packed, _ZOO, options.name, options.version)
    print(card)


def megabytes(folder: Path, *, without: str = "") -> float:
    """Return the size of the files of a folder in MB (1e6 bytes), but for one of them."""
    return sum(file.stat().st_size for file in folder.iterdir() if file.name != without) / 1e6


def place(packed: Path, zoo: Path, name: str, version: str) -> None:
    """Put a packed run among the shipped models as the newest version of one; another version is kept."""
    file = zoo / VERSIONS_FILE
    versions = json.loads(file.read_text(encoding="utf-8"))
    before = versions.get(name)
    if (zoo / f"{name}{VERSION_MARK}{version}").is_dir():
        raise SystemExit(f"{name}{VERSION_MARK}{version} exists: choose a newer --version. Nothing written.")
    if (zoo / name).is_dir() and before != version:
        (zoo / name).rename(zoo / f"{name}{VERSION_MARK}{before}")
    shutil.rmtree(zoo / name, ignore_errors=True)
    shutil.copytree(packed, zoo / name)
    file.write_text(json.dumps({**versions, name: version}, indent=2) + "\n", encoding="utf-8")


def training_command(run: Path, file: Path | None) -> str:
    """Return the command that trains such a run; a file that says something else than the run is refused."""
    config = make_config({}, run / CONFIG_FILE)
    command = ["lexiseg", "train", "DATA", "--out", "RUN", "--config"]
    if file is None:
        return shlex.join([*command, CONFIG_FILE])
    length = next(name for name in ("max_minutes", "epochs", "steps") if getattr(config, name) is not None)
    stated = make_config({length: getattr(config, length)}, file).model_dump()
    differing = sorted(
        name
        for name, value in config.model_dump().items()
        if stated.get(name) != value and not (name in _SETTLED and stated.get(name) == _SETTLED[name])
    )
    if differing:
        raise SystemExit(f"{run} was not trained with {file}: {', '.join(differing)} differ.")
    option, value = f"--{length.replace('_', '-')}", str(getattr(config, length)).removesuffix(".0")
    return shlex.join([*command, str(file), option, value])


def packing_command(options: argparse.Namespace) -> str:
    """Return the command that makes such a card, without the names of this machine's folders."""
    command = ["python", "benchmarks/pack_zoo.py", "RUN", "DATA", "--name", options.name]
    command += ["--version", options.version, "--data-set", options.data_set]
    command += [] if options.config is None else ["--config", str(options.config)]
    return shlex.join([*command, *([] if options.average_with is None else ["--average-with", "RUN2"])])


def pack(run: Path, out: Path, *, command: str) -> None:
    """Copy what prediction needs of a run, with its matrices and kernels in half precision."""
    out.mkdir()
    for name in _KEPT:
        if (run / name).is_file():
            shutil.copy(run / name, out / name)
    weights = load_file(run / "weights.safetensors")
    save_file(
        {
            name: value.half() if value.is_floating_point() and value.ndim > 1 else value
            for name, value in weights.items()
        },
        out / "weights.safetensors",
    )
    (out / "weights.safetensors").chmod(0o644)
    packed = Run.open(out)
    packed.updated(training=packed.manifest.training.model_copy(update={"command": command}))


def scores(run: Path, data: Path, split: str, **way: Any) -> dict[str, Any]:
    """Return the metrics of a run on a split, predicted in one way."""
    with tempfile.TemporaryDirectory() as folder:
        return lexiseg.evaluate(run, data, split=split, out=folder, **way).metrics.model_dump(mode="json")


def measured(packed: Path, data: Path, average_with: Path | None) -> dict[str, dict[str, Any]]:
    """Return the metrics on test by way to predict, with `images_per_second`."""
    ways: dict[str, dict[str, Any]] = {"plain": {}, "--flip-average": {"flip_average": True}}
    if average_with is not None:
        ways["--average-with RUN2"] = {"average_with": average_with}
    seed = Run.open(packed).finished_training.seed
    images = [sample.image for sample in open_dataset(data, seed=seed).split("test")]
    return {
        title: {
            **scores(packed, data, "test", **way),
            "images_per_second": images_per_second(packed, images, **way),
        }
        for title, way in ways.items()
    }


def images_per_second(run: Path, images: Sequence[Path], **way: Any) -> float:
    """Return how many image files are predicted per second, the loading of the model aside."""
    predictor = lexiseg.load(run, **way)
    list(predictor.predict_paths(images[:16]))  # the first pass through the network is slower
    started = time.perf_counter()
    for _ in predictor.predict_paths(images):
        pass
    return len(images) / (time.perf_counter() - started)


def interval(score: dict[str, Any] | None) -> str:
    """Return a mean with its interval; a dash where there was nothing to score."""
    if score is None or score["mean"] is None:
        return _UNKNOWN
    low, high = score["ci95"]
    return f"{score['mean']:.3f} ({low:.3f} to {high:.3f})"


def table(test: dict[str, dict[str, Any]]) -> str:
    """Return the test figures, one column per way to predict."""
    columns = {way: rows(metrics) for way, metrics in test.items()}
    lines = ["| test | " + " | ".join(columns) + " |", "| --- |" + " --- |" * len(columns)]
    for title in columns["plain"]:
        lines.append(f"| {title} | " + " | ".join(column[title] for column in columns.values()) + " |")
    return "\n".join(lines)


def rows(metrics: dict[str, Any]) -> dict[str, str]:
    """Return the figures of one evaluation by title; dashes where nothing was flagged or known."""
    review = metrics["review"] or {"flagged": None, "dice_flagged": None, "dice_rest": None}
    flagged = review["flagged"]
    return {
        "Dice, mean of cases": interval(metrics["dice"]),
        "IoU, mean of cases": interval(metrics["iou"]),
        f"HD95 in {metrics['units']}, mean of cases": interval(metrics["hd95"]),
        "Dice, pooled over all pixels": interval(
            {"mean": metrics["pooled_dice"], "ci95": metrics["pooled_dice_ci95"]}
        ),
        **{
            f"Dice, tercile of {group['tercile']} lesions": interval(group["dice"])
            for group in metrics["by_size"]
        },
        **{
            f"words, {name}: accuracy; of the phrase most frequent here": _UNKNOWN
            if factor["accuracy"] is None
            else f"{interval({'mean': factor['accuracy'], 'ci95': factor['ci95']})}; "
            f"{factor['majority_of_split']:.3f}"
            for name, factor in metrics["retrieval"].items()
        },
        "expected calibration error, pixels": f"{metrics['calibration']['ece']:.4f}",
        "flagged for review": _UNKNOWN if flagged is None else f"{100 * flagged:.1f} %",
        "Dice of the flagged cases": interval(review["dice_flagged"]),
        "Dice of the others": interval(review["dice_rest"]),
        "images per second": f"{metrics['images_per_second']:.1f}",
    }


def licence(about: Entry) -> str:
    """Say what is known of the licence of the data, where, and what a user has to do."""
    return (
        f"{about.licence}: {about.home}; the weights are learned from these data: clear your use with their "
        f"owners"
    )


def facts(run: Run, about: Entry, *, size: float, move: float) -> dict[str, str]:
    """Return what the card's first table says, by title."""
    manifest, training = run.manifest, run.finished_training
    network, validation = manifest.network, training.validation
    config = yaml.safe_load((run.path / CONFIG_FILE).read_text(encoding="utf-8"))
    selected_by = "Dice"
    if training.selection == "size_standardised_dice":
        selected_by = "Dice standardised by lesion size"
    energy = _WATTS * training.minutes / 60_000
    return {
        "What": f"{network.model}, {network.preset} preset, encoder {network.encoder}, "
        f"{network.num_parameters / 1e6:.2f} M parameters, {size:.1f} MB in half precision without "
        f"`model.onnx` and the zone atlas (validation Dice moves by {move:+.5f})",
        "Intended use": "research, teaching, trying Lexiseg out; not for any patient, not for screening, not "
        "for labelling images for clinical work",
        "Sees": f"a frontal chest radiograph, resized to {manifest.image_size} pixels square",
        "Gives": f"a mask of {', '.join(manifest.class_names[1:])}, the words it retrieves itself, a reason "
        f"where the two disagree, and a flag where the Dice it expects is low or the image is unlike the "
        f"training images; left and right are the {manifest.side}'s",
        "Trained on": f"{about.title}, {manifest.data.samples['train']:,} images with masks and report "
        f"sentences",
        "Licence of the data": licence(about),
        "Selected": f"weights of step {training.selected_step} of {training.steps}, by {selected_by} on "
        f"{config['val_cases']} of {validation.cases:,} validation images (on all: "
        f"{validation.dice:.4f}); nothing was chosen on test",
        "Training": f"{training.minutes} minutes, seed {training.seed}, {training.machine}, torch "
        f"{training.torch}, {manifest.created[:10]}",
        "Energy": f"no counter on this machine; at an assumed {_WATTS} W for two busy cores {energy:.3f} kWh",
    }


def scores_section(test: dict[str, dict[str, Any]], average_with: Path | None) -> str:
    """Return the card's section on the test images."""
    metrics = test["plain"]
    notes = [
        f"{metrics['num_cases']:,} images of {metrics['num_patients']:,} patients; 95 % intervals over "
        f"{metrics['interval_over']}.",
        table(test),
        "Images per second: from an image file to mask, words and flag in memory; loading the model and "
        f"writing files are not included.\nMeasured: {describe_machine()}.",
    ]
    if average_with is not None:
        other = Run.open(average_with).manifest.network
        notes.append(
            f"RUN2: {other.model}, {other.preset} preset, encoder {other.encoder}, "
            f"{other.num_parameters / 1e6:.2f} M parameters; it does not come with Lexiseg.\nAn average of "
            f"two is not calibrated: it flags by the agreement of words and mask alone."
        )
    return "\n\n".join(notes)


def fit_section(run: Run) -> str:
    """Return the card's section on what was fitted on validation."""
    calibration = load_calibration(run, flip_average=False)
    assert calibration is not None
    review = calibration.review
    return (
        f"Fitted on the {calibration.data.samples:,} validation images: temperature "
        f"{calibration.temperature:.3f}, expected calibration error {calibration.ece_before:.4f} before and "
        f"{calibration.ece_after:.4f} after (plain prediction).\nA prediction is flagged where the Dice that "
        f"is expected of it is below {review.below:.2f}: on validation {100 * review.flagged:.1f} % of the "
        f"cases, mean Dice {review.dice_flagged:.3f} against {review.dice_rest:.3f} for the others."
    )


def model_card(
    listed_facts: dict[str, str], tested: str, fitted_on: str, *, name: str, commands: Sequence[str]
) -> str:
    """Return the card in Markdown; every figure comes from the run, its calibration and its evaluations."""
    listed = "\n".join(f"| {title} | {value} |" for title, value in listed_facts.items())
    made = "\n".join(commands)
    return f"""# {name}

**Research software, not a medical device: not for clinical use.**

| | |
| --- | --- |
{listed}

## On the test images

{tested}

## Calibration and review flag

{fitted_on}

## Limits

- One collection: suspected COVID-19 pneumonia, frontal views. Other hospitals, devices, ages, lateral views
  and other diseases were not tested.
- Under other file names Lexiseg cannot tell that an image is one of the training images: on copies of the
  collection, score the original test images only.
- All test images hold a lesion: how often it finds one in a healthy chest is not known.
- Small lesions, and lesions in one lung alone, are its weak point.
- The collection's masks were drawn with the help of a network: agreeing with them is not agreeing with a
  radiologist.

## How it was made

`{CONFIG_FILE}` beside this card holds every setting of the training. The commands, in the sources of Lexiseg:

```
{made}
```
"""


if __name__ == "__main__":
    main()
