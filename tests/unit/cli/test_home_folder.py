"""`~` in front of a path means the home folder, also where the shell does not expand it."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from lexiseg.cli.app import app


def test_tilde_in_arguments_and_options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    made = CliRunner().invoke(
        app, ["data", "phantom", "~/ph", "--train", "1", "--val", "1", "--test=1", "--size", "64"]
    )
    assert made.exit_code == 0, made.output
    assert (tmp_path / "home" / "ph" / "Train_Folder").is_dir()
    assert not (tmp_path / "~").exists()
    described = CliRunner().invoke(
        app, ["data", "describe", "~/ph", "--split", "test", "--out=~/words.jsonl"]
    )
    assert described.exit_code == 0, described.output
    assert (tmp_path / "home" / "words.jsonl").is_file()


def test_a_folder_named_tilde_is_still_possible(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(
        app, ["data", "phantom", "./~", "--train=1", "--val=1", "--test=1", "--size=64"]
    )
    assert result.exit_code == 0, result.output
    assert (tmp_path / "~" / "Train_Folder").is_dir()
