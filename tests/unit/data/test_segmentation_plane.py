"""DICOM segmentations as masks lie on the pixels of their image, however they are stored."""

from collections.abc import Callable
from itertools import product
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset

from dicom_files import dicom_dataset, dicom_file
from lexiseg.clinic.orientation import NO_TURN, Turn
from lexiseg.clinic.segmentation_plane import turn_of_segmentation
from lexiseg.data.check.dataset_check import check_dataset
from lexiseg.data.content import mask_place_is_unknown, mask_turn
from lexiseg.data.layouts.open_dataset import open_dataset
from lexiseg.data.mask_coding import MaskCoding
from lexiseg.data.readers import read_labels, read_mask
from refusals import refuses

SEG = "1.2.840.10008.5.1.4.1.1.66.7"
CODING = MaskCoding(kind="values", values=(0, 1), labels=(0, 1))
ROWS, COLUMNS = 6, 8
SPACING = (2.0, 0.5)
CORNER = np.array([-3.0, 40.0, 7.0])

LABELS = np.zeros((ROWS, COLUMNS), np.uint8)
LABELS[0, :3] = LABELS[1, 0] = 1

TURNS = [
    Turn(transpose=transpose, flip_rows=rows, flip_columns=columns)
    for transpose, rows, columns in product((False, True), repeat=3)
]


def items(**values: object) -> list[Dataset]:
    item = Dataset()
    for keyword, value in values.items():
        setattr(item, keyword, value)
    return [item]


def image(path: Path, number: int = 1, **changes: object) -> Path:
    path.parent.mkdir(exist_ok=True)
    plane = {
        "ImageOrientationPatient": [1, 0, 0, 0, 1, 0],
        "ImagePositionPatient": CORNER.tolist(),
        "PixelSpacing": list(SPACING),
    }
    pixels = np.arange(ROWS * COLUMNS, dtype=np.uint16).reshape(ROWS, COLUMNS)
    return dicom_file(path, pixels, modality="CT", number=number, **{**plane, **changes})


def frame_groups(
    turn: Turn, *, shift: float = 0.0, spacing: tuple[float, float] = SPACING, of: tuple[str, ...] = ()
) -> Dataset:
    """Return the functional groups of a frame that `turn` lays on the image."""
    row, column = np.indices((ROWS, COLUMNS))
    places = CORNER + np.stack([column * spacing[1], row * spacing[0], 0 * row], axis=-1)
    stored = turn.undo(places)
    down, across = stored[1, 0] - stored[0, 0], stored[0, 1] - stored[0, 0]
    height, width = np.linalg.norm(down), np.linalg.norm(across)
    group = Dataset()
    cosines = [*(across / width), *(down / height)]
    group.PlaneOrientationSequence = items(ImageOrientationPatient=cosines)
    group.PlanePositionSequence = items(ImagePositionPatient=(stored[0, 0] + [shift, 0, 0]).tolist())
    group.PixelMeasuresSequence = items(PixelSpacing=[height, width])
    if of:
        sources = [items(ReferencedSOPInstanceUID=instance)[0] for instance in of]
        group.DerivationImageSequence = items(SourceImageSequence=sources)
    return group


def segmentation(path: Path, turn: Turn, **plane: object) -> Path:
    path.parent.mkdir(exist_ok=True)
    groups = [frame_groups(turn, **plane)]  # type: ignore[arg-type]
    return dicom_file(
        path,
        turn.undo(LABELS),
        SOPClassUID=SEG,
        SegmentationType="LABELMAP",
        PatientOrientation=None,
        PerFrameFunctionalGroupsSequence=groups,
    )


@pytest.mark.parametrize("turn", TURNS, ids=lambda turn: turn.words)
def test_a_segmentation_of_one_image_is_laid_on_it(tmp_path: Path, turn: Turn) -> None:
    picture = image(tmp_path / "images" / "a.dcm")
    mask = segmentation(tmp_path / "masks" / "a.dcm", turn)
    np.testing.assert_array_equal(read_mask(mask, CODING, image=picture), LABELS)


