"""JSON and YAML are read within limits, and what exceeds them is refused with a reason."""

from __future__ import annotations

import json
import os
import re
import time
from pathlib import Path

import pytest
import yaml

from lexiseg import structured_text
from lexiseg.structured_text import (
    MAX_DEPTH,
    UnusableTextError,
    parse_json,
    parse_yaml,
    read_bytes,
    read_json,
    read_yaml,
)

#: Nine aliases in each of nine levels: 9 ** 9 values in 300 bytes.
ALIAS_BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{chr(98 + i)}: &{chr(98 + i)} [{', '.join([f'*{chr(97 + i)}'] * 9)}]\n" for i in range(8)
)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "not JSON"),
        ('{"a": 1,}', "not JSON"),
        (b"\xff{}", "not UTF-8"),
        ("[" * 100_000, f"more than {MAX_DEPTH} lists"),
        ("[" * 65 + "]" * 65, f"more than {MAX_DEPTH} lists"),
        ('{"a":' * 65 + "1" + "}" * 65, f"more than {MAX_DEPTH} lists"),
        ("1" * 5000, "more than 20 digits"),
        ("-" + "1" * 21, "more than 20 digits"),
        ("NaN", "no finite number"),
        ('{"a": -Infinity}', "no finite number"),
        ("1e999", "too large a number"),
        ('{"a": 1, "a": 1}', "'a' is given twice"),
        (r'["\ud800"]', "half a character"),
        (r'{"\udc00": 1}', "half a character"),
    ],
)
def test_json_that_is_refused(text: str | bytes, reason: str) -> None:
    with pytest.raises(UnusableTextError, match=reason):
        parse_json(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("\ufeff[1]".encode(), [1]),
        ("[" * 64 + "]" * 64, json.loads("[" * 64 + "]" * 64)),
        ('["[[[[", "\\"[", "\\\\"]', ["[[[[", '"[', "\\"]),
        (json.dumps("[" * 200), "[" * 200),
        (r'"\ud83d\ude00"', "\U0001f600"),
        ("12345678901234567890", 12345678901234567890),
        ("[-0.5e-3, 0, true, null]", [-0.0005, 0, True, None]),
    ],
)
def test_json_that_is_read(text: str | bytes, value: object) -> None:
    assert parse_json(text) == value


def test_brackets_in_texts_do_not_count_as_depth() -> None:
    value = {"a": ["[{" * 100, "\\"], "b": '"' * 70}
    assert parse_json(json.dumps(value)) == value


def test_numbers_of_values_and_bytes_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(structured_text, "MAX_JSON_VALUES", 10)
    assert parse_json("[1, 2, 3]") == [1, 2, 3]
    with pytest.raises(UnusableTextError, match="more than 10 values"):
        parse_json("[" + "1, " * 12 + "1]")
    with pytest.raises(UnusableTextError, match="larger than 4 bytes"):
        parse_json("[1, 2]", most=4)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a: [", "not valid YAML"),
        ("a: b\n  c: d", "not valid YAML: line 2, column 4: mapping values are not allowed here"),
        (b"\xff", "not UTF-8"),
        (ALIAS_BOMB, "aliases written out"),
        ("a: &a [*a]", "contains it"),
        ("&a {b: &b {c: [*a, *b]}}", "contains it"),
        ("[" * 3000 + "]" * 3000, f"more than {MAX_DEPTH} lists"),
        ("- " * 70 + "a", f"more than {MAX_DEPTH} lists"),
        ("a: 1\nb: 2\na: 3", "'a' is given twice"),
        ("a: .nan", "no finite number"),
        ("a: [-.inf]", "no finite number"),
        ("a: " + "1" * 5000, "digits"),
        ("a: 0x" + "f" * 4000, "digits"),
        ("a: 123456789012345678901", "more than 20 digits"),
        ('a: "\\ud800"', "half a character"),
        ("a: 2001-99-99", "not valid YAML"),
        ("!!int x", "not valid YAML"),
        ("!!int ''", "not valid YAML"),
        ("!!bool x", "not valid YAML"),
        ("!!timestamp x", "not valid YAML"),
        ("!!python/object/apply:os.system [ls]", "not valid YAML"),
        ("? [a]\n: b", "not valid YAML"),
        ("a: 1\n---\nb: 2", "not valid YAML"),
        ("a\0b", "not valid YAML"),
    ],
)
def test_yaml_that_is_refused(text: str | bytes, reason: str) -> None:
    with pytest.raises(UnusableTextError, match=reason):
        parse_yaml(text)


def test_yaml_that_is_read() -> None:
    assert parse_yaml(b"") is None
    assert parse_yaml("\ufeffa: 1".encode()) == {"a": 1}
    shared = "base: &base {x: 1}\none: {<<: *base, y: 2}\ntwo: [*base, *base]"
    one = {"x": 1, "y": 2}
    assert parse_yaml(shared) == {"base": {"x": 1}, "one": one, "two": [{"x": 1}, {"x": 1}]}
    assert parse_yaml("a: no", loader=yaml.BaseLoader) == {"a": "no"}


def test_much_yaml_is_refused_before_it_is_read_in_full() -> None:
    begun = time.process_time()
    with pytest.raises(UnusableTextError, match="values"):
        parse_yaml("a: 1\n" * 50_000)
    with pytest.raises(UnusableTextError, match="larger than"):
        parse_yaml("#" * 300_000)
    assert time.process_time() - begun < 5


def test_files(tmp_path: Path) -> None:
    (tmp_path / "a").write_text('{"b": 1}', encoding="utf-8")
    assert read_json(tmp_path / "a") == read_yaml(tmp_path / "a") == {"b": 1}
    assert read_bytes(tmp_path / "a", 8) == b'{"b": 1}'
    with pytest.raises(UnusableTextError, match="larger than 7 bytes"):
        read_bytes(tmp_path / "a", 7)
    with pytest.raises(FileNotFoundError):
        read_json(tmp_path / "missing")


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path, "/dev/zero"):
        with pytest.raises(UnusableTextError, match="no regular file"):
            read_json(path)


def test_no_other_module_reads_json_or_yaml() -> None:
    """What comes from outside passes through the limits of this module."""
    around = re.compile(r"json\.loads?\(|model_validate_json\(|yaml\.(safe_)?load(_all)?\(")
    package = Path(structured_text.__file__).parent
    found = [
        path.relative_to(package).as_posix()
        for path in package.rglob("*.py")
        if around.search(path.read_text())
    ]
    assert found == ["structured_text.py"]
