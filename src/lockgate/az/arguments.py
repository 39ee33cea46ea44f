"""The command line of `az`: which command is meant, and what its options are."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from lockgate.az.errors import ArgumentError
from lockgate.az.table import GLOBAL, Option, lines, options_of

_REPEATED: Final = frozenset(
    {"--set", "--add", "--remove", "--tags", "--defaults", "-d", "--traffic", "--mirror-traffic", "--inputs", "--outputs", "--parameters"}
)


@dataclass
class Invocation:
    """A command with its options.

    Attributes:
        command: such as `ml model show`.
        values: option without dashes → all words given to it, over all times it was given; a switch has none.
        given: the options that were given, by their long names, as they were written.
    """

    command: str
    values: dict[str, list[str]] = field(default_factory=dict)
    given: dict[str, str] = field(default_factory=dict)

    def text(self, key: str, default: str = "") -> str:
        """The word given to an option."""
        words = self.values.get(key)
        return words[-1] if words else default

    def words(self, key: str) -> list[str]:
        """All words given to an option."""
        return self.values.get(key, [])

    def has(self, key: str) -> bool:
        """Whether an option was given."""
        return key in self.values


def find_command(words: list[str]) -> tuple[str, list[str]]:
    """The command that words begin with, and what follows it; a group, if no command is named.

    Raises:
        ArgumentError: there is no such command or group.
    """
    known = lines()
    groups = {" ".join(name.split()[:count]) for name in known for count in range(1, len(name.split()))}
    taken: list[str] = []
    rest = list(words)
    while rest and not rest[0].startswith("-"):
        candidate = " ".join([*taken, rest[0]])
        if candidate not in known and candidate not in groups:
            break
        taken.append(rest.pop(0))
        if candidate in known:
            return candidate, rest
    if rest and not rest[0].startswith("-"):
        inside = [name for name in (known.keys() | groups) if name.split()[:-1] == taken]
        near = difflib.get_close_matches(rest[0], [name.split()[-1] for name in inside], n=1)
        hint = f" Did you mean '{near[0]}'?" if near else ""
        where = f"az {' '.join(taken)}".strip()
        raise ArgumentError(f"'{rest[0]}' is misspelled or not recognized by the system.{hint} See what there is: {where} --help")
    return " ".join(taken), rest


def parse(command: str, words: list[str]) -> Invocation:
    """Read the options of a command. Defaults and what is required are checked later, since a configuration may give them.

    Raises:
        ArgumentError: an unknown option, a missing or wrong value.
    """
    options = {name: option for option in (*GLOBAL, *options_of(command)) for name in option.names}
    found = Invocation(command)
    stray: list[str] = []
    rest = list(words)
    while rest:
        word = rest.pop(0)
        name, sign, value = word.partition("=") if word.startswith("--") else (word, "", "")
        option = options.get(name)
        if option is None:
            stray.append(word)
            continue
        found.given[option.name] = name
        given = found.values.setdefault(option.key, [])
        if option.switch:
            if sign:
                raise ArgumentError(f"argument {option.shown()}: ignored explicit argument '{value}'")
            continue
        taken = [_of_file(one) for one in ([value] if sign else _values_of(option, rest))]
        if not taken:
            raise ArgumentError(f"argument {option.shown()}: expected one argument")
        for one in taken:
            if option.values and one.lower() not in [allowed.lower() for allowed in option.values]:
                choices = ", ".join(option.values)
                raise ArgumentError(f"{option.name}: '{one}' is not a valid value for '{option.name}'. Allowed values: {choices}.")
        if name in _REPEATED or option.name in _REPEATED:
            given += taken
        else:
            given[:] = taken
    if stray:
        near = difflib.get_close_matches(stray[0], options, n=1)
        hint = f" Did you mean '{near[0]}'?" if near else ""
        raise ArgumentError(f"unrecognized arguments: {' '.join(stray)}.{hint}")
    return found


def _values_of(option: Option, rest: list[str]) -> list[str]:
    many = option.many or option.name in _REPEATED
    taken: list[str] = []
    while rest and (many or not taken) and not _is_option(rest[0]):
        taken.append(rest.pop(0))
    return taken


def _of_file(word: str) -> str:
    """What a word says: `@FILE` stands for what is in a file, but for its last line's end, as in azure-cli."""
    if not word.startswith("@") or word == "@":
        return word
    try:
        text = Path(word[1:]).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError):
        raise ArgumentError(
            f"{word}: there is no such file that can be read as UTF-8; @ before a word stands for what is in a file"
        ) from None
    return text.removesuffix("\n")


def _is_option(word: str) -> bool:
    return word.startswith("-") and len(word) > 1 and not word[1:].replace(".", "", 1).isdigit()


def check_required(found: Invocation, options: list[Option]) -> None:
    """Raise an ArgumentError that names every required option that is missing."""
    missing = [option.shown() for option in options if option.required and not found.has(option.key)]
    if missing:
        raise ArgumentError(f"the following arguments are required: {', '.join(missing)}")
