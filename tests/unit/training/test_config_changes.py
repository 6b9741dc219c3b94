"""What differs between two configurations."""

from __future__ import annotations

import pytest

from lexiseg.training.config_changes import differences


@pytest.mark.parametrize("name", ["vocabulary", "text_encoder", "encoder_weights"])
def test_a_moved_file_is_no_difference(name: str) -> None:
    assert differences({name: "/old/v.yaml"}, {name: "/new/project/v.yaml"}) == []
    # As stored before paths were made absolute.
    assert differences({"training": {name: "v.yaml"}}, {"training": {name: "/new/v.yaml"}}) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("/old/v.yaml", "/old/w.yaml"),
        ("jane/bert", "john/bert"),  # names on the hub
        ("chest", "polyp"),
        (None, "/old/v.yaml"),
    ],
)
def test_another_file_or_name_is_a_difference(old: object, new: object) -> None:
    (said,) = differences({"vocabulary": old}, {"vocabulary": new})
    assert said == f"vocabulary was {old!r}, now {new!r}"


def test_paths_count_as_a_whole_in_other_fields() -> None:
    assert differences({"text": "/old/v.jsonl"}, {"text": "/new/v.jsonl"})
