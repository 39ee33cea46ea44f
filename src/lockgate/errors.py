"""What can go wrong on the desk, whose mistake it is, and the exit code that says so.

LockgateError            everything raised on purpose
├── UsageError           the command line is wrong                                        exit 2
├── FileError            files are wrong: one line per mistake, with file, line, column   exit 2
├── UnsupportedError     correct for Azure, but not run on the desk; named                exit 3
├── StateError           the desk's own state does not allow it (an unknown version, …)   exit 4
└── RunError             something that was run failed                                    exit 1
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

EXIT_INTERRUPTED: Final = 130
EXIT_STATE: Final = 4
EXIT_MISTAKES: Final = 1
"""Of `lockgate check`, when it has found some."""
_CHAIN: Final = 8
"""Links of a chain of inclusion that a message shows."""
_SHOWN: Final = 160
"""Characters of a source line that a message shows."""


class LockgateError(Exception):
    """Base of everything raised on purpose. `str()` is what a person reads."""

    exit_code: ClassVar[int] = 1
    code: ClassVar[str] = "Error"


class UsageError(LockgateError):
    """The command line is wrong."""

    exit_code = 2
    code = "Usage"


class RunError(LockgateError):
    """Something that was run failed."""

    exit_code = 1
    code = "RunFailed"


class StateError(LockgateError):
    """The desk's state does not allow what was asked."""

    exit_code = EXIT_STATE
    code = "State"


@dataclass(frozen=True, order=True)
class Place:
    """Where something stands: a file as the user named it, and a 1-based line and column; line 0 for an option of the command line."""

    file: str
    line: int = 1
    column: int = 1

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}" if self.line else self.file


@dataclass(frozen=True, order=True)
class Mistake:
    """One mistake in a file.

    Attributes:
        place: where.
        message: what was found, what is allowed and what to do, in one sentence.
        source: the line itself, for the caret; empty if it can't be shown.
        unsupported: whether Azure would take it and only the desk does not.
        included: the places of the templates' references that led to it, the outermost first.
    """

    place: Place
    message: str
    source: str = ""
    unsupported: bool = False
    included: tuple[Place, ...] = ()

    def __str__(self) -> str:
        text = f"{self.place}: {self.message}"
        if self.source.strip():
            # A long line is shown around the place, so that the caret has something to point at.
            start = max(0, self.place.column - 1 - _SHOWN // 2) if self.place.column > _SHOWN else 0
            shown = "".join(c if c.isprintable() else " " for c in self.source[start : start + _SHOWN])
            text += f"\n    {shown}\n    {' ' * (self.place.column - 1 - start)}^"
        chain = [f"\n    included from {place}" for place in reversed(self.included)]
        if len(chain) > _CHAIN:
            half = _CHAIN // 2
            chain = [*chain[:half], f"\n    and so on, {len(chain) - 2 * half} more", *chain[-half:]]
        return text + "".join(chain)


class FileError(LockgateError):
    """One or more mistakes in files, all independent ones in one go."""

    exit_code = 2
    code = "InvalidFile"

    def __init__(self, mistakes: Sequence[Mistake]) -> None:
        self.mistakes = tuple(sorted(set(mistakes)))
        super().__init__("\n".join(str(mistake) for mistake in self.mistakes))


class UnsupportedError(FileError):
    """Files that are right for Azure, and hold what the desk does not run."""

    exit_code = 3
    code = "NotOnTheDesk"
