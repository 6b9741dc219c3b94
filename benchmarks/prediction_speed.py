"""Measure prediction from PNG files to mask files: images per second, and memory, at several counts.

    python benchmarks/prediction_speed.py RUN [--counts 100 5000] [--size 224]

The images are phantoms, written once and copied; each count is predicted in a process of its own.
"""

from __future__ import annotations

import argparse
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from machine import describe_machine

import lexiseg

_DISTINCT = 50


def predict(run: Path, images: Path, out: Path) -> None:
    """Predict a folder; print images per second, the loading of the model aside, and peak memory."""
    predictor = lexiseg.load(run)
    targets = lexiseg.find_targets([str(images)])
    lexiseg.predict_to_files(predictor, targets[:16], out)  # the first pass through the network is slower
    started = time.perf_counter()
    lexiseg.predict_to_files(predictor, targets, out)
    seconds = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{len(targets)} images: {len(targets) / seconds:.1f} images/s, peak memory {peak:.0f} MB", flush=True
    )


def main() -> None:
    """Parse the arguments, make the images, measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--counts", type=int, nargs="+", default=[100, 5000])
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--one", nargs=2, type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        predict(options.run, *options.one)
        return
    print(describe_machine(), flush=True)
    with tempfile.TemporaryDirectory() as folder:
        phantom, root = Path(folder) / "phantom", Path(folder)
        lexiseg.write_phantom(phantom, num_train=_DISTINCT, num_val=1, num_test=1, size=options.size)
        sources = sorted((phantom / "Train_Folder" / "img").iterdir())
        for count in options.counts:
            images = root / f"images{count}"
            images.mkdir()
            for number in range(count):
                shutil.copy(sources[number % len(sources)], images / f"{number:06d}{sources[0].suffix}")
            places = [str(images), str(root / f"out{count}")]
            command = [sys.executable, __file__, str(options.run), "--one", *places]
            subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
