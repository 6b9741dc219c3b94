from __future__ import annotations

import json

import pytest

from lexiseg.describing.multimodal.prompt import make_question
from lexiseg.describing.multimodal.schema import MAX_REPLY, InvalidReplyError, ReplySchema
from lexiseg.words.vocabulary import load_vocabulary
from lmm_answers import TRUE, answer

SCHEMA = ReplySchema(load_vocabulary("polyp"))


@pytest.mark.parametrize(
    "reply",
    [
        answer(),
        f"```json\n{answer()}\n```",
        f"Sure! Here it is: {answer()} I hope {{this}} helps.",
        answer(color=" Red ", location="CENTER"),
    ],
    ids=["plain", "fence", "prose", "spelling"],
)
def test_a_true_answer_is_read_with_or_without_words_around(reply: str) -> None:
    assert SCHEMA.parse(reply) == TRUE


def test_a_place_may_be_a_box() -> None:
    assert SCHEMA.parse(answer(location=[0, 0.5, 0.25, 1]))["location"] == (0, 0.5, 0.25, 1)


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        ("", "no valid JSON object"),
        ("A round red polyp.", "no valid JSON object"),
        ("[1, 2]", "no valid JSON object"),
        (answer()[:-1], r"no valid JSON object \(Expecting"),
        (answer().replace('"', "'"), "no valid JSON object"),
        (answer() + answer(), "2 JSON objects"),
        (answer()[:-1] + ', "number": 2}', "a key appears twice"),
        (answer().replace("1,", "NaN,"), "NaN is no JSON value"),
        ('{"a":' * 1500, "nested too deeply"),
        (" " * (MAX_REPLY + 1), "longer than 8000 characters"),
        (answer(color="\ud83d"), "half of a character"),
        (answer()[:-1] + r', "\ud83d": 1}', "half of a character"),
        (answer(size="vast"), '\'size\' must be one of "small", "medium", "large", not "vast"'),
        (answer(number="1"), "'number' must be a whole number from 1, not \"1\""),
        (answer(number=True), "not true"),
        (answer(number=1.0), "not 1.0"),
        (answer(number=0.08), "not 0.08"),
        (answer(number=0), "not 0"),
        (answer(number=None), "not null"),
        (answer(location="belly button"), '"upper left".*or a box .*not "belly button"'),
        (answer(location=[0.5, 0.1, 0.4, 0.9]), "'location' must be"),
        (answer(location=[0, 0, 1.5, 1]), "'location' must be"),
        (answer(location=[0, 0, 1]), "'location' must be"),
        (answer(color=["red"]), "'color' must be"),
        (answer(comment="nice"), "the key 'comment' is not asked for"),
        (answer(size="vast", color=3), "'size' must be.*; 'color' must be"),
        ('{"number": 1}', "the key 'location' is missing: expected one of"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_reason(reply: str, reason: str) -> None:
    with pytest.raises(InvalidReplyError, match=reason):
        SCHEMA.parse(reply)


def test_servers_are_told_the_same() -> None:
    schema = SCHEMA.json_schema()
    assert schema["additionalProperties"] is False
    assert schema["required"] == ["number", "location", "shape", "size", "color"]
    assert schema["properties"]["size"]["enum"] == ["small", "medium", "large"]
    assert schema["properties"]["number"] == {"minimum": 1, "title": "Number", "type": "integer"}
    phrase, box = schema["properties"]["location"]["anyOf"]
    assert phrase["enum"][4] == "center"
    assert (box["minItems"], box["maxItems"]) == (4, 4)
    json.dumps(schema)


def test_factors_that_no_mask_counts_are_phrases() -> None:
    chest = ReplySchema(load_vocabulary("chest"))
    words = {
        "laterality": "unilateral pulmonary infection",
        "count": 1,
        "left": "upper left lung",
        "right": "no lesion in right lung",
    }
    assert chest.parse(json.dumps(words)) == words
    with pytest.raises(InvalidReplyError, match="'left' must be one of"):
        chest.parse(json.dumps({**words, "left": [0, 0, 1, 1]}))


def test_the_question_names_keyword_keys_and_side() -> None:
    text = make_question(load_vocabulary("polyp"), "skin lesion").text
    for part in (
        "skin lesion",
        '- "number" (number): a whole number',
        '"upper left"',
        "left is the picture's",
    ):
        assert part in text
