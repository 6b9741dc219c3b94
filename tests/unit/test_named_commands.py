"""Every command and option that a message, a docstring or a page names exists."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

import lexiseg
from command_lines import command_of, command_words, whole_command
from doc_blocks import FENCE, PAGES, ROOT

SRC = Path(lexiseg.__file__).parent

#: In backticks, or after a colon as in "Continue with: lexiseg train ...".
_SPAN = re.compile(r"`lexiseg ([^`\n]+)`|(?:: |\b[Rr]un )lexiseg ([a-z][^`\n]*)")
_OPTION = re.compile(r"(?<![\w/.-])--[a-z][a-z0-9-]*[a-z0-9]")
_CODE = re.compile(r"`([^`\n]+)`")

#: Values in commands of messages that have no blank: names of data sets and of engines; and whole options.
_ONE_WORD = {"entry.name", "other.name", "_from_reports(index, missing)"}

#: Options of the whole command line.
WHOLE = {"--version", "--install-completion", "--show-completion", "--help"}

#: Options of other programs that texts name: pip, MONAI, containers.
OTHERS = {
    *("--force-reinstall", "--upgrade", "--bundle", "--dataset", "--network", "--output"),
    # Of torchrun, of SLURM, of ray, of docker and systemd, and of the tests of the gateway and of faults.
    *("--nproc-per-node", "--ntasks-per-node", "--head", "--address", "--signal", "--kills"),
    *("--only", "--fault", "--cpus", "--time", "--tmpfs", "--user", "--userns"),
}


class Text(NamedTuple):
    """A text that a person reads.

    Attributes:
        place: File and line.
        text: The text; values in it are written as VALUE.
    """

    place: str
    text: str


def texts_of(tree: ast.AST, file: str) -> Iterator[Text]:
    """Yield all string constants of a module, those with values in one piece."""
    inner = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            parts = [p.value if isinstance(p, ast.Constant) else "VALUE" for p in node.values]
            yield Text(f"{file}:{node.lineno}", "".join(map(str, parts)))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in inner:
            yield Text(f"{file}:{node.lineno}", node.value)


@cache
def texts() -> list[Text]:
    """Return the texts of the package, its catalogue of errors and its templates."""
    found = []
    for path in sorted(SRC.rglob("*.py")):
        name = path.relative_to(SRC).as_posix()
        found += texts_of(ast.parse(path.read_text(encoding="utf-8")), name)
    for path in sorted([*SRC.rglob("*.html"), SRC / "error_codes.yaml"]):
        lines = path.read_text(encoding="utf-8").splitlines()
        name = path.relative_to(SRC).as_posix()
        found += [Text(f"{name}:{number}", line) for number, line in enumerate(lines, 1)]
    return found


def pages() -> list[Text]:
    """Return the lines of the documentation outside of blocks, which other tests parse."""
    return [
        Text(f"{page.name}:{number}", line)
        for page in PAGES
        if page.name != "CHANGELOG.md"
        for number, line in enumerate(FENCE.sub("", page.read_text(encoding="utf-8")).splitlines(), 1)
    ]


def options_by_command() -> dict[tuple[str, ...], set[str]]:
    """Return the options of each command."""
    found = {}
    for words in command_words():
        command, context, _ = command_of(list(words))
        found[words] = {name for parameter in command.get_params(context) for name in parameter.opts}
    return found


OPTIONS = options_by_command()


def options_of(words: list[str]) -> set[str]:
    """Return the options of a command; of a group those of all its commands."""
    start = tuple(words)
    return {name for command in OPTIONS if command[: len(start)] == start for name in OPTIONS[command]}


ALL_OPTIONS = options_of([]) | WHOLE | OTHERS


def wrong_in(span: str) -> str | None:
    """Return what is wrong with the text of a command after "lexiseg"; None if nothing is."""
    words: list[str] = []
    command = whole_command()
    for word in span.split():
        inner = getattr(command, "commands", None)
        if inner is None or word.startswith(("-", "...")):
            break
        if word not in inner:
            return f"no command '{' '.join([*words, word])}'"
        words.append(word)
        command = inner[word]
    unknown = set(_OPTION.findall(span)) - options_of(words) - WHOLE
    return f"{' '.join(words)} has no option {', '.join(sorted(unknown))}" if unknown else None


def wrong_commands(found: list[Text]) -> list[str]:
    """Return the commands that do not exist, with their places."""
    return [
        f"{text.place}: {wrong}"
        for text in found
        for match in _SPAN.finditer(text.text)
        if (wrong := wrong_in(match[1] or match[2])) is not None
    ]


def test_texts_are_found() -> None:
    code = 'raise E(f"Try `lexiseg fly {x} --high`, or "\n "--low.") from None\n"plain"'
    assert {text for _, text in texts_of(ast.parse(code), "m.py")} == {
        "Try `lexiseg fly VALUE --high`, or --low.",
        "plain",
    }


@pytest.mark.parametrize(
    ("span", "wrong"),
    [
        ("train DATA --out RUN", None),
        ("data check VALUE --with RUN", None),
        ("data", None),
        ("--version", None),
        ("predict ... | head -1", None),
        ("data ...", None),
        ("fly", "no command 'fly'"),
        ("data fly", "no command 'data fly'"),
        ("train DATA --with RUN", "train has no option --with"),
        ("export RUN --format onnx", "export has no option --format"),
    ],
)
def test_a_wrong_command_is_seen(span: str, wrong: str | None) -> None:
    assert wrong_in(span) == wrong


def test_commands_in_messages_exist() -> None:
    found = texts()
    assert sum(len(_SPAN.findall(text)) for _, text in found) > 60
    assert wrong_commands(found) == []


def unquoted_values(tree: ast.AST) -> Iterator[str]:
    """Yield each value in a command of a message that a blank would split into two words."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.JoinedStr):
            continue
        values = [part.value for part in node.values if isinstance(part, ast.FormattedValue)]
        numbers = iter(range(len(values)))
        parts = [str(p.value) if isinstance(p, ast.Constant) else f"\0{next(numbers)}\0" for p in node.values]
        for command in _SPAN.finditer("".join(parts)):
            for number in re.findall("\0([0-9]+)\0", command[0]):
                written = ast.unparse(values[int(number)])
                if not written.startswith("command_word(") and written not in _ONE_WORD:
                    yield written


