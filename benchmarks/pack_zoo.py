"""Pack a run as a model that comes with Lexiseg: half-precision weights, calibration, a model card.

    python benchmarks/pack_zoo.py RUN DATA --name NAME [--data-set qata-cov19]

Matrices and kernels take 16 bits; vectors (biases, statistics of norms) keep 32. The packed model is scored
on the validation split beside the run, and refused if its mean Dice moves by more than 0.001. Then it is
calibrated on validation and evaluated on test, plainly and flip-averaged; the card holds these figures.
Writes src/lexiseg/zoo/NAME.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path
from typing import Any

import yaml
from machine import describe_machine
from safetensors.torch import load_file, save_file

import lexiseg
from lexiseg.data.registry import find_entry
from lexiseg.inference.calibration import load_calibration
from lexiseg.run import Run

_ZOO = Path(lexiseg.__file__).parent / "zoo"
_KEPT = ("run.json", "bank.safetensors", "config.yaml", "splits.json", "history.csv")
_MAX_MOVE = 0.001
_MAX_MB = 16.0
_WATTS = 20


def main() -> None:
    """Parse the arguments, pack, compare, calibrate, evaluate, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--name", required=True)
    parser.add_argument("--data-set", default="qata-cov19", help="name in `lexiseg data list`")
    options = parser.parse_args()
    print(describe_machine())
    with tempfile.TemporaryDirectory() as folder:
        packed = Path(folder) / options.name
        pack(options.run, packed)
        size = sum(file.stat().st_size for file in packed.iterdir()) / 1e6
        if size > _MAX_MB:
            raise SystemExit(f"The model takes {size:.1f} MB, more than {_MAX_MB:.0f}: nothing written.")
        before, after = (scores(run, options.data, "val")["dice"]["mean"] for run in (options.run, packed))
        print(f"validation Dice: run {before:.5f}, packed {after:.5f} ({after - before:+.5f})")
        if abs(after - before) > _MAX_MOVE:
            raise SystemExit(f"Half precision moves the Dice by more than {_MAX_MOVE}: nothing written.")
        for flip_average in (False, True):
            lexiseg.calibrate(packed, options.data, flip_average=flip_average)
        test = {
            way: scores(packed, options.data, "test", flip_average=flip_average)
            for way, flip_average in (("plain", False), ("--flip-average", True))
        }
        card = model_card(
            Run.open(packed), test, name=options.name, size=size, move=after - before, entry=options.data_set
        )
        (packed / "model_card.md").write_text(card, encoding="utf-8")
        shutil.rmtree(_ZOO / options.name, ignore_errors=True)
        shutil.copytree(packed, _ZOO / options.name)
    print(card)


def pack(run: Path, out: Path) -> None:
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


def scores(run: Path, data: Path, split: str, *, flip_average: bool = False) -> dict[str, Any]:
    """Return the metrics of a run on a split."""
    with tempfile.TemporaryDirectory() as folder:
        return lexiseg.evaluate(run, data, split=split, out=folder, flip_average=flip_average).metrics


def interval(score: dict[str, Any]) -> str:
    """Return a mean with its interval."""
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
    """Return the figures of one evaluation by title."""
    return {
        "Dice, mean of cases": interval(metrics["dice"]),
        "IoU, mean of cases": interval(metrics["iou"]),
        f"HD95 in {metrics['units']}, mean of cases": interval(metrics["hd95"]),
        "Dice, pooled over all pixels": f"{metrics['pooled_dice']:.3f}",
        **{
            f"Dice, tercile of {group['tercile']} lesions": interval(group["dice"])
            for group in metrics["by_size"]
        },
        **{
            f"words, {name}: accuracy (of the phrase most frequent here)": f"{factor['accuracy']:.3f} "
            f"({factor['majority_of_split']:.3f})"
            for name, factor in metrics["retrieval"].items()
        },
        "expected calibration error, pixels": f"{metrics['calibration']['ece']:.4f}",
        "flagged for review": f"{100 * metrics['review']['flagged']:.1f} %",
        "Dice of the flagged cases": interval(metrics["review"]["dice_flagged"]),
        "Dice of the others": interval(metrics["review"]["dice_rest"]),
    }


def model_card(
    run: Run, test: dict[str, dict[str, Any]], *, name: str, size: float, move: float, entry: str
) -> str:
    """Return the card in Markdown; every figure comes from the run, its calibration and its evaluations."""
    manifest, training = run.manifest, run.manifest.training
    network, data, about, metrics = manifest.network, manifest.data, find_entry(entry), test["plain"]
    calibration = load_calibration(run, flip_average=False)
    assert calibration is not None
    review = calibration.review
    config = yaml.safe_load((run.path / "config.yaml").read_text(encoding="utf-8"))
    validation, energy = training["validation"], _WATTS * training["minutes"] / 60_000
    facts = {
        "What": f"{network.model}, {network.preset} preset, encoder {network.encoder}, "
        f"{network.num_parameters / 1e6:.2f} M parameters, {size:.1f} MB in half precision (validation Dice "
        f"moves by {move:+.5f})",
        "Sees": f"a frontal chest radiograph, resized to {manifest.image_size} pixels square",
        "Gives": f"a mask of {', '.join(manifest.class_names[1:])}, the words it retrieves itself, a reason "
        f"where the two disagree, and a flag where the Dice it expects is low; left and right are the "
        f"{manifest.side}'s",
        "Trained on": f"{about.title}, {data['samples']['train']:,} images with masks and report sentences",
        "Licence of the data": f"{about.licence}: {about.home}. The weights are learned from these data: "
        f"clear your use with their owners",
        "Selected": f"weights of step {training['selected_step']} of {training['steps']}, by Dice on "
        f"{config['val_cases']} of {validation['cases']:,} validation images (on all: "
        f"{validation['dice']:.4f}); nothing was chosen on test",
        "Training": f"{training['minutes']} minutes, seed {training['seed']}, {training['machine']}, torch "
        f"{training['torch']}, {manifest.created[:10]}",
        "Energy": f"no counter on this machine; at an assumed {_WATTS} W for two busy cores {energy:.3f} kWh",
    }
    seen = (
        f"{metrics['num_cases']:,} images of {metrics['num_patients']:,} patients; 95 % intervals over "
        f"{metrics['interval_over']}."
    )
    fitted = (
        f"Fitted on the {calibration.data['samples']:,} validation images: temperature "
        f"{calibration.temperature:.3f}, expected calibration error {calibration.ece_before:.4f} before and "
        f"{calibration.ece_after:.4f} after (plain prediction).\nA prediction is flagged where the Dice that "
        f"is expected of it is below {review.below:.2f}: on validation {100 * review.flagged:.1f} % of the "
        f"cases, mean Dice {review.dice_flagged:.3f} against {review.dice_rest:.3f} for the others."
    )
    listed = "\n".join(f"| {title} | {value} |" for title, value in facts.items())
    return f"""# {name}

**Research software, not a medical device: not for clinical use.**

| | |
| --- | --- |
{listed}

## On the test images

{seen}

{table(test)}

## Calibration and review flag

{fitted}

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

`config.yaml` beside this card holds every setting of the training (in the sources:
benchmarks/covid_xray_hour.yaml).

```
{training["command"]}
python benchmarks/pack_zoo.py RUN DATA --name {name}
```
"""


if __name__ == "__main__":
    main()
