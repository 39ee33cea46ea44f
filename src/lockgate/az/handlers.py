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
    "rest": "rest",
    "ad": "identity",
    "identity": "identity",
    "role": "identity",
    "provider": "identity",
    "storage": "identity",
    "acr": "identity",
    "keyvault": "identity",
    "bicep": "identity",
    "tag": "tag",
    "deployment": "deployment",
    "resource": "deployment",
    "ml workspace": "workspace",
    "ml registry": "workspace",
    "ml model": "asset",
    "ml data": "asset",
    "ml environment": "asset",
    "ml compute": "resource",
    "ml datastore": "resource",
    "ml component": "component",
    "ml schedule": "schedule",
    "ml batch-endpoint": "batch",
    "ml batch-deployment": "batch",
    "ml job": "job",
    "ml online-endpoint": "online",
    "ml online-deployment": "online",
}
"""Beginning of a command → its module in `lockgate.az.groups`."""
_INSTEAD: Final = {
    "vm list-skus": "what a region offers is known only in Azure",
    "vm list-usage": "the desk has no quota",
    "bicep build": "the desk reads Bicep itself: az deployment group what-if",
    "devops invoke": "az rest reaches the same addresses without the azure-devops extension, and the desk answers those that the scripts ask",
    "ml component prepare-for-sign": "nothing here checks signatures",
    "ml data import": "copy the data to this machine, and register them: az ml data create --path",
    "ml data mount": "data lie in plain files: az ml data show --query path",
    "ml datastore mount": "a datastore of the workspace is a folder below .lockgate",
    "ml datastore update": "delete it, and create it again",
}
"""Command that the desk does not run → what to do instead."""


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
    return _INSTEAD.get(command, "run this one in Azure")