def test_a_value_that_a_blank_splits_is_seen() -> None:
    code = 'f"{a}: `lexiseg train {data} --out {command_word(out)}` to {b}"'
    assert list(unquoted_values(ast.parse(code))) == ["data"]


def test_commands_in_messages_can_be_copied_whatever_the_names_of_folders() -> None:
    found = {
        file.name: list(unquoted_values(ast.parse(file.read_text("utf-8")))) for file in SRC.rglob("*.py")
    }
    assert {name: values for name, values in found.items() if values} == {}


def test_options_in_messages_exist() -> None:
    found = [(text.place, option) for text in texts() for option in _OPTION.findall(text.text)]
    assert len(found) > 100
    assert [entry for entry in found if entry[1] not in ALL_OPTIONS] == []


def test_commands_on_pages_exist() -> None:
    assert wrong_commands(pages()) == []


def test_options_on_pages_exist() -> None:
    programs = [*(ROOT / "benchmarks").rglob("*.py"), *(ROOT / "tests" / "fuzz").rglob("*.py")]
    scripts = "".join(path.read_text(encoding="utf-8") for path in sorted(programs))
    known = ALL_OPTIONS | set(_OPTION.findall(scripts))
    spans = [(text.place, code) for text in pages() for code in _CODE.findall(text.text)]
    wrong = [
        (place, option)
        for place, code in spans
        for option in _OPTION.findall(code)
        if option not in known and not code.startswith(("pip ", "detect-secrets ", ".venv/"))
    ]
    assert wrong == []
