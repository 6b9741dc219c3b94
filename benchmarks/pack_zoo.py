"""Pack a run as a model that comes with Lexiseg: half-precision weights and a model card with test figures.

    python benchmarks/pack_zoo.py RUN DATA --name NAME --evaluation DIR [--flip-evaluation DIR]

DIR is what `lexiseg evaluate RUN DATA --split test` wrote. Matrices and kernels take 16 bits; vectors
(biases, statistics of norms) keep 32. The packed model is scored on the validation split beside the run, and
refused if its mean Dice moves by more than 0.001. Writes src/lexiseg/zoo/NAME.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

from machine import describe_machine
from safetensors.torch import load_file, save_file

import lexiseg
from lexiseg.data.registry import find_entry
from lexiseg.run import Run

_ZOO = Path(lexiseg.__file__).parent / "zoo"
_KEPT = ("run.json", "bank.safetensors", "config.yaml", "splits.json", "history.csv", "calibration.json")
_MAX_MOVE = 0.001
_MAX_MB = 16.0
_WATTS = 20


def main() -> None:
    """Parse the arguments, pack, compare, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--name", required=True)
    parser.add_argument("--data-set", default="qata-cov19", help="name in `lexiseg data list`")
    parser.add_argument("--evaluation", type=Path, required=True)
    parser.add_argument("--flip-evaluation", type=Path)
    options = parser.parse_args()
    print(describe_machine())
    with tempfile.TemporaryDirectory() as folder:
        packed = Path(folder) / options.name
        pack(options.run, packed)
        scores = {
            name: validation_dice(run, options.data)
            for name, run in (("run", options.run), ("packed", packed))
        }
        move = scores["packed"] - scores["run"]
        print(f"validation Dice: run {scores['run']:.5f}, packed {scores['packed']:.5f} ({move:+.5f})")
        if abs(move) > _MAX_MOVE:
            raise SystemExit(f"Half precision moves the Dice by more than {_MAX_MOVE}: nothing written.")
        size = sum(file.stat().st_size for file in packed.iterdir()) / 1e6
        if size > _MAX_MB:
            raise SystemExit(f"The model takes {size:.1f} MB, more than {_MAX_MB:.0f}: nothing written.")
        flip = None if options.flip_evaluation is None else read_metrics(options.flip_evaluation)
        card = model_card(
            Run.open(options.run),
            read_metrics(options.evaluation),
            flip,
            name=options.name,
            size=size,
            move=move,
            data_set=options.data_set,
        )
        (packed / "model_card.md").write_text(card, encoding="utf-8")
        shutil.rmtree(_ZOO / options.name, ignore_errors=True)
        shutil.copytree(packed, _ZOO / options.name)
    print(f"{_ZOO / options.name}: {size:.1f} MB")


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


def validation_dice(run: Path, data: Path) -> float:
    """Return the mean per-case Dice on the validation split."""
    with tempfile.TemporaryDirectory() as folder:
        metrics = lexiseg.evaluate(run, data, split="val", out=folder).metrics
    mean: float = metrics["dice"]["mean"]
    return mean


def read_metrics(folder: Path) -> dict[str, Any]:
    """Return the metrics of an evaluation of the test split."""
    metrics: dict[str, Any] = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    if metrics["data"]["split"] != "test":
        raise SystemExit(f"{folder} holds the {metrics['data']['split']} split, not the test split.")
    return metrics


def interval(score: dict[str, Any]) -> str:
    """Return a mean with its interval."""
    low, high = score["ci95"]
    return f"{score['mean']:.3f} ({low:.3f} to {high:.3f})"


def table(metrics: dict[str, Any], flip: dict[str, Any] | None) -> str:
    """Return the test figures as a table, one column per way to predict."""
    columns = {"plain": rows(metrics)} | ({} if flip is None else {"--flip-average": rows(flip)})
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
            f"words, {name}: accuracy (of the most frequent phrase)": f"{factor['accuracy']:.3f} "
            f"({factor['majority']:.3f})"
            for name, factor in metrics["retrieval"].items()
        },
    }


def model_card(
    run: Run,
    metrics: dict[str, Any],
    flip: dict[str, Any] | None,
    *,
    name: str,
    size: float,
    move: float,
    data_set: str,
) -> str:
    """Return the card in Markdown; every figure comes from the run and its evaluations."""
    manifest, training = run.manifest, run.manifest.training
    network, data, entry = manifest.network, manifest.data, find_entry(data_set)
    validation, energy = training["validation"], _WATTS * training["minutes"] / 60_000
    facts = {
        "What": f"{network.model}, {network.preset} preset, encoder {network.encoder}, "
        f"{network.num_parameters / 1e6:.2f} M parameters, {size:.1f} MB in half precision (validation Dice "
        f"moves by {move:+.5f})",
        "Sees": f"a frontal chest radiograph, resized to {manifest.image_size} pixels square",
        "Gives": f"a mask of {', '.join(manifest.class_names[1:])}, the words it retrieves itself, and a "
        f"flag where the two disagree; left and right are the {manifest.side}'s",
        "Trained on": f"{entry.title}, {data['samples']['train']:,} images with masks and report sentences",
        "Licence of the data": f"{entry.licence}: {entry.home}. The weights are learned from these data: "
        f"clear your use with their owners",
        "Selected": f"weights of step {training['selected_step']} of {training['steps']}, by Dice on "
        f"{validation['cases']:,} validation images ({validation['dice']:.4f}); nothing was chosen on test",
        "Training": f"{training['minutes']} minutes, seed {training['seed']}, {training['machine']}, torch "
        f"{training['torch']}, {manifest.created[:10]}",
        "Energy": f"no counter on this machine; at an assumed {_WATTS} W for two busy cores {energy:.3f} kWh",
    }
    seen = (
        f"{metrics['num_cases']:,} images of {metrics['num_patients']:,} patients; 95 % intervals over "
        f"{metrics['interval_over']}."
    )
    listed = "\n".join(f"| {title} | {value} |" for title, value in facts.items())
    return f"""# {name}

**Research software, not a medical device: not for clinical use.**

| | |
| --- | --- |
{listed}

## On the test images

{seen}

{table(metrics, flip)}

## Review flag

Predictions whose words and mask agree less than {manifest.review_below:.2f} are flagged: on validation
{100 * validation["flagged"]:.1f} % of the cases, mean Dice {validation["dice_flagged"]:.3f} against
{validation["dice_rest"]:.3f} for the rest.

## Limits

- One collection: suspected COVID-19 pneumonia, frontal views. Other hospitals, devices, ages, lateral views
  and other diseases were not tested.
- All test images hold a lesion: how often it finds one in a healthy chest is not known.
- Small lesions, and lesions in one lung alone, are its weak point.
- The collection's masks were drawn with the help of a network: agreeing with them is not agreeing with a
  radiologist.

## How it was made

```
{training["command"]}
{metrics["execution"]["command"]}
```
"""


if __name__ == "__main__":
    main()
