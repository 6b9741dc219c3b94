"""Copies of the files of a run without the sentences that hold names of images, patients and folders.

`run.json` and the model card repeat what the splits share, and `calibration.json` also what the folder of its
data set holds, but is not used. That splits share something stays said; the names do not.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from lexiseg.errors import RunError
from lexiseg.files import write_json, write_text
from lexiseg.inference.reliability.calibration import CALIBRATION_FILE
from lexiseg.printable import counted, markdown_text
from lexiseg.runs.data_sentence import data_sentence
from lexiseg.runs.manifest import CARD_FILE, MANIFEST_FILE
from lexiseg.runs.run import Run
from lexiseg.structured_text import UnusableTextError, read_json

#: The fields of the data in `run.json` and in a calibration that hold names.
NAMES_FIELDS = ("leaks", "left_out")

_LEAKS_LINE = "**The splits are not independent."
_DATA_LINE = "- Data: "


def copies_without_names(run: Run, folder: Path) -> tuple[dict[str, Path], tuple[str, ...]]:
    """Write copies of the files that repeat names, without the names.

    Args:
        run: The run.
        folder: The folder of the copies.

    Returns:
        The copies by the names of the files, and what was left out, such as "run.json: data.leaks".

    Raises:
        RunError: A file is damaged.
        DiskError: A copy cannot be written.
    """
    contents, left_out = _stripped(run)
    copies = {name: folder / name for name in contents}
    for name, content in contents.items():
        if isinstance(content, str):
            write_text(copies[name], content)
        else:
            write_json(copies[name], content)
    return copies, left_out


def fields_with_names(run: Run) -> tuple[str, ...]:
    """Return the fields of a run whose sentences hold names, such as "run.json: data.leaks".

    Raises:
        RunError: A file is damaged.
    """
    return _stripped(run)[1]


def _stripped(run: Run) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return the contents without names of the files that hold some, and the fields that hold them."""
    contents: dict[str, Any] = {}
    left_out: list[str] = []
    for name, parts in ((MANIFEST_FILE, ("",)), (CALIBRATION_FILE, ("plain", "flip_average"))):
        content = content_of(run, name)
        found = [where for part in parts for where in _strip(content, part)]
        if found:
            contents[name] = content
            left_out += [f"{name}: {where}" for where in found]
    card = run.path / CARD_FILE
    if run.manifest.data.leaks and card.is_file():
        text = card.read_text(encoding="utf-8", errors="replace")
        contents[CARD_FILE] = card_without_names(text, run)
        left_out.append(f"{CARD_FILE}: leaks")
    return contents, tuple(left_out)


def content_of(run: Run, name: str) -> dict[str, Any]:
    """Return the content of a JSON file of a run; empty where the run has none.

    Raises:
        RunError: It is damaged.
    """
    file = run.path / name
    if not file.is_file():
        return {}
    try:
        content = read_json(file)
        if not isinstance(content, dict):
            raise UnusableTextError("it holds no fields")
    except (OSError, ValueError) as error:
        raise RunError(
            f"{file} is damaged ({error}). Restore it, or remove it and calibrate again.",
            code="LEX-RUN-1894",
        ) from error
    return content


def names_fields(content: Any) -> list[tuple[str, list[str]]]:
    """Return the fields of a file of a run that hold sentences with names, each with its sentences."""
    found = []
    for part in ("", "plain", "flip_average"):
        data = _data(content, part)
        for field in NAMES_FIELDS:
            if isinstance(data.get(field), list) and data[field]:
                found.append((field, [str(sentence) for sentence in data[field]]))
    return found


def _strip(content: dict[str, Any], part: str) -> list[str]:
    """Replace the sentences with names in a part of a file, and return the fields that held them."""
    data = _data(content, part)
    found = []
    for field in NAMES_FIELDS:
        if data.get(field):
            data[field] = _nameless(field, data[field])
            found.append(".".join(filter(None, (part, "data", field))))
    return found


def _data(content: Any, part: str) -> dict[str, Any]:
    of_part = content.get(part) if part else content
    data = of_part.get("data") if isinstance(of_part, dict) else None
    return data if isinstance(data, dict) else {}


def _nameless(field: str, sentences: Iterable[str]) -> list[str]:
    """Return what sentences say without the names in them."""
    if field == "left_out":
        return [
            f"{counted(len(list(sentences)), 'note')} with names of files, left out when the run was shared."
        ]
    # The names follow the number, as in "Patients with images in more than one split (2): a, b."
    return [f"{sentence.partition('): ')[0].removesuffix(')')}), names left out." for sentence in sentences]


def card_without_names(text: str, run: Run) -> str:
    """Return the text of a model card without the names of images, patients and folders."""
    data = run.manifest.data
    said = _nameless("leaks", data.leaks)
    lines = []
    for line in text.splitlines():
        if line.startswith(_LEAKS_LINE):
            line = f"{_LEAKS_LINE} {' '.join(said)}**"
        elif line.startswith(_DATA_LINE):
            line = f"{_DATA_LINE}{markdown_text(data_sentence(data))}."
        for sentence in data.leaks:
            line = line.replace(sentence, "(names left out)")
        lines.append(line)
    return "\n".join(lines) + "\n"
