"""Why an output was not written: text and code inside the program, one text in a file."""

from __future__ import annotations

import json

import pytest

from lexiseg.errors import DataError
from lexiseg.inference.records.not_written import NotWritten, StoredReason
from lexiseg.json_records import Record, record_text

ERROR = DataError("a.png is no DICOM file [see the page].", code="LEX-DATA-984")


class Held(Record):
    """A record with reasons."""

    not_written: dict[str, StoredReason]


def test_a_file_holds_one_text_from_which_text_and_code_are_read() -> None:
    held = Held(not_written={"seg": NotWritten.of(ERROR), "sc": NotWritten(text="Volumes have seg.")})
    text = record_text(held)
    assert json.loads(text) == {
        "not_written": {
            "seg": "a.png is no DICOM file [see the page]. [LEX-DATA-984]",
            "sc": "Volumes have seg.",
        }
    }
    assert Held.model_validate_json(text) == held
    assert held.model_dump() == json.loads(text)
    kind = Held.model_json_schema(mode="serialization")["properties"]["not_written"]["additionalProperties"]
    assert kind == {"type": "string"}


@pytest.mark.parametrize("text", ["", "[LEX-DATA-984]", "two\nlines", "ends with [LEX-DATA-1] here", "[X]"])
def test_a_text_is_read_as_it_was(text: str) -> None:
    for reason in (NotWritten(text=text), NotWritten(text=text, code="LEX-DATA-1428")):
        assert NotWritten.stored(str(reason)) == reason


def test_another_text_keeps_the_code() -> None:
    changed = NotWritten.of(ERROR).said(lambda text: text.replace("a.png", "b.png"))
    assert changed == NotWritten(text="b.png is no DICOM file [see the page].", code="LEX-DATA-984")


def test_a_reason_that_is_no_text_is_refused() -> None:
    with pytest.raises(ValueError, match="expected a text"):
        Held.model_validate({"not_written": {"seg": 3}})
