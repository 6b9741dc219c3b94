"""The documentation is true of the code: commands parse, Python compiles, links resolve, tables hold."""

import ast
import importlib
import importlib.util
import json
import re
import shlex
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import pytest
import typer
import yaml

import lexiseg
from lexiseg.data.dataset_yaml import DatasetYaml
from lexiseg.text.reports import parse_report
from lexiseg.training.config import make_config
from lexiseg.words.description import UNKNOWN
from lexiseg.words.flips import flip
from lexiseg.words.vocabulary import load_vocabulary

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])

_FENCE = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


class Block(NamedTuple):
    page: str
    kind: str
    text: str


def blocks(*kinds: str) -> list[Block]:
    return [
        Block(page.name, kind, text)
        for page in PAGES
        for kind, text in _FENCE.findall(page.read_text(encoding="utf-8"))
        if kind in kinds
    ]


def commands() -> list[tuple[str, str]]:
    """Return (page, command line) of each line of a shell block; in console blocks, of those after "$ "."""
    found = []
    for page, kind, text in blocks("bash", "console"):
        lines = text.replace("\\\n", " ").splitlines()
        if kind == "console":
            lines = [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
        found += [(page, line) for line in lines if line.strip() and not line.startswith("#")]
    return found


def one(kind: str) -> str:
    (block,) = blocks(kind)
    return block.text


def test_there_is_something_to_test() -> None:
    assert {page.name for page in PAGES} >= {"README.md", "CHANGELOG.md", "CONTRIBUTING.md", "index.md"}
    assert len([line for _, line in commands() if line.startswith("lexiseg ")]) > 20
    assert len(blocks("python")) > 5


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_fences_are_known_and_text_is_ascii(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert text.isascii(), [line for line in text.splitlines() if not line.isascii()]
    kinds = {kind for kind, _ in _FENCE.findall(text)}
    # A kind that no test knows would be checked by none.
    assert kinds <= {
        "bash", "console", "python", "text", "json", "yaml dataset", "yaml vocabulary", "yaml config",
    }  # fmt: skip
    assert text.count("```") == 2 * len(_FENCE.findall(text))


@pytest.mark.parametrize("block", blocks("python"), ids=lambda block: block.page)
def test_python_compiles_and_its_names_exist(block: Block) -> None:
    tree = ast.parse(block.text)
    compile(tree, block.page, "exec")
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("lexiseg"):
            module = importlib.import_module(node.module or "")
            for alias in node.names:
                assert hasattr(module, alias.name), f"{node.module} has no {alias.name}"
        elif isinstance(node, ast.Attribute) and ast.unparse(node.value) == "lexiseg":
            assert node.attr in lexiseg.__all__, f"lexiseg has no {node.attr}"


def command_of(words: list[str]) -> tuple[Any, Any, list[str]]:
    """Return the command that a line names, its context, and what follows the command's name."""
    from lexiseg.cli import app

    command: Any = typer.main.get_command(app)
    context = command.context_class(command, info_name="lexiseg")
    while hasattr(command, "commands"):
        assert words, "no command is named"
        assert words[0] in command.commands, f"no command '{words[0]}', only {list(command.commands)}"
        command = command.commands[words[0]]
        context = command.context_class(command, info_name=words[0], parent=context)
        words = words[1:]
    return command, context, words


@pytest.mark.parametrize(
    ("page", "line"), [(page, line) for page, line in commands() if line.startswith("lexiseg ")]
)
def test_lexiseg_commands_parse(page: str, line: str) -> None:
    command, context, rest = command_of(shlex.split(line)[1:])
    if rest == ["--help"]:
        return
    # Refuses unknown options and options without their value; nothing is run, no path has to exist.
    values, left, _ = command.make_parser(context).parse_args(rest)
    assert not left, f"{page}: nobody takes {left}"
    for parameter in command.get_params(context):
        # Refuses what is missing, and values that an option does not take.
        parameter.process_value(context, values.get(parameter.name))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("fly", "no command 'fly'"),
        ("data fly folder", "no command 'fly'"),
        ("train data --out run --no-such-option", "no-such-option"),
        ("train data --out run --epochs", "epochs"),
        ("train data --out run --epochs many", "valid integer"),
        ("train data --out run --preset tiny", "tiny"),
        ("train data", "out"),
        ("train data more --out run", "nobody takes"),
    ],
)
def test_a_wrong_command_is_seen(line: str, message: str) -> None:
    with pytest.raises(Exception) as caught:  # noqa: PT011 (click's errors, of two packages)
        test_lexiseg_commands_parse("page.md", f"lexiseg {line}")
    shown = str(caught.value) + getattr(caught.value, "format_message", str)()
    assert message in shown


def test_other_commands_name_what_exists() -> None:
    targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    for page, line in commands():
        words = shlex.split(line)
        if words[0] == "make":
            assert words[1] in targets, f"{page}: {line}"
        elif words[0] == "python":
            assert (ROOT / words[1]).is_file(), f"{page}: {line}"
        else:
            assert words[0] in {"lexiseg", "python3", ".venv/bin/pip"}, f"{page}: unknown command {line}"


