"""Predicting folders of images to files: masks, overlays, and one line of JSON per image."""

from __future__ import annotations

import glob
import json
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lexiseg.data.readers import IMAGE_SUFFIXES, read_image, write_mask
from lexiseg.errors import DataError, LexisegError
from lexiseg.files import disk_errors, write_text
from lexiseg.inference.card import build_card
from lexiseg.inference.earlier import remove_earlier, write_overlay
from lexiseg.inference.explain import explain
from lexiseg.inference.overlay import draw_overlay
from lexiseg.inference.predictor import BATCH_SIZE, Predictor
from lexiseg.inference.result import Prediction

RESULTS_FILE = "predictions.jsonl"
MASKS, OVERLAYS, CARDS = "masks", "overlays", "cards"


@dataclass(frozen=True, kw_only=True)
class Target:
    """One image to predict and where its mask goes.

    Attributes:
        image: The image file.
        name: Path of the mask below `OUT/masks`, without suffix.
    """

    image: Path
    name: Path


@dataclass(frozen=True, kw_only=True)
class BatchSummary:
    """What became of a batch.

    Attributes:
        done: Number of images segmented.
        flagged: Number of them that a person should look at.
        failed: Images that could not be read, with the reason.
        results: The file with one line per image.
    """

    done: int
    flagged: int
    failed: tuple[tuple[Path, str], ...]
    results: Path


def find_targets(patterns: Sequence[str | Path], *, out: str | Path | None = None) -> tuple[Target, ...]:
    """Turn files, folders and glob patterns into a list of images.

    Folders are searched with their subfolders; their structure is kept below the output folder. Hidden
    files and folders in them are left out. An image that
    several patterns name is taken once, under its first name.

    Args:
        patterns: Files, folders and glob patterns.
        out: The output folder: masks and overlays in it are never taken for images, so that a batch may be
            predicted again into a folder below its images.

    Raises:
        DataError: Nothing is found, or two images would write the same mask.
    """
    targets: dict[Path, Target] = {}
    seen: set[Path] = set()
    written = [] if out is None else [Path(out).resolve() / name for name in (MASKS, OVERLAYS)]
    for pattern in patterns:
        resolved = [(target, target.image.resolve()) for target in _expand(Path(pattern))]
        found = [
            (target, real)
            for target, real in resolved
            if not any(real.is_relative_to(folder) for folder in written)
        ]
        if not found:
            raise DataError(
                f"No image found at {pattern}. Expected an image file, a folder with images, or a quoted "
                f"glob pattern; known endings: {', '.join(sorted(IMAGE_SUFFIXES))}.",
                code="LEX-DATA-099",
            )
        for target, real in found:
            if real in seen:  # named by two patterns
                continue
            seen.add(real)
            other = targets.setdefault(target.name, target)
            if other is not target:
                together = other.image.parent.resolve() == target.image.parent.resolve()
                raise DataError(
                    f"{other.image} and {target.image} would both write the mask '{target.name}.png'. "
                    "Predict them with two commands and two --out folders"
                    + ("." if together else ", or give their parent folder."),
                    code="LEX-DATA-100",
                )
    return tuple(targets.values())


