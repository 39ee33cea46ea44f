"""Variables of a run or job: scopes, macros, and the environment that scripts get."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from lockgate.expressions.values import Names

_MACRO: Final = re.compile(r"\$\(([^()\r\n]+)\)")
_MAX_DEPTH: Final = 50


@dataclass
class Value:
    """A variable's value."""

    text: str
    secret: bool = False
    readonly: bool = False


@dataclass
class Variables:
    """Names without regard to case; what stands later in a scope's chain counts."""

    values: Names = field(default_factory=Names)

    def copy(self) -> Variables:
        """For a scope inside, which may change its own."""
        return Variables(Names({name: Value(value.text, value.secret, value.readonly) for name, value in self.values.items()}))

    def set(self, name: str, text: str, *, secret: bool = False, readonly: bool = False) -> None:
        """Set one. What was secret stays secret."""
        before: Value | None = self.values.get(name)
        self.values[name] = Value(text, secret or bool(before and before.secret), readonly)

    def get(self, name: str) -> str | None:
        """A variable's text as it was set, macros and all; None if there is none."""
        found: Value | None = self.values.get(name)
        return None if found is None else found.text

    def is_secret(self, name: str) -> bool:
        """Whether its value has to be hidden."""
        found: Value | None = self.values.get(name)
        return bool(found and found.secret)

    def is_readonly(self, name: str) -> bool:
        """Whether a step may not change it."""
        found: Value | None = self.values.get(name)
        return bool(found and found.readonly)

    def expanded(self) -> Expanded:
        """All values with the macros in them replaced; one that needs itself stays as it is, and a secret makes others secret."""
        done: dict[str, str] = {}
        secret: set[str] = set()

        def value(name: str, open_: tuple[str, ...]) -> str | None:
            key = name.lower()
            if key in done:
                return done[key]
            found: Value | None = self.values.get(name)
            if found is None or key in open_ or len(open_) > _MAX_DEPTH:
                return None
            if found.secret:
                secret.add(key)

            def inner(other: str) -> str | None:
                text = value(other, (*open_, key))
                if other.lower() in secret:
                    secret.add(key)
                return text

            text = replace_macros(found.text, inner)
            done[key] = text
            return text

        return Expanded(Names({name: value(name, ()) for name in self.values}), frozenset(secret))

    def secrets(self) -> list[str]:
        """The values that have to be hidden."""
        return [value.text for value in self.values.values() if value.secret and value.text]


@dataclass(frozen=True)
class Expanded:
    """Values without macros, and which of them (in small letters) are secret."""

    values: Names
    secret: frozenset[str]

    def environment(self) -> dict[str, str]:
        """What scripts get of them: names in capitals, `.` and space as `_`; secrets never."""
        return {environment_name(name): text for name, text in self.values.items() if name.lower() not in self.secret}

    def replace(self, text: str) -> str:
        """A text with its macros replaced, once; unknown ones stay."""
        return replace_macros(text, self.values.get)


def environment_name(name: str) -> str:
    """A variable's name as a script sees it."""
    return name.upper().replace(".", "_").replace(" ", "_")


def replace_macros(text: str, value: Callable[[str], str | None]) -> str:
    """A text with every `$(name)` replaced that has a value; the others stay as they are."""
    if "$(" not in text:
        return text

    def replaced(match: re.Match[str]) -> str:
        found = value(match[1].strip())
        return match[0] if found is None else found

    return _MACRO.sub(replaced, text)
