"""An option that is given twice has its last value, and that the others have no effect is said."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from lexiseg.cli.app import app


def said(*line: str) -> str:
    return CliRunner().invoke(app, line).stderr


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--average-with", "a", "--average-with=b"], "--average-with is given 2 times"),
        (["--out", "a", "-o", "b", "--out", "c"], "--out is given 3 times"),
        (["--split", "val", "-q", "--split", "test"], "--split is given 2 times"),
    ],
)
def test_a_repeated_option_is_named(options: list[str], words: str, tmp_path: Path) -> None:
    line = ["evaluate", str(tmp_path / "run"), str(tmp_path / "data"), "--out", str(tmp_path / "out")]
    if "--out" in options:
        line = line[:-2]
    text = said(*line, *options)
    assert words in text
    assert text.count("given") == 1
    assert "last value" in text


def test_options_that_take_several_values_and_repeated_flags_are_not_named(tmp_path: Path) -> None:
    folder = str(tmp_path / "none")
    for line in (
        ["evaluate", folder, folder, "--out", folder, "-q", "-q", "--flip-average", "--flip-average"],
        ["refine", folder, folder, "--say", "left: free", "--say", "right: free"],
    ):
        assert "given" not in said(*line)


def test_the_last_value_is_used(tmp_path: Path) -> None:
    first, last = tmp_path / "first", tmp_path / "last"
    twice = ["--average-with", str(first), "--average-with", str(last)]
    error = CliRunner().invoke(app, ["evaluate", "covid-xray", str(tmp_path), "-o", "x", *twice]).exception
    assert str(last) in str(error)
    assert str(first) not in str(error)
