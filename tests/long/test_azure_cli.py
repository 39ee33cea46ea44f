"""Every command line of az that belongs to Azure's own command line, read by that: what the ml extension adds has its own reference."""

from __future__ import annotations

import pytest

from delivery_scripts import AZ
from lockgate.az.table import lines, options_of
from microsoft.azure_cli import mistakes, options

pytestmark = pytest.mark.long

# `--only-show-errors` and such are read like all others; `ml` and `devops` come with extensions.
OURS = sorted({words[1:] for _, words in AZ if words[1] not in ("ml", "devops", "pipelines")})
WRONG = {
    ("account", "shwo"): "Did you mean 'show'",
    ("group", "create", "--name", "x", "--lokation", "y"): "--location",
    ("extension", "add", "--name"): "expected",
    ("ml", "job", "list"): "aka.ms/cli_ref",
}


@pytest.fixture(scope="module")
def said() -> dict[tuple[str, ...], str | None]:
    asked = [*OURS, *WRONG]
    return dict(zip(asked, mistakes(asked), strict=True))


@pytest.mark.parametrize("words", OURS, ids=" ".join)
def test_azure_s_own_command_line_reads_it(words, said):
    assert said[words] is None


@pytest.mark.parametrize("words", WRONG, ids=" ".join)
def test_azure_s_own_command_line_refuses_what_is_wrong(words, said):
    assert WRONG[words] in (said[words] or "")


TABLE = sorted(command for command in lines() if command.split()[0] not in ("ml", "devops", "pipelines"))


@pytest.fixture(scope="module")
def published() -> dict[str, str | None]:
    return dict(zip(TABLE, options(TABLE), strict=True))


def facts(line: str) -> set[tuple[frozenset[str], bool, bool, tuple[str, ...]]]:
    """What a line of the table says of each option: its names, whether it is required, whether it is a switch, its values."""
    name, _, text = line.partition(":")
    lines.cache_clear()
    kept, lines()[name] = lines().get(name, ""), text.strip()
    try:
        return {(frozenset(one.names), one.required, one.switch, one.values) for one in options_of(name)}
    finally:
        lines()[name] = kept


@pytest.mark.parametrize("command", TABLE)
def test_the_table_says_of_a_command_what_azure_cli_has(command, published):
    line = published[command]
    assert line is not None, f"azure-cli has no command {command}"
    assert facts(f"{command}: {lines()[command]}") == facts(line), line
