"""Which images are predicted by which rule, which are left out, and which a person must look at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lexiseg.clinic.dataset import read_dataset, read_image_dataset
from lexiseg.clinic.detection import is_dicom
from lexiseg.data.decode import read_content
from lexiseg.errors import DataError
from lexiseg.gateway.configuration import Rule
from lexiseg.gateway.routing import Header, rule_for


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
    """Return the rule of an image.

    Args:
        path: The file.
        rules: All rules.

    Raises:
        DataError: The file is no DICOM file, is damaged, or holds no image.
        UsageError: The regular expression of a rule takes too long.
    """
    content = read_content(path)
    if not is_dicom(content):
        raise DataError(
            f"{path} is no DICOM file. The gateway takes DICOM images only.", code="LEX-DATA-1233"
        )
    header = Header.of(read_dataset(content, path))
    if header.is_own:
        return Classified(header=header, rule=None)
    read_image_dataset(content, path)
    return Classified(header=header, rule=rule_for(header, rules))