def predict_to_files(
    predictor: Predictor,
    targets: Sequence[Target],
    out: str | Path,
    *,
    overlays: bool = False,
    cards: bool = False,
    spacing_mm: tuple[float, float] | None = None,
    batch_size: int = BATCH_SIZE,
    on_result: Callable[[Path, Prediction | LexisegError], None] | None = None,
) -> BatchSummary:
    """Segment images and write what was found.

    Writes `masks/NAME.png` on each input's grid, `overlays/NAME.png` and `cards/NAME.html` if asked for, and
    `predictions.jsonl`. Overlays and cards that an earlier batch wrote of the same images do not stay beside
    the new masks. One unreadable image gets a line with its error and does not stop the rest. Until the end
    the lines stand in `predictions.jsonl.partial`, so that an interrupted batch is never taken for a whole
    one.

    Args:
        predictor: A loaded run.
        targets: From `find_targets`.
        out: Output folder, created if needed.
        overlays: Whether to write overlays.
        cards: Whether to explain each prediction on a card, see `lexiseg.inference.explain`.
        spacing_mm: Height and width of a pixel in millimetres, the same for all images, for areas in mm2.
        batch_size: Images per pass through the network.
        on_result: Called after each image, for progress.

    Returns:
        Counts, and the failures with their reasons.

    Raises:
        DataError: `out` holds masks of another origin, which this batch would replace.
        UsageError: `out` is a file, or lies in one.
        DiskError: There is no space or no permission; nothing half-written is left.
    """
    out = Path(out)
    results, partial = out / RESULTS_FILE, out / (RESULTS_FILE + ".partial")
    if (out / MASKS).exists() and not (results.exists() or partial.exists()):
        raise DataError(
            f"{out / MASKS} exists, but {out} holds no {RESULTS_FILE}: these masks are not from a prediction "
            f"and would be replaced. Choose another --out folder.",
            code="LEX-DATA-101",
        )
    names = {target.image: target.name for target in targets}
    done = flagged = 0
    failed: list[tuple[Path, str]] = []

    def save(path: Path, result: Prediction | LexisegError) -> None:
        if isinstance(result, Prediction):
            target = Target(image=path, name=names[path])
            _write(target, result, out, predictor, overlay=overlays, card=cards)

    with disk_errors(results):
        out.mkdir(parents=True, exist_ok=True)
        results.unlink(missing_ok=True)  # an earlier batch's must not pass for this one's
        with open(partial, "w", encoding="utf-8") as lines:
            predicted = predictor.predict_paths(
                [target.image for target in targets], batch_size=batch_size, spacing_mm=spacing_mm
            )
            for path, result in _saved(predicted, save, depth=2 * batch_size):
                if isinstance(result, LexisegError):
                    failed.append((path, str(result)))
                    line: dict[str, Any] = {"image": str(path), "error": str(result)}
                else:
                    done += 1
                    flagged += result.flagged
                    line = {"image": str(path), "mask": f"{MASKS}/{names[path]}.png", **result.to_dict()}
                lines.write(json.dumps(line, ensure_ascii=False) + "\n")
                if on_result is not None:
                    on_result(path, result)
        os.replace(partial, results)
    return BatchSummary(done=done, flagged=flagged, failed=tuple(failed), results=results)


def _write(
    target: Target, prediction: Prediction, out: Path, predictor: Predictor, *, overlay: bool, card: bool
) -> None:
    """Write the mask of one image, and overlay and card if asked for."""
    overlay_file, card_file = out / OVERLAYS / f"{target.name}.png", out / CARDS / f"{target.name}.html"
    # First, so that what is interrupted here leaves a mask without a card, not one with another mask's.
    remove_earlier(card=card_file, overlay=overlay_file)
    mask_file = out / MASKS / f"{target.name}.png"
    write_mask(mask_file, prediction.mask, num_classes=len(predictor.run.class_names))
    if not overlay and not card:
        return
    image = read_image(target.image)
    if overlay:
        write_overlay(overlay_file, draw_overlay(image, prediction.mask))
    if card:
        explained = explain(predictor, image, prediction=prediction)
        page = build_card(image, explained, name=str(target.name), run=predictor.run.path.name)
        write_text(card_file, page)


def _saved(
    predicted: Iterable[tuple[Path, Prediction | LexisegError]],
    save: Callable[[Path, Prediction | LexisegError], None],
    *,
    depth: int,
) -> Iterator[tuple[Path, Prediction | LexisegError]]:
    """Yield each prediction once its files are written, by a background thread while the network works."""
    waiting: deque[tuple[Path, Prediction | LexisegError, Future[None]]] = deque()
    with ThreadPoolExecutor(1, thread_name_prefix="lexiseg-write") as pool:
        for path, result in predicted:
            waiting.append((path, result, pool.submit(save, path, result)))
            if len(waiting) > depth:
                yield _finished(waiting.popleft())
        while waiting:
            yield _finished(waiting.popleft())


def _finished(
    item: tuple[Path, Prediction | LexisegError, Future[None]],
) -> tuple[Path, Prediction | LexisegError]:
    path, result, future = item
    future.result()
    return path, result


def _expand(pattern: Path) -> Iterator[Target]:
    """Yield the images a file, folder or glob pattern stands for, sorted."""
    if pattern.is_dir():
        for file in sorted(pattern.rglob("*")):
            name = file.relative_to(pattern)
            if any(part.startswith(".") for part in name.parts):
                continue  # such as "._a.png", which macOS puts beside a.png
            if file.suffix.lower() in IMAGE_SUFFIXES and file.is_file():
                yield Target(image=file, name=name.with_suffix(""))
    elif pattern.is_file():
        yield Target(image=pattern, name=Path(pattern.stem))
    else:
        for match in sorted(glob.glob(str(pattern), recursive=True)):
            file = Path(match)
            if not file.name.startswith(".") and file.suffix.lower() in IMAGE_SUFFIXES and file.is_file():
                yield Target(image=file, name=Path(file.stem))