def test_a_rotated_segmentation_of_square_pixels_is_turned(tmp_path: Path) -> None:
    labels = np.zeros((8, 8), np.uint8)
    labels[:2, :3] = 1
    plane = {"ImagePositionPatient": [0, 0, 0], "PixelSpacing": [1, 1]}
    picture = dicom_file(
        tmp_path / "a.dcm",
        labels.astype(np.uint16),
        modality="CT",
        ImageOrientationPatient=[1, 0, 0, 0, 1, 0],
        **plane,
    )
    group = Dataset()
    group.PlaneOrientationSequence = items(ImageOrientationPatient=[-1, 0, 0, 0, -1, 0])
    group.PlanePositionSequence = items(ImagePositionPatient=[7, 7, 0])
    group.PixelMeasuresSequence = items(PixelSpacing=[1, 1])
    mask = dicom_file(
        tmp_path / "m.dcm",
        np.ascontiguousarray(labels[::-1, ::-1]),
        SOPClassUID=SEG,
        SegmentationType="LABELMAP",
        PerFrameFunctionalGroupsSequence=[group],
    )
    np.testing.assert_array_equal(read_mask(mask, CODING, image=picture), labels)


@pytest.mark.parametrize(
    "plane", [{"shift": 0.5}, {"spacing": (2.0, 1.0)}], ids=["shifted by a pixel", "other spacing"]
)
def test_a_segmentation_of_another_plane_is_refused(tmp_path: Path, plane: dict[str, object]) -> None:
    picture = image(tmp_path / "images" / "a.dcm")
    mask = segmentation(tmp_path / "masks" / "a.dcm", TURNS[0], **plane)
    with refuses("LEX-DATA-1809", "masks/a.dcm is a mask", "of its image", "images/a.dcm"):
        read_mask(mask, CODING, image=picture)
    assert "not lie on the pixels" in repr(check_dataset(tmp_path).findings)


def test_a_segmentation_of_an_image_without_plane_is_read_as_stored(tmp_path: Path) -> None:
    picture = image(tmp_path / "images" / "a.dcm", ImageOrientationPatient=None)
    mask = segmentation(tmp_path / "masks" / "a.dcm", TURNS[1])
    np.testing.assert_array_equal(read_mask(mask, CODING, image=picture), TURNS[1].undo(LABELS))


@pytest.mark.parametrize("turn", TURNS, ids=lambda turn: turn.words)
def test_a_segmentation_of_a_series_is_laid_on_its_images(tmp_path: Path, turn: Turn) -> None:
    for number in (1, 2, 3):
        image(tmp_path / "images" / f"s{number}.dcm", number, PatientID=f"p{number}")
    uids = [f"2.25.1000{number}" for number in (1, 2, 3)]
    (tmp_path / "masks").mkdir()
    frames = np.stack([turn.undo(np.roll(LABELS, number, axis=1)) for number in range(3)])
    dataset = dicom_dataset(
        frames[0],
        SOPClassUID=SEG,
        SegmentationType="LABELMAP",
        PatientOrientation=None,
        PerFrameFunctionalGroupsSequence=[frame_groups(turn, of=(uid,)) for uid in uids],
        ReferencedSeriesSequence=items(
            SeriesInstanceUID="2.25.2",
            ReferencedInstanceSequence=[items(ReferencedSOPInstanceUID=uid)[0] for uid in uids],
        ),
    )
    dataset.NumberOfFrames, dataset.PixelData = 3, frames.tobytes()
    dataset.save_as(tmp_path / "masks" / "seg.dcm", enforce_file_format=True)
    index = open_dataset(tmp_path)
    for sample in index.samples:
        expected = np.roll(LABELS, int(sample.id[1:]) - 1, axis=1)
        np.testing.assert_array_equal(read_labels(sample, index.coding), expected)


WIDTH = 512
MIRRORED = Turn(flip_columns=True)


@pytest.mark.parametrize("keyword", ["SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"])
@pytest.mark.parametrize("damaged", ["image.dcm", "mask.dcm"])
@pytest.mark.parametrize("is_segmentation", [True, False])
@pytest.mark.parametrize("look", [mask_turn, mask_place_is_unknown])
def test_damaged_places_are_named(
    tmp_path: Path, keyword: str, damaged: str, is_segmentation: bool, look: Callable[..., object]
) -> None:
    of, mask = image(tmp_path / "image.dcm"), tmp_path / "mask.dcm"
    if is_segmentation:
        segmentation(mask, NO_TURN)
    else:
        image(mask, number=2)
    dataset = pydicom.dcmread(tmp_path / damaged)
    dataset.add_new(keyword, "LO", "damaged")
    dataset.save_as(tmp_path / damaged)
    with refuses("LEX-DATA-940", damaged):
        look(mask.read_bytes(), mask, of)


