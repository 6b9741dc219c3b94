"""Measure how fast `lexiseg predict` starts on a folder with very many images, and how its memory grows.

    python benchmarks/big_folder.py [RUN] [--files 100000] [--images 200] [--in-folder 1000]

The files are hard links of a few small PNG files. Another process runs the command. It notes the time from
its start to its first prediction, its processor time until then (less dependent on the load of the machine),
and its memory then and after some images, and ends. Needs Linux.
"""

from __future__ import annotations

import argparse
import json
import os
import runpy
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

#: Different images; a file has a limited number of links.
_DISTINCT = 50
#: Height and width in pixels.
_SIZE = 64


def make_files(folder: Path, files: int, in_folder: int) -> None:
    """Make image files in folders.

    Args:
        folder: The folder of these folders.
        files: Number of files.
        in_folder: Files of each folder at most.
    """
    sources = []
    for number in range(_DISTINCT):
        pixels = np.random.default_rng(number).integers(0, 256, (_SIZE, _SIZE), dtype=np.uint8)
        sources.append(folder.parent / f"source-{number}.png")
        Image.fromarray(pixels).save(sources[-1])
    for number in range(files):
        place = folder / f"{number // in_folder:06}"
        if number % in_folder == 0:
            place.mkdir(parents=True)
        os.link(sources[number % _DISTINCT], place / f"image-{number:07}.png")


def resident_megabytes() -> float:
    """Return the memory of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def measure_command(arguments: list[str], images: int, record: Path) -> None:
    """Run the command in this process, measure it, and end after some images.

    Args:
        arguments: Those of `lexiseg`.
        images: Number of images after which it ends.
        record: The file for what was seen.
    """
    from lexiseg.inference.predictor import Predictor

    predict, seen = Predictor.predict_decoded, dict[str, float]()
    done = 0

    def measured_predict(self: Predictor, decoded: Any, **options: Any) -> Any:
        nonlocal done
        if not seen:
            seen.update(first=time.time(), processor=time.process_time(), megabytes=resident_megabytes())
        found = predict(self, decoded, **options)
        done += len(decoded)
        if done >= images:
            seen.update(images=done, later=resident_megabytes())
            record.write_text(json.dumps(seen))
            os._exit(0)
        return found

    Predictor.predict_decoded = measured_predict  # type: ignore[method-assign]
    sys.argv = ["lexiseg", *arguments]
    runpy.run_module("lexiseg", run_name="__main__")


def main() -> int:
    """Parse the arguments, make the files, measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", nargs="?", default="covid-xray")
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--in-folder", type=int, default=1000)
    parser.add_argument("--measure", nargs=2, metavar=("RECORD", "FOLDER"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure is not None:
        record, folder = map(Path, options.measure)
        arguments = ["predict", options.run, str(folder / "images"), "--out", str(folder / "out")]
        measure_command(arguments, options.images, record)
        return 1  # it ends by itself
    from machine import describe_machine  # imports torch, which the measured process does not

    print(describe_machine(), flush=True)
    with tempfile.TemporaryDirectory() as name:
        folder, record = Path(name), Path(name, "seen.json")
        make_files(folder / "images", options.files, options.in_folder)
        images = min(options.images, options.files)
        command = [sys.executable, __file__, options.run, "--images", str(images)]
        started = time.time()
        subprocess.run([*command, "--measure", str(record), name], check=True)
        seen = json.loads(record.read_text())
    columns = ("files", "start to first prediction, s", "processor time, s", "memory then, MB")
    print(f"| {' | '.join(columns)} | images | memory after them, MB |")
    print("| --- | --- | --- | --- | --- | --- |")
    print(
        f"| {options.files:,} | {seen['first'] - started:.1f} | {seen['processor']:.1f} | "
        f"{seen['megabytes']:.0f} | {seen['images']} | {seen['later']:.0f} |"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
