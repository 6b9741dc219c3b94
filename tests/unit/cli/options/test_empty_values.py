"""An empty value is refused: an empty path would be the current folder."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from command_lines import command_of, command_words
from lexiseg.cli.app import app
from lexiseg.errors import LexisegError
from threshold_predictor import write_image


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write_image(tmp_path / "a.png")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def refused(*line: str) -> str:
    error = CliRunner().invoke(app, line).exception
    assert isinstance(error, LexisegError), line
    assert error.code == "LEX-USE-1842"
    assert error.exit_code == 2
    return str(error)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (["predict", "covid-xray", ""], "at position 2 after `lexiseg predict`"),
        (["predict", "covid-xray", "a.png", ""], "at position 3"),
        (["predict", "covid-xray", "a.png", "--out", ""], "of --out is empty"),
        (["predict", "covid-xray", "a.png", "--out="], "of --out is empty"),
        (["predict", "covid-xray", "a.png", "-o", ""], "of -o is empty"),
        (["predict", "covid-xray", "a.png", "--overlays", ""], "at position 4"),
        (["join", ""], "at position 1 after `lexiseg join`"),
        (["data", "import", "covid-xray", "", "-o", "x"], "at position 2 after `lexiseg data import`"),
        (["train", "", "--out", "run"], "at position 1 after `lexiseg train`"),
    ],
)  # fmt: skip
def test_an_empty_value_is_named(line: list[str], words: str, here: Path) -> None:
    assert words in refused(*line)
    assert [path.name for path in here.iterdir()] == ["a.png"]


@pytest.mark.parametrize("words", command_words(), ids=" ".join)
def test_every_command_refuses_empty_values(words: tuple[str, ...], here: Path) -> None:
    command, context, _ = command_of(list(words))
    for parameter in command.get_params(context):
        if parameter.param_type_name == "argument":
            refused(*words, "")
        elif not parameter.is_flag and parameter.name != "help":
            assert f"of {parameter.opts[0]} is empty" in refused(*words, parameter.opts[0], "")
    assert [path.name for path in here.iterdir()] == ["a.png"]
