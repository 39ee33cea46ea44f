"""`az group`."""

from __future__ import annotations

from typing import Any, Final

from lockgate.az.context import Context
from lockgate.az.handlers import Handler
from lockgate.workspace.cloud import Group
from lockgate.workspace.errors import MissingError


def _shown(group: Group) -> dict[str, Any]:
    return {
        "id": group.id,
        "location": group.location,
        "managedBy": None,
        "name": group.name,
        "properties": {"provisioningState": "Succeeded"},
        "tags": group.tags or None,
        "type": "Microsoft.Resources/resourceGroups",
    }


def _exists(context: Context) -> bool:
    try:
        context.cloud.group(context.text("name"))
    except MissingError:
        return False
    return True


def _delete(context: Context) -> None:
    context.cloud.delete_group(context.text("name"))


COMMANDS: Final = {
    "group create": Handler(
        lambda context: _shown(context.cloud.create_group(context.text("name"), context.text("location"), context.pairs("tags"))),
        "make a group", ("name", "location", "tags"),
    ),
    "group show": Handler(lambda context: _shown(context.cloud.group(context.text("name"))), "a group"),
    "group exists": Handler(_exists, "whether there is a group"),
    "group list": Handler(lambda context: [_shown(group) for group in context.cloud.groups()], "all groups", ()),
    "group delete": Handler(_delete, "delete a group with all that is in it", ("name", "yes"), (("no_wait", "it is gone at once"),)),
}  # fmt: skip
