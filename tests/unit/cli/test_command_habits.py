"""What every command has: short options, the options of its output, and examples that parse."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from command_lines import command_of, command_words, parse_command_line
from lexiseg.cli import main
from lexiseg.cli.app import app
from lexiseg.cli.options.examples import EXAMPLES
from threshold_predictor import write_image


def options_of(words: tuple[str, ...]) -> set[str]:
    """Return the names of all options of a command."""
    command, context, _ = command_of(list(words))
    return {name for parameter in command.get_params(context) for name in parameter.opts}


def test_a_command_that_reads_one_image_speaks_of_no_others() -> None:
    command, context, _ = command_of(["refine"])
    (option,) = [found for found in command.get_params(context) if "--spacing-mm" in found.opts]
    assert "all images" not in option.help
    assert "each image that is read" in option.help


@pytest.mark.parametrize("words", command_words(), ids=" ".join)
def test_every_command_has_the_options_of_its_output(words: tuple[str, ...]) -> None:
    options = options_of(words)
    assert {"--quiet", "-q", "--json", "--help"} <= options
    assert ("--out" in options) == ("-o" in options)


#: Options that mean the same wherever they are, in the order in which each help lists them.
SHARED = (
    "--out", "--spacing-mm", "--window", "--frame", "--axis", "--split", "--batch-size", "--device",
    "--engine", "--precision", "--flip-average", "--average-with", "--tolerance", "--config", "--allow-leak",
    "--dry-run", "--shared", "--quiet", "--json", "--help",
)  # fmt: skip
#: What differs in the words between commands, as they do something else with it.
OWN_WORDS = {"--out", "--split", "--config"}
#: Its options say how a network is trained, not how it predicts.
TRAINING = ("train",)


def shared_options(words: tuple[str, ...]) -> dict[str, str]:
    """Return the help of the shared options of a command, in the order of its help."""
    command, context, _ = command_of(list(words))
    named = {max(p.opts, key=len): getattr(p, "help", "") for p in command.get_params(context)}
    return {name: text for name, text in named.items() if name in SHARED}


@pytest.mark.parametrize("words", command_words(), ids=" ".join)
def test_shared_options_have_one_order_and_the_same_words(words: tuple[str, ...]) -> None:
    found = shared_options(words)
    assert list(found) == [name for name in SHARED if name in found]
    for other in command_words():
        theirs = shared_options(other)
        for name in (found.keys() & theirs.keys()) - OWN_WORDS:
            if TRAINING not in (words, other):
                assert found[name] == theirs[name], (name, words, other)


@pytest.mark.parametrize("words", [(), ("data",), ("convert",), *command_words()], ids=" ".join)
def test_every_help_shows_examples(words: tuple[str, ...]) -> None:
    help_text = CliRunner().invoke(app, [*words, "-h"], env={"COLUMNS": "200"})
    assert help_text.exit_code == 0
    shown = " ".join(help_text.output.split())
    assert "Examples: lexiseg" in shown
    for example in EXAMPLES[" ".join(words)]:
        assert example in shown


@pytest.mark.parametrize("words", [(), ("data",), ("convert",), ("token",), *command_words()], ids=" ".join)
def test_flags_ask_for_no_value(words: tuple[str, ...]) -> None:
    shown = CliRunner().invoke(app, [*words, "-h"], env={"COLUMNS": "80"})
    assert "bool" not in shown.output.lower()
    assert max(map(len, shown.output.splitlines())) <= 80


def test_examples_belong_to_commands_that_exist() -> None:
    groups = {"", *(words[0] for words in command_words() if len(words) > 1)}
    assert EXAMPLES.keys() == groups | {" ".join(words) for words in command_words()}


@pytest.mark.parametrize(
    ("words", "line"), [(words, line) for words, lines in EXAMPLES.items() for line in lines]
)
def test_examples_parse(words: str, line: str) -> None:
    assert line.startswith(f"lexiseg {words}")
    parse_command_line(line, "examples.py")


def run(
    line: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> tuple[int, str, str]:
    """Run a command line as the console script does; return exit code, standard output and error."""
    monkeypatch.setattr("sys.argv", ["lexiseg", *line])
    with pytest.raises(SystemExit) as ended:
        main()
    said = capsys.readouterr()
    return int(str(ended.value.code or 0)), said.out, said.err


def test_json_is_all_of_standard_output(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    line = ["data", "phantom", str(tmp_path / "ph"), "--train=2", "--val=1", "--test=1", "--size=64"]
    code, out, err = run([*line, "--json"], monkeypatch, capsys)
    assert code == 0
    assert json.loads(out) == {
        "folder": str(tmp_path / "ph"),
        "images": {"train": 2, "val": 1, "test": 1},
    }
    assert err == f"4 images written to {tmp_path / 'ph'}.\n"


def test_quiet_prints_nothing_that_is_no_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    line = ["data", "phantom", str(tmp_path / "ph"), "--train=1", "--val=1", "--test=1", "--size=64", "-q"]
    assert run(line, monkeypatch, capsys) == (0, "", "")
    assert run(["data", "list", "--quiet"], monkeypatch, capsys) == (0, "", "")
    code, out, err = run(["data", "check", str(tmp_path / "none"), "--quiet"], monkeypatch, capsys)
    assert code == 3
    assert out == ""
    assert err.startswith("Error: ")


@pytest.mark.parametrize(
    ("line", "code", "exit_code"),
    [
        (["data", "check", "no-such-folder", "--json"], "LEX-DATA-", 3),
        (["predict", "covid-xray", "--json", "--no-such-option"], "LEX-USE-744", 2),
        (["no-such-command", "--json"], "LEX-USE-744", 2),
        (["predict", "no-such-run", "no-such-image.png", "--json"], "LEX-DATA-099", 3),
    ],
)
def test_an_error_is_json_too(
    line: list[str],
    code: str,
    exit_code: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    returned, out, err = run(line, monkeypatch, capsys)
    error = json.loads(out)["error"]
    assert returned == error["exit_code"] == exit_code
    assert error["code"].startswith(code)
    # The same message, for people.
    assert " ".join(err.split()) == f"Error: {error['message']} [{error['code']}]"


def test_an_error_without_json_leaves_standard_output_empty(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run(["data", "list", "--json"], monkeypatch, capsys)
    code, out, err = run(["data", "list", "no-such-set"], monkeypatch, capsys)
    assert code == 2
    assert out == ""
    assert err.startswith("Error: ")


def test_listed_data_sets_as_json(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = run(["data", "list", "kvasir-seg", "--json"], monkeypatch, capsys)
    assert (code, err) == (0, "")
    (entry,) = json.loads(out)
    assert entry["name"] == "kvasir-seg"


def test_predictions_and_refinements_as_json(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    images = tmp_path / "images"
    write_image(images / "a.png", (64, 64))
    (images / "b.png").write_bytes(b"no image")
    line = ["predict", "covid-xray", str(images), "-o", str(tmp_path / "out"), "--json"]
    code, out, err = run(line, monkeypatch, capsys)
    found = json.loads(out)
    assert code == 1
    assert found["done"] == 1
    assert [failed["image"] for failed in found["failed"]] == [str(images / "b.png")]
    assert found["results"] == str(tmp_path / "out" / "predictions.jsonl")
    assert "1 of 2 images segmented" in err
    assert err.splitlines()[-1].startswith("Error: 1 of 2 images could not be read")

    line = ["refine", "covid-xray", str(images / "a.png"), "--say", "lower left only", "--json", "-o"]
    code, out, err = run([*line, str(tmp_path / "torch"), "--engine", "torch"], monkeypatch, capsys)
    assert json.loads(out)["engine"].startswith("torch ")
    code, out, err = run([*line, str(tmp_path / "refined")], monkeypatch, capsys)
    assert code == 0, err
    assert json.loads(out)["engine"].startswith("onnx ")
    assert json.loads(out) == json.loads((tmp_path / "refined" / "a.json").read_text(encoding="utf-8"))
    assert "Results: " in err


def test_completion_script(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    # The shell is that of the process that started the tests, which may be none.
    monkeypatch.setattr("shellingham.detect_shell", lambda: ("bash", "/bin/bash"))
    code, out, _ = run(["--show-completion"], monkeypatch, capsys)
    assert code == 0
    assert "complete_bash" in out
