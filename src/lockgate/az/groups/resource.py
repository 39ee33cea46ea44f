"""`az ml compute` and `az ml datastore`: kept as they are described; jobs run on this machine whatever the compute."""

from __future__ import annotations

from typing import Any, Final

from lockgate.az.context import Context
from lockgate.az.errors import ArgumentError
from lockgate.az.handlers import Handler
from lockgate.workspace import resources
from lockgate.workspace.resources import Resource

_OF_COMPUTE: Final = ("name", "type", "size", "tier", "min_instances", "max_instances", "idle_time_before_scale_down", "location", "description", "tags")  # fmt: skip
_ONE_MACHINE: Final = "jobs run on this machine"


def _shown(context: Context, found: Resource, kind: str) -> dict[str, Any]:
    place = context.workspace()
    defaults: dict[str, Any] = {"provisioning_state": "Succeeded", "provisioning_errors": None} if kind == "compute" else {}
    if kind == "compute" and found.spec.get("type") == "amlcompute":
        defaults |= {"min_instances": 0, "max_instances": 4, "tier": "dedicated", "idle_time_before_scale_down": 120}
    part = "computes" if kind == "compute" else "datastores"
    return {"id": f"{place.id}/{part}/{found.name}", **defaults, **found.spec, "name": found.name, "resourceGroup": place.group}


def _create(context: Context, kind: str) -> Any:
    from lockgate.az.files import read

    spec = read(context, kind, _OF_COMPUTE if kind == "compute" else ("name",)).plain()
    name = str(spec.get("name") or "")
    if not name:
        raise ArgumentError("the following arguments are required: --name/-n")
    return _shown(context, resources.put(context.store(), kind, name, spec), kind)  # type: ignore[arg-type]


def _update(context: Context, kind: str) -> Any:
    numbers = ("min_instances", "max_instances", "idle_time_before_scale_down")
    changes: dict[str, Any] = {key: context.number(key, least=0) for key in numbers if context.has(key)}
    if context.has("tags"):
        changes["tags"] = context.pairs("tags")
    changed = resources.change(context.store(), kind, context.text("name"), lambda spec: {**spec, **changes})  # type: ignore[arg-type]
    return _shown(context, changed, kind)


def _delete(context: Context, kind: str) -> None:
    resources.delete(context.store(), kind, context.text("name"))  # type: ignore[arg-type]


def _list(context: Context, kind: str) -> Any:
    wanted = context.text("type").lower()
    found = resources.all_of(context.store(), kind)  # type: ignore[arg-type]
    return [_shown(context, one, kind) for one in found if not wanted or str(one.spec.get("type", "")).lower() == wanted]


def _start(context: Context) -> None:
    resources.get(context.store(), "compute", context.text("name"))


_PLACE: Final = ("name", "resource_group", "workspace_name")
_WAITS: Final = (("no_wait", "it is there at once"),)
COMMANDS: Final = {
    "ml compute create": Handler(lambda c: _create(c, "compute"), "describe a compute", (*_OF_COMPUTE, "file", "set", *_PLACE), _WAITS),
    "ml compute show": Handler(
        lambda c: _shown(c, resources.get(c.store(), "compute", c.text("name")), "compute"), "a compute"
    ),
    "ml compute list": Handler(lambda c: _list(c, "compute"), "all computes", ("type", *_PLACE[1:]), (("max_results", "all are listed"),)),
    "ml compute update": Handler(
        lambda c: _update(c, "compute"), "change a compute",
        (*_PLACE, "min_instances", "max_instances", "idle_time_before_scale_down", "tags"), _WAITS,
    ),
    "ml compute delete": Handler(lambda c: _delete(c, "compute"), "delete a compute", (*_PLACE, "yes"), (("no_wait", "it is gone at once"),)),
    "ml compute start": Handler(_start, "start a compute", _PLACE, (("no_wait", _ONE_MACHINE),)),
    "ml compute stop": Handler(_start, "stop a compute", _PLACE, (("no_wait", _ONE_MACHINE),)),
    "ml datastore create": Handler(lambda c: _create(c, "datastore"), "describe a datastore", ("name", "file", "set", *_PLACE)),
    "ml datastore show": Handler(
        lambda c: _shown(c, resources.get(c.store(), "datastore", c.text("name")), "datastore"), "a datastore"
    ),
    "ml datastore list": Handler(lambda c: _list(c, "datastore"), "all datastores", _PLACE[1:], (("max_results", "all are listed"),)),
    "ml datastore delete": Handler(lambda c: _delete(c, "datastore"), "delete a datastore"),
}  # fmt: skip
