"""The desk's `az` takes what the real one takes: every ml command and option of Microsoft's published reference, no more and no less."""

from __future__ import annotations

from pathlib import Path

import pytest

from lockgate.az import handlers
from lockgate.az.table import GLOBAL, Option, lines, options_of

FACTS = Path(__file__).parents[2] / "cases" / "azure" / "ml-commands.txt"
EVERY = "*"
"""The line of the options that every command has."""


def facts() -> dict[str, list[Option]]:
    """Command → its options. The reference doesn't say which are switches or take several words."""
    rows = [line.partition(":") for line in FACTS.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    return {command: [option(word) for word in words.split()] for command, _, words in rows}


def option(word: str) -> Option:
    names, _, values = word.partition("=")
    return Option(
        tuple(names.removesuffix("!").split(",")), required=names.endswith("!"), values=tuple(values.split("|")) if values else ()
    )


@pytest.fixture(scope="module")
def reference():
    return facts()


def ours() -> list[str]:
    return [name for name in lines() if name.startswith("ml ")]


def test_the_commands_are_those_of_the_reference(reference):
    assert {*ours(), EVERY} == set(reference)


@pytest.mark.parametrize("command", ours())
def test_the_options_of_a_command_are_those_of_the_reference(command, reference):
    own = {option.name: option for option in reference[command]}
    found = {option.name: option for option in options_of(command)}
    assert set(found) == set(own)
    for name, value in own.items():
        assert found[name].names == value.names
        assert found[name].required == value.required
        assert found[name].values == value.values


def test_the_global_options_are_those_of_the_reference(reference):
    assert {(option.names, option.values) for option in GLOBAL} == {(option.names, option.values) for option in reference[EVERY]}


def test_every_handler_is_a_command_and_obeys_options_that_it_has():
    for module in set(handlers.GROUPS.values()):
        for command, handler in __import__(f"lockgate.az.groups.{module}", fromlist=["COMMANDS"]).COMMANDS.items():
            assert command in lines(), command
            keys = {option.key for option in options_of(command)}
            assert {*handler.obeys} - {"*"} <= keys, command
            assert {name for name, _ in handler.accepts} <= keys, command
