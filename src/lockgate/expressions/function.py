"""A function of the language, as data: documentation and the table of what is supported are made from it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, Protocol

Where = Literal["template", "variable", "condition"]
"""`${{ }}`, `$[ ]` of a variable, and `condition:`."""
EVERYWHERE: tuple[Where, ...] = ("template", "variable", "condition")


class Status(Protocol):
    """What the status functions ask: how what came before ended. `names` are those of the call, or empty."""

    def succeeded(self, names: list[str]) -> bool:
        """Whether all of it succeeded, also with issues."""

    def failed(self, names: list[str]) -> bool:
        """Whether any of it failed."""

    def succeeded_or_failed(self, names: list[str]) -> bool:
        """Whether it came to an end without a cancellation."""

    def canceled(self) -> bool:
        """Whether the run was cancelled."""


class Host(Protocol):
    """What a function may ask of the place where its expression stands."""

    status: Status | None

    def count(self, prefix: str, seed: int) -> int:
        """The next number of the pipeline's counter for a prefix; `seed` the first time."""


Thunk = Callable[[], Any]


@dataclass(frozen=True, slots=True, eq=False)
class Function:
    """A function.

    Attributes:
        name: as it is documented.
        minimum, maximum: how many arguments; None: any number.
        call: gets the host, and the arguments as thunks, so that it can leave the rest alone once it knows.
        help: one sentence.
        example: a call, and what it gives.
        where: in which expressions it is allowed.
    """

    name: str
    minimum: int
    maximum: int | None
    call: Callable[[Host, list[Thunk]], Any]
    help: str
    example: tuple[str, str]
    where: tuple[Where, ...] = EVERYWHERE

    def takes(self) -> str:
        """How many arguments it takes, in words."""
        if self.maximum is None:
            return f"{self.minimum} or more"
        return str(self.minimum) if self.minimum == self.maximum else f"{self.minimum} to {self.maximum}"


def of_values(function: Callable[..., Any]) -> Callable[[Host, list[Thunk]], Any]:
    """A call that wants all its arguments' values."""

    def call(_host: Host, thunks: list[Thunk]) -> Any:
        return function(*(thunk() for thunk in thunks))

    return call
