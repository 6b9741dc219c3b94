"""What a writer of predictions is, and what it is given."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from lexiseg.clinic.view import AS_STORED, View
from lexiseg.data.decoded_image import DecodedImage
from lexiseg.data.readers import read_image_with_facts
from lexiseg.errors import DataError, LexisegError
from lexiseg.inference.dicom_images import as_displayed
from lexiseg.inference.inputs.target import Target
from lexiseg.inference.records.not_written import NotWritten
from lexiseg.inference.records.partial_results import PartialResults
from lexiseg.inference.records.predictions_file import PredictionRecord
from lexiseg.inference.result import Prediction
from lexiseg.outputs.output_folder import OutputFolder

if TYPE_CHECKING:
    from lexiseg.inference.predictor import Predictor


@dataclass(frozen=True, kw_only=True)
class Batch:
    """What is the same for all images of a batch.

    Attributes:
        folder: The output folder, which this process owns.
        predictor: The predictor.
        formats: Names of the formats that are written.
        targets: The images, in the order in which results list them; None where this is the order in which
            they are written.
        earlier: The lines of the interrupted batch that this one goes on with; None if it begins anew.
    """

    folder: OutputFolder
    predictor: Predictor
    formats: tuple[str, ...]
    targets: Sequence[Target] | None = None
    earlier: PartialResults | None = None

    @property
    def out(self) -> Path:
        """The path of the output folder."""
        return self.folder.path


@dataclass(frozen=True, kw_only=True)
class PredictedImage:
    """One predicted image, as every writer gets it.

    Attributes:
        target: The image file and the name of its outputs.
        prediction: The prediction.
        view: The window and the frame of a DICOM file.
        refused: Why an output was not written, by format; `refuse` adds to it.
        archive: The tar archive that holds its outputs, from the output folder; empty without one. Its writer
            adds to it.
    """

    target: Target
    prediction: Prediction
    view: View = AS_STORED
    refused: dict[str, NotWritten] = field(default_factory=dict)
    archive: list[str] = field(default_factory=list)
    _pixels: list[npt.NDArray[np.uint8]] = field(default_factory=list, init=False, repr=False, compare=False)

    def record(self, mask: str | None) -> PredictionRecord:
        """Return its line of `predictions.jsonl`.

        Args:
            mask: Path of its mask, from the output folder; None without one.
        """
        return PredictionRecord.of(
            self.prediction,
            image=self.target.label,
            name=self.target.name.as_posix(),
            mask=mask,
            not_written=self.not_written,
            archive=self.archive[0] if self.archive else None,
        )

    @property
    def not_written(self) -> dict[str, NotWritten]:
        """Why an output was not written, by format; in the texts the image has its label."""
        return {name: why.said(self.target.named) for name, why in self.refused.items()}

    def refuse(self, name: str, error: DataError) -> None:
        """Note that an output is not written.

        Args:
            name: The format.
            error: The reason.
        """
        self.refused[name] = NotWritten.of(error)

    @property
    def pixels(self) -> npt.NDArray[np.uint8]:
        """The image, `(H, W, 3)` uint8, on the stored grid; read once for all writers that need it.

        Raises:
            DataError: The file cannot be read any more, or was replaced by an image of another size.
        """
        # No `cached_property`: in Python 3.11, its lock lets one image be read at a time.
        if not self._pixels:
            pixels = read_image_with_facts(self.target.image, self.view).pixels
            self.check_size((pixels.shape[0], pixels.shape[1]))
            self._pixels.append(pixels)
        return self._pixels[0]

    def check_size(self, size: tuple[int, int]) -> None:
        """Refuse an image that was replaced by one of another size since its mask was made.

        Args:
            size: Height and width of the image as its file stores it now.

        Raises:
            DataError: The sizes differ.
        """
        height, width = self.prediction.mask.shape
        if size != (height, width):
            raise DataError(
                f"{self.target.image} was replaced during the prediction: it was {width} x {height} px and "
                f"is now {size[1]} x {size[0]} px. Predict it again when nothing changes it any more.",
                code="LEX-DATA-1860",
            )

    @property
    def decoded(self) -> DecodedImage:
        """The image on the stored grid, with what its DICOM file says.

        Raises:
            DataError: The file cannot be read any more.
        """
        return DecodedImage(pixels=self.pixels, facts=self.prediction.facts)

    @property
    def displayed(self) -> tuple[npt.NDArray[np.uint8], Prediction]:
        """The image and its prediction in the usual display, as the network gets them.

        Raises:
            DataError: The file cannot be read any more.
        """
        return self.decoded.displayed, as_displayed(self.prediction)


class Writer(Protocol):
    """A format in which predictions are written.

    One thread calls it, image by image, in the order of the batch; `remove_stale` alone may be called by
    several threads at the same time, each with another image, and while `write` works on another image.
    `ImageWriter` is the base of writers that write one file per image.
    """

    @property
    def name(self) -> str:
        """Name of the format; a batch writes each once."""
        ...

    def open(self, batch: Batch) -> None:
        """Begin a batch, before its first image."""
        ...

    def remove_stale(self, target: Target, batch: Batch) -> None:
        """Remove what an earlier batch wrote of an image in this format.

        It is called before anything is written of the image, also for formats that this batch does not write.
        """
        ...

    def write(self, image: PredictedImage, batch: Batch) -> None:
        """Write the prediction of one image."""
        ...

    def write_failure(self, target: Target, error: LexisegError, batch: Batch) -> None:
        """Take note of an image that could not be read."""
        ...

    def close(self, batch: Batch, *, finished: bool) -> None:
        """End a batch; `finished` is False if it was interrupted or failed."""
        ...


@runtime_checkable
class ResumableWriter(Protocol):
    """A writer whose outputs of a finished image can be told, so that an interrupted batch can go on."""

    def is_whole(self, target: Target, record: PredictionRecord, batch: Batch) -> bool:
        """Return whether the outputs of an image are there, as its line of the interrupted batch says.

        The files in the places of outputs are as Lexiseg wrote them: a batch is refused otherwise.
        """
        ...


@runtime_checkable
class CheckingWriter(Protocol):
    """A writer that some predictors cannot serve; a batch asks it before any file is touched."""

    def check(self, predictor: Predictor) -> None:
        """Refuse a predictor of whose predictions no output can be made.

        Raises:
            UsageError: It is one.
        """
        ...


class ImageWriter:
    """A writer of one file per image, `OUT/FOLDER/NAME.SUFFIX`; a format of its own needs `save` only.

    Attributes:
        name: Name of the format.
        folder: Folder of its files below the output folder.
        suffix: Ending of its files.
        can_refuse: Whether `DataError` of `save` refuses this output alone, not the image.
        is_thread_safe: Whether several threads may write different images at the same time, in any order;
            such formats are written first. False: as `Writer` says. A subclass inherits it.
    """

    name: str
    folder: str
    suffix: str
    can_refuse = False
    is_thread_safe = False

    def file(self, target: Target, out: Path) -> Path:
        """Return where the output of an image goes.

        Args:
            target: The image.
            out: The output folder.
        """
        return out / self.folder / f"{target.name}{self.suffix}"

    def check(self, predictor: Predictor) -> None:
        """Do nothing: every predictor will do; see `CheckingWriter`."""

    def open(self, batch: Batch) -> None:
        """Do nothing: files are written image by image."""

    def remove_stale(self, target: Target, batch: Batch) -> None:
        """Remove the file of an earlier batch, see `Writer`; one that Lexiseg did not write stays.

        Raises:
            DiskError: There is no permission.
        """
        batch.folder.remove(self.file(target, batch.out))

    def write(self, image: PredictedImage, batch: Batch) -> None:
        """Write the file of one image, whole or not at all.

        Raises:
            DataError: The image cannot be read any more, or another file is in the place of the output.
            DiskError: There is no space or no permission.
        """
        with batch.folder.writing(self.file(image.target, batch.out)) as beside:
            self.save(image, batch, beside)

    def save(self, image: PredictedImage, batch: Batch, path: Path) -> None:
        """Write the output of one image to a path, which then gets its name."""
        raise NotImplementedError

    def is_whole(self, target: Target, record: PredictionRecord, batch: Batch) -> bool:
        """Return whether the file of an image is there, or was refused; see `ResumableWriter`."""
        return self.name in record.not_written or os.path.lexists(self.file(target, batch.out))

    def write_failure(self, target: Target, error: LexisegError, batch: Batch) -> None:
        """Do nothing: an image without prediction has no file."""

    def close(self, batch: Batch, *, finished: bool) -> None:
        """Do nothing: every file is whole already."""
