"""`dataset.yaml`: facts stated by the owner of a data set; they take precedence over inferred ones."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import regex
from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator

from lexiseg.errors import DataError
from lexiseg.structured_text import UnusableTextError, read_yaml
from lexiseg.validation import content_of, explain
from lexiseg.words.description import Side

DATASET_FILE = "dataset.yaml"

_Millimetres = Annotated[float, Field(gt=0)]


class DatasetYaml(BaseModel):
    """Contents of `dataset.yaml`; every field is optional.

    Attributes:
        name: Name of the data set, for reports and model cards.
        vocabulary: Shipped vocabulary name, or the path of a vocabulary file (relative to the data set's
            folder).
        side: Whose left "left" is in the report sentences: "image" or "patient".
        classes: Name per mask value (0..65535) or colour ("#rrggbb"); the background is 0 or "#000000".
        spacing_mm: Pixel spacing (row, column) in millimetres; one number stands for both.
        keyword: Name of the segmented structure, such as "polyp area"; or names by class, as in
            {kidney: kidney area, tumor: tumor area}.
        patient: Regular expression whose first group is the patient id in an image's file name.
        description: What the data set is, in a few sentences, for its Croissant metadata.
        license: Licence of the data set, an SPDX identifier such as "CC-BY-4.0" or the address of its text.
        url: Its home page.
        citation: How to cite it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str | None = None
    vocabulary: str | None = None
    side: Side | None = None
    classes: dict[int | str, str] | None = None
    spacing_mm: tuple[_Millimetres, _Millimetres] | None = None
    keyword: str | dict[str, str] | None = None
    patient: str | None = Field(default=None, max_length=500)
    description: str | None = None
    license: str | None = None
    url: str | None = None
    citation: str | None = None

    @field_validator("spacing_mm", mode="before")
    @classmethod
    def _both_directions(cls, value: object) -> object:
        return (value, value) if isinstance(value, int | float) else value

    @field_validator("classes", mode="before")
    @classmethod
    def _values_first(cls, value: object) -> object:
        pairs = list(value.items()) if isinstance(value, dict) else []
        swapped = [(number, name) for name, number in pairs if isinstance(name, str) and type(number) is int]
        if pairs and len(swapped) == len(pairs):
            raise ValueError(f"write the value before the name, as in {{{swapped[-1][0]}: {swapped[-1][1]}}}")
        return value

    @field_validator("classes")
    @classmethod
    def _known_values(cls, value: dict[int | str, str] | None) -> dict[int | str, str] | None:
        for key in value or {}:
            if isinstance(key, str) and not re.fullmatch(r"#[0-9a-fA-F]{6}", key):
                raise ValueError(f"{key!r} is neither a whole number nor a colour such as '#ff0000'")
            if isinstance(key, int) and not 0 <= key <= 65535:
                raise ValueError(f"mask value {key} is not in 0..65535")
        return value

    @field_validator("keyword", mode="before")
    @classmethod
    def _words(cls, value: object, info: ValidationInfo) -> object:
        words = value.values() if isinstance(value, dict) else [value]
        if value is not None and not all(isinstance(word, str) and word.strip() for word in words):
            raise ValueError('expected a word such as "polyp area", or one per class: {polyp: polyp area}')
        if isinstance(value, dict) and "classes" in info.data:
            classes = info.data["classes"] or {}
            background = classes.get(0, classes.get("#000000", "background"))
            names = [name for name in dict.fromkeys(classes.values()) if name != background]
            unknown = [name for name in value if name not in names]
            if unknown:
                known = f"are {', '.join(names)}" if names else "have no names: state them under `classes`"
                raise ValueError(f"there is no class '{unknown[0]}'; the classes {known}")
        return value

    @field_validator("patient")
    @classmethod
    def _one_group(cls, value: str | None) -> str | None:
        if value is not None:
            try:
                groups = regex.compile(value).groups
            # Numbers of repetitions are limited, and so is the depth of groups.
            except (regex.error, OverflowError, RecursionError, MemoryError) as error:
                raise ValueError(f"{value!r} is not a regular expression: {error}") from error
            if groups < 1:
                raise ValueError(f"{value!r} needs a group around the patient id, such as '^(\\w+)_'")
        return value


def read_dataset_yaml(folder: Path) -> DatasetYaml:
    """Read `dataset.yaml` of a data set; all fields are unset where the folder has none.

    Raises:
        DataError: It is not YAML, has unknown fields, or a field has an impossible value.
    """
    path = folder / DATASET_FILE
    if not path.is_file():
        return DatasetYaml()
    try:
        values = read_yaml(path)
    except (OSError, UnusableTextError) as error:
        raise DataError(f"{path} cannot be read as YAML: {error}", code="LEX-DATA-006") from error
    if values is None:
        return DatasetYaml()
    if not isinstance(values, dict):
        raise DataError(
            f"{path} must hold fields such as `name: ...`, not {content_of(values)}.",
            code="LEX-DATA-007",
        )
    try:
        return DatasetYaml.model_validate(values)
    except ValidationError as error:
        raise DataError(f"{path}: {explain(DatasetYaml, error)}.", code="LEX-DATA-008") from error
