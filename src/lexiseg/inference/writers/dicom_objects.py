"""What the writers of DICOM objects share: the source, the content, and how one object is refused."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from pathlib import Path

from pydicom.dataset import Dataset

from lexiseg.clinic.dataset import read_image_dataset, without_undecodable
from lexiseg.clinic.detection import is_dicom
from lexiseg.clinic.laterality_guard import check_sides
from lexiseg.clinic.result_content import ResultContent
from lexiseg.data.content import read_content
from lexiseg.errors import DataError
from lexiseg.inference.formats.registry import dicom_names
from lexiseg.inference.writers.base import Batch, ImageWriter, PredictedImage
from lexiseg.inference.writers.dicom_content import result_content
from lexiseg.printable import enumerated


@dataclass(frozen=True, kw_only=True)
class DicomResult:
    """One prediction of a DICOM file.

    Attributes:
        source: The source image.
        path: Its file.
        content: What objects say of the prediction.
    """

    source: Dataset
    path: Path
    content: ResultContent


class DicomObjectWriter(ImageWriter):
    """A writer of one DICOM object per image, checked before it gets its name.

    What cannot be written, or fails a check, is refused with its reason (`PredictedImage.refused`); the other
    formats of the image and the other images go on.
    """

    can_refuse = True

    def __init__(self) -> None:
        self._seen: dict[str, Path] = {}

    def write(self, image: PredictedImage, batch: Batch) -> None:
        """Write the object of one image, or note why it is refused.

        Raises:
            DiskError: There is no space or no permission.
        """
        try:
            super().write(image, batch)
        except DataError as error:
            image.refuse(self.name, error)

    def save(self, image: PredictedImage, batch: Batch, path: Path) -> None:
        """Write the object of one image and check it.

        Raises:
            DataError: It cannot be written, or fails a check.
        """
        self.save_object(self._result(image, batch), image, batch, path)

    @abstractmethod
    def save_object(self, result: DicomResult, image: PredictedImage, batch: Batch, path: Path) -> None:
        """Write an object to a path and check it there.

        Raises:
            DataError: It cannot be written, or fails a check.
        """

    def _result(self, image: PredictedImage, batch: Batch) -> DicomResult:
        result = dicom_result(image, batch)
        uid = f"{result.source.get('SOPInstanceUID', '')}, frame {result.content.facts.frame}"
        first = self._seen.setdefault(uid, result.path)
        if first != result.path:
            raise DataError(
                f"{result.path} has the same SOP instance UID as {first}; their objects would replace each "
                "other. Remove one of them, or export the images again.",
                code="LEX-DATA-983",
            )
        check_sides(result.content)
        return result


def dicom_result(image: PredictedImage, batch: Batch) -> DicomResult:
    """Return the source and the content of a predicted DICOM file.

    Raises:
        DataError: The image is no DICOM file, cannot be read any more, or has another size than its mask.
    """
    path, facts = image.target.image, image.prediction.facts
    content = read_content(path)
    if facts is None or not is_dicom(content):
        raise DataError(
            f"{path} is no DICOM file; the formats {enumerated(dicom_names())} need one. Write its mask "
            "as PNG (format mask).",
            code="LEX-DATA-984",
        )
    source = source_dataset(content, path)
    image.check_size((source.get("Rows"), source.get("Columns")))
    return DicomResult(
        source=source,
        path=path,
        content=result_content(image.prediction, facts, batch.predictor),
    )


def source_dataset(content: bytes, path: Path) -> Dataset:
    """Return a source image without the elements that cannot be decoded; no written object repeats them.

    Args:
        content: The file.
        path: Its name, for messages.

    Raises:
        DataError: It cannot be read any more.
    """
    return without_undecodable(read_image_dataset(content, path))
