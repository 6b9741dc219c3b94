"""The lists of image ids in a run folder."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lexiseg.errors import RunError
from lexiseg.runs.run import Run
from lexiseg.runs.splits import (
    SplitsRecord,
    WithMaskRecord,
    read_splits_record,
    read_with_mask,
    write_splits_record,
    write_with_mask,
)
from refusals import refuses


def test_the_shipped_splits_are_written_again_as_they_are(tmp_path: Path) -> None:
    shipped = Run.open("covid-xray")
    assert shipped.splits is not None
    assert (len(shipped.splits.train), len(shipped.splits.val)) == (5713, 1429)
    assert shipped.splits.left_out == ()
    write_splits_record(tmp_path, shipped.splits)
    assert (tmp_path / "splits.json").read_bytes() == (shipped.path / "splits.json").read_bytes()


def test_left_out_images_are_written_where_there_are_some(tmp_path: Path) -> None:
    record = SplitsRecord(train=("a", "b"), val=("c",), left_out=("b",))
    write_splits_record(tmp_path, record)
    assert json.loads((tmp_path / "splits.json").read_text()) == {
        "train": ["a", "b"], "val": ["c"], "test": [], "left_out": ["b"],
    }  # fmt: skip
    assert read_splits_record(tmp_path) == record


def test_a_run_without_splits_has_none(tmp_path: Path) -> None:
    assert read_splits_record(tmp_path) is None


@pytest.mark.parametrize("content", ["[]", "{", '{"train": "a"}', '{"train": [1]}', '{"trian": ["a"]}'])
def test_damaged_splits_are_one_error(tmp_path: Path, content: str) -> None:
    (tmp_path / "splits.json").write_text(content)
    with pytest.raises(RunError, match=r"splits\.json is damaged(?s:.*)LEX-RUN-008"):
        read_splits_record(tmp_path)


def test_images_with_a_mask(tmp_path: Path) -> None:
    write_with_mask(tmp_path, WithMaskRecord(with_mask=("a", "b")))
    assert read_with_mask(tmp_path).with_mask == ("a", "b")
    (tmp_path / "masks.json").write_text('{"with_mask": 3}')
    with pytest.raises(RunError, match=r"masks\.json cannot be read(?s:.*)LEX-RUN-007"):
        read_with_mask(tmp_path)
    (tmp_path / "masks.json").unlink()
    with pytest.raises(RunError, match=r"LEX-RUN-007"):
        read_with_mask(tmp_path)


def test_the_message_names_the_damaged_field(tmp_path: Path) -> None:
    (tmp_path / "splits.json").write_text('{"train": "a"}')
    with refuses("LEX-RUN-008", "; got 'a'). Restore"):
        read_splits_record(tmp_path)
