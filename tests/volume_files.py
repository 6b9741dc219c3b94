"""Volumes for tests: eight bright corners of a body, stored in any orientation, and what a reader marks."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from itertools import permutations, product
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nibabel
import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

from dicom_files import dicom_dataset, dicom_file
from lexiseg.data.decoded_image import DecodedImage
from lexiseg.inference.dicom_images import on_stored_grid
from lexiseg.inference.options import PredictionOptions
from lexiseg.inference.reliability.review import disagreement
from lexiseg.inference.result import Prediction, RetrievedWord
from lexiseg.words.measure import measure
from lexiseg.words.vocabulary import load_vocabulary

#: Voxels towards the patient's left, back and head.
BODY_SHAPE = (12, 10, 8)
STEPS = (0.5, 0.75, 2.0)
BRIGHT = 200
#: Canonical axes (left, back, head) in NIfTI's directions (right, front, head).
_CANONICAL = np.array([[-1.0, 0, 0], [0, -1.0, 0], [0, 0, 1.0]])

CHEST = load_vocabulary("chest")
#: What a model that means the left of the image says of a lesion in the upper right of the picture.
WORDS = {
    "laterality": "unilateral pulmonary infection",
    "count": "multiple infected areas",
    "left": "no lesion in left lung",
    "right": "upper right lung",
}

#: All 48 orders and directions of three axes.
ORIENTATIONS = [(order, signs) for order in permutations(range(3)) for signs in product((1, -1), repeat=3)]


def body() -> npt.NDArray[np.uint8]:
    """Return a body with a bright block in each of its eight corners, `(left, back, head)` uint8."""
    values = np.full(BODY_SHAPE, 10, np.uint8)
    for left, back, head in product((slice(1, 4), slice(9, 11)), (slice(2, 4), slice(7, 9)), (1, 6)):
        values[left, back, head] = BRIGHT
    return values


def corners(*, left: bool | None = None, front: bool | None = None, head: bool | None = None) -> Any:
    """Return the bright voxels on the named sides of the body, `(left, back, head)` bool."""
    wanted = body() == BRIGHT
    for axis, side in ((0, left), (1, None if front is None else not front), (2, head)):
        if side is not None:
            half = BODY_SHAPE[axis] // 2
            place: list[Any] = [slice(None)] * 3
            place[axis] = slice(None, half) if side else slice(half, None)
            wanted[tuple(place)] = False
    return wanted


def stored(
    values: npt.NDArray[Any], order: Sequence[int], signs: Sequence[int]
) -> tuple[npt.NDArray[Any], npt.NDArray[np.float64]]:
    """Return a body as a file stores it, with the affine that leads to the same places.

    Args:
        values: `(left, back, head)`.
        order: Which axis of the body each voxel axis is.
        signs: -1 for a voxel axis that runs the other way.
    """
    moved = np.ascontiguousarray(values.transpose(order)[tuple(slice(None, None, sign) for sign in signs)])
    affine = np.eye(4)
    corner = np.array([-3.0, 40.0, -100.0])
    for voxel, (axis, sign) in enumerate(zip(order, signs, strict=True)):
        direction = _CANONICAL[:, axis] * STEPS[axis]
        affine[:3, voxel] = direction * sign
        if sign < 0:
            corner = corner + direction * (BODY_SHAPE[axis] - 1)
    affine[:3, 3] = corner
    return moved, affine


def as_body(values: npt.NDArray[Any], order: Sequence[int], signs: Sequence[int]) -> npt.NDArray[Any]:
    """Return what `stored` was given."""
    flipped = values[tuple(slice(None, None, sign) for sign in signs)]
    return flipped.transpose(np.argsort(order))


def nifti(path: Path, values: npt.NDArray[Any], affine: npt.NDArray[np.float64], code: int = 1) -> Path:
    """Write a NIfTI file with an sform and a qform."""
    image = nibabel.nifti1.Nifti1Image(values, affine)
    image.set_sform(affine, code=code)
    image.set_qform(affine, code=code)
    image.header.set_xyzt_units("mm")
    image.to_filename(path)
    return path


def ct_series(folder: Path, values: npt.NDArray[Any] | None = None, **changes: Any) -> list[Path]:
    """Write a body as a CT series of axial slices, one file each; return the files from the feet up.

    Args:
        folder: Created if needed.
        values: `(left, back, head)`.
        **changes: Attributes of all slices.
    """
    folder.mkdir(parents=True, exist_ok=True)
    values = body() if values is None else values
    files = []
    for k in range(values.shape[2]):
        attributes: dict[str, Any] = {
            "ImageOrientationPatient": [1, 0, 0, 0, 1, 0],
            "ImagePositionPatient": [3.0, -40.0, -100.0 + STEPS[2] * k],
            "PixelSpacing": [STEPS[1], STEPS[0]],
            "SliceThickness": STEPS[2],
            "FrameOfReferenceUID": "2.25.77",
            "PositionReferenceIndicator": "",
            "PatientOrientation": None,
            "WindowCenter": "128",
            "WindowWidth": "256",
            **changes,
        }
        pixels = np.ascontiguousarray(values[:, :, k].T.astype(np.uint16))
        files.append(dicom_file(folder / f"s{k:02d}.dcm", pixels, modality="CT", number=k + 1, **attributes))
    return files


def enhanced_ct(path: Path, frames: Sequence[int] | None = None, **changes: Any) -> Path:
    """Write a body as one enhanced CT file of several frames.

    Args:
        path: The file.
        frames: Which slice each frame is, counted from the feet up; by default in this order.
        **changes: Attributes of the file.
    """
    values = body()
    order = range(values.shape[2]) if frames is None else frames
    dataset = dicom_dataset(
        np.zeros((2, 2), np.uint16),
        modality="CT",
        FrameOfReferenceUID="2.25.77",
        PositionReferenceIndicator="",
        PatientOrientation=None,
        **{"SOPClassUID": "1.2.840.10008.5.1.4.1.1.2.1", **changes},
    )
    stack = np.stack([values[:, :, k].T for k in order]).astype(np.uint16)
    dataset.set_pixel_data(stack, "MONOCHROME2", 16, generate_instance_uid=False)
    dataset.SharedFunctionalGroupsSequence = [Dataset()]
    (shared,) = dataset.SharedFunctionalGroupsSequence
    for group, attributes in {
        "PixelMeasuresSequence": {"PixelSpacing": [STEPS[1], STEPS[0]], "SliceThickness": STEPS[2]},
        "PlaneOrientationSequence": {"ImageOrientationPatient": [1, 0, 0, 0, 1, 0]},
        "FrameVOILUTSequence": {"WindowCenter": 128, "WindowWidth": 256},
        "PixelValueTransformationSequence": {"RescaleSlope": 1, "RescaleIntercept": 0, "RescaleType": "HU"},
    }.items():
        setattr(shared, group, [_item(attributes)])
    dataset.PerFrameFunctionalGroupsSequence = [
        _item({"PlanePositionSequence": [_item({"ImagePositionPatient": [3, -40, -100 + STEPS[2] * k]})]})
        for k in order
    ]
    dataset.save_as(path, enforce_file_format=True)
    return path


def _item(attributes: dict[str, Any]) -> Dataset:
    item = Dataset()
    for keyword, value in attributes.items():
        setattr(item, keyword, value)
    return item


def mark_upper_right(images: Sequence[DecodedImage]) -> list[Prediction]:
    """Call the bright pixels in the upper right quarter of the display lesion; no network."""
    found = []
    for image in images:
        shown = image.displayed[..., 0]
        height, width = shown.shape
        mask = np.zeros(shown.shape, np.uint8)
        mask[: height // 2, width // 2 :] = shown[: height // 2, width // 2 :] > 127
        prediction = Prediction(
            mask=mask,
            probability=mask[None].astype(np.float32),
            words=(),
            measured=None,
            side="image",
            agreement=None,
            flagged=False,
            area_px={"lesion": int(mask.sum())},
            area_mm2=None,
        )
        found.append(on_stored_grid(prediction, image, has_spacing=False))
    return found


def spoken(images: Sequence[DecodedImage], phrases: dict[str, str] | None = None) -> list[Prediction]:
    """Return what a model with words says: the same words for each slice, flagged where the mask is empty."""
    found = []
    for prediction in mark_upper_right(images):
        words = []
        for factor in CHEST.factors:
            index = factor.phrases.index((phrases or WORDS)[factor.name])
            probabilities = np.full(len(factor.phrases), 0.25 / (len(factor.phrases) - 1))
            probabilities[index] = 0.75
            words.append(
                RetrievedWord(
                    factor=factor.name,
                    title=factor.title,
                    index=index,
                    phrase=factor.phrases[index],
                    confidence=0.75,
                    runners_up=(),
                    probabilities=tuple(probabilities),
                )
            )
        assert prediction.facts is not None
        shown = prediction.facts.turn.apply(prediction.mask)
        measured = measure(shown, CHEST, side="image")
        reason = disagreement(words, measured, CHEST, lesion=bool(shown.any()))
        assert reason is not None
        found.append(
            dataclasses.replace(
                prediction, words=tuple(words), measured=measured, flagged=not shown.any(), reasons=(reason,)
            )
        )
    return found


class UpperRight:
    """A predictor without network; see `mark_upper_right`."""

    run = SimpleNamespace(class_names=("background", "lesion"), spoken_vocabulary=None)
    options = PredictionOptions(batch_size=3)

    def predict_decoded(self, images: Sequence[DecodedImage]) -> list[Prediction]:
        return mark_upper_right(images)
