"""One DICOM image with its facts: the entry of reading."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pydicom.dataset import Dataset

from lexiseg.clinic.dataset import damage_named, first_value, is_quadruped, numbers, read_image_dataset
from lexiseg.clinic.facts import NO_AREA, ImageFacts
from lexiseg.clinic.frame_pixels import frame_index
from lexiseg.clinic.orientation import (
    Directions,
    directions_of_cosines,
    directions_of_letters,
    turn_to_display,
)
from lexiseg.clinic.rendering import Recipe, Rendering, recipe, render
from lexiseg.clinic.spacing import pixel_spacing
from lexiseg.clinic.view import AS_STORED, View

_UNKNOWN_SIDES = (
    "The file does not say where the patient's left is (PatientOrientation); the image is read as it is "
    "stored, and the side of its words is unknown."
)
_QUADRUPED = (
    "The file shows an animal on four feet (AnatomicalOrientationType), whose directions are not those of a "
    "human; the image is read as it is stored, and the side of its words is unknown."
)
_NO_SIDES = "The patient's left and right do not lie in the image; the side of its words is unknown."
_TURNED = (
    "The image is stored mirrored or rotated; it is turned to the usual display for the network, and its "
    "mask is turned back."
)
_BURNED_IN = "The file says that text is burned into its pixels (BurnedInAnnotation)."
_UNEVEN = "Pixels are not square (PixelAspectRatio); they are read as if they were."


@dataclass(frozen=True, kw_only=True)
class DicomImage:
    """An opened DICOM image; its pixels are not decoded.

    Attributes:
        dataset: The file.
        path: Its name.
        index: The frame, from 0.
        facts: What it says about its image.
        chosen: How its values are shown.
    """

    dataset: Dataset
    path: Path
    index: int
    facts: ImageFacts
    chosen: Recipe

    @property
    def size(self) -> tuple[int, int]:
        """Height and width as stored; 0 where the file does not state them.

        Raises:
            DataError: The file is damaged.
        """
        with damage_named(self.path):
            rows, columns = (numbers(self.dataset.get(name)) or [0] for name in ("Rows", "Columns"))
        return int(rows[0]), int(columns[0])

    def render(self, *, pixel_limit: int) -> Rendering:
        """Decode the pixels, on the stored grid.

        Raises:
            DataError: They cannot be decoded.
        """
        with damage_named(self.path):
            return render(self.dataset, self.path, self.index, self.chosen, pixel_limit=pixel_limit)


def open_dicom(content: bytes, path: Path, view: View = AS_STORED) -> DicomImage:
    """Open a DICOM image.

    Args:
        content: The file.
        path: Its name, for messages.
        view: The window and the frame.

    Raises:
        DataError: The file holds no image that can be read, or several frames of which none was chosen.
    """
    dataset = read_image_dataset(content, path)
    with damage_named(path):
        index = frame_index(dataset, path, view.frame)
        return image_of(dataset, path, index, view)


def image_of(dataset: Dataset, path: Path, index: int, view: View) -> DicomImage:
    """Return one frame of an opened file.

    Args:
        dataset: The file.
        path: Its name, for messages.
        index: The frame, from 0.
        view: The window.
    """
    chosen = recipe(dataset, index, view)
    directions = stored_directions(dataset, index)
    turn = turn_to_display(directions)
    notes = list(chosen.assumptions)
    if directions is None:
        notes.append(_QUADRUPED if is_quadruped(dataset) else _UNKNOWN_SIDES)
    elif not directions.knows_sides:
        notes.append(_NO_SIDES)
    if not turn.is_none:
        notes.append(_TURNED)
    if str(dataset.get("BurnedInAnnotation", "")).strip().upper() == "YES":
        notes.append(_BURNED_IN)
    ratio = numbers(dataset.get("PixelAspectRatio"))
    if len(ratio) == 2 and ratio[0] != ratio[1]:
        notes.append(_UNEVEN)
    spacing = pixel_spacing(dataset, index)
    if spacing.reason:
        notes.append(f"{NO_AREA}{spacing.reason}.")
    facts = ImageFacts(
        modality=str(dataset.get("Modality", "") or ""),
        frame=index + 1,
        directions=directions,
        turn=turn,
        spacing=spacing,
        shown=chosen.words,
        assumptions=tuple(notes),
    )
    return DicomImage(dataset=dataset, path=path, index=index, facts=facts, chosen=chosen)


def stored_directions(dataset: Dataset, index: int) -> Directions | None:
    """Return the directions of a frame's rows and columns; None where the file does not state them.

    ImageOrientationPatient is exact and comes first; animals on four feet have other directions and count as
    not known.
    """
    if is_quadruped(dataset):
        return None
    cosines = first_value(dataset, "PlaneOrientationSequence", "ImageOrientationPatient", index)
    if cosines is not None:
        found = directions_of_cosines(numbers(cosines))
        if found is not None:
            return found
    letters = dataset.get("PatientOrientation")
    if letters is None or isinstance(letters, str):
        return None
    return directions_of_letters([str(letter) for letter in letters])
