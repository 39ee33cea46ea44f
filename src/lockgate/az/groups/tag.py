"""`az tag update`: the tags of a resource itself, of an online endpoint, a deployment, or what a template declared."""

from __future__ import annotations

import re
from typing import Any, Final

from lockgate.az.context import Context
from lockgate.az.errors import ArgumentError
from lockgate.az.handlers import Handler
from lockgate.workspace import endpoints
from lockgate.workspace.arm import Arm
from lockgate.workspace.errors import MissingError

_ENDPOINT: Final = re.compile(
    r"/subscriptions/[^/]+/resourceGroups/(?P<group>[^/]+)/providers/Microsoft\.MachineLearningServices/workspaces/(?P<workspace>[^/]+)"
    r"/(?P<kind>online|batch)Endpoints/(?P<endpoint>[^/]+)(?:/deployments/(?P<deployment>[^/]+))?",
    re.IGNORECASE,
)


def _changed(old: dict[str, str], context: Context) -> dict[str, str]:
    given, operation = context.pairs("tags"), context.text("operation").lower()
    if operation == "merge":
        return {**old, **given}
    if operation == "replace":
        return given
    return {key: value for key, value in old.items() if given.get(key) != value}


def _update(context: Context) -> Any:
    identifier = context.text("resource_id")
    if not context.words("tags"):
        raise ArgumentError("the following arguments are required: --tags")
    found = _ENDPOINT.fullmatch(identifier)
    if found:
        tags = _of_endpoint(context, found)
    else:
        arm = Arm(context.root)
        one = arm.get(identifier)
        if one is None:
            raise MissingError(f"(ResourceNotFound) The Resource '{identifier.split('/providers/')[-1]}' was not found.")
        tags = _changed(one.body.get("tags") or {}, context)
        arm.put([(one.id, one.group, one.type, one.name, one.version, {**one.body, "tags": tags})])
    name = f"{identifier}/providers/Microsoft.Resources/tags/default"
    return {"id": name, "name": "default", "properties": {"tags": tags}, "type": "Microsoft.Resources/tags"}


def _of_endpoint(context: Context, found: re.Match[str]) -> dict[str, str]:
    store = context.cloud.store(context.cloud.place("workspace", found["workspace"], found["group"]))
    endpoint = endpoints.find_endpoint(store, "online" if found["kind"].lower() == "online" else "batch", found["endpoint"])
    if not found["deployment"]:
        changed = endpoints.change_endpoint(store, endpoint, lambda spec, _: {**spec, "tags": _changed(spec.get("tags") or {}, context)})
        return dict(changed.spec["tags"])

    def change(spec: dict[str, Any], _: object) -> bool:
        spec["tags"] = _changed(spec.get("tags") or {}, context)
        # What answers is not started anew for a tag.
        return False

    name = endpoints.find_deployment(store, endpoint, found["deployment"]).name
    return dict(endpoints.change_deployment(store, endpoint, name, change).spec["tags"])


COMMANDS: Final = {
    "tag update": Handler(_update, "change the tags of a resource", ("resource_id", "tags", "operation")),
}
