"""Values of options are the texts that functions take, and each is in one place."""

from __future__ import annotations

from typing import Any, get_args

import pytest

from command_lines import command_of, command_words
from lexiseg import choices
from lexiseg.cli.commands.watch_quarantine import QuarantineAction
from lexiseg.engines.registry import engine_choices
from lexiseg.gateway.quarantine import Action
from lexiseg.serving.records.common import Scope
from lexiseg.systems import configuration
from lexiseg.systems.compact_configuration import CompactConfig
from lexiseg.systems.registry import names
from lexiseg.training import start_settings

#: The values of options, by their names; None is the value of an option that is not given.
VALUES: dict[str, tuple[str, ...]] = {
    "--axis": get_args(choices.AxisName),
    "--engine": engine_choices(),
    "--fit": get_args(configuration.FitChoice),
    "--model": names(),
    "--precision": get_args(choices.PrecisionChoice),
    "--quarantine": ("list", *get_args(Action)),
    "--scope": get_args(Scope),
    "--source": get_args(choices.DescriptionSource),
    "--split": get_args(choices.Split),
    "--unmasked": get_args(configuration.Unmasked),
    "--weights": get_args(choices.WeightsType),
}


def options() -> list[tuple[str, Any, Any]]:
    found = []
    for words in command_words():
        command, context, _ = command_of(list(words))
        for option in command.get_params(context):
            name = max(option.opts, key=len)
            # `data describe --model` is the model of a server.
            if name in VALUES and (words, name) != (("data", "describe"), "--model"):
                found.append((name, option, context))
    return found


@pytest.mark.parametrize(("name", "option", "context"), options(), ids=lambda value: str(value)[:12])
def test_the_values_are_those_of_the_functions(name: str, option: Any, context: Any) -> None:
    for value in VALUES[name]:
        found = option.process_value(context, [value] if option.multiple else value)
        assert (found[0] if option.multiple else found) == value
        assert type(found[0] if option.multiple else found) is str
    with pytest.raises(Exception, match="is not one of"):
        option.process_value(context, ["nothing"] if option.multiple else "nothing")


@pytest.mark.parametrize(("name", "option", "context"), options(), ids=lambda value: str(value)[:12])
def test_a_shell_completes_the_values(name: str, option: Any, context: Any) -> None:
    assert {found.value for found in option.shell_complete(context, "")} == set(VALUES[name])
    first = VALUES[name][0]
    assert [found.value for found in option.shell_complete(context, first)] == [first]


def test_the_actions_of_the_quarantine() -> None:
    assert get_args(QuarantineAction) == ("list", *get_args(Action))


def test_options_that_a_start_decides_say_so() -> None:
    """They are the fields that a training takes from the run that it starts from."""
    command, context, _ = command_of(["train"])
    fields = {*start_settings._OF_NETWORK, *start_settings._OF_PICTURES, *CompactConfig.start_fields}
    said = {
        param.name: "with --start-from" in (getattr(param, "help", None) or "")
        for param in command.get_params(context)
    }
    assert {name for name, is_said in said.items() if is_said} == fields & said.keys()
