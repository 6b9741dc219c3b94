"""Croissant metadata: what a data set holds, in the form that search engines and loaders of data sets read.

Source of the format: https://docs.mlcommons.org/croissant/docs/croissant-spec.html (version 1.1)
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import mlcroissant as mlc

from lexiseg.data import DatasetIndex, Sample
from lexiseg.data.dataset_yaml import DatasetYaml, read_dataset_yaml
from lexiseg.data.layouts.open_dataset import open_dataset
from lexiseg.data.volumes.volume_names import DATA_SUFFIXES, stored_file, volume_ending, volume_stem
from lexiseg.errors import DataError
from lexiseg.files import write_json

#: The file, in the folder of the data set.
CROISSANT_FILE = "croissant.json"

_RECORDS = "samples"
_MIME_TYPES = {
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".webp": "image/webp",
    ".bmp": "image/bmp",
    ".tif": "image/tiff",
    ".tiff": "image/tiff",
    ".dcm": "application/dicom",
    ".nii.gz": "application/gzip",
}
_FIELDS = {
    "id": "Name of the image, unique in the data set.",
    "split": "The split: train, val or test.",
    "image": "Path of the image file in the folder of the data set.",
    "image_part": "Slice of the image file, such as k012 (axis i, j or k; from 0). Empty: the whole file.",
    "mask": "Path of the mask file; empty where there is none.",
    "mask_part": "Slice of the mask file, or the SOP Instance UID of the image that it segments. Empty: the "
    "whole file.",
    "report": "The report sentence, as written; empty where there is none.",
    "patient": "The patient; empty where not known. A split keeps the images of a patient together.",
}


def write_croissant(data: str | Path, out: str | Path | None = None) -> Path:
    """Describe a data set in the Croissant format.

    The description holds the name, the licence and the other facts of `dataset.yaml`, and one record per
    image with its split, files, report sentence and patient. It holds no pixels.

    Args:
        data: The data set folder.
        out: The file; None: `croissant.json` in the folder of the data set. A file there is replaced.

    Returns:
        The file.

    Raises:
        DataError: The data set cannot be opened, or a file of it lies outside its folder.
        DiskError: There is no space or no permission.
    """
    index = open_dataset(data, allow_missing_masks=True)
    stated = read_dataset_yaml(index.root)
    with _quiet():
        metadata = _metadata(index, stated)
        found = metadata.ctx.issues.errors
        if found:
            raise DataError(
                f"{index.root} cannot be described as Croissant: {'; '.join(sorted(found))}.",
                code="LEX-DATA-1057",
            )
        content = metadata.to_json()
    file = index.root / CROISSANT_FILE if out is None else Path(out)
    write_json(file, content)
    return file


def _metadata(index: DatasetIndex, stated: DatasetYaml) -> Any:
    ctx = mlc.Context()
    suffixes = sorted(
        {
            ending
            for sample in index.samples
            for path in (sample.image, sample.mask)
            if path
            for ending in _endings(stored_file(path)[0])
        }
    )
    return mlc.Metadata(
        ctx=ctx,
        name=index.name,
        description=stated.description or f"Medical images with masks of {', '.join(index.class_names[1:])}.",
        license=[stated.license] if stated.license else None,
        url=stated.url,
        cite_as=stated.citation,
        distribution=[
            mlc.FileSet(
                ctx=ctx,
                id=f"files{suffix}",
                name=f"files{suffix}",
                description=f"The {suffix} files, by their path in the folder of this description.",
                encoding_formats=[_MIME_TYPES.get(suffix.lower(), "application/octet-stream")],
                includes=[f"**/*{suffix}"],
            )
            for suffix in suffixes
        ],
        record_sets=[
            mlc.RecordSet(
                ctx=ctx,
                id=_RECORDS,
                name=_RECORDS,
                description="One record per image.",
                key=[f"{_RECORDS}/id"],
                fields=[
                    mlc.Field(
                        ctx=ctx,
                        id=f"{_RECORDS}/{name}",
                        name=f"{_RECORDS}/{name}",
                        description=description,
                        data_types=[mlc.DataType.TEXT],
                    )
                    for name, description in _FIELDS.items()
                ],
                data=[_record(sample, index.root) for sample in index.samples],
            )
        ],
    )


def _record(sample: Sample, root: Path) -> dict[str, str]:
    image, image_part = stored_file(sample.image)
    mask, mask_part = (None, "") if sample.mask is None else stored_file(sample.mask)
    values = {
        "id": sample.id,
        "split": sample.split,
        "image": _relative(image, root),
        "image_part": image_part,
        "mask": "" if mask is None else _relative(mask, root),
        "mask_part": mask_part,
        "report": sample.report or "",
        "patient": sample.patient or "",
    }
    return {f"{_RECORDS}/{name}": value for name, value in values.items()}


def _endings(file: Path) -> set[str]:
    """Return the ending of a file, such as ".nii.gz", with those of the data files that a header can name."""
    ending = file.name[len(volume_stem(file.name)) :] if volume_ending(file.name) else file.suffix
    return {ending, *(DATA_SUFFIXES if ending.lower() in (".mhd", ".nhdr") else ())}


def _relative(path: Path, root: Path) -> str:
    try:
        return path.relative_to(root).as_posix()
    except ValueError as error:
        raise DataError(
            f"{path} lies outside the data set {root}, so its description cannot name it. Copy the file into "
            f"the folder.",
            code="LEX-DATA-1056",
        ) from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence the log of the library, which repeats what this module reports."""
    logger = logging.getLogger("absl")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(before)