def plane_of(spacing: float, position: list[float], along_row: list[float], *, of: str = "") -> Dataset:
    """Return a square frame of `WIDTH` pixels, which names the image `of`."""
    dataset = Dataset()
    dataset.Rows = dataset.Columns = WIDTH
    dataset.ImageOrientationPatient = [*along_row, 0, 1, 0]
    dataset.ImagePositionPatient = position
    dataset.PixelSpacing = [spacing, spacing]
    if of:
        dataset.SourceImageSequence = items(ReferencedSOPInstanceUID=of)
    return dataset


def turn_between(mask: Dataset, spacing: float, **changes: object) -> Turn:
    picture = plane_of(spacing, [-100, 20, 5], [1, 0, 0])
    picture.SOPInstanceUID = "2.25.7"
    for keyword, value in changes.items():
        setattr(picture, keyword, value)
    return turn_of_segmentation(mask, Path("m.dcm"), picture, Path("a.dcm"))


@pytest.mark.parametrize(("exact", "rounded"), [(0.9765625, 0.98), (0.3516, 0.35)])
def test_rounding_of_the_spacing_makes_no_other_plane(exact: float, rounded: float) -> None:
    corner = [-100, 20, 5]
    assert turn_between(plane_of(rounded, corner, [1, 0, 0]), exact) == NO_TURN
    assert turn_between(plane_of(exact, corner, [1, 0, 0]), rounded) == NO_TURN
    for spacing in (exact, rounded):  # the position of the mirrored frame follows from either
        last = [-100 + (WIDTH - 1) * spacing, 20, 5]
        assert turn_between(plane_of(rounded, last, [-1, 0, 0]), exact) == MIRRORED


@pytest.mark.parametrize(("spacing", "off_plane"), [(0.18, 0.1), (1.0, 0.6), (1.0, 9.0)])
def test_a_frame_that_names_its_image_may_lie_off_its_plane(spacing: float, off_plane: float) -> None:
    mask = plane_of(spacing, [-100, 20, 5 + off_plane], [1, 0, 0], of="2.25.7")
    assert turn_between(mask, spacing) == NO_TURN


def test_a_frame_that_names_no_image_may_lie_off_its_plane_by_half_a_slice() -> None:
    for name in ("", "2.25.8"):
        assert turn_between(plane_of(0.18, [-100, 20, 5.1], [1, 0, 0], of=name), 0.18) == NO_TURN
        far = plane_of(1.0, [-100, 20, 7], [1, 0, 0], of=name)
        with refuses("LEX-DATA-1809", "m.dcm is a mask", "does not name the image", "2 mm"):
            turn_between(far, 1.0)
        assert turn_between(far, 1.0, SliceThickness=5) == NO_TURN


@pytest.mark.parametrize("along_row", [[1, 0, 0], [-1, 0, 0]], ids=["as stored", "mirrored"])
def test_less_than_half_a_pixel_beside_is_the_same_plane(along_row: list[float]) -> None:
    first = -100 if along_row[0] > 0 else -100 + WIDTH - 1
    for beside in (-0.4, 0.4):
        turn_between(plane_of(1.0, [first + beside, 20 + beside, 5], along_row), 1.0)
    for across, down in ((0.6, 0), (0, 0.6), (-0.6, 0), (0, -0.6)):
        with refuses("LEX-DATA-1809", "0.6 mm", "half a PixelSpacing of 1\\1 mm"):
            turn_between(plane_of(1.0, [first + across, 20 + down, 5], along_row), 1.0)


def test_another_spacing_or_direction_is_another_plane() -> None:
    with refuses(
        "LEX-DATA-1809", "another size", "PixelSpacing of the image, 1\\1 mm, within 1 %, got 1.02\\1.02 mm"
    ):
        turn_between(plane_of(1.02, [-100, 20, 5], [1, 0, 0]), 1.0)
    assert turn_between(plane_of(1.0, [-100, 20, 5], [0.9999, 0.001, 0]), 1.0) == NO_TURN
    turned, tilted = [0.9998, 0.0175, 0], [0.9998, 0, 0.0175]  # by one degree
    for along_row in (turned, tilted):
        with refuses("LEX-DATA-1809", "ImageOrientationPatient of the image, 1\\0\\0\\0\\1\\0"):
            turn_between(plane_of(1.0, [-100, 20, 5], along_row), 1.0)
