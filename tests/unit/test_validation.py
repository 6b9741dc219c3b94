"""One wording for what pydantic finds: where it is, what was expected, and what came."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from lexiseg.validation import explain, shown


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Disc(_Strict):
    kind: Literal["disc"]
    radius: float = Field(gt=0, le=10)


class Box(_Strict):
    kind: Literal["box"]
    corners: tuple[Annotated[float, Field(ge=0)], Annotated[float, Field(ge=0)]]


class Scene(_Strict):
    name: str = Field(min_length=1)
    shapes: tuple[Annotated[Disc | Box, Field(discriminator="kind")], ...] = ()
    masks: int | None = Field(default=None, ge=1)
    keyword: str | dict[str, str] = "area"
    colours: dict[str, float] = {}
    class_name: Literal["lesion", "organ"] = Field(default="lesion", alias="class")
    identifier: str = Field(default="a", pattern=r"^[a-z]+$")
    tags: list[str] = Field(default=[], min_length=2)
    sizes: tuple[int, ...] = Field(default=(1,), min_length=1)

    @field_validator("identifier")
    @classmethod
    def _known(cls, value: str) -> str:
        if value == "zzz":
            raise ValueError("expected a known identifier, got 'zzz'")
        return value


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({}, "name: this field is missing: expected text of at least 1 character"),
        ({"name": ""}, "name: expected text of at least 1 character; got ''"),
        ({"name": 3}, "name: expected text of at least 1 character; got 3"),
        ({"name": "a", "masks": 0}, "masks: expected a whole number of at least 1; got 0"),
        ({"name": "a", "masks": "many"}, "masks: expected a whole number of at least 1; got 'many'"),
        ({"name": "a", "keyword": 3}, "keyword: expected text or names, each with text; got 3"),
        ({"name": "a", "colours": {"red": "x"}}, "colours.red: expected a number; got 'x'"),
        ({"name": "a", "colours": {3: 1}}, "colours.3: expected a name; got 3"),
        ({"name": "a", "class": "cat"}, "class: expected one of lesion, organ; got 'cat'"),
        ({"name": "a", "identifier": "A1"}, "identifier: expected text that matches ^[a-z]+$; got 'A1'"),
        ({"name": "a", "identifier": "zzz"}, "identifier: expected a known identifier, got 'zzz'"),
        ({"name": "a", "tags": ["x"]}, "tags: expected a list of at least 2 texts; got ['x']"),
        ({"name": "a", "shapes": [{"kind": "cone"}]}, "shapes.0.kind: expected one of disc, box; got 'cone'"),
        ({"name": "a", "shapes": [{"radius": 1}]}, "shapes.0.kind: expected one of disc, box; got None"),
        (
            {"name": "a", "shapes": [{"kind": "disc", "radius": 11}]},
            "shapes.0.radius: expected a number above 0 and at most 10; got 11",
        ),
        (
            {"name": "a", "shapes": [{"kind": "disc", "radius": 1, "width": 2}]},
            "shapes.0.width: there is no such field. The fields of shapes.0 are: kind, radius",
        ),
        (
            {"name": "a", "shapes": [{"kind": "box", "corners": [0, -1]}]},
            "shapes.0.corners.1: expected a number of at least 0; got -1",
        ),
        (
            {"name": "a", "mood": 1, "masks": 0},
            "masks: expected a whole number of at least 1; got 0; mood: there is no such field. The fields "
            "are: name, shapes, masks, keyword, colours, class, identifier, tags, sizes",
        ),
        ({"name": "a", "sizes": ["big"]}, "sizes.0: expected a whole number; got 'big'"),
        ({"name": "a", "sizes": []}, "sizes: expected a list of at least one whole number; got []"),
    ],
)
def test_place_expectation_and_value_are_named(values: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Scene.model_validate(values)
    assert explain(Scene, caught.value) == said


def test_long_values_are_cut() -> None:
    assert shown("x" * 200) == "'" + "x" * 79 + "..."
    assert shown([1, 2]) == "[1, 2]"
