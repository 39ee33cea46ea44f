"""The desk's `az` takes what the real one takes: every ml command and option of Microsoft's published reference, no more and no less."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lockgate.az import handlers
from lockgate.az.table import GLOBAL, lines, options_of

REFERENCE = Path(__file__).parents[4] / "shared" / "reference" / "az-ml-commands.json"


@pytest.fixture(scope="module")
def reference():
    if not REFERENCE.exists():
        pytest.skip(f"NOT CHECKED: there is no {REFERENCE.name}; it stands beside the repository where this is developed")
    return json.loads(REFERENCE.read_text())


def ours() -> list[str]:
    return [name for name in lines() if name.startswith("ml ")]


def test_the_commands_are_those_of_the_reference(reference):
    assert {f"az {name}" for name in ours()} == set(reference)


@pytest.mark.parametrize("command", ours())
def test_the_options_of_a_command_are_those_of_the_reference(command, reference):
    parameters = reference[f"az {command}"]["params"]
    own = {name: value for name, value in parameters.items() if not value["global"] and "Global" not in str(value["group"])}
    found = {option.name: option for option in options_of(command)}
    assert set(found) == set(own)
    for name, value in own.items():
        assert found[name].names == (name, *value["aliases"])
        assert found[name].required == value["required"]


def test_the_global_options_are_those_of_the_reference(reference):
    own = {name for value in reference.values() for name, one in value["params"].items() if one["global"]}
    assert {option.name for option in GLOBAL} == own


def test_every_handler_is_a_command_and_obeys_options_that_it_has():
    for module in set(handlers.GROUPS.values()):
        for command, handler in __import__(f"lockgate.az.groups.{module}", fromlist=["COMMANDS"]).COMMANDS.items():
            assert command in lines(), command
            keys = {option.key for option in options_of(command)}
            assert {*handler.obeys} - {"*"} <= keys, command
            assert {name for name, _ in handler.accepts} <= keys, command
