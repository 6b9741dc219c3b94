"""Compare the engines on one run: images per second of the network alone, masks, words, and a cold start.

    python benchmarks/engines.py RUN IMAGES [--count 64] [--batch-size 8]

All engines compute the same images in the same process, in turns, so that other work on the machine slows all
of them alike; the table gives the fastest turn of each, and its ratio to torch. A cold start is a whole
process `lexiseg predict RUN IMAGE`, with its wall time, processor time and peak memory. RUN needs a model
file: `lexiseg export RUN`.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from machine import describe_machine

import lexiseg
from lexiseg.data.readers import read_image
from lexiseg.engines.choice import load_engine
from lexiseg.engines.engine import EngineChoice, Precision
from lexiseg.inference.options import PredictionOptions
from lexiseg.inference.predictor import Predictor
from lexiseg.inference.result import Prediction
from lexiseg.runs.run import Run

_TURNS = 5
#: Runs its arguments as a command, and prints what it took.
_WATCH = """
import resource, subprocess, sys, time
started = time.perf_counter()
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)
wall, used = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
print(f"{wall:.2f} s wall, {used.ru_utime + used.ru_stime:.2f} s processor, {used.ru_maxrss / 1024:.0f} MB")
"""
_ENGINES: tuple[tuple[EngineChoice, Precision], ...] = (
    ("torch", "fp32"),
    ("onnx", "fp32"),
    ("openvino", "fp32"),
    ("openvino", "bf16"),
)


@dataclass
class Measured:
    """One engine: its predictor, its predictions, and the seconds of its fastest turn."""

    predictor: Predictor
    predictions: list[Prediction]
    seconds: float = float("inf")


def dice(one: Prediction, other: Prediction) -> float:
    """Return the Dice of two masks, all classes together; 1 if both are empty."""
    total = int((one.mask > 0).sum() + (other.mask > 0).sum())
    return 2 * int(((one.mask == other.mask) & (one.mask > 0)).sum()) / total if total else 1.0


def measure(run: Run, files: list[Path], batch_size: int) -> dict[str, Measured]:
    """Return what each engine predicts, and how fast its network is."""
    images = [read_image(file) for file in files]
    found = {}
    for engine, precision in _ENGINES:
        options = PredictionOptions(engine=engine, precision=precision, batch_size=batch_size)
        predictor = Predictor(run, options, engine=load_engine(run, engine, precision=precision))
        predictions = [
            prediction
            for start in range(0, len(images), batch_size)
            for prediction in predictor.predict_arrays(images[start : start + batch_size])
        ]
        found[str(predictor.engine.description)] = Measured(predictor, predictions)
    batch = next(iter(found.values())).predictor.prepare(images[:batch_size])
    for _ in range(_TURNS):
        for measured in found.values():
            started = time.perf_counter()
            measured.predictor.engine.run(batch)
            measured.seconds = min(measured.seconds, time.perf_counter() - started)
    return found


def print_table(found: dict[str, Measured], batch_size: int) -> None:
    """Print one row per engine; torch is the first."""
    reference = next(iter(found.values()))
    print("| engine | images/s | against torch | mean Dice of masks | least | words equal | flags equal |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for name, measured in found.items():
        pairs = list(zip(measured.predictions, reference.predictions, strict=True))
        overlaps = [dice(*pair) for pair in pairs]
        words = [
            a.index == b.index for one, other in pairs for a, b in zip(one.words, other.words, strict=True)
        ]
        flags = np.mean([one.flagged == other.flagged for one, other in pairs])
        print(
            f"| {name} | {batch_size / measured.seconds:.1f} | {reference.seconds / measured.seconds:.2f} | "
            f"{np.mean(overlaps):.5f} | {min(overlaps):.5f} | "
            f"{f'{100 * np.mean(words):.2f} %' if words else '-'} | {100 * flags:.2f} % |"
        )


def cold_start(run: str, image: Path, engine: str) -> str:
    """Predict one image in a process of its own; return its wall time, processor time and peak memory."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "lexiseg", "predict", run, str(image), "--out", f"{folder}/out"]
        # Through a small process: a child's peak is at least the memory of the process that starts it.
        watched = [sys.executable, "-c", _WATCH, *command, "--engine", engine]
        lines = subprocess.run(watched, check=True, capture_output=True, text=True).stdout.splitlines()
    return f"{engine}: {lines[-1]}"


def main() -> None:
    """Parse the arguments, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run")
    parser.add_argument("images", type=Path)
    parser.add_argument("--count", type=int, default=64)
    parser.add_argument("--batch-size", type=int, default=8)
    options = parser.parse_args()
    files = [target.image for target in lexiseg.find_targets([str(options.images)])][: options.count]
    print(describe_machine())
    threads = os.environ.get("OMP_NUM_THREADS")
    print(f"{len(files)} images, batches of {options.batch_size}, OMP_NUM_THREADS={threads}")
    print()
    print_table(measure(Run.open(options.run), files, options.batch_size), options.batch_size)
    print("\nCold start, one image, whole process, the better of two:")
    for engine in ("torch", "onnx"):
        print("-", min(cold_start(options.run, files[0], engine) for _ in range(2)))


if __name__ == "__main__":
    main()
