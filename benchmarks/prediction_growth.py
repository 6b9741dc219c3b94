"""Measure whether memory, file handles or threads grow over many predictions in one process.

    python benchmarks/prediction_growth.py [RUN] [--count 3000] [--size 224] [--warm-up 300]

Half of the images are predicted one by one, as a viewer does, and half in batches to files, as the command
does. Exit code 1 if memory has grown by more than 2 % since the warm-up, or if there are more handles or
threads.
"""

from __future__ import annotations

import argparse
import gc
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from machine import describe_machine

import lexiseg

#: Images of each call that writes files.
BATCH = 10
#: Growth of memory that counts as none.
ALLOWED_GROWTH = 0.02
_DISTINCT = 50


class Sample(NamedTuple):
    """The state of this process after some predictions.

    Attributes:
        done: Number of predictions.
        megabytes: Resident memory.
        handles: Open file handles.
        threads: Threads of Python and of libraries.
    """

    done: int
    megabytes: float
    handles: int
    threads: int

    @classmethod
    def now(cls, done: int) -> Sample:
        """Return the state after `done` predictions."""
        gc.collect()
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return cls(
            done=done,
            megabytes=pages * os.sysconf("SC_PAGE_SIZE") / 2**20,
            handles=len(os.listdir("/proc/self/fd")),
            threads=len(os.listdir("/proc/self/task")),
        )


def predictions(predictor: lexiseg.Predictor, images: list[Path], out: Path) -> Iterator[int]:
    """Predict for ever, in turn one by one and in batches to files; yield how many are done."""
    done = 0
    while True:
        for number in range(BATCH):
            predictor.predict(images[(done + number) % len(images)])
        targets = lexiseg.find_targets([str(images[(done + n) % len(images)]) for n in range(BATCH)])
        lexiseg.predict_to_files(predictor, targets, out)
        done += 2 * BATCH
        yield done


def measure(
    run: str, images: list[Path], out: Path, *, count: int, warm_up: int, steps: int = 9
) -> list[Sample]:
    """Return the state after the warm-up and at `steps` further points, the last after all predictions."""
    predictor = lexiseg.load(run, batch_size=BATCH)
    samples: list[Sample] = []
    wanted = warm_up
    for done in predictions(predictor, images, out):
        if done >= wanted:
            samples.append(Sample.now(done))
            wanted += max(1, (count - warm_up) // steps)
        if done >= count:
            return samples
    raise AssertionError("predictions do not end by themselves")


def grown(samples: list[Sample]) -> list[str]:
    """Return what has grown since the first sample, one sentence each."""
    first, last = samples[0], samples[-1]
    found = []
    if last.megabytes > first.megabytes * (1 + ALLOWED_GROWTH):
        found.append(f"memory {first.megabytes:.0f} to {last.megabytes:.0f} MB")
    for name in ("handles", "threads"):
        if getattr(last, name) > getattr(first, name):
            found.append(f"{name} {getattr(first, name)} to {getattr(last, name)}")
    return found


def main() -> int:
    """Parse the arguments, make the images, measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", nargs="?", default="covid-xray")
    parser.add_argument("--count", type=int, default=3000)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--warm-up", type=int, default=300)
    options = parser.parse_args()
    print(describe_machine(), flush=True)
    begun = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        phantom = Path(folder) / "phantom"
        lexiseg.write_phantom(phantom, num_train=_DISTINCT, num_val=1, num_test=1, size=options.size)
        images = sorted((phantom / "Train_Folder" / "img").iterdir())
        samples = measure(
            options.run, images, Path(folder) / "out", count=options.count, warm_up=options.warm_up
        )
    print("| predictions | memory, MB | file handles | threads |\n| --- | --- | --- | --- |")
    for sample in samples:
        print(f"| {sample.done} | {sample.megabytes:.1f} | {sample.handles} | {sample.threads} |")
    change = 100 * (samples[-1].megabytes / samples[0].megabytes - 1)
    found = grown(samples)
    print(
        f"Memory since the warm-up: {change:+.1f} %; "
        f"{'grown: ' + ', '.join(found) if found else 'nothing grew'}; {time.perf_counter() - begun:.0f} s."
    )
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
