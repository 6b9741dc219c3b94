"""What is refined: an image file, or one slice of a volume file.

Words name places in a picture, so a person corrects one slice at a time: "lower left lung" said of a whole
volume would put a lesion into each of its slices.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from lexiseg.clinic.view import View
from lexiseg.clinic.volume_geometry import AxisName, chosen_axis
from lexiseg.data.decoded_image import DecodedImage
from lexiseg.data.pixel_hashes import pixels_sha256
from lexiseg.data.readers import read_image_with_facts
from lexiseg.data.volumes.volume_names import is_volume_file
from lexiseg.data.volumes.voxel_file import open_volume_file
from lexiseg.errors import UsageError
from lexiseg.inference.inputs.target_names import image_stem
from lexiseg.printable import counted

VoxelAxis = Literal["i", "j", "k"]

_AXES: tuple[VoxelAxis, ...] = ("i", "j", "k")


@dataclass(frozen=True, kw_only=True)
class RefinedImage:
    """An image that is refined: a file, a frame of a DICOM file, or a slice of a volume.

    Attributes:
        path: Its file.
        name: What the names of its outputs begin with.
        decoded: Its pixels; a slice of a volume in its usual display.
        axis: The voxel axis along which the slices of its volume are counted; None for an image file.
        slice: Number of the slice, from 1; None for an image file.
    """

    path: Path
    name: str
    decoded: DecodedImage
    axis: VoxelAxis | None = None
    slice: int | None = None

    @property
    def frame(self) -> int | None:
        """Number of the frame of a DICOM file, from 1; None for other files."""
        return None if self.decoded.facts is None or self.slice is not None else self.decoded.facts.frame

    @property
    def pixels_sha256(self) -> str:
        """SHA-256 of the shape and the pixels."""
        return pixels_sha256(self.decoded.pixels)


def refined_image(
    path: Path, view: View, *, number: int | None = None, axis: AxisName = "auto"
) -> RefinedImage:
    """Read an image, or a slice of a volume.

    Args:
        path: The file.
        view: The window; for a DICOM file also the frame.
        number: Number of the slice of a volume file, from 1, as in `volumes.jsonl`.
        axis: The slices of a volume file, as for `predict`.

    Raises:
        DataError: The file cannot be read, or does not state where the planes of the body are.
        UsageError: It is a folder, a volume without the number of a slice, an image with one, or there is no
            such slice.
    """
    if path.is_dir():
        raise UsageError(
            f"{path} is a folder, and refine corrects one image. Of a DICOM series, give the file of the "
            "slice that is wrong: volumes.jsonl of predict names the file of each slice.",
            code="LEX-USE-1430",
        )
    if not is_volume_file(path):
        if number is not None or axis != "auto":
            raise UsageError(
                f"--slice and --axis choose a slice of a volume file, and {path} is none. Of a DICOM file of "
                "several frames, choose a frame with --frame.",
                code="LEX-USE-1431",
            )
        decoded = read_image_with_facts(path, view)
        several = decoded.facts is not None and view.frame is not None
        name = image_stem(path.name)
        return RefinedImage(path=path, name=f"{name}_frame{view.frame}" if several else name, decoded=decoded)
    if number is None:
        raise UsageError(
            f"{path} is a volume. Words name places in a picture, so refine corrects one slice: add --slice "
            "NUMBER, counted from 1 as in volumes.jsonl of predict, and the same --axis.",
            code="LEX-USE-1432",
        )
    return _slice(path, view, number, axis)


def _slice(path: Path, view: View, number: int, axis: AxisName) -> RefinedImage:
    volume = open_volume_file(path, view)
    along = chosen_axis(volume.grid, axis, volume=path)
    slices = volume.slices(along)
    if not 1 <= number <= len(slices):
        raise UsageError(
            f"{path} has {counted(len(slices), 'slice')} along {_AXES[along]}; there is no slice {number}. "
            f"Give a number from 1 to {len(slices)}.",
            code="LEX-USE-1433",
        )
    digits = len(str(len(slices)))
    return RefinedImage(
        path=path,
        name=f"{image_stem(path.name)}_{_AXES[along]}{number:0{digits}d}",
        decoded=_displayed(slices.read(number - 1)),
        axis=_AXES[along],
        slice=number,
    )


def _displayed(image: DecodedImage) -> DecodedImage:
    """Return a slice turned to its usual display, as the masks that are written lie."""
    assert image.facts is not None
    return DecodedImage(pixels=image.displayed, facts=image.facts.displayed)
