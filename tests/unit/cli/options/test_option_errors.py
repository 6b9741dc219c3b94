"""Every error of options is one message with a code."""

from __future__ import annotations

import pytest

from lexiseg.cli import main


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("predict --batch-size 0 run image.png", ["--batch-size", "1"]),
        ("predict --no-such-option", ["--no-such-option"]),
        ("predict run image.png --spacing-mm 0.5", ["requires 2", "lexiseg predict --help`"]),
        ("data check data --folds", ["--folds", "lexiseg data check --help`"]),
        ("predict", ["RUN", "lexiseg predict --help`"]),
        ("evaluate run data --out out --split tst", ["'tst' is not one of", "test", "val", "train"]),
        ("train data --out run --model unet", ["unet", "'stpnet', 'cotexnet'"]),
        ("train data", ["--out"]),
        ("audit data --out out --seeds many", ["--seeds"]),
        ("data phantom folder --classes 5", ["--classes"]),
        ("no-such-command", ["no-such-command"]),
        ("predict run image.png --write ,", ["--write", "mask"]),
    ],
)
def test_one_message_with_a_code(
    command: str, words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["lexiseg", *command.split()])
    with pytest.raises(SystemExit) as ended:
        main()
    said = capsys.readouterr().err
    assert ended.value.code == 2
    assert said.startswith("Error: ")
    assert len(said.splitlines()) == 1
    assert said.rstrip().endswith("[LEX-USE-743]" if "--write" in command else "[LEX-USE-744]")
    assert "Value error" not in said
    assert all(word in said for word in words), said


def test_a_command_group_without_arguments_shows_its_help(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["lexiseg"])
    with pytest.raises(SystemExit) as ended:
        main()
    said = capsys.readouterr()
    assert ended.value.code in (0, 2)  # by the version of typer
    assert "predict" in said.out + said.err
    assert "LEX-" not in said.err