def slug(heading: str) -> str:
    """Return the anchor that GitHub gives a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_resolve(page: Path) -> None:
    text = _FENCE.sub("", page.read_text(encoding="utf-8"))
    for link in _LINK.findall(text):
        if link.startswith("https://"):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{page.name}: {link}"
        if anchor:
            headings = _HEADING.findall(_FENCE.sub("", target.read_text(encoding="utf-8")))
            assert anchor in {slug(heading) for heading in headings}, f"{page.name}: {link}"


def test_every_page_is_in_the_index() -> None:
    index = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    for page in (ROOT / "docs").glob("*.md"):
        assert page.name == "index.md" or f"({page.name})" in index


def make_tables() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_tables", ROOT / "docs" / "make_tables.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_tables_made_from_code_are_up_to_date() -> None:
    tables = make_tables()
    seen = set()
    for page in (ROOT / "docs").glob("*.md"):
        text = page.read_text(encoding="utf-8")
        seen |= set(re.findall(r"<!-- table: ([\w.]+) -->", text))
        assert tables.with_tables(text) == text, f"{page.name}: run python docs/make_tables.py"
    assert seen == {*tables.MODELS, *tables.OTHERS}


def test_findings_of_data_check_are_all_listed() -> None:
    page = (ROOT / "docs" / "data.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"^\| `([a-z-]+)` \| (error|warning|info) \|", page, re.MULTILINE))
    pattern = re.compile(r'"([a-z]+(?:-[a-z]+)*)",\s*"(error|warning|info)"')
    folder = ROOT / "src" / "lexiseg" / "data" / "check"
    # report.py holds the list of severities itself.
    sources = [path.read_text(encoding="utf-8") for path in folder.glob("*.py") if path.name != "report.py"]
    assert listed == {found for source in sources for found in pattern.findall(source)}


def test_benchmarks_are_all_listed() -> None:
    page = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
    for path in (ROOT / "benchmarks").glob("*.py"):
        runs = "__main__" in path.read_text(encoding="utf-8")
        assert not runs or f"`python benchmarks/{path.name} " in page, path.name


def test_configuration_example_loads(tmp_path: Path) -> None:
    file = tmp_path / "training.yaml"
    file.write_text(one("yaml config"), encoding="utf-8")
    assert make_config({}, file).augment.max_angle_deg == 8


@pytest.mark.parametrize("block", blocks("yaml dataset"), ids=lambda block: block.page)
def test_dataset_yaml_examples_are_valid(block: Block) -> None:
    stated = DatasetYaml.model_validate(yaml.safe_load(block.text))
    assert stated.vocabulary is not None
    load_vocabulary(stated.vocabulary)


@pytest.mark.parametrize("block", blocks("json"), ids=lambda block: block.page)
def test_json_parses(block: Block) -> None:
    assert json.loads(block.text)


def words_page() -> str:
    """Return the page on words, without its line breaks."""
    return " ".join((ROOT / "docs" / "words.md").read_text(encoding="utf-8").split())


def test_vocabulary_example_loads_and_does_what_the_page_says(tmp_path: Path) -> None:
    file = tmp_path / "own.yaml"
    file.write_text(one("yaml vocabulary"), encoding="utf-8")
    vocabulary = load_vocabulary(file)
    page = words_page()
    said = "Two small oval hypoechoic lesions in the uper left of the image."
    spoken = "Multiple small oval hypoechoic lesions, in the upper left of the image."
    assert said in page
    assert spoken in page
    description = parse_report(said, vocabulary)
    assert UNKNOWN not in description.indices
    repairs = [(r.found, r.meant) for reading in description.readings for r in reading.repairs]
    assert repairs == [("uper", "upper")]
    assert vocabulary.speak(description.indices) == spoken
    flipped = flip(vocabulary, description.indices, "horizontal")
    assert vocabulary.speak(flipped) == spoken.replace("left", "right")


def test_repairs_named_on_the_page() -> None:
    chest = load_vocabulary("chest")
    text = "Bilateral pulmonary infection, two infected areas, upper leftlung and lowoer right lung."
    assert text in words_page()
    readings = {reading.factor: reading for reading in parse_report(text, chest).readings}
    assert (readings["left"].phrase, readings["left"].read) == ("upper left lung", "upper leftlung")
    assert (readings["right"].repairs[0].found, readings["right"].repairs[0].meant) == ("lowoer", "lower")
    doubtful = parse_report("Unilateral pulmonary infection, one infected area, lateral left lung.", chest)
    assert doubtful.readings[2].index == UNKNOWN
    assert "lateral" in doubtful.problems[0]
    denied = parse_report("No lesion in right lung, left lung clear.", chest)
    assert denied.indices == (UNKNOWN, UNKNOWN, 7, 7)
