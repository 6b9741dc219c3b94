"""The documentation is true of the code: commands parse, Python compiles, links resolve, tables hold."""

import ast
import importlib
import json
import re
import shlex
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

import lexiseg
from command_lines import parse_command_line
from doc_blocks import DIRECTIVE, FENCE, PAGES, ROOT, Block, blocks, blocks_in
from lexiseg.data.dataset_yaml import DatasetYaml
from lexiseg.gateway.configuration import GatewayConfiguration
from lexiseg.inference.reliability.calibration import load_calibration
from lexiseg.runs.run import Run
from lexiseg.studies.arms import arm_fields, known_arms, read_arms
from lexiseg.training.config import make_config
from lexiseg.words.description import UNKNOWN
from lexiseg.words.flips import flip
from lexiseg.words.reading.reports import parse_report
from lexiseg.words.vocabulary import load_vocabulary
from script_module import load_script

_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


def commands() -> list[tuple[str, str]]:
    """Return (page, command line) of each line of a shell block."""
    return [(block.page, line) for block in blocks("bash", "console") for line in block.commands]


def one(kind: str) -> str:
    (block,) = blocks(kind)
    return block.text


def test_there_is_something_to_test() -> None:
    names = {page.relative_to(ROOT).as_posix() for page in PAGES}
    assert names >= {"README.md", "CHANGELOG.md", "CONTRIBUTING.md", "docs/index.md", "docs/reference/cli.md"}
    assert len([line for _, line in commands() if line.startswith("lexiseg ")]) > 20
    assert len(blocks("python")) > 5


