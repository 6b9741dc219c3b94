"""Whether files are whole, as their readers see them."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
import yaml
from PIL import Image
from safetensors.torch import load_file


def _image(path: Path) -> None:
    with Image.open(path) as image:
        image.load()


def _lines(path: Path) -> None:
    for line in path.read_text("utf-8").splitlines():
        json.loads(line)


def _table(path: Path) -> None:
    with open(path, newline="", encoding="utf-8") as file:
        widths = {len(row) for row in csv.reader(file)}
    if len(widths) != 1:
        raise ValueError(f"rows of {sorted(widths)} columns")


def _page(path: Path) -> None:
    if not path.read_text("utf-8").rstrip().endswith(("</html>", "</svg>")):
        raise ValueError("the end is missing")


def _text(path: Path) -> None:
    if not path.read_text("utf-8").endswith("\n"):
        raise ValueError("the end is missing")


_READERS: dict[str, Callable[[Path], object]] = {
    ".png": _image,
    ".tif": _image,
    ".json": lambda path: json.loads(path.read_text("utf-8")),
    ".jsonl": _lines,
    ".csv": _table,
    ".html": _page,
    ".svg": _page,
    ".md": _text,
    ".yaml": lambda path: yaml.safe_load(path.read_text("utf-8")),
    ".safetensors": lambda path: load_file(path),
    ".ckpt": lambda path: torch.load(path, map_location="cpu", weights_only=True),
}


def is_scrap(path: Path) -> bool:
    """Return whether a file or folder has a temporary name, or lies in such a folder."""
    return any(".partial" in part or part.endswith(".tmp") for part in path.parts)


def broken_files(folder: Path) -> Iterator[str]:
    """Yield a sentence for each file that its reader cannot read; temporary names are left out."""
    for path in sorted(folder.rglob("*")):
        read = _READERS.get(path.suffix)
        if read is None or not path.is_file() or is_scrap(path.relative_to(folder)):
            continue
        try:
            read(path)
        except Exception as error:
            yield f"{path.relative_to(folder)}: {error}"


def scraps(folder: Path, *, kept: tuple[str, ...] = ()) -> list[str]:
    """Return the files and folders below a folder that have a temporary name.

    Args:
        folder: The folder.
        kept: Names that may stay.
    """
    found = (path.relative_to(folder) for path in sorted(folder.rglob("*")) if path.name not in kept)
    return [str(path) for path in found if is_scrap(path)]
