"""The commands there are and their options, as `commands.txt` lists them. Only the lines that are asked for are taken apart."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

_FILE: Final = Path(__file__).with_name("commands.txt")


@dataclass(frozen=True)
class Option:
    """An option of a command.

    Attributes:
        names: the long one first.
        required: whether the command needs it.
        switch: whether it stands alone.
        values: the only ones it takes; empty: any.
        many: whether it takes several words.
    """

    names: tuple[str, ...]
    required: bool = False
    switch: bool = False
    values: tuple[str, ...] = ()
    many: bool = False

    @property
    def name(self) -> str:
        """The long name."""
        return self.names[0]

    @property
    def key(self) -> str:
        """The name as commands ask for it: `--share-with-name` is share_with_name."""
        return self.name.lstrip("-").replace("-", "_")

    def shown(self) -> str:
        """All names, as az shows them."""
        return "/".join(self.names)


GLOBAL: Final = (
    Option(("--debug",), switch=True),
    Option(("--help", "-h"), switch=True),
    Option(("--only-show-errors",), switch=True),
    Option(("--output", "-o"), values=("json", "jsonc", "none", "table", "tsv", "yaml", "yamlc")),
    Option(("--query",)),
    Option(("--subscription",)),
    Option(("--verbose",), switch=True),
)
"""Options that every command has."""


@cache
def lines() -> dict[str, str]:
    """Command → its options as text."""
    found: dict[str, str] = {}
    for line in _FILE.read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            name, _, options = line.partition(":")
            found[name] = options.strip()
    return found


def options_of(command: str) -> list[Option]:
    """The options of a command, but for the global ones."""
    return [_option(text) for text in lines()[command].split()]


def _option(text: str) -> Option:
    text, _, values = text.partition("=")
    switch = text.endswith("?")
    text = text.removesuffix("?")
    many = text.endswith("*")
    text = text.removesuffix("*")
    required = text.endswith("!")
    return Option(tuple(text.removesuffix("!").split(",")), required, switch, tuple(values.split("|")) if values else (), many)
