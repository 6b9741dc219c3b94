"""Volumes in the folders of a data set: each slice is an image with the slice of the label map as mask."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from lexiseg.clinic.detection import DICOM_SUFFIXES, is_dicom_file, may_be_dicom
from lexiseg.data.content import read_content
from lexiseg.data.decoding.dicom import open_dicom_image
from lexiseg.data.layouts.pairing import bare_stem, plain_stem
from lexiseg.data.volumes.slice_files import (
    differing_grid,
    is_slice,
    name_of_volume,
    slice_paths,
    slice_spacing,
)
from lexiseg.data.volumes.volume_names import is_volume_file, stored_file, volume_stem
from lexiseg.errors import DataError


@dataclass(frozen=True, kw_only=True)
class VolumeSlices:
    """The slices of volumes and of their label maps.

    Attributes:
        images: Paths of the slices (`lexiseg.data.volumes.slice_files`).
        masks: Those of the label maps.
        faults: Volumes that cannot be used, one sentence each.
    """

    images: tuple[Path, ...]
    masks: tuple[Path, ...]
    faults: tuple[str, ...]


def volume_slices(volumes: Sequence[Path], masks: Sequence[Path], *, channel: str = "") -> VolumeSlices:
    """Find the slices of volumes and of their label maps.

    A label map has the name of its volume, or one with an affix of masks, such as `NAME_seg.nii.gz`, and the
    same grid. Only headers are read.

    Args:
        volumes: The volumes of a folder of images.
        masks: Those of a folder of masks.
        channel: What the names of images end with, and those of label maps do not; other images are skipped.
    """
    found: list[Path] = []
    labels: list[Path] = []
    faults: list[str] = []
    by_stem: dict[str, Path] = {}
    unusable: set[str] = set()
    mask_by_stem: dict[str, Path] = {}
    for volume in volumes:
        if not volume_stem(volume.name).endswith(channel):
            continue
        stem = volume_stem(volume.name).removesuffix(channel)
        other = by_stem.setdefault(stem, volume)
        if other is not volume:
            faults.append(f"Two volumes have the name {stem}: {other.name} and {volume.name}.")
            continue
        try:
            found += slice_paths(volume, stem)
        except DataError as error:
            faults.append(str(error))
            unusable.add(stem)
    for mask in masks:
        stem = volume_stem(mask.name)
        stem = stem if stem in by_stem else bare_stem(stem)
        first = mask_by_stem.setdefault(stem, mask)
        if first is not mask and stem in by_stem:
            faults.append(f"Two label maps belong to the volume {stem}: {first.name} and {mask.name}.")
            continue
        if stem in unusable:
            continue  # the fault of its volume is said
        try:
            differs = differing_grid(by_stem[stem], mask) if stem in by_stem else None
            if differs is None:
                labels += slice_paths(mask, stem, labels=True)
            else:
                faults.append(
                    f"{mask} is no label map of {by_stem[stem]}: they have {differs}. Save the labels on the "
                    "grid of the volume."
                )
        except DataError as error:
            faults.append(str(error))
    return VolumeSlices(images=tuple(found), masks=tuple(labels), faults=tuple(faults))


def labels_of_series(images: Sequence[Path], masks: Sequence[Path]) -> tuple[list[Path], list[Path]]:
    """Find DICOM segmentations of whole series among masks.

    Args:
        images: The image files.
        masks: The mask files.

    Returns:
        The masks that are files of one image, with the segmentations of series that have no image here; and
        the paths of the labels of the images of segmented series (`lexiseg.data.volumes.segmented_images`).
    """
    of_dicom = [mask for mask in masks if is_dicom_image(mask)]
    if not of_dicom or find_spec("pydicom") is None:
        return list(masks), []
    from lexiseg.data.volumes.segmented_images import segmented_paths, series_of_segmentation

    segmented = {mask: series for mask in of_dicom if (series := series_of_segmentation(mask))}
    named = (
        [(image, plain_stem(image.name)) for image in images if is_dicom_image(image)] if segmented else []
    )
    labels = segmented_paths(segmented, named)
    used = {stored_file(path)[0] for path in labels}
    return [mask for mask in masks if mask not in used], labels


def is_dicom_image(path: Path) -> bool:
    """Return whether a file is read as DICOM, by its ending or else by its preamble."""
    return path.suffix.lower() in DICOM_SUFFIXES or (may_be_dicom(path) and is_dicom_file(path))


def volume_patient(image: Path) -> str | None:
    """Return the volume of a slice, which counts as a patient where none is known; None for other images."""
    return name_of_volume(image) if is_slice(image) else None


def file_spacing(image: Path) -> tuple[float, float] | None:
    """Return height and width of a pixel in the patient's body, where the file states it; else None.

    Only volumes and DICOM files state it. A file that cannot be read has none: reading it says why.
    """
    try:
        if is_slice(image):
            return slice_spacing(image)
        if is_dicom_image(image):
            return open_dicom_image(read_content(image), image).facts.spacing.body_mm
    except DataError:
        return None
    return None


def volume_files(folder: Path) -> list[Path]:
    """Return the volume files directly in a folder, sorted by name; without hidden files."""
    if not folder.is_dir():
        return []
    return sorted(
        path
        for path in folder.iterdir()
        if not path.name.startswith(".") and is_volume_file(path) and path.is_file()
    )
