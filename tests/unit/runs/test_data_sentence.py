"""What a model card says of the training data."""

from __future__ import annotations

from lexiseg.runs.data_sentence import data_sentence
from lexiseg.runs.manifest import DataRecord


def test_the_data_are_one_sentence() -> None:
    data = DataRecord(name="phantom (seed 0)", layout="folders", samples={"train": 1200, "val": 8})
    assert data_sentence(data) == "phantom (seed 0), 1,200 training and 8 validation images; layout 'folders'"
    assert data_sentence(DataRecord()) == "a data set without a name"
