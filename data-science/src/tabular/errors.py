"""What can go wrong, and whose mistake it is.

TabularError                 everything raised on purpose by this library
├── UserError                the user's mistake: one sentence with place, finding, what is allowed, what to do
│   ├── ProjectError         project.yml or features.py
│   ├── DataError            a data file that breaks the contract
│   └── RequestError         a scoring request that breaks the contract (names field and row)
└── PackageError             a packaged model that is damaged or was tampered with
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn


class TabularError(Exception):
    """Base of everything raised on purpose."""


class UserError(TabularError):
    """A mistake of the user's. `str()` is the sentence to show; a step exits with 2."""


class ProjectError(UserError):
    """`project.yml` or `features.py` is wrong. Holds one line per independent mistake."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(problems))


class DataError(UserError):
    """A data file does not fit the contract."""


@dataclass(frozen=True)
class RowProblem:
    """One value of one row that the contract does not allow.

    Attributes:
        row: 0-based position of the row in its request or file; None if the problem is not a row's.
        field: name of the column; None if the problem is the whole row's.
        found: what was there, shortened.
        allowed: what would have been accepted.
    """

    row: int | None
    field: str | None
    found: str
    allowed: str

    def sentence(self) -> str:
        """One readable line."""
        where = ", ".join(
            part
            for part in (
                f"row {self.row}" if self.row is not None else "",
                f"field {self.field!r}" if self.field is not None else "",
            )
            if part
        )
        return f"{where + ': ' if where else ''}found {self.found}; allowed: {self.allowed}"

    def to_dict(self) -> dict[str, Any]:
        """The form that a caller of the endpoint gets."""
        return {"row": self.row, "field": self.field, "found": self.found, "allowed": self.allowed}


class RequestError(UserError, ValueError):
    """A scoring request is refused. Nothing of it was scored.

    Attributes:
        problems: every problem found, in row order; at most `LIMIT` are kept.
        total: how many there were.
    """

    LIMIT = 20

    def __init__(self, problems: Sequence[RowProblem], total: int | None = None) -> None:
        self.problems = tuple(problems[: self.LIMIT])
        self.total = len(problems) if total is None else total
        lines = [problem.sentence() for problem in self.problems]
        if self.total > len(self.problems):
            lines.append(f"and {self.total - len(self.problems)} more problems")
        super().__init__("; ".join(lines))

    def to_dict(self) -> dict[str, Any]:
        """The form that a caller of the endpoint gets, under the key `error`."""
        return {
            "error": {
                "code": "BadRequest",
                "message": str(self),
                "problems": [problem.to_dict() for problem in self.problems],
                "total": self.total,
            }
        }


class PackageError(TabularError):
    """A packaged model's bytes are not the bytes its manifest lists."""


def shorten(value: object, limit: int = 60) -> str:
    """`repr` of a value, cut to `limit` characters, for messages."""
    text = repr(value)
    return text if len(text) <= limit else text[: limit - 1] + "…"


def run_step(main: Callable[[], None]) -> NoReturn:
    """Run a step's `main`, turning a user's mistake into its sentence and exit code 2."""
    try:
        main()
    except UserError as error:
        sys.stderr.write(f"error: {error}\n")
        sys.exit(2)
    except PackageError as error:
        sys.stderr.write(f"error: {error}\n")
        sys.exit(3)
    sys.exit(0)
