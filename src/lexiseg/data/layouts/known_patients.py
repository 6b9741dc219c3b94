"""The patient of each image of a data set: stated, read from names, of a volume, or of a DICOM header."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from lexiseg.data.layouts.case_facts import CASE_FACTS_FILE, MatchedFacts
from lexiseg.data.layouts.volume_slices import is_dicom_image, volume_patient
from lexiseg.open_files import open_errors
from lexiseg.printable import counted


@dataclass(frozen=True, kw_only=True)
class KnownPatients:
    """The patients of images.

    Attributes:
        ids: The patient of each image; None where nothing states it.
        notes: Notes on what was assumed, one sentence each.
    """

    ids: tuple[str | None, ...]
    notes: tuple[str, ...] = ()


def known_patients(
    images: Sequence[Path], stems: Sequence[str], stated: MatchedFacts, pattern: str | None
) -> KnownPatients:
    """Find the patient of each image from the first source that states it.

    The sources are `cases.csv`, the image's name, its volume, and PatientID of its DICOM header. A PatientID
    is replaced by a number and the name of the patient's first image, because results name patients.

    Args:
        images: The images of one data set.
        stems: Their names without extension.
        stated: The facts of its `cases.csv`.
        pattern: The expression `patient` of its `dataset.yaml`.

    Raises:
        DataError: `pattern` matches no name, or takes too long on one.
    """
    named, note = stated.patients(stems, pattern)
    ids = [patient or volume_patient(image) for image, patient in zip(images, named, strict=True)]
    headers = _header_patients([image for image, patient in zip(images, ids, strict=True) if patient is None])
    names = dict(zip(images, stems, strict=True))
    first: dict[str, str] = {}
    for image, patient in headers.items():
        first.setdefault(patient, names[image])
    numbers = {
        patient: f"DICOM patient {number} ({name})"
        for number, (patient, name) in enumerate(first.items(), start=1)
    }
    notes = [note] if note else []
    if len(numbers) > 1:
        ids = [
            patient or numbers.get(headers.get(image, "")) for image, patient in zip(images, ids, strict=True)
        ]
        notes.append(
            f"Patients of {counted(len(headers), 'image')} are read from their DICOM headers (PatientID): "
            f"{len(numbers)} patients, named by a number and their first image."
        )
    elif len(headers) > 1:
        notes.append(
            f"{len(headers)} DICOM images state the same PatientID. It is not used, because it may stand for "
            f"several patients. State the patients in {CASE_FACTS_FILE}; else the images of a patient may be "
            "in several splits."
        )
    return KnownPatients(ids=tuple(ids), notes=tuple(notes))


def _header_patients(images: Sequence[Path]) -> dict[Path, str]:
    """Return PatientID of the DICOM images among some images, sorted by path.

    An image that cannot be read is left out: reading its pixels says why.
    """
    of_dicom = sorted(image for image in images if is_dicom_image(image))
    if not of_dicom or find_spec("pydicom") is None:
        return {}
    from pydicom import dcmread

    from lexiseg.clinic.dataset import BROKEN

    found: dict[Path, str] = {}
    for image in of_dicom:
        try:
            with open_errors(image):
                header = dcmread(image, force=True, stop_before_pixels=True, specific_tags=["PatientID"])
            patient = str(header.get("PatientID") or "").strip()
        except BROKEN:
            continue
        if patient:
            found[image] = patient
    return found
