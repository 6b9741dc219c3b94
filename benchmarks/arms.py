"""Arms of a comparison: trained alike but for one choice, evaluated on the same split, case by case."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from rich.console import Console

import lexiseg
from lexiseg.evaluation.statistics import paired_difference


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add what all arms of a comparison share."""
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--image-size", type=int, default=160)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--config", type=Path, help="YAML file with further fields of the configuration")


def shared_options(options: argparse.Namespace) -> dict[str, Any]:
    """Return the options that `run_arm` takes for every arm."""
    given = {name: getattr(options, name) for name in ("epochs", "image_size", "seed")}
    return {**given, "config_file": options.config}


def run_arm(data: Path, folder: Path, *, config_file: Path | None = None, **options: Any) -> pd.DataFrame:
    """Train and evaluate one arm; return its test cases, indexed by id.

    An arm that is already finished in `folder` is not trained again; an interrupted one is resumed, with the
    configuration it was started with.
    """
    resume = (folder / "run.json").is_file()
    lexiseg.train(
        data,
        folder,
        resume=resume,
        config_file=None if resume else config_file,
        console=Console(width=140),
        **options,
    )
    lexiseg.evaluate(folder, data, split="test", out=folder / "test")
    return pd.read_csv(folder / "test" / "cases.csv").set_index("id")


def paired(cases: pd.DataFrame, baseline: pd.DataFrame, ids: pd.Index) -> str:
    """Return the paired difference in Dice, with its 95 % interval over patients where they are known."""
    patients = baseline.loc[ids, "patient"].fillna(pd.Series(ids, index=ids)).astype(str).tolist()
    gain = paired_difference(dice(cases, ids), dice(baseline, ids), clusters=patients, seed=0)
    low, high = gain.ci95
    return f"{gain.mean:+.4f} ({low:+.4f} to {high:+.4f})"


def dice(cases: pd.DataFrame, ids: pd.Index) -> npt.NDArray[np.float64]:
    """Return the Dice of some cases."""
    return cases.loc[ids, "dice"].to_numpy()
