"""The JSON schemas: up to date in the documentation, complete, and true of the files that are written."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import jsonschema
import pytest

from lexiseg.runs.run import Run
from lexiseg.schemas import SCHEMAS, attribute_texts, schema
from refusals import refuses
from script_module import load_script

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def make_schemas() -> ModuleType:
    return load_script(ROOT / "docs" / "make_schemas.py")


def test_the_files_of_the_documentation_are_up_to_date(make_schemas: ModuleType) -> None:
    files = make_schemas.schema_files()
    assert {path.name for path in files} == {f"{name}.schema.json" for name in SCHEMAS}
    for path, text in files.items():
        assert path.read_text(encoding="utf-8") == text, "run python docs/make_schemas.py"
    assert set((ROOT / "docs" / "reference" / "schemas").glob("*.json")) == files.keys()


@pytest.mark.parametrize("name", SCHEMAS)
def test_every_schema_is_valid_and_describes_every_field(name: str) -> None:
    value = schema(name)
    jsonschema.Draft202012Validator.check_schema(value)
    for title, definition in [(name, value), *value.get("$defs", {}).items()]:
        for field, about in definition.get("properties", {}).items():
            assert about.get("description"), f"{title}.{field} has no description"


@pytest.mark.parametrize(("file", "name"), [("run.json", "manifest"), ("calibration.json", "calibration")])
def test_the_files_of_a_model_that_comes_with_lexiseg_validate(file: str, name: str) -> None:
    text = (Run.open("covid-xray").path / file).read_text(encoding="utf-8")
    jsonschema.validate(json.loads(text), schema(name))


def test_a_schema_that_does_not_exist() -> None:
    with refuses("LEX-USE-557", "schema 'masks': expected") as refused:
        schema("masks")
    assert refused.value.code == "LEX-USE-557"


def test_descriptions_come_from_docstrings() -> None:
    text = """A thing.

    Attributes:
        one: The first,
            on two lines.
        two: The second.

    Raises:
        three: No attribute.
    """
    assert attribute_texts(text) == {"one": "The first, on two lines.", "two": "The second."}
    assert attribute_texts("A thing without attributes.") == {}


def test_the_registry_imports_no_model() -> None:
    code = (
        "import sys, lexiseg.schemas; sys.exit('lexiseg.evaluation' in sys.modules or 'torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_an_unknown_field_or_version_does_not_validate() -> None:
    validator = jsonschema.Draft202012Validator(schema("run-table"))
    table: dict[str, Any] = {
        "schema_version": 1, "data": "data", "split": "test", "average_with": None, "runs": [],
    }  # fmt: skip
    validator.validate(json.loads(json.dumps(table)))
    for change in ({"schema_version": 2}, {"colour": "red"}, {"split": "exam"}):
        assert not validator.is_valid({**table, **change})
