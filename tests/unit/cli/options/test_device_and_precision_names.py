"""Devices and types of numbers have the same names in every command; another name says which one is right."""

from __future__ import annotations

from typing import Any

import pytest

from command_lines import command_of, command_words
from lexiseg.cli import main
from lexiseg.runs.shipped import model_folder
from lexiseg.training.config import make_config
from refusals import refuses


def options(name: str) -> list[tuple[tuple[str, ...], Any, Any]]:
    """Return the commands that have an option: their words, the option and its context."""
    found = []
    for words in command_words():
        command, context, _ = command_of(list(words))
        found += [(words, p, context) for p in command.get_params(context) if name in p.opts]
    return found


PRECISIONS, DEVICES = options("--precision"), options("--device")


def test_the_commands() -> None:
    # Where a network computes, all that is said of how is said in the same way.
    predicting = {("data", "check")} | {
        (name,) for name in ("calibrate", "compare", "evaluate", "predict", "refine", "serve")
    }
    for name in ("--device", "--precision"):
        assert {words for words, _, _ in options(name)} == predicting | {("train",)}
    for name in ("--engine", "--flip-average"):
        assert {words for words, _, _ in options(name)} == predicting


@pytest.mark.parametrize(("words", "option", "context"), PRECISIONS, ids=lambda value: str(value)[:20])
def test_precisions(words: tuple[str, ...], option: Any, context: Any) -> None:
    assert option.metavar == "auto|fp32|bf16"
    for name in ("auto", "fp32", "bf16"):
        assert option.process_value(context, name) == name
    for wrong, right in (("float32", "fp32"), ("bfloat16", "bf16"), ("BFLOAT16", "bf16")):
        said = f"'{wrong}' is not one of 'auto', 'fp32', 'bf16'. Write {right}."
        with pytest.raises(Exception, match=said):
            option.process_value(context, wrong)
    with pytest.raises(Exception, match=r"'fp64' is not one of 'auto', 'fp32', 'bf16'\.$"):
        option.process_value(context, "fp64")


@pytest.mark.parametrize(("words", "option", "context"), DEVICES, ids=lambda value: str(value)[:20])
def test_devices(words: tuple[str, ...], option: Any, context: Any) -> None:
    assert option.metavar == "auto|cpu|cuda"
    for name in ("auto", "cpu", "cuda"):
        assert str(option.process_value(context, name)) == name
    with pytest.raises(Exception, match=r"'gpu' is .* Write cuda\."):
        option.process_value(context, "gpu")


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("predict run a.png --precision bfloat16", "'--precision': 'bfloat16' is not one of"),
        ("train data -o run --precision float32", "'--precision': 'float32' is not one of"),
        ("evaluate run data -o out --device gpu", "'--device': 'gpu' is no device here. Write cuda"),
        ("export run --weights float16", "'float16' is not one of 'fp32', 'fp16', 'shared'. Write fp16"),
    ],
)
def test_the_message_names_the_option(
    command: str, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["lexiseg", *command.split()])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


def test_configurations_of_earlier_runs_load() -> None:
    folder = model_folder("covid-xray")
    assert folder is not None
    config = make_config({}, folder / "config.yaml", ignore_foreign=True)
    assert (config.precision, config.accelerator) == ("fp32", "auto")
    with refuses("LEX-USE-069", "precision", "fp32"):
        make_config({"precision": "bfloat16"})
