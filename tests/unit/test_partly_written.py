"""Records of which some fields are written only where they say more than their default."""

from __future__ import annotations

from typing import Any

import pytest

from lexiseg.engines.model_file import ModelRecord
from lexiseg.json_records import PartlyWritten, Record
from lexiseg.models.spec import NetworkSpec
from lexiseg.runs.manifest import (
    DataRecord,
    FinishedTraining,
    Manifest,
    MasksRecord,
    TrainingRecord,
    ValidationRecord,
)
from lexiseg.words.grammar import Grammar
from lexiseg.words.vocabulary import Vocabulary


class All(PartlyWritten, Record):
    """A record whose fields with a default are all left out."""

    needed: int | None
    list: tuple[int, ...] = ()
    flag: bool = True


class One(All):
    """A record of which one field is left out."""

    LEFT_OUT = frozenset({"list"})


@pytest.mark.parametrize(
    ("record", "written"),
    [
        (All(needed=None), {"needed": None}),
        (All(needed=1, list=(2,), flag=False), {"needed": 1, "list": (2,), "flag": False}),
        (One(needed=1), {"needed": 1, "flag": True}),
        (TrainingRecord(), {"finished": False}),
        (TrainingRecord(finished=True, seed=0), {"finished": True, "seed": 0}),
        (DataRecord(), {}),
        (DataRecord(name="a", shuffled_words=True), {"name": "a", "shuffled_words": True}),
    ],
)
def test_what_says_no_more_than_the_default_is_not_written(
    record: PartlyWritten, written: dict[str, Any]
) -> None:
    assert record.model_dump() == written
    assert type(record).model_validate(written) == record


def test_a_network_is_written_whole_without_empty_settings() -> None:
    assert "settings" not in NetworkSpec().model_dump()
    assert len(NetworkSpec().model_dump()) == len(NetworkSpec.model_fields) - 1
    assert NetworkSpec(settings={"a": 1}).model_dump()["settings"] == {"a": 1}


@pytest.mark.parametrize(
    "kind",
    [
        *(DataRecord, FinishedTraining, Grammar, Manifest, MasksRecord, ModelRecord, NetworkSpec),
        *(TrainingRecord, ValidationRecord, Vocabulary),
    ],
)
def test_names_of_fields_exist_and_the_schema_lists_all(kind: type[PartlyWritten]) -> None:
    left_out = kind.LEFT_OUT or frozenset()
    assert left_out <= {name for name, field in kind.model_fields.items() if not field.is_required()}
    schema = kind.model_json_schema(mode="serialization")
    found = schema["$defs"][kind.__name__] if "$ref" in schema else schema
    assert set(found["properties"]) == set(kind.model_fields)


def test_only_the_base_says_how_fields_are_left_out() -> None:
    for kind in (Grammar, Manifest, ModelRecord, NetworkSpec, TrainingRecord, Vocabulary):
        assert list(kind.__pydantic_decorators__.model_serializers) == ["_what_applies"]
