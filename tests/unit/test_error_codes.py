"""Every error that Lexiseg raises has a code of its own, and `error_codes.yaml` explains each code."""

import ast
import re
from collections import Counter
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml

import lexiseg
from lexiseg import errors

SRC = Path(lexiseg.__file__).parent
CATALOGUE = "src/lexiseg/error_codes.yaml"

#: The part of a code that stands for its class.
PREFIXES = {
    "UsageError": "USE",
    "DataError": "DATA",
    "RunError": "RUN",
    "WeightsError": "WEIGHTS",
    "DiskError": "DISK",
    "ResourceError": "RES",
    "RequestError": "REQ",
    "PartialFailureError": "PART",
}

#: Codes that several places raise on purpose, with the number of places.
SHARED: dict[str, int] = {}


class Raised(NamedTuple):
    """One place that makes an error.

    Attributes:
        place: File and line.
        kind: Name of the class.
        code: The literal code; None if there is none.
    """

    place: str
    kind: str
    code: str | None


def raised_in(tree: ast.AST, file: str) -> Iterator[Raised]:
    """Yield every call of an error class in a module."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        name = ast.unparse(node.func).rpartition(".")[2]
        if name in {"LexisegError", *PREFIXES}:
            codes = [word.value for word in node.keywords if word.arg == "code"]
            literal = codes[0].value if codes and isinstance(codes[0], ast.Constant) else None
            yield Raised(f"{file}:{node.lineno}", name, literal if isinstance(literal, str) else None)


@pytest.fixture(scope="module")
def sources() -> list[tuple[str, ast.Module]]:
    return [
        (path.relative_to(SRC).as_posix(), ast.parse(path.read_text(encoding="utf-8")))
        for path in sorted(SRC.rglob("*.py"))
    ]


@pytest.fixture(scope="module")
def raised(sources: list[tuple[str, ast.Module]]) -> list[Raised]:
    return [found for file, tree in sources for found in raised_in(tree, file)]


def catalogue_text() -> str:
    return files("lexiseg").joinpath("error_codes.yaml").read_text(encoding="utf-8")


def catalogue() -> dict[str, dict[str, dict[str, str]]]:
    """Return the cause and remedy of each code, by class."""
    found: dict[str, dict[str, dict[str, str]]] = yaml.safe_load(catalogue_text())
    return found


def explained() -> dict[str, str]:
    """Return the class of each code in the catalogue."""
    return {code: kind for kind, entries in catalogue().items() for code in entries}


def test_calls_are_found() -> None:
    text = """
raise DataError("a", code="LEX-DATA-001")
raise errors.RunError("b", code=code) from error
return _Usage() or UsageError("c")
raise ValueError("d")
"""
    assert list(raised_in(ast.parse(text), "m.py")) == [
        Raised("m.py:2", "DataError", "LEX-DATA-001"),
        Raised("m.py:3", "RunError", None),
        Raised("m.py:4", "UsageError", None),
    ]


def test_error_classes_are_all_known(sources: list[tuple[str, ast.Module]]) -> None:
    defined = {
        name
        for name, kind in vars(errors).items()
        if isinstance(kind, type) and issubclass(kind, errors.LexisegError)
    }
    assert defined == {"LexisegError", *PREFIXES}, "add the new class to PREFIXES"
    elsewhere = [
        f"{file}: {node.name}"
        for file, tree in sources
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
        and file != "errors.py"
        and defined & {ast.unparse(base).rpartition(".")[2] for base in node.bases}
    ]
    assert elsewhere == [], "classes of errors belong to errors.py"


def test_every_error_has_a_literal_code_of_its_class(raised: list[Raised]) -> None:
    assert len(raised) > 300
    wrong = [
        f"{found.place}: {found.kind} with code={found.code!r}"
        for found in raised
        if not re.fullmatch(rf"LEX-{PREFIXES.get(found.kind, '-')}-\d{{3,4}}", found.code or "")
    ]
    forms = ", ".join(f"{kind}: LEX-{prefix}-001" for kind, prefix in PREFIXES.items())
    assert wrong == [], f"give each a literal code of its class ({forms})"


def test_every_code_is_raised_at_one_place(raised: list[Raised]) -> None:
    places: dict[str, list[str]] = {}
    for found in raised:
        places.setdefault(str(found.code), []).append(found.place)
    several = {code: where for code, where in places.items() if len(where) != SHARED.get(code, 1)}
    assert several == {}, "give each place a free number, or list the code in SHARED"
    assert SHARED.keys() <= places.keys()


def test_every_code_is_explained(raised: list[Raised]) -> None:
    codes = explained()
    missing = {str(found.code): found for found in raised if found.code not in codes}
    advice = "\n".join(
        f"{found.kind}:\n  {code}:  # {found.place}\n    cause: ...\n    remedy: ..."
        for code, found in sorted(missing.items())
    )
    assert not missing, f"add to {CATALOGUE}, then run `python docs/make_tables.py`:\n{advice}"


def test_every_explained_code_is_raised(raised: list[Raised]) -> None:
    stale = sorted(explained().keys() - {found.code for found in raised})
    assert stale == [], f"no place raises these; remove them from {CATALOGUE}"


def test_codes_stand_once_and_under_their_class() -> None:
    # PyYAML keeps the last of two equal keys without a word.
    written = Counter(re.findall(r"^  (LEX-\S+):", catalogue_text(), re.MULTILINE))
    assert [code for code, count in written.items() if count > 1] == []
    assert list(written) == list(explained())
    assert [code for code, kind in explained().items() if code.split("-")[1] != PREFIXES[kind]] == []
    for entries in catalogue().values():
        # By number: 1000 follows 999.
        assert list(entries) == sorted(entries, key=lambda code: (len(code), code)), (
            "sort the codes of a class"
        )


def test_cause_and_remedy_are_sentences() -> None:
    for entries in catalogue().values():
        for code, entry in entries.items():
            assert entry.keys() == {"cause", "remedy"}, code
            for text in entry.values():
                assert text.isascii(), code
                assert re.match(r"[A-Z`]", text), code
                assert text.endswith("."), code
                assert len(text) <= 140, f"{code} needs a shorter sentence"
