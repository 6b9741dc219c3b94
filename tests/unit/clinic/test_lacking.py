"""What a source lacks is named as DICOM names it."""

import pytest
from pydicom.dataset import Dataset

from lexiseg.clinic.dataset import lack_named


def test_a_missing_attribute_is_named_by_its_keyword() -> None:
    source = Dataset()
    with pytest.raises(AttributeError) as missing:
        _ = source.SliceThickness
    assert lack_named(missing.value) == "no SliceThickness"
    with pytest.raises(KeyError) as absent:
        _ = source["StudyInstanceUID"]
    assert lack_named(absent.value) == "no StudyInstanceUID"


@pytest.mark.parametrize(
    "error",
    [
        KeyError("1.2.840.10008.5.1.4.1.1.6"),
        KeyError("No IOD found for SOP Class UID: 1.2.840.10008.5.1.4.1.1.6."),
    ],
)
def test_a_retired_class_is_named(error: Exception) -> None:
    assert lack_named(error) == (
        "a known class; 1.2.840.10008.5.1.4.1.1.6 (Ultrasound Image Storage) is retired, private or new"
    )


def test_a_private_class_has_no_name() -> None:
    said = lack_named(KeyError("1.3.12.2.1107.5.9.1"))
    assert said == "a known class; 1.3.12.2.1107.5.9.1 is retired, private or new"


@pytest.mark.parametrize(
    "error", [AttributeError("no window."), ValueError("no window"), KeyError("no window")]
)
def test_other_errors_keep_their_words(error: Exception) -> None:
    assert lack_named(error) == "no window"
