"""Reading of JSON and YAML within limits: bytes, depth, values, digits, finite numbers, single keys.

A file from outside can be damaged, edited or hostile. Without limits, a short text can fill the memory (YAML
aliases that multiply), exceed Python's stack (deep nesting), or bring values that later code cannot use
(NaN, an integer of 5,000 digits, half a character). All JSON and YAML that Lexiseg reads passes through this
module.
"""

from __future__ import annotations

import json
import math
import os
import re
import stat
from collections import Counter
from pathlib import Path
from typing import Any

import yaml

from lexiseg.open_files import open_errors

#: Largest JSON text in bytes. The splits of a million images take less.
MAX_JSON_BYTES = 64 << 20

#: Largest YAML text in bytes. YAML is read much more slowly than JSON: about 100 kB per second.
MAX_YAML_BYTES = 256 << 10

#: Largest number of lists and mappings inside each other.
MAX_DEPTH = 64

#: Largest number of values in a JSON text, and in a YAML text with its aliases written out.
MAX_JSON_VALUES = 5_000_000
MAX_YAML_VALUES = 50_000

#: Largest number of digits of a whole number; every number of 64 bits has at most as many.
MAX_DIGITS = 20

_STRING = re.compile(r'"(?:[^"\\]|\\.)*+"?', re.DOTALL)
_BRACKET = re.compile(r"[\[\]{}]")
_ESCAPED_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_HALF = "it has half a character (a lone surrogate)"

# What PyYAML raises besides its own errors, for tags and numbers that its constructors cannot read:
# "!!int x", "!!bool x", "!!timestamp x", the date 2026-99-99, an integer of 5,000 digits, deep nesting.
_YAML_FAULTS = (
    yaml.YAMLError,
    ValueError,
    LookupError,
    AttributeError,
    TypeError,
    OverflowError,
    RecursionError,
)


class UnusableTextError(ValueError):
    """A text is no JSON or YAML, or it exceeds a limit; the message is a sentence part that says why."""


def read_bytes(path: str | Path, most: int) -> bytes:
    """Return the content of a file of limited size.

    Args:
        path: The file.
        most: Largest number of bytes.

    Raises:
        OSError: The file is missing or cannot be read.
        DiskError: Too many files are open.
        UnusableTextError: It is larger, or no regular file: a pipe or a device may never end.
    """
    # Opening a pipe waits for its other end, so the kind of the file is looked up before.
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise UnusableTextError("it is no regular file")
    with open_errors(path), open(path, "rb") as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise UnusableTextError(f"it is larger than {most} bytes")
    return content


def parse_json(content: bytes | str, *, most: int = MAX_JSON_BYTES, finite: bool = True) -> Any:
    """Return the value of a JSON text.

    Args:
        content: The text; bytes are UTF-8, with or without a byte order mark.
        most: Largest number of bytes, or of characters of a `str`.
        finite: Whether NaN and infinite numbers are refused.

    Raises:
        UnusableTextError: It is no JSON, exceeds a limit of this module, has a key twice in one object, a
            number that is not finite, or half a character.
    """
    if len(content) > most:
        raise UnusableTextError(f"it is larger than {most} bytes")
    try:
        text = content.decode("utf-8-sig") if isinstance(content, bytes) else content
        _check_json_structure(text)
        value = json.loads(
            text,
            object_pairs_hook=_object,
            parse_constant=_no_constant if finite else float,
            parse_float=_finite if finite else float,
            parse_int=_whole,
        )
    except UnicodeDecodeError as error:
        raise UnusableTextError(f"not UTF-8 text: {error.reason} at byte {error.start}") from error
    except json.JSONDecodeError as error:
        raise UnusableTextError(f"not JSON: {error}") from error
    except RecursionError as error:
        raise UnusableTextError(_too_deep()) from error
    if _ESCAPED_SURROGATE.search(text):
        try:
            # A file name that is no UTF-8 text holds halves of one range, by which Python finds the file.
            json.dumps(value, ensure_ascii=False).encode(errors="surrogateescape")
        except UnicodeEncodeError as error:
            raise UnusableTextError(_HALF) from error
    return value


def read_json(path: str | Path) -> Any:
    """Return the value of a JSON file.

    Raises:
        OSError: The file is missing or cannot be read.
        UnusableTextError: See `parse_json` and `read_bytes`.
    """
    return parse_json(read_bytes(path, MAX_JSON_BYTES))


def parse_yaml(
    content: bytes | str, *, loader: type[yaml.loader.BaseLoader | yaml.SafeLoader] = yaml.SafeLoader
) -> Any:
    """Return the value of a YAML text: mappings, lists and plain values; no other Python objects are made.

    Args:
        content: The text; bytes are UTF-8.
        loader: `yaml.SafeLoader`, `yaml.BaseLoader`, or a class made from one of them.

    Raises:
        UnusableTextError: It is no YAML, exceeds a limit of this module, has a key twice in one mapping, or a
            number that is not finite.
    """
    if len(content) > MAX_YAML_BYTES:
        raise UnusableTextError(f"it is larger than {MAX_YAML_BYTES} bytes")
    try:
        text = content.decode("utf-8-sig") if isinstance(content, bytes) else content
        reader = _counting(loader)(text)
        try:
            node = reader.get_single_node()
            _check_yaml_size(node)
            value = None if node is None else reader.construct_document(node)
        finally:
            reader.dispose()
    except UnusableTextError:
        raise
    except UnicodeDecodeError as error:
        raise UnusableTextError(f"not UTF-8 text: {error.reason} at byte {error.start}") from error
    except RecursionError as error:
        raise UnusableTextError(_too_deep()) from error
    except _YAML_FAULTS as error:
        said = _yaml_problem(error)
        raise UnusableTextError(f"not valid YAML: {said}") from error
    _check_plain_values(value)
    return value


