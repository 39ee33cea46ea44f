"""Where mistakes are collected, so that one look at a pipeline shows all that do not follow from one another."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Final

from lockgate.errors import FileError, Mistake, Place, UnsupportedError

MAX_MISTAKES: Final = 200
_LIKE: Final = 0.75
"""How alike two names have to be for one to be taken for the other."""


class Mistakes:
    """Mistakes, and what the desk does not run."""

    def __init__(self) -> None:
        self._found: dict[tuple[Place, str], Mistake] = {}

    def add(self, mistake: Mistake) -> None:
        """Note one. The same of a template that is included twice counts once.

        Raises:
            FileError: there are so many that reading on helps nobody.
        """
        self._found.setdefault((mistake.place, mistake.message), mistake)
        if len(self._found) >= MAX_MISTAKES:
            self.stop()

    def extend(self, error: FileError) -> None:
        """Note all of an error."""
        for mistake in error.mistakes:
            self.add(mistake)

    @property
    def wrong(self) -> list[Mistake]:
        """Those that Azure refuses too."""
        return [mistake for mistake in self._found.values() if not mistake.unsupported]

    @property
    def unsupported(self) -> list[Mistake]:
        """What Azure takes and the desk does not run."""
        return [mistake for mistake in self._found.values() if mistake.unsupported]

    def stop(self, *, unsupported: bool = True) -> None:
        """Raise what was found.

        Args:
            unsupported: whether what the desk does not run is reason enough.

        Raises:
            UnsupportedError: nothing is wrong, and something is not run on the desk.
            FileError: something is wrong.
        """
        if self.wrong:
            raise FileError([*self.wrong, *(self.unsupported if unsupported else [])])
        if unsupported and self.unsupported:
            raise UnsupportedError(self.unsupported)


def suggestion(name: str, allowed: Iterable[str], what: str = "allowed") -> str:
    """What is said after an unknown name: the one that was probably meant, or all."""
    names = sorted(allowed, key=str.lower)
    near = difflib.get_close_matches(name.lower(), [known.lower() for known in names], n=1, cutoff=_LIKE)
    if near:
        return f"did you mean {next(known for known in names if known.lower() == near[0])!r}?"
    return f"{what}: {', '.join(names)}" if names else f"{what}: none"
