"""Compare training with two processes to training with one: images per second, share of twice the rate.

    python benchmarks/devices.py [--image-size 224] [--batch-size 16] [--steps 10 40] [--precision fp32]

Each process has one thread and reads its images itself. A run of few and a run of more steps are timed, and
their difference is that of the steps alone. The last row is what the cores allow: two trainings of one
process at the same time, which do not wait for each other. The images are phantoms.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from machine import describe_machine

import lexiseg

_IMAGES = 64


def seconds(commands: list[list[str]]) -> float:
    """Run commands at the same time, each process with one thread; return the seconds until all ended."""
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    started = time.perf_counter()
    running = [
        subprocess.Popen(
            command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        for command in commands
    ]
    errors = [process.communicate()[1] for process in running]
    taken = time.perf_counter() - started
    for process, error in zip(running, errors, strict=True):
        if process.returncode != 0:
            sys.exit(f"A training ended with exit code {process.returncode}:\n{error[-3000:]}")
    return taken


def images_per_second(options: argparse.Namespace, folder: Path, *, devices: int, at_once: int = 1) -> float:
    """Return the rate of some trainings at the same time, all together, from two lengths."""
    fewer, more = options.steps
    durations = []
    for steps in (fewer, more):
        commands = [
            [
                *(sys.executable, "-m", "lexiseg", "train", str(folder / "data")),
                *("--out", str(folder / f"{at_once}-{devices}-{steps}-{number}"), "--steps", str(steps)),
                *("--devices", str(devices), "--device", "cpu", "--precision", options.precision),
                *("--image-size", str(options.image_size), "--batch-size", str(options.batch_size)),
                *("--workers", "0", "--text", "concepts", "--vocabulary", "chest"),
            ]
            for number in range(at_once)
        ]
        durations.append(seconds(commands))
    return at_once * (more - fewer) * options.batch_size / (durations[1] - durations[0])


def main() -> None:
    """Parse the arguments, make the data set, time the trainings, print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--image-size", type=int, default=224)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--steps", type=int, nargs=2, default=(10, 40), metavar=("FEWER", "MORE"))
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="fp32")
    options = parser.parse_args()
    if not 0 < options.steps[0] < options.steps[1]:
        parser.error(f"--steps needs a smaller and a larger number above 0, not {options.steps}.")
    print(describe_machine(), flush=True)
    print(f"\n{options.batch_size} images of {options.image_size} px per step, {options.precision}\n")
    print("| trainings | processes of each | images/s together | share of twice the rate of one |")
    print("| --- | --- | --- | --- |", flush=True)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        lexiseg.write_phantom(
            folder / "data", num_train=_IMAGES, num_val=2, num_test=2, size=options.image_size
        )
        one = images_per_second(options, folder, devices=1)
        print(f"| 1 | 1 | {one:.2f} | |", flush=True)
        for trainings, devices in ((1, 2), (2, 1)):
            rate = images_per_second(options, folder, devices=devices, at_once=trainings)
            print(f"| {trainings} | {devices} | {rate:.2f} | {rate / (2 * one):.2f} |", flush=True)


if __name__ == "__main__":
    main()