def _yaml_problem(error: Exception) -> str:
    """Return what is wrong in a YAML text, with the place where the reader knows it."""
    mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None)
    if mark is not None and problem:
        return f"line {mark.line + 1}, column {mark.column + 1}: {' '.join(str(problem).split())}"
    return " ".join(str(error).split()) or type(error).__name__


def read_yaml(path: str | Path) -> Any:
    """Return the value of a YAML file.

    Raises:
        OSError: The file is missing or cannot be read.
        UnusableTextError: See `parse_yaml` and `read_bytes`.
    """
    return parse_yaml(read_bytes(path, MAX_YAML_BYTES))


def _too_deep() -> str:
    return f"it has more than {MAX_DEPTH} lists and mappings inside each other"


def _check_json_structure(text: str) -> None:
    """Check depth and number of values before the values take memory."""
    if text.count(",") + text.count("[") + text.count("{") > MAX_JSON_VALUES:
        raise UnusableTextError(f"it has more than {MAX_JSON_VALUES} values")
    if text.count("[") + text.count("{") <= MAX_DEPTH:
        return
    depth = 0
    for bracket in _BRACKET.findall(_STRING.sub("", text)):
        depth += 1 if bracket in "[{" else -1
        if depth > MAX_DEPTH:
            raise UnusableTextError(_too_deep())


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = Counter(name for name, _ in pairs)
        twice, _ = names.most_common(1)[0]
        raise UnusableTextError(f"the key {_cut(twice)} is given twice")
    return found


def _no_constant(name: str) -> float:
    raise UnusableTextError(f"{name} is no finite number")


def _finite(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise UnusableTextError(f"{_cut(digits)} is too large a number")
    return value


def _whole(digits: str) -> int:
    if len(digits.lstrip("-")) > MAX_DIGITS:
        raise UnusableTextError(f"the number {_cut(digits)} has more than {MAX_DIGITS} digits")
    return int(digits)


def _cut(text: str) -> str:
    return repr(text if len(text) <= MAX_DIGITS else f"{text[:MAX_DIGITS]}...")


def _counting(loader: type[yaml.loader.BaseLoader | yaml.SafeLoader]) -> Any:
    """Return a loader that stops at the largest number of values, before the whole text is scanned."""

    class Counting(loader):  # type: ignore[misc,valid-type]
        values = 0

        def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
            self.values += 1
            if self.values > MAX_YAML_VALUES:
                raise UnusableTextError(f"it has more than {MAX_YAML_VALUES} values")
            node: yaml.Node | None = super().compose_node(parent, index)
            return node

    return Counting


def _check_yaml_size(root: yaml.Node | None) -> None:
    """Check depth, cycles, duplicate keys, and the number of values that aliases multiply to."""
    sizes: dict[int, int] = {}
    open_nodes: set[int] = set()

    def size(node: yaml.Node, depth: int) -> int:
        if depth > MAX_DEPTH:
            raise UnusableTextError(_too_deep())
        known = sizes.get(id(node))
        if known is not None:
            return known
        if id(node) in open_nodes:
            raise UnusableTextError("an alias refers to a value that contains it")
        open_nodes.add(id(node))
        total = 1
        if isinstance(node, yaml.MappingNode):
            _check_keys(node)
            total += sum(size(key, depth + 1) + size(value, depth + 1) for key, value in node.value)
        elif isinstance(node, yaml.SequenceNode):
            total += sum(size(value, depth + 1) for value in node.value)
        open_nodes.discard(id(node))
        sizes[id(node)] = total
        if total > MAX_YAML_VALUES:
            raise UnusableTextError(f"it has more than {MAX_YAML_VALUES} values, its aliases written out")
        return total

    if root is not None:
        size(root, 0)


def _check_keys(node: yaml.MappingNode) -> None:
    names = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode) and key.value != "<<"]
    if len(names) != len(set(names)):
        twice, _ = Counter(names).most_common(1)[0]
        raise UnusableTextError(f"the key {_cut(twice)} is given twice")


def _check_plain_values(value: Any) -> None:
    """Refuse numbers that are not finite or too long, and half characters, anywhere in a value of YAML."""
    waiting, seen = [value], set[int]()
    while waiting:
        part = waiting.pop()
        if isinstance(part, float) and not math.isfinite(part):
            raise UnusableTextError(f"{part} is no finite number")
        if isinstance(part, int) and abs(part) >= 10**MAX_DIGITS:
            raise UnusableTextError(f"a number has more than {MAX_DIGITS} digits")
        if isinstance(part, str) and _SURROGATE.search(part):
            raise UnusableTextError(_HALF)
        if isinstance(part, dict | list | tuple | set) and id(part) not in seen:
            seen.add(id(part))
            waiting += [*part.keys(), *part.values()] if isinstance(part, dict) else part
