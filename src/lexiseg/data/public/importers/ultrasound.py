"""BUSI, with several masks per image, and DDTI, with polygons in XML."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
from PIL import Image, ImageDraw

from lexiseg.data.content import read_content
from lexiseg.data.decode import decode_header
from lexiseg.data.layouts.pairing import image_files, plain_stem
from lexiseg.data.layouts.scan import some
from lexiseg.data.public.importers.masks import lesion
from lexiseg.data.public.importers.pictures import read_pairs
from lexiseg.data.public.importers.source import (
    Labels,
    SourceCase,
    SourceDataset,
    below,
    find_folders,
    has_pictures,
    not_found,
    note_left_out,
    visible_files,
)
from lexiseg.data.public.registry import Entry
from lexiseg.errors import DataError
from lexiseg.printable import counted
from lexiseg.structured_text import parse_json

#: Corners (x, y) in pixels.
Polygon = list[tuple[float, float]]

#: Upper limit of coordinates; JSON allows infinity.
_FARTHEST = 1e6

_LESIONS, _NORMAL = ("benign", "malignant"), "normal"
_MASK = re.compile(r"_mask(?:_\d+)?$")


def read_busi(folder: Path, entry: Entry) -> SourceDataset:
    """Find BUSI: the masks of an image are joined, and normal images have empty masks."""
    roots = find_folders(folder, lambda root: all(has_pictures(below(root, name)) for name in _LESIONS))
    if not roots:
        raise not_found(folder, entry)
    files = {
        name: image_files(inner)
        for name in (*_LESIONS, _NORMAL)
        if (inner := below(roots[0], name)) is not None
    }
    notes: list[str] = []
    if _NORMAL not in files:
        notes.append(f"{roots[0]} has no folder '{_NORMAL}', so there are no images without a tumor.")
    images = [path for paths in files.values() for path in paths if not _MASK.search(path.stem)]
    masks: dict[str, list[Path]] = {}
    for path in (path for paths in files.values() for path in paths if _MASK.search(path.stem)):
        masks.setdefault(_MASK.sub("", path.stem), []).append(path)
    without = [path for path in images if path.stem not in masks]
    note_left_out(notes, (path.name for path in without), "they have no mask")
    images = [path for path in images if path.stem in masks]
    return SourceDataset(cases=_busi(folder, images, masks), total=len(images), notes=notes)


def _busi(folder: Path, images: list[Path], masks: dict[str, list[Path]]) -> Iterator[SourceCase]:
    for image in images:
        labels = [lesion(path) for path in masks[image.stem]]
        if len({part.shape for part in labels}) > 1:
            raise DataError(f"The masks of {image} differ in size.", code="LEX-DATA-085")
        yield SourceCase(
            name=plain_stem(image.name),
            image=image,
            labels=np.maximum.reduce(labels),
            original=image.relative_to(folder).as_posix(),
        )


def read_ddti(folder: Path, entry: Entry) -> SourceDataset:
    """Find DDTI: the original XML files with polygons, or the variant with masks made from them."""
    roots = find_folders(folder, lambda root: bool(visible_files(root, ".xml")) and has_pictures(root))
    if not roots:
        return read_pairs(folder, entry)
    notes: list[str] = []
    outlines: dict[str, list[Polygon]] = {}
    for path in visible_files(roots[0], ".xml"):
        outlines |= _outlines(path)
    images = {plain_stem(path.name): path for path in image_files(roots[0])}
    without = [path.name for stem, path in images.items() if not outlines.get(stem)]
    note_left_out(notes, without, "no nodule is outlined in their XML")
    if missing := sorted(outlines.keys() - images.keys()):
        notes.append(
            f"{counted(len(missing), 'outlined image does', 'outlined images do')} not exist: "
            f"{some(missing)}."
        )
    outlined = [stem for stem in images if outlines.get(stem)]
    if not outlined:
        raise not_found(folder, entry)
    cases = (_ddti(folder, images[stem], outlines[stem]) for stem in outlined)
    return SourceDataset(cases=cases, total=len(outlined), notes=notes)


def _ddti(folder: Path, image: Path, polygons: list[Polygon]) -> SourceCase:
    stem = plain_stem(image.name)
    return SourceCase(
        name=stem,
        image=image,
        labels=_filled(image, polygons),
        original=image.relative_to(folder).as_posix(),
        patient=f"case {stem.rpartition('_')[0]}",
    )


def _filled(image: Path, polygons: list[Polygon]) -> Labels:
    """Fill polygons, including their outlines, on the image's grid."""
    header = decode_header(read_content(image), image)
    canvas = Image.new("L", (header.width, header.height))
    for polygon in polygons:
        ImageDraw.Draw(canvas).polygon(polygon, fill=1, outline=1)
    return np.array(canvas, dtype=np.uint8)


class _PlainXml(ElementTree.TreeBuilder):
    """Builds a tree; refuses document types, which could define entities."""

    def doctype(self, name: str, pubid: str, system: str) -> None:
        """Refuse a document type."""
        raise ElementTree.ParseError("it declares a document type, which is not supported")


def _outlines(path: Path) -> dict[str, list[Polygon]]:
    """Return the polygons per image name (without ending) that one case's XML outlines."""
    try:
        parser = ElementTree.XMLParser(target=_PlainXml())
        marks = list(ElementTree.fromstring(read_content(path), parser=parser).iter("mark"))
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise DataError(f"{path} cannot be read as XML: {error}", code="LEX-DATA-086") from error
    found: dict[str, list[Polygon]] = {}
    for mark in marks:
        number, text = (mark.findtext("image") or "").strip(), (mark.findtext("svg") or "").strip()
        if number and text:
            found.setdefault(f"{path.stem}_{number}", []).extend(_polygons(text, path))
    return found


def _polygons(text: str, path: Path) -> list[Polygon]:
    """Read the JSON of one mark: a list of shapes, each with points x and y."""
    try:
        shapes: list[dict[str, Any]] = parse_json(text)
        polygons = [[(float(point["x"]), float(point["y"])) for point in shape["points"]] for shape in shapes]
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{path}: expected outlines as JSON, a list of shapes with points x and y, got {text[:60]!r}.",
            code="LEX-DATA-087",
        ) from error
    if not all(abs(step) < _FARTHEST for polygon in polygons for point in polygon for step in point):
        raise DataError(
            f"{path}: an outline has a point outside any picture: {text[:60]!r}.",
            code="LEX-DATA-088",
        )
    return [polygon for polygon in polygons if len(polygon) > 2]
