"""Tiny data sets in every layout, made of phantom cases."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from PIL import Image

from lexiseg.data.phantom import PhantomCase, make_phantom
from lexiseg.files import write_json

Pixels = npt.NDArray[np.generic]
SPLITS = ("train", "val", "test")


def phantom_cases(train: int = 8, val: int = 3, test: int = 3, *, classes: int = 1) -> list[PhantomCase]:
    """Return cases of 64 x 64 pixels."""
    return list(make_phantom({"train": train, "val": val, "test": test}, size=64, seed=5, classes=classes))


def save(path: Path, pixels: Pixels) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def rgb(image: Pixels) -> Pixels:
    """Return a picture whose three channels differ."""
    return np.stack([image, np.roll(image, 1, axis=0), 255 - image], axis=-1)


def deep(image: Pixels) -> Pixels:
    """Return a picture of 16 bits."""
    return image.astype(np.uint16) * 200 + 1000


def write_sheet(path: Path, rows: Mapping[str, str], columns: tuple[str, str]) -> None:
    """Write a report sheet, CSV or Excel by its ending."""
    path.parent.mkdir(parents=True, exist_ok=True)
    table = pd.DataFrame(list(rows.items()), columns=list(columns))
    if path.suffix == ".csv":
        table.to_csv(path, index=False)
    else:
        table.to_excel(path, index=False)


def write_folders(
    root: Path,
    cases: Iterable[PhantomCase],
    *,
    split: str | None = "json",
    sheet: bool | Callable[[int, PhantomCase], str] = True,
    ending: str = ".png",
    pixels: Callable[[Pixels], Pixels] = lambda image: image,
) -> Path:
    """Write `images/ masks/ [reports.csv]`, split by "json", "subfolders" or not at all."""
    rows: dict[str, str] = {}
    splits: dict[str, list[str]] = {name: [] for name in SPLITS}
    cases = list(cases)
    scale = np.uint8(255 if max(case.labels.max() for case in cases) == 1 else 1)
    for number, case in enumerate(cases):
        below = case.split if split == "subfolders" else ""
        save(root / "images" / below / f"{case.name}{ending}", pixels(case.image))
        save(root / "masks" / below / f"{case.name}.png", case.labels * scale)
        rows[f"{case.name}{ending}"] = sheet(number, case) if callable(sheet) else case.report
        splits[case.split].append(case.name)
    if sheet:
        write_sheet(root / "reports.csv", rows, ("image", "report"))
    if split == "json":
        write_json(root / "splits.json", splits)
    return root


def write_published(root: Path, cases: Iterable[PhantomCase], *, ending: str) -> Path:
    """Write `Train_Folder/{img,labelcol,Train_text.*}` and so on, keyed by mask name."""
    rows: dict[str, dict[str, str]] = {name: {} for name in SPLITS}
    for case in cases:
        folder = root / f"{case.split.title()}_Folder"
        save(folder / "img" / f"{case.name}.png", case.image)
        save(folder / "labelcol" / f"mask_{case.name}.png", case.labels * 255)
        rows[case.split][f"mask_{case.name}.png"] = case.report
    for split, of_split in rows.items():
        title = split.title()
        write_sheet(root / f"{title}_Folder" / f"{title}_text{ending}", of_split, ("Image", "Description"))
    return root


def write_csvs(root: Path, cases: Iterable[PhantomCase]) -> Path:
    """Write CoTexNet's layout: one data set of two, the other not downloaded."""
    rows: dict[str, list[tuple[str, str, str]]] = {name: [] for name in SPLITS}
    for case in cases:
        save(root / "CXR" / "images" / f"{case.name}.png", case.image)
        save(root / "CXR" / "masks" / f"{case.name}_mask.png", case.labels * 255)
        rows[case.split].append(("CXR", f"{case.name}.png", f"{case.name}_mask.png"))
    rows["train"].append(("CAMUS", "p1.png", "p1.png"))
    for split, of_split in rows.items():
        table = pd.DataFrame(of_split, columns=["dataset", "img_name", "mask_name"])
        table.to_csv(root / f"{split}_data.csv", index=False)
    return root


def truncate(path: Path) -> Path:
    """Cut a file in half, as a broken download is."""
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    return path


def leftovers(folder: Path) -> list[Path]:
    """Return the half-written files below a folder."""
    return [path for path in folder.rglob("*") if ".partial" in path.name or path.name.endswith(".tmp")]
