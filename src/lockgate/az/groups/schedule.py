"""`az ml schedule`: kept as they are described. Nothing keeps time on the desk; a schedule's job is run by hand."""

from __future__ import annotations

import json
import sys
from datetime import datetime
from typing import Any, Final

from lockgate.az.context import Context
from lockgate.az.errors import ArgumentError, NotOnTheDesk
from lockgate.az.handlers import Handler
from lockgate.errors import FileError
from lockgate.workspace import resources
from lockgate.workspace.resources import Resource
from lockgate.yaml_source import Node

_PLACE: Final = ("resource_group", "workspace_name")
_WAITS: Final = (("no_wait", "it is done at once"),)
_DAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_ACTIONS: Final = ("create_job", "create_monitor", "import_data")


def _shown(context: Context, found: Resource) -> dict[str, Any]:
    place = context.workspace()
    return {
        "id": f"{place.id}/schedules/{found.name}",
        "is_enabled": True,
        "provisioning_state": "Succeeded",
        **{key: value for key, value in found.spec.items() if key != "$schema"},
        "name": found.name,
        "resourceGroup": place.group,
    }


def _create(context: Context) -> Any:
    from lockgate.az.files import read
    from lockgate.workspace.cron import refuse

    node = read(context, "schedule", ("name",))
    actions = [key for key in _ACTIONS if node.get(key) is not None]
    if len(actions) != 1:
        raise FileError([node.mistake(f"found {', '.join(actions) or 'no action'}; allowed: one of {', '.join(_ACTIONS)}")])
    trigger = node.value["trigger"]
    kind = trigger.value["type"].text.lower()
    needed = {"cron": ("expression",), "recurrence": ("frequency", "interval")}[kind]
    lacking = [key for key in needed if trigger.get(key) is None]
    if lacking:
        raise FileError([trigger.mistake(f"trigger: a trigger of type {kind} needs {', '.join(lacking)}:")])
    if kind == "cron" and (wrong := refuse(trigger.value["expression"].text)):
        raise FileError([trigger.value["expression"].mistake(f"trigger.expression: {wrong}")])
    _check_trigger(trigger)
    _check_job(node)
    spec = node.plain()
    name = str(spec["name"])
    print(f"WARNING: schedule {name} is kept; nothing keeps time on the desk, so its job runs only when you run it", file=sys.stderr)
    return _shown(context, resources.put(context.store(), "schedule", name, json.loads(json.dumps(spec, default=str))))


def _check_trigger(trigger: Node) -> None:
    """Times and the pattern of a recurrence."""
    for key in ("start_time", "end_time"):
        if (at := trigger.get(key)) is not None:
            try:
                datetime.fromisoformat(at.text)
            except ValueError:
                raise FileError(
                    [at.mistake(f"trigger.{key}: found {at.describe()}; allowed: a time such as 2026-01-31T06:00:00")]
                ) from None
    pattern = trigger.get("schedule")
    allowed: dict[str, Any] = {"hours": range(24), "minutes": range(60), "month_days": range(1, 32), "week_days": _DAYS}
    for key, node in pattern.items() if pattern is not None else ():
        for item in node.value if node.is_list else [node]:
            value = item.text.lower() if key == "week_days" else item.value
            if value not in allowed[key]:
                names = ", ".join(_DAYS) if key == "week_days" else f"{allowed[key][0]} to {allowed[key][-1]}"
                raise FileError([item.mistake(f"trigger.schedule.{key}: found {item.describe()}; allowed: {names}")])


def _check_job(node: Node) -> None:
    job = node.get("create_job")
    if job is None:
        return
    at = job.get("job") if job.is_mapping else job
    if at is None:
        raise FileError([job.mistake("create_job: found no job; allowed: the path of a job file, or a mapping with job:")])
    if at.is_mapping or at.text.startswith("azureml:"):
        return
    if not (at.source.path.parent / at.text.removeprefix("file:")).is_file():
        raise FileError([at.mistake(f"create_job: there is no file {at.text!r}; mend the path")])


def _enable(context: Context, *, enabled: bool) -> Any:
    return _shown(
        context, resources.change(context.store(), "schedule", context.text("name"), lambda spec: {**spec, "is_enabled": enabled})
    )


def _list(context: Context) -> Any:
    found = [_shown(context, one) for one in resources.all_of(context.store(), "schedule")]
    if context.has("disabled_only"):
        found = [one for one in found if not one["is_enabled"]]
    elif not context.has("include_disabled"):
        found = [one for one in found if one["is_enabled"]]
    return found[: context.number("max_results") or None]


def _update(context: Context) -> Any:
    def change(spec: dict[str, Any]) -> dict[str, Any]:
        new = dict(spec)
        for key, value in context.pairs("set").items():
            first, _, rest = key.partition(".")
            if first == "tags" and rest:
                new["tags"] = {**(new.get("tags") or {}), rest: value}
            elif key in ("description", "display_name"):
                new[key] = value
            elif key == "is_enabled" and value.lower() in ("true", "false"):
                new[key] = value.lower() == "true"
            else:
                raise ArgumentError(
                    f"--set {key}={value}: allowed: tags.NAME, description, display_name, is_enabled=true or false; for the rest use create"
                )
        for key in context.words("remove"):
            first, _, rest = key.partition(".")
            if first != "tags" or rest not in (new.get("tags") or {}):
                raise ArgumentError(f"--remove {key}: allowed: tags.NAME of those that are there")
            new["tags"] = {name: value for name, value in new["tags"].items() if name != rest}
        return new

    return _shown(context, resources.change(context.store(), "schedule", context.text("name"), change))


def _trigger(context: Context) -> Any:
    found = resources.get(context.store(), "schedule", context.text("name"))
    job = found.spec.get("create_job")
    hint = (
        f"run its job: az ml job create --file {job}"
        if isinstance(job, str)
        else "write its job into a file of its own, and run that: az ml job create --file FILE"
    )
    raise NotOnTheDesk(f"schedule {found.name} is not triggered on the desk; {hint}")


def _delete(context: Context) -> None:
    found = resources.get(context.store(), "schedule", context.text("name"))
    if found.spec.get("is_enabled", True):
        raise ArgumentError(f"schedule {found.name} is enabled; disable it first, as in Azure: az ml schedule disable --name {found.name}")
    resources.delete(context.store(), "schedule", found.name)


COMMANDS: Final = {
    "ml schedule create": Handler(_create, "keep a schedule", ("file", "name", "set", *_PLACE), _WAITS),
    "ml schedule show": Handler(lambda c: _shown(c, resources.get(c.store(), "schedule", c.text("name"))), "a schedule"),
    "ml schedule list": Handler(_list, "all schedules"),
    "ml schedule update": Handler(
        _update,
        "change tags, description, is_enabled",
        ("name", "set", "remove", *_PLACE),
        (("force_string", "values of tags are texts"), *_WAITS),
    ),
    "ml schedule enable": Handler(lambda c: _enable(c, enabled=True), "enable a schedule", ("name", *_PLACE), _WAITS),
    "ml schedule disable": Handler(lambda c: _enable(c, enabled=False), "disable a schedule", ("name", *_PLACE), _WAITS),
    "ml schedule trigger": Handler(_trigger, "refused: run the job by hand", ("name", *_PLACE)),
    "ml schedule delete": Handler(_delete, "delete a schedule that is disabled", ("name", *_PLACE), _WAITS),
}
