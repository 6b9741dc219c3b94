"""Description files: one JSON line per image and class, with its source and its check against the mask."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from lexiseg.choices import DescriptionSource as DescriptionSource
from lexiseg.errors import DataError, UsageError
from lexiseg.files import write_text
from lexiseg.open_files import open_errors
from lexiseg.structured_text import UnusableTextError, parse_json
from lexiseg.validation import explain, shown
from lexiseg.words.description import UNKNOWN, Side
from lexiseg.words.vocabulary import Vocabulary

DESCRIPTION_SOURCES: tuple[DescriptionSource, ...] = get_args(DescriptionSource)


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class MeasuredProvenance(_Entry):
    """Provenance: measured on mask and pixels.

    Attributes:
        source: Always "concepts".
    """

    source: Literal["concepts"] = "concepts"


class SheetProvenance(_Entry):
    """Provenance: a row of the report sheet.

    Attributes:
        source: Always "reports".
        row: The sentence of the row, as written.
        repairs: Repaired words: as written -> as read.
    """

    source: Literal["reports"] = "reports"
    row: str
    repairs: dict[str, str] = {}


class ModelProvenance(_Entry):
    """Provenance: a multimodal model.

    Attributes:
        source: Always "lmm".
        model: Name of the model.
        server: Address of its server; None for a local model.
        prompt_version: Version of the question.
        replies: Number of replies.
        fell_back: Why the words are measured; None if they are the model's.
    """

    source: Literal["lmm"] = "lmm"
    model: str
    server: str | None
    prompt_version: int
    replies: int
    fell_back: str | None = None


class Correction(_Entry):
    """A value that was replaced because the mask contradicts it.

    Attributes:
        factor: Name of the factor.
        said: The value before.
        became: The phrase after; None: unknown.
    """

    factor: str
    said: str
    became: str | None


class Difference(_Entry):
    """A phrase that was kept although another one was measured.

    Attributes:
        factor: Name of the factor.
        said: The kept phrase.
        measured: The measured phrase.
    """

    factor: str
    said: str
    measured: str


class Check(_Entry):
    """Check of a description against the mask.

    Attributes:
        how: "measured": the words come from the mask; "compared": words of another source were compared with
            it.
        corrected: Values that were replaced.
        differs: Phrases that were kept although others were measured.
    """

    how: Literal["measured", "compared"]
    corrected: tuple[Correction, ...] = ()
    differs: tuple[Difference, ...] = ()


class DescriptionLine(_Entry):
    """One line of a description file.

    Attributes:
        id: Id of the image in its data set.
        class_name: Name of the described class (key `class`); None: the whole image.
        factors: Phrase per factor of the vocabulary; None or missing: unknown.
        sentence: The description as a sentence.
        side: Side convention of its words.
        vocabulary: Name of the vocabulary.
        provenance: Source of the words.
        check: Check against the mask; None: not checked.
        problems: What could not be read or measured.
    """

    id: str = Field(min_length=1)
    class_name: str | None = Field(alias="class")
    factors: dict[str, str | None]
    sentence: str
    side: Side
    vocabulary: str
    provenance: Annotated[
        MeasuredProvenance | SheetProvenance | ModelProvenance, Field(discriminator="source")
    ]
    check: Check | None = None
    problems: tuple[str, ...] = ()

    def indices(self, vocabulary: Vocabulary) -> tuple[int, ...]:
        """Return the index per factor of the vocabulary; `UNKNOWN` for unknown factors.

        Raises:
            ValueError: The vocabulary has no such factor or phrase.
        """
        for name in self.factors:
            if name not in vocabulary.names:
                raise ValueError(
                    f"the vocabulary '{vocabulary.name}' has no factor '{name}', only "
                    f"{', '.join(vocabulary.names)}"
                )
        found = []
        for factor in vocabulary.factors:
            phrase = self.factors.get(factor.name)
            if phrase is not None and phrase not in factor.phrases:
                raise ValueError(
                    f"the factor '{factor.name}' of the vocabulary '{vocabulary.name}' has no phrase "
                    f"'{phrase}', only {', '.join(factor.phrases)}"
                )
            found.append(UNKNOWN if phrase is None else factor.phrases.index(phrase))
        return tuple(found)


@dataclass(frozen=True, kw_only=True)
class DescriptionFile:
    """A description file that has been read.

    Attributes:
        path: The file.
        sha256: Hash of its content.
        lines: Its lines in order, without blank ones.
        numbers: Line number of each line, from 1.
    """

    path: Path
    sha256: str
    lines: tuple[DescriptionLine, ...]
    numbers: tuple[int, ...]

    @property
    def source(self) -> DescriptionSource:
        """The least certain source of its lines."""
        found = {line.provenance.source for line in self.lines}
        return next(source for source in DESCRIPTION_SOURCES if source in found)

    @property
    def vocabulary(self) -> str:
        """Name of the vocabulary of its lines."""
        return self.lines[0].vocabulary

    @property
    def side(self) -> Side:
        """Side convention of its first line."""
        return self.lines[0].side

    def located(self) -> Iterator[tuple[str, DescriptionLine]]:
        """Yield the place of each line, such as "words.jsonl, line 3", and the line."""
        for number, line in zip(self.numbers, self.lines, strict=True):
            yield f"{self.path}, line {number}", line


def refuse_existing(path: Path) -> None:
    """Refuse to replace a description file.

    Raises:
        UsageError: The file exists.
    """
    if path.exists():
        raise UsageError(
            f"{path} already exists. Choose another file, or remove it to describe again.", code="LEX-USE-052"
        )


def write_descriptions(path: str | Path, lines: Iterable[DescriptionLine]) -> None:
    """Write a description file, atomically."""
    write_text(path, "".join(f"{line.model_dump_json(by_alias=True)}\n" for line in lines))


def read_descriptions(path: str | Path) -> DescriptionFile:
    """Read a description file.

    Args:
        path: A file written by `lexiseg data describe`.

    Raises:
        DataError: The file is missing or empty, a line is not JSON or has unknown or impossible values, an
            image and class is described twice, or lines have different vocabularies.
    """
    path = Path(path)
    try:
        with open_errors(path):
            content = path.read_bytes()
    except OSError as error:
        raise DataError(
            f"The description file {path} cannot be read: {error.strerror}. `lexiseg data describe` writes "
            f"such files.",
            code="LEX-DATA-105",
        ) from error
    lines: list[DescriptionLine] = []
    numbers: list[int] = []
    for number, text in enumerate(_decoded(content, path).split("\n"), start=1):
        if text.strip():
            lines.append(_parse(text, f"{path}, line {number}"))
            numbers.append(number)
    if not lines:
        raise DataError(
            f"{path} describes no image. `lexiseg data describe` writes such files.", code="LEX-DATA-106"
        )
    file = DescriptionFile(
        path=path, sha256=hashlib.sha256(content).hexdigest(), lines=tuple(lines), numbers=tuple(numbers)
    )
    _check_lines(file)
    return file


def _decoded(content: bytes, path: Path) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise DataError(
            f"{path}, line {line}: not UTF-8 text ({error.reason}).", code="LEX-DATA-107"
        ) from error


def _parse(text: str, where: str) -> DescriptionLine:
    try:
        value = parse_json(text)
    except UnusableTextError as error:
        raise DataError(
            f"{where}: not valid JSON ({error}). Correct the line, or describe the data set again.",
            code="LEX-DATA-108",
        ) from error
    if not isinstance(value, dict):
        raise DataError(f"{where}: expected a JSON object, got {shown(value)}.", code="LEX-DATA-109")
    try:
        return DescriptionLine.model_validate(value)
    except ValidationError as error:
        raise DataError(
            f"{where}: {explain(DescriptionLine, error)}. docs/describe.md lists the keys.",
            code="LEX-DATA-110",
        ) from error


def _check_lines(file: DescriptionFile) -> None:
    """Refuse lines that contradict each other."""
    first: dict[tuple[str, str | None], str] = {}
    whole: dict[str, bool] = {}
    for where, line in file.located():
        about = "the whole image" if line.class_name is None else f"class '{line.class_name}'"
        before = first.setdefault((line.id, line.class_name), where)
        if before != where:
            raise DataError(
                f"{where}: {about} of '{line.id}' is described a second time, first in {before}.",
                code="LEX-DATA-111",
            )
        if whole.setdefault(line.id, line.class_name is None) != (line.class_name is None):
            raise DataError(
                f"{where}: '{line.id}' has one line for the whole image (class null) and lines for classes; "
                f"keep only one kind.",
                code="LEX-DATA-112",
            )
        if line.vocabulary != file.vocabulary:
            raise DataError(
                f"{where}: the vocabulary is '{line.vocabulary}', but the first line's is "
                f"'{file.vocabulary}'. Use one vocabulary per file.",
                code="LEX-DATA-113",
            )
