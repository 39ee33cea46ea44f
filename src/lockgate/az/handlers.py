"""Which function does a command, which of its options it obeys, and in which module it is found when it is needed."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from lockgate.az.context import Context


@dataclass(frozen=True)
class Handler:
    """A command that the desk runs.

    Attributes:
        run: does it; what it returns is printed.
        obeys: the options it obeys, without dashes; `*` for all that the command has.
        accepts: options that are taken without effect → why they have none.
        help: one sentence.
    """

    run: Callable[[Context], Any]
    help: str
    obeys: tuple[str, ...] = ("*",)
    accepts: tuple[tuple[str, str], ...] = ()


GROUPS: Final = {
    "login": "account",
    "logout": "account",
    "account": "account",
    "configure": "account",
    "version": "account",
    "extension": "account",
    "group": "group",
    "ml workspace": "workspace",
    "ml registry": "workspace",
    "ml model": "asset",
    "ml data": "asset",
    "ml environment": "asset",
    "ml compute": "resource",
    "ml datastore": "resource",
    "ml job": "job",
    "ml online-endpoint": "online",
    "ml online-deployment": "online",
}
"""Beginning of a command → its module in `lockgate.az.groups`."""
LATER: Final = {
    "ml component": "components are files here: a job names its component by path",
    "ml batch-endpoint": "batch endpoints are not run on the desk yet; use batch_driver.py by hand, or run this in Azure",
    "ml batch-deployment": "batch endpoints are not run on the desk yet; use batch_driver.py by hand, or run this in Azure",
    "ml schedule": "nothing keeps time on the desk; run the job by hand",
}
"""Beginning of a command that the desk does not run → what to do instead."""


def find(command: str) -> Handler | None:
    """The handler of a command; None if the desk does not run it."""
    words = command.split()
    for count in (2, 1):
        module = GROUPS.get(" ".join(words[:count]))
        if module:
            found: dict[str, Handler] = importlib.import_module(f"lockgate.az.groups.{module}").COMMANDS
            return found.get(command)
    return None


def why_not(command: str) -> str:
    """Why the desk does not run a command."""
    return next((why for begin, why in LATER.items() if command.startswith(begin + " ")), "run this one in Azure")
