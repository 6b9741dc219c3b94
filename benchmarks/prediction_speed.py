"""Measure prediction from PNG files to mask files: images per second, and memory, at several counts.

    python benchmarks/prediction_speed.py RUN [--counts 100 5000] [--size 224] [--engines torch onnx]

The images are phantoms, written once and copied; each count is predicted in a process of its own, by one
engine after the other. Beside the rate stands that of the network alone, in the same process.
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
from lexiseg.data.readers import read_image

_DISTINCT = 50
_PASSES = 5


def load(run: str, engine: str) -> lexiseg.Predictor:
    """Load a run with an engine and, after a colon, its precision."""
    name, _, precision = engine.partition(":")
    return lexiseg.load(run, engine=name, **({"precision": precision} if precision else {}))


def network_speed(predictor: lexiseg.Predictor, files: list[Path]) -> float:
    """Return images per second of the network alone, the best of some passes over images in memory."""
    batch = predictor.prepare([read_image(file) for file in files])
    durations = []
    for _ in range(_PASSES):
        started = time.perf_counter()
        predictor.engine.run(batch)
        durations.append(time.perf_counter() - started)
    return len(files) / min(durations)


def predict(run: str, engine: str, images: Path, out: Path) -> None:
    """Predict a folder; print images per second, the loading of the model aside, and peak memory."""
    predictor = load(run, engine)
    targets = lexiseg.find_targets([str(images)])
    lexiseg.predict_to_files(predictor, targets[:16], out)  # the first pass through the network is slower
    alone = network_speed(predictor, [target.image for target in targets[:_DISTINCT]])
    started = time.perf_counter()
    lexiseg.predict_to_files(predictor, targets, out)
    rate = len(targets) / (time.perf_counter() - started)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    share = 100 * rate / alone
    print(
        f"| {engine} | {len(targets)} | {rate:.1f} | {alone:.1f} | {share:.0f} % | {peak:.0f} MB |",
        flush=True,
    )


def main() -> None:
    """Parse the arguments, make the images, measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run")
    parser.add_argument("--counts", type=int, nargs="+", default=[100, 5000])
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--engines", nargs="+", default=["auto"], help="such as torch, openvino:bf16")
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        engine, images, out = options.one
        predict(options.run, engine, Path(images), Path(out))
        return
    print(describe_machine(), flush=True)
    print("\n| engine | images | images/s | network alone | share | peak memory |")
    print("| --- | --- | --- | --- | --- | --- |", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        phantom, root = Path(folder) / "phantom", Path(folder)
        lexiseg.write_phantom(phantom, num_train=_DISTINCT, num_val=1, num_test=1, size=options.size)
        sources = sorted((phantom / "Train_Folder" / "img").iterdir())
        for count in options.counts:
            images = root / f"images{count}"
            images.mkdir()
            for number in range(count):
                shutil.copy(sources[number % len(sources)], images / f"{number:06d}{sources[0].suffix}")
            for engine in options.engines:
                out = root / f"out{count}-{engine.replace(':', '-')}"
                command = [sys.executable, __file__, options.run, "--one", engine, str(images), str(out)]
                subprocess.run(command, check=True)
                shutil.rmtree(out)


if __name__ == "__main__":
    main()
