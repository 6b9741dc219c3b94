"""Compare the engines on one run: images per second of the network alone, masks, words, and a cold start.

    python benchmarks/engines.py RUN IMAGES [--count 64] [--batch-size 8] [--fp32-layers 0,0 2,0 2,1]

All engines compute the same images in the same process, in turns, so that other work on the machine slows all
of them alike; the table gives the fastest turn of each, and its ratio to torch. An engine that cannot compute
RUN here has a row with the reason. A cold start is a whole process `lexiseg predict RUN IMAGE`, with its wall
time, processor time and peak memory. --fp32-layers adds rows of openvino in bf16 with other numbers of first
and last layers that compute in fp32. RUN needs a model file: `lexiseg export RUN`.
"""

from __future__ import annotations

import argparse
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

import numpy as np
import numpy.typing as npt
from machine import describe_machine

import lexiseg
from lexiseg.data.readers import read_image
from lexiseg.engines.choice import load_engine
from lexiseg.engines.engine import Engine, FloatArray, Precision
from lexiseg.errors import LexisegError
from lexiseg.inference.options import PredictionOptions
from lexiseg.inference.predictor import Predictor
from lexiseg.inference.result import Prediction
from lexiseg.mask_overlap import label_dice
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
_ENGINES: tuple[tuple[str, Precision], ...] = (
    ("torch", "fp32"),
    ("onnx", "fp32"),
    ("openvino", "fp32"),
    ("openvino", "bf16"),
)


@dataclass
class Measured:
    """One engine and what it predicts.

    Attributes:
        engine: The engine.
        predictions: Its predictions of all images.
        batch: The images that are timed, as the network takes them.
        logits: Its mask scores of them.
        seconds: The seconds of its fastest turn.
    """

    engine: Engine
    predictions: list[Prediction]
    batch: FloatArray
    logits: FloatArray
    seconds: float = math.inf


@dataclass(frozen=True)
class Refused:
    """Why an engine does not compute a run here."""

    reason: str


def measure(
    run: Run,
    images: Sequence[npt.NDArray[np.uint8]],
    batch_size: int,
    *,
    fp32_layers: Sequence[tuple[int, int]] = (),
) -> dict[str, Measured | Refused]:
    """Return what each engine predicts and how fast its network is, or why it refuses.

    Args:
        run: The run.
        images: `(H, W, 3)` uint8.
        batch_size: Images per batch.
        fp32_layers: Numbers of first and of last layers in fp32 with which openvino is measured in bf16 too.
    """
    found: dict[str, Measured | Refused] = {}
    for name, precision in _ENGINES:
        try:
            measured = _predicted(run, name, precision, images, batch_size)
        except LexisegError as error:
            found[f"{name}, {precision}"] = Refused(str(error))
            continue
        used = measured.engine.description.precision
        found[f"{name} {measured.engine.description.version}, {precision}"] = (
            measured if used == precision else Refused(f"this processor computes it with {used} only")
        )
    for first, last in fp32_layers:
        from lexiseg.engines import openvino_precision

        with patch.multiple(openvino_precision, FIRST_FP32_LAYERS=first, LAST_FP32_LAYERS=last):
            found[f"openvino, bf16, in fp32: first {first}, last {last}"] = _predicted(
                run, "openvino", "bf16", images, batch_size
            )
    for _ in range(_TURNS):
        for measured in found.values():
            if isinstance(measured, Measured):
                started = time.perf_counter()
                measured.engine.run(measured.batch)
                measured.seconds = min(measured.seconds, time.perf_counter() - started)
    return found


def _predicted(
    run: Run,
    name: str,
    precision: Precision,
    images: Sequence[npt.NDArray[np.uint8]],
    batch_size: int,
) -> Measured:
    """Return what an engine predicts, not timed yet."""
    options = PredictionOptions(engine=name, precision=precision, batch_size=batch_size)
    engine = load_engine(run, name, precision=precision)
    predictor = Predictor(run, options, engine=engine)
    predictions = [
        prediction
        for start in range(0, len(images), batch_size)
        for prediction in predictor.predict_arrays(images[start : start + batch_size])
    ]
    batch = predictor.prepare(images[:batch_size])
    return Measured(engine, predictions, batch, engine.run(batch).logits)


def print_table(found: dict[str, Measured | Refused], batch_size: int) -> None:
    """Print one row per engine; all are compared with the first that computes, which is torch."""
    reference = next((one for one in found.values() if isinstance(one, Measured)), None)
    print(
        "| engine | images/s | against torch | largest difference of a score | mean Dice of masks | least | "
        "words equal | flags equal |"
    )
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for name, measured in found.items():
        if isinstance(measured, Refused) or reference is None:
            reason = measured.reason if isinstance(measured, Refused) else ""
            print(f"| {name} | refused: {' '.join(reason.split()).replace('|', '/')} | | | | | | |")
        else:
            print(f"| {name} | {_figures(measured, reference, batch_size)} |")


def _figures(measured: Measured, reference: Measured, batch_size: int) -> str:
    """Return the cells of an engine in the table, but for its name."""
    pairs = list(zip(measured.predictions, reference.predictions, strict=True))
    overlaps = [label_dice(one.mask, other.mask) for one, other in pairs]
    words = [a.index == b.index for one, other in pairs for a, b in zip(one.words, other.words, strict=True)]
    flags = np.mean([one.flagged == other.flagged for one, other in pairs])
    cells = (
        f"{batch_size / measured.seconds:.1f}",
        f"{reference.seconds / measured.seconds:.2f}",
        f"{np.abs(measured.logits - reference.logits).max():.1e}",
        f"{np.mean(overlaps):.5f}",
        f"{min(overlaps):.5f}",
        f"{100 * np.mean(words):.2f} %" if words else "-",
        f"{100 * flags:.2f} %",
    )
    return " | ".join(cells)


def cold_start(run: str, image: Path, engine: str) -> str:
    """Predict one image in a process of its own; return its wall time, processor time and peak memory."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "lexiseg", "predict", run, str(image), "--out", f"{folder}/out"]
        # Through a small process: a child's peak is at least the memory of the process that starts it.
        watched = [sys.executable, "-c", _WATCH, *command, "--engine", engine]
        lines = subprocess.run(watched, check=True, capture_output=True, text=True).stdout.splitlines()
    return f"{engine}: {lines[-1]}"


def _two_numbers(text: str) -> tuple[int, int]:
    """Return two numbers from a text such as "2,1"."""
    first, last = text.split(",")
    return int(first), int(last)


def main() -> None:
    """Parse the arguments, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run")
    parser.add_argument("images", type=Path)
    parser.add_argument("--count", type=int, default=64)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--fp32-layers", type=_two_numbers, nargs="+", default=[], metavar="FIRST,LAST")
    options = parser.parse_args()
    files = [target.image for target in lexiseg.find_targets([str(options.images)])][: options.count]
    batch_size = min(options.batch_size, len(files))
    print(describe_machine())
    threads = os.environ.get("OMP_NUM_THREADS")
    print(f"{len(files)} images, batches of {batch_size}, OMP_NUM_THREADS={threads}")
    print()
    images = [read_image(file) for file in files]
    found = measure(Run.open(options.run), images, batch_size, fp32_layers=options.fp32_layers)
    print_table(found, batch_size)
    print("\nCold start, one image, whole process, the better of two:")
    computed = {one.engine.description.name for one in found.values() if isinstance(one, Measured)}
    for engine in [name for name in ("torch", "onnx") if name in computed]:
        print("-", min(cold_start(options.run, files[0], engine) for _ in range(2)))


if __name__ == "__main__":
    main()
