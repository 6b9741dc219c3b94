"""Inspection of all files: each image and mask is read and decoded once, in a pool of threads."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from lexiseg.clinic.orientation import NO_TURN
from lexiseg.data.check.picture_hash import difference_hash, thumbnail
from lexiseg.data.content import image_turn, mask_place_is_unknown, mask_turn, read_content
from lexiseg.data.decode import Header, decode_header, decode_image, decode_mask
from lexiseg.data.fit_suggestion import lesion_width
from lexiseg.data.mask_coding import MaskCoding
from lexiseg.data.mask_parts import mask_parts
from lexiseg.data.pixel_hashes import is_plain, pixels_sha256
from lexiseg.data.readers import read_labels
from lexiseg.data.sample import Sample
from lexiseg.errors import DataError
from lexiseg.read_ahead import read_ahead

#: Measures labels and their image as factor indices, in the image's side convention.
Measure = Callable[[npt.NDArray[np.uint8], npt.NDArray[np.uint8] | None], tuple[int, ...]]

#: Samples that the threads may work on ahead of the one being returned; this bounds the memory used.
_AHEAD = 64


@dataclass(kw_only=True)
class Inspection:
    """What one sample's files hold; what stands after the first error of a file is not known.

    Attributes:
        sample: The sample.
        image_error: Why its image cannot be read.
        mask_error: Why its mask cannot be read.
        header: The image's header; None where it cannot be read.
        digest: SHA-256 of the image file.
        pixels: Digest of the decoded pixels; None where they cannot be read.
        is_plain: Whether the picture has a single colour.
        hash: 64 bit difference hash of the picture.
        thumbnail: (32, 32) uint8 grey picture.
        image_shape: (H, W).
        mask_shape: (H, W).
        place_is_unknown: Whether its mask is a DICOM file that does not say how it lies on the image.
        mask_values: What is wrong with the mask's values; None if nothing is.
        is_empty: Whether the mask has no lesion; None where this is not known.
        lesion_share: Share of the mask's pixels with a label above 0, 0..1; None where this is not known.
        frame_share: The same among the pixels at the edge of the picture.
        lesion_px: Width of the lesions in pixels (`lesion_width`); None where there are none, or this is not
            known.
        measured: Factor indices measured on the mask, in the image's side convention.
    """

    sample: Sample
    image_error: str | None = None
    mask_error: str | None = None
    header: Header | None = None
    digest: str | None = None
    pixels: str | None = None
    is_plain: bool = False
    hash: int | None = None
    thumbnail: npt.NDArray[np.uint8] | None = None
    image_shape: tuple[int, int] | None = None
    mask_shape: tuple[int, int] | None = None
    place_is_unknown: bool = False
    mask_values: str | None = None
    is_empty: bool | None = None
    lesion_share: float | None = None
    frame_share: float | None = None
    lesion_px: float | None = None
    measured: tuple[int, ...] | None = None


def inspect_all(
    samples: Sequence[Sample],
    coding: MaskCoding | None,
    measure: Measure | None,
    *,
    progress: Callable[[int, int], None] | None = None,
) -> list[Inspection]:
    """Inspect all samples; a file that cannot be read is noted, and the others are still inspected.

    Args:
        samples: The samples.
        coding: How mask values become labels; None where this is not known.
        measure: Measures the masks of samples with a report; None measures nothing.
        progress: Called with the number done and the number of all.
    """
    workers = min(8, os.cpu_count() or 1)
    inspections = []
    ahead = read_ahead(
        samples, lambda sample: inspect_sample(sample, coding, measure), depth=_AHEAD, threads=workers
    )
    for done, inspection in enumerate(ahead, 1):
        inspections.append(inspection)
        if progress is not None:
            progress(done, len(samples))
    return inspections


def inspect_sample(sample: Sample, coding: MaskCoding | None, measure: Measure | None) -> Inspection:
    """Inspect one sample."""
    found = Inspection(sample=sample)
    picture = None
    try:
        picture = _inspect_image(found)
    except DataError as error:
        found.image_error = str(error)
    if sample.mask is not None:
        try:
            _inspect_mask(found, sample.mask, coding, measure, picture)
        except DataError as error:
            found.mask_error = str(error)
    return found


def _inspect_image(found: Inspection) -> npt.NDArray[np.uint8]:
    """Inspect a sample's image, and return it."""
    path = found.sample.image
    content = read_content(path)
    found.digest = hashlib.sha256(content).hexdigest()
    found.header = decode_header(content, path)
    picture = decode_image(content, path)
    found.image_shape = (picture.shape[0], picture.shape[1])
    found.pixels = pixels_sha256(picture)
    found.is_plain = is_plain(picture)
    grey = Image.fromarray(picture).convert("L")
    found.hash = difference_hash(grey)
    found.thumbnail = thumbnail(grey)
    return picture


def _inspect_mask(
    found: Inspection,
    mask: Path,
    coding: MaskCoding | None,
    measure: Measure | None,
    picture: npt.NDArray[np.uint8] | None,
) -> None:
    """Inspect a sample's mask."""
    sample = found.sample
    content = read_content(mask)
    pixels = decode_mask(content, mask)
    onto_image = mask_turn(content, mask, sample.image)
    height, width = onto_image.apply(pixels.values).shape
    found.mask_shape = (height, width)
    found.place_is_unknown = mask_place_is_unknown(content, mask, sample.image)
    if coding is None:
        return
    try:
        labels = onto_image.apply(coding.to_labels(pixels))
    except ValueError as error:
        found.mask_values = str(error)
        return
    if len(mask_parts(mask)) > 1:
        labels = read_labels(sample, coding)
    found.is_empty = not labels.any()
    found.lesion_px = lesion_width(labels)
    found.lesion_share = float((labels > 0).mean())
    frame = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
    found.frame_share = float((frame > 0).mean())
    if measure is not None and sample.report is not None:
        same = picture is not None and picture.shape[:2] == labels.shape
        turn = NO_TURN if picture is None else image_turn(sample.image)
        shown = turn.apply(picture) if same and picture is not None else None
        found.measured = measure(turn.apply(labels), shown)
