"""Measure prediction from PNG files to mask files: images per second, and memory, at several counts.

    python benchmarks/prediction_speed.py RUN [--counts 100 5000] [--size 224] [--engines torch onnx]

The images are phantoms, written once and copied; each count is predicted in a process of its own, by one
engine after the other. Beside the rate stand that of the network alone, in the same process, and the
processor time per image that is not the network's. `--stages` also says where this time goes.
"""

from __future__ import annotations

import argparse
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from threading import Lock
from typing import Any

from machine import describe_machine

import lexiseg
from lexiseg.data.readers import read_image
from lexiseg.inference import predictor
from lexiseg.inference.batches.image_writing import ImageWriting
from lexiseg.inference.inputs import image_reading
from lexiseg.inference.whole_images import WholeImages

_DISTINCT = 50
_PASSES = 5
#: The stages beside the network: what each is called, and the function that it consists of.
_STAGES: tuple[tuple[str, Any, str], ...] = (
    ("reading and decoding", image_reading, "read_image_with_facts"),
    ("pictures for the network", WholeImages, "pictures"),
    ("likeness to the training images", predictor, "unlike_any"),
    ("signals of the mask", predictor, "averaged_answers"),
    ("mask, words, expected Dice", predictor.Predictor, "_result"),
    ("writing files", ImageWriting, "_write_files"),
    ("writing tables", ImageWriting, "_write_rest"),
)


def load(run: str, engine: str) -> lexiseg.Predictor:
    """Load a run with an engine and, after a colon, its precision."""
    name, _, precision = engine.partition(":")
    return lexiseg.load(run, engine=name, **({"precision": precision} if precision else {}))


def network_speed(loaded: lexiseg.Predictor, files: list[Path]) -> tuple[float, float]:
    """Return images per second of the network alone, and its processor time per image in seconds.

    Each is the best of some passes over images in memory.
    """
    batch = loaded.prepare([read_image(file) for file in files])
    durations, times = [], []
    for _ in range(_PASSES):
        started, used = time.perf_counter(), time.process_time()
        loaded.engine.run(batch)
        durations.append(time.perf_counter() - started)
        times.append(time.process_time() - used)
    return len(files) / min(durations), min(times) / len(files)


def time_stages() -> Counter[str]:
    """Make each stage add its processor time, in seconds, to the table that is returned."""
    spent: Counter[str] = Counter()
    one_at_a_time = Lock()

    def timed(stage: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            started = time.thread_time()
            try:
                return function(*args, **kwargs)
            finally:
                with one_at_a_time:
                    spent[stage] += time.thread_time() - started

        return call

    for stage, owner, name in _STAGES:
        setattr(owner, name, timed(stage, getattr(owner, name)))
    return spent


def predict(run: str, engine: str, images: Path, out: Path, *, stages: bool) -> None:
    """Predict a folder; print images per second, the loading of the model aside, and peak memory."""
    loaded = load(run, engine)
    targets = lexiseg.find_targets([str(images)])
    lexiseg.predict_to_files(loaded, targets[:16], out)  # the first pass through the network is slower
    alone, of_network = network_speed(loaded, [target.image for target in targets[:_DISTINCT]])
    spent = time_stages() if stages else Counter[str]()
    started, used = time.perf_counter(), time.process_time()
    lexiseg.predict_to_files(loaded, targets, out)
    rate = len(targets) / (time.perf_counter() - started)
    beside = 1000 * ((time.process_time() - used) / len(targets) - of_network)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"| {engine} | {len(targets)} | {rate:.1f} | {alone:.1f} | {100 * rate / alone:.0f} % | "
        f"{beside:.1f} ms | {peak:.0f} MB |",
        flush=True,
    )
    for stage, seconds in spent.items():
        print(f"  {stage}: {1000 * seconds / len(targets):.2f} ms", flush=True)


def main() -> None:
    """Parse the arguments, make the images, measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run")
    parser.add_argument("--counts", type=int, nargs="+", default=[100, 5000])
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--engines", nargs="+", default=["auto"], help="such as torch, openvino:bf16")
    parser.add_argument("--stages", action="store_true", help="processor time per image of each stage")
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        engine, images, out = options.one
        predict(options.run, engine, Path(images), Path(out), stages=options.stages)
        return
    print(describe_machine(), flush=True)
    print("\n| engine | images | images/s | network alone | share | beside the network | peak memory |")
    print("| --- | --- | --- | --- | --- | --- | --- |", flush=True)
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
                subprocess.run([*command, *(["--stages"] if options.stages else [])], check=True)
                shutil.rmtree(out)


if __name__ == "__main__":
    main()
