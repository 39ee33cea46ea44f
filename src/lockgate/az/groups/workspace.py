"""`az ml workspace` and `az ml registry`."""

from __future__ import annotations

from typing import Any, Final

from lockgate.az.context import Context
from lockgate.az.errors import ArgumentError
from lockgate.az.handlers import Handler
from lockgate.workspace.cloud import SUBSCRIPTION, Place

_REMOTE: Final = "the desk has no such resource"
_OF_WORKSPACE: Final = ("name", "description", "display_name", "location", "tags", "public_network_access")


def _shown(place: Place) -> dict[str, Any]:
    spec = place.spec
    found = {
        "description": spec.get("description", ""),
        "discovery_url": "",
        "display_name": spec.get("display_name", place.name),
        "id": place.id,
        "location": spec.get("location", ""),
        "name": place.name,
        "properties": spec.get("properties", {}),
        "public_network_access": spec.get("public_network_access", "Enabled"),
        "resourceGroup": place.group,
        "resource_group": place.group,
        "tags": spec.get("tags", {}),
    }
    if place.kind == "registry":
        found["replication_locations"] = spec.get("replication_locations", [])
    else:
        found["mlflow_tracking_uri"] = f"azureml://{spec.get('location', 'desk')}.api.azureml.ms/mlflow/v1.0{place.id}"
        found["subscription"] = SUBSCRIPTION
    return found


def _create(context: Context, kind: str) -> Any:
    from lockgate.az.files import read

    node = read(context, kind, _OF_WORKSPACE if kind == "workspace" else ("name", "display_name", "tags", "public_network_access"))
    spec = node.plain()
    name = str(spec.get("name") or "")
    if not name:
        raise ArgumentError("the following arguments are required: --name/-n")
    group = context.cloud.group(context.group())
    spec.setdefault("location", group.location)
    return _shown(context.cloud.create_place(kind, name, group.name, spec))


def _find(context: Context, kind: str) -> Place:
    return context.cloud.place(kind, context.invocation.text("name"), context.text("resource_group"))


def _update(context: Context, kind: str) -> Any:
    given = {key: context.text(key) for key in ("description", "display_name", "public_network_access") if context.has(key)}
    tags: dict[str, str] = {}
    for key, value in context.pairs("set").items():
        if key not in ("description", "display_name", "public_network_access") and not (key.startswith("tags.") and key[5:]):
            raise ArgumentError(f"--set {key}: allowed here: description, display_name, public_network_access, tags.NAME")
        if key.startswith("tags."):
            tags[key[5:]] = value
        else:
            given[key] = value
    access = given.get("public_network_access", "Enabled")
    if access.lower() not in ("enabled", "disabled"):
        raise ArgumentError(f"public_network_access: found '{access}'; allowed: Enabled, Disabled")

    def change(spec: dict[str, Any]) -> dict[str, Any]:
        return {**spec, **given, **({"tags": {**(spec.get("tags") or {}), **tags}} if tags else {})}

    return _shown(context.cloud.change_place(_find(context, kind), change))


def _delete(context: Context, kind: str) -> None:
    context.cloud.delete_place(_find(context, kind))


def _handlers(kind: str) -> dict[str, Handler]:
    words = f"ml {kind}"
    waits = (("no_wait", "it is there at once"),)
    create = (*_OF_WORKSPACE, "file", "set", "resource_group") if kind == "workspace" else ("*",)
    return {
        f"{words} create": Handler(lambda context: _create(context, kind), f"make a {kind}", create, waits),
        f"{words} show": Handler(lambda context: _shown(_find(context, kind)), f"a {kind}"),
        f"{words} list": Handler(
            lambda context: [_shown(place) for place in context.cloud.places(kind, context.text("resource_group"))], f"all of them: {kind}",
            ("resource_group",), (("max_results", "all are listed"),),
        ),
        f"{words} update": Handler(
            lambda context: _update(context, kind), f"change a {kind}",
            ("name", "resource_group", "display_name", "public_network_access", "set", *(("description",) if kind == "workspace" else ())), waits,
        ),
        f"{words} delete": Handler(
            lambda context: _delete(context, kind), f"delete a {kind} with all that is in it", ("name", "resource_group", *(("yes",) if kind == "workspace" else ())),
            (("no_wait", "it is gone at once"), ("all_resources", _REMOTE), ("permanently_delete", "it always is"))
            if kind == "workspace" else (),
        ),
    }  # fmt: skip


COMMANDS: Final = {**_handlers("workspace"), **_handlers("registry")}
