"""Which images are predicted by which rule, which are left out, and which a person must look at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lexiseg.clinic.dataset import number_of_frames, read_without_large_values, refuse_other_kinds
from lexiseg.clinic.detection import HEAD_BYTES, is_dicom
from lexiseg.errors import DataError
from lexiseg.gateway.configuration import Rule
from lexiseg.gateway.header import Header
from lexiseg.gateway.prediction.routing import rule_for
from lexiseg.open_files import too_many_open


@dataclass(frozen=True, kw_only=True)
class Classified:
    """What becomes of an image.

    Attributes:
        header: What its file says.
        rule: The rule that it follows; None if it is left out.
    """

    header: Header
    rule: Rule | None


def classify(path: Path, rules: Sequence[Rule]) -> Classified:
    """Return the rule of an image. Its pixels are not read.

    Args:
        path: The file.
        rules: All rules.

    Raises:
        DataError: The file is gone, is no DICOM file, is damaged, holds no image, or holds several frames.
        UsageError: The regular expression of a rule takes too long.
    """
    try:
        with open(path, "rb") as file:
            if not is_dicom(file.read(HEAD_BYTES)):
                raise DataError(
                    f"{path} is no DICOM file. The gateway takes DICOM images only.", code="LEX-DATA-1233"
                )
            file.seek(0)
            dataset = read_without_large_values(file, path)
    except OSError as error:
        raise too_many_open(path, error) or DataError(
            f"{path} cannot be read: {error.strerror or error}.", code="LEX-DATA-1402"
        ) from error
    header = Header.of(dataset)
    if header.is_own:
        return Classified(header=header, rule=None)
    refuse_other_kinds(dataset, path)
    rule = rule_for(header, rules)
    frames = number_of_frames(dataset)
    if rule is not None and frames > 1:
        raise DataError(
            f"{path} holds {frames} frames, and a rule cannot choose one. Send single frames.",
            code="LEX-DATA-1401",
        )
    return Classified(header=header, rule=rule)