def test_what_comments_say_of_a_block() -> None:
    text = """# A page

<!-- start: my-data runs/first -->
```bash
lexiseg data check \\
  my-data
# a comment
```

<!-- not run: needs a server -->
```console
$ lexiseg data list
what it prints
```
<!-- start: a.png -->

```python
print()
```
"""
    first, second, third = blocks_in(text, "page.md")
    assert first == Block("page.md", 4, "bash", first.text, start=("my-data", "runs/first"), not_run=None)
    assert [line.split() for line in first.commands] == [["lexiseg", "data", "check", "my-data"]]
    assert (second.start, second.not_run) == (None, "needs a server")
    assert second.commands == ["lexiseg data list"]
    # A comment that does not stand right before the block is not its.
    assert (third.place, third.start, third.not_run) == ("page.md:17", None, None)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_comments_about_blocks_belong_to_a_block(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    found = blocks_in(text, page.name)
    said = sum((block.start is not None) + (block.not_run is not None) for block in found)
    assert said == len(DIRECTIVE.findall(text)), "a comment stands alone"
    assert said == len(re.findall(r"^ *<!-- *(?:start|not run)\b", text, re.MULTILINE)), (
        "a comment is spelled wrongly"
    )
    assert all(block.start is None or block.not_run is None for block in found)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_fences_are_known_and_text_is_ascii(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert text.isascii(), [line for line in text.splitlines() if not line.isascii()]
    kinds = {kind for kind, _ in FENCE.findall(text)}
    # A kind that no test knows would be checked by none.
    assert kinds <= {
        "bash", "console", "javascript", "python", "text", "json", "yaml dataset", "yaml vocabulary",
        "yaml config", "yaml arms", "yaml gateway",
    }  # fmt: skip
    assert text.count("```") == 2 * len(FENCE.findall(text))


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


@pytest.mark.parametrize(
    ("page", "line"), [(page, line) for page, line in commands() if line.startswith("lexiseg ")]
)
def test_lexiseg_commands_parse(page: str, line: str) -> None:
    parse_command_line(line, page)


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
            assert words[0] in {"lexiseg", "python3", ".venv/bin/pip", "."}, f"{page}: unknown command {line}"


def slug(heading: str) -> str:
    """Return the anchor that GitHub gives a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_resolve(page: Path) -> None:
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    for link in _LINK.findall(text):
        if link.startswith("https://"):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{page.name}: {link}"
        if anchor:
            headings = _HEADING.findall(FENCE.sub("", target.read_text(encoding="utf-8")))
            assert anchor in {slug(heading) for heading in headings}, f"{page.name}: {link}"


def documentation() -> set[str]:
    """Return the pages of docs/, by their paths in it."""
    return {path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")}


def test_every_page_is_in_the_index() -> None:
    index = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    assert [page for page in documentation() if page != "index.md" and f"({page})" not in index] == []


def leaves(nav: Any) -> list[str]:
    """Return the pages of a navigation, in order."""
    if isinstance(nav, str):
        return [nav]
    return [page for part in (nav.values() if isinstance(nav, dict) else nav) for page in leaves(part)]


def test_every_page_is_in_the_navigation_once() -> None:
    site = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
    # The site makes these two of the files in the root.
    assert sorted(leaves(site["nav"])) == sorted({*documentation(), "changelog.md", "contributing.md"})
    assert site["strict"] is True
    assert site["theme"]["font"] is False


def test_the_public_interface_is_in_the_reference() -> None:
    pages = [page.read_text("utf-8") for page in (ROOT / "docs" / "reference").glob("*.md")]
    entry = re.compile(r"^(?:::: | +heading: )(\S+)$", re.MULTILINE)
    listed = {name for page in pages for name in entry.findall(page)}
    assert {f"lexiseg.{name}" for name in lexiseg.__all__ if name != "__version__"} <= listed
    for name in listed:
        home, _, last = name.rpartition(".")
        assert hasattr(importlib.import_module(home), last), name


def make_tables() -> ModuleType:
    return load_script(ROOT / "docs" / "make_tables.py")


def test_tables_made_from_code_are_up_to_date() -> None:
    tables = make_tables()
    seen = set()
    for page in [*(ROOT / "docs").rglob("*.md"), ROOT / "CONTRIBUTING.md"]:
        text = page.read_text(encoding="utf-8")
        seen |= set(re.findall(r"<!-- table: ([\w.]+) -->", text))
        assert tables.with_tables(text) == text, f"{page.name}: run python docs/make_tables.py"
    assert seen == {*tables.MODELS, *tables.OTHERS}


def test_findings_of_data_check_are_all_listed() -> None:
    page = (ROOT / "docs" / "data_check.md").read_text(encoding="utf-8")
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


def test_disagreement_flags_nothing_in_the_shipped_model() -> None:
    """The page on prediction says so of the calibration that is shipped."""
    page = " ".join((ROOT / "docs" / "predict.md").read_text(encoding="utf-8").split())
    assert "In the shipped `covid-xray` agreement weighs 0" in page
    run = Run.open("covid-xray")
    for flip_average in (False, True):
        calibration = load_calibration(run, flip_average=flip_average)
        assert calibration is not None
        assert calibration.review.signals["agreement"].weight == 0


def test_configuration_example_loads(tmp_path: Path) -> None:
    loaded = []
    for block in blocks("yaml config"):
        file = tmp_path / "training.yaml"
        file.write_text(block.text, encoding="utf-8")
        loaded.append(make_config({}, file))
    assert [config.augment.max_angle_deg for config in loaded].count(8) == 1
    assert [config.logger for config in loaded].count("mlflow") == 1


@pytest.mark.parametrize("block", blocks("yaml dataset"), ids=lambda block: block.page)
def test_dataset_yaml_examples_are_valid(block: Block) -> None:
    stated = DatasetYaml.model_validate(yaml.safe_load(block.text))
    assert stated.vocabulary is not None
    load_vocabulary(stated.vocabulary)


@pytest.mark.parametrize("block", blocks("yaml gateway"), ids=lambda block: block.place)
def test_gateway_examples_are_valid(block: Block) -> None:
    assert GatewayConfiguration.model_validate(yaml.safe_load(block.text)).rules


@pytest.mark.parametrize("block", blocks("json"), ids=lambda block: block.page)
def test_json_parses(block: Block) -> None:
    assert json.loads(block.text)


def page_of(name: str) -> str:
    """Return a page without its line breaks."""
    return " ".join((ROOT / "docs" / name).read_text(encoding="utf-8").split())


def test_vocabulary_example_loads_and_does_what_the_page_says(tmp_path: Path) -> None:
    file = tmp_path / "own.yaml"
    file.write_text(one("yaml vocabulary"), encoding="utf-8")
    vocabulary = load_vocabulary(file)
    page = page_of("vocabulary.md")
    said = "Two small oval hypoechoic lesions in the uper left of the image."
    spoken = "Multiple small oval hypoechoic lesions, in the upper left of the image."
    assert said in page
    assert spoken in page
    description = parse_report(said, vocabulary)
    assert UNKNOWN not in description.indices
    repairs = [(r.found, r.meant) for reading in description.readings for r in reading.repairs]
    assert repairs == [("uper", "upper")]
    assert vocabulary.sentence_for(description.indices) == spoken
    flipped = flip(vocabulary, description.indices, "horizontal")
    assert vocabulary.sentence_for(flipped) == spoken.replace("left", "right")


def test_repairs_named_on_the_page() -> None:
    chest = load_vocabulary("chest")
    text = "Bilateral pulmonary infection, two infected areas, upper leftlung and lowoer right lung."
    assert text in page_of("words.md")
    readings = {reading.factor: reading for reading in parse_report(text, chest).readings}
    assert (readings["left"].phrase, readings["left"].read) == ("upper left lung", "upper leftlung")
    assert (readings["right"].repairs[0].found, readings["right"].repairs[0].meant) == ("lowoer", "lower")
    doubtful = parse_report("Unilateral pulmonary infection, one infected area, lateral left lung.", chest)
    assert doubtful.readings[2].index == UNKNOWN
    assert "lateral" in doubtful.problems[0]
    denied = parse_report("No lesion in right lung, left lung clear.", chest)
    assert denied.indices == (UNKNOWN, UNKNOWN, 7, 7)


def test_the_arms_of_the_page_on_the_audit_can_be_read(tmp_path: Path) -> None:
    file = tmp_path / "arms.yaml"
    file.write_text(one("yaml arms"), encoding="utf-8")
    known = known_arms(reports=True, further=read_arms(file))
    assert {"weak_labels", "free_halves"} <= known.keys()
    page = (ROOT / "docs" / "audit.md").read_text(encoding="utf-8")
    listed = page[page.index("An arm may only change") : page.index("The audit refuses all other fields")]
    assert set(re.findall(r"`(\w+)`", listed)) == arm_fields()
