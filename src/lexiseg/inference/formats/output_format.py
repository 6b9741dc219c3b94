"""What an output format is: its name, its files, what they hold, and who may write it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class Content(IntEnum):
    """What the files of a format hold, in the order in which those of a volume are written.

    Labels are a mask. A segmentation is a DICOM object with the mask. A DICOM object is another one, which
    may refer to the segmentation before it. A map has a value for each pixel. A picture is for people. A
    table has the results of all images.
    """

    LABELS = 0
    SEGMENTATION = 1
    DICOM_OBJECT = 2
    MAP = 3
    PICTURE = 4
    TABLE = 5


@dataclass(frozen=True, kw_only=True)
class Format:
    """An output format.

    Attributes:
        name: Its name, as in `--write`.
        content: What its files hold.
        folder: Folder of its files below the output folder; None for a table, `predictions.SUFFIX`.
        suffix: Ending of its files.
        mark: What the first bytes of its files hold, by which files of version 0.1.0 are known; empty for
            masks, which the lines of a batch name; None for formats that 0.1.0 did not write.
        are_images: Whether its files could be taken for images to predict.
        writer: Module and class of its writer of single images.
        volume_writer: Module and class of its writer of volumes; None where volumes do not have it.
        volume_format: Name of the format that volumes get in its place; None where they get it itself, or do
            not have it.
        packages: Packages that its writer needs beyond the base installation.
        extra: The extra that installs them; None where nothing more is needed.
        needs_torch: Whether it looks into the network, which only the engine torch allows. Servers and
            gateways do not write it.
        is_served: Whether a job of a server may write it, where it does not need torch.
        says_correction: Whether its files say that a person changed the words; a server writes a corrected
            mask as such formats only.
    """

    name: str
    content: Content
    folder: str | None
    suffix: str
    writer: tuple[str, str]
    mark: bytes | None = None
    are_images: bool = True
    volume_writer: tuple[str, str] | None = None
    volume_format: str | None = None
    packages: tuple[str, ...] = ()
    extra: str | None = None
    needs_torch: bool = False
    is_served: bool = True
    says_correction: bool = False

    @property
    def is_dicom(self) -> bool:
        """Whether its files are DICOM objects, which DICOM images alone have, and which archives take."""
        return self.content in (Content.SEGMENTATION, Content.DICOM_OBJECT)
