"""`az deployment` and `az resource`: what a Bicep file declares comes to be, with the names that its parameters give."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from lockgate.az.context import Context
from lockgate.az.errors import ArgumentError, AzError, NotOnTheDesk
from lockgate.az.handlers import Handler
from lockgate.workspace import resources
from lockgate.workspace.arm import Arm, ArmResource
from lockgate.workspace.cloud import SUBSCRIPTION, TENANT
from lockgate.workspace.errors import MissingError

if TYPE_CHECKING:
    from lockgate.bicep.evaluator import Outcome, Resource
    from lockgate.bicep.reader import Template

_ML: Final = "microsoft.machinelearningservices"
_MOST: Final = 10
"""Lines of a change that what-if shows of one property."""


def _parameters(context: Context, template: Template) -> dict[str, Any]:
    """The values of --parameters: NAME=VALUE, or the JSON of a parameters file.

    As azure-cli does it: what reads as JSON is JSON, and only where the parameter is text it stays text.
    """
    found: dict[str, Any] = {}
    for word in context.words("parameters"):
        if word.lstrip().startswith("{"):
            found |= _of_file(word)
            continue
        name, sign, value = word.partition("=")
        if not sign:
            raise ArgumentError(f"--parameters: found '{word}'; allowed: NAME=VALUE, or @FILE with JSON")
        declared = template.parameters.get(name)
        found[name] = value
        if declared is None or declared.type.rstrip("?") != "string":
            try:
                found[name] = json.loads(value)
            except ValueError:
                pass  # It is text, and what reads the parameter says whether that is allowed.
    return found


def _of_file(text: str) -> dict[str, Any]:
    """The values in the JSON of a parameters file."""
    try:
        given = json.loads(text)
    except ValueError as error:
        raise ArgumentError(f"--parameters: the JSON can't be read: {error}") from None
    values = given.get("parameters", given)
    if not isinstance(values, dict):
        raise ArgumentError(f"--parameters: found {values!r}; allowed: an object of parameters")
    return {name: value["value"] if isinstance(value, dict) and "value" in value else value for name, value in values.items()}


def _evaluate(context: Context, group: str = "") -> tuple[Outcome, str]:
    from lockgate.bicep.evaluator import Surroundings, evaluate
    from lockgate.bicep.reader import read

    file = context.text("template_file")
    if not file:
        raise ArgumentError(
            "incorrect usage: --template-file FILE | --template-uri URI | --template-spec ID; the desk takes --template-file"
        )
    if not file.endswith(".bicep"):
        raise NotOnTheDesk(f"--template-file {file}: the desk reads .bicep files; ARM templates in JSON are deployed in Azure")
    if context.text("mode").lower() == "complete":
        raise NotOnTheDesk("--mode Complete deletes what the template does not declare; the desk deploys incrementally")
    path = Path(file)
    name = context.text("name") or path.stem
    template = read(path, file)
    scope = "resourceGroup" if group else "subscription"
    if template.scope != scope:
        wanted = "az deployment group" if template.scope == "resourceGroup" else "az deployment sub"
        raise AzError(f"(InvalidTemplate) {file}: targetScope is '{template.scope}'; deploy it with {wanted}")
    arguments = _parameters(context, template)
    there = context.cloud.group(group) if group else None
    surroundings = Surroundings(
        SUBSCRIPTION,
        TENANT,
        there.name if there else "",
        there.location if there else context.text("location"),
        name,
        there.tags if there else {},
    )
    outcome = evaluate(path, file, arguments, surroundings)
    _check_names(outcome)
    return outcome, name


def _check_names(outcome: Outcome) -> None:
    """Refuse names that Azure would refuse, before anything is deployed."""
    from lockgate.bicep.names import problem

    found = [(one, problem(one.type, one.name.rsplit("/", 1)[-1])) for one in outcome.everything()]
    wrong = [f"{one.place}: {text}" for one, text in found if text]
    if wrong:
        raise AzError("(InvalidTemplateDeployment) " + "\n".join(wrong))
    seen: dict[str, Resource] = {}
    for one in outcome.everything():
        if one.id.lower() in seen:
            raise AzError(
                f"(InvalidTemplate) {one.place}: {one.type} '{one.name}' is declared twice; the first: {seen[one.id.lower()].place}"
            )
        seen[one.id.lower()] = one


def _group_of(resource: Resource) -> str:
    parts = resource.id.split("/")
    return parts[4] if len(parts) > 4 and parts[3].lower() == "resourcegroups" else ""


def _make(context: Context, outcome: Outcome) -> None:
    """Let everything be that a template declares: what the desk has of its own, and the record of all."""
    everything = outcome.everything()
    for one in everything:
        kind, group = one.type.lower(), _group_of(one)
        location = str(one.body.get("location") or "")
        if kind == "microsoft.resources/resourcegroups":
            context.cloud.create_group(one.name, location, one.body.get("tags") or {})
        elif kind in (f"{_ML}/workspaces", f"{_ML}/registries"):
            spec = {"location": location, "tags": one.body.get("tags") or {}, "declared": True}
            context.cloud.create_place("registry" if kind.endswith("registries") else "workspace", one.name, group, spec)
        elif kind == f"{_ML}/workspaces/computes":
            workspace, name = one.name.split("/")
            resources.put(context.cloud.store(context.cloud.place("workspace", workspace, group)), "compute", name, _compute(one.body))
    Arm(context.root).put([(one.id, _group_of(one), one.type, one.name, one.version, one.body) for one in everything])


def _compute(body: dict[str, Any]) -> dict[str, Any]:
    """A compute as `az ml` describes it, of one as ARM does."""
    outer = body.get("properties") or {}
    inner = outer.get("properties") or {}
    scale = inner.get("scaleSettings") or {}
    idle = str(scale.get("nodeIdleTimeBeforeScaleDown") or "PT120S")
    found = {
        "type": str(outer.get("computeType", "")).lower(),
        "size": inner.get("vmSize"),
        "tier": "low_priority" if inner.get("vmPriority") == "LowPriority" else "dedicated",
        "min_instances": scale.get("minNodeCount"),
        "max_instances": scale.get("maxNodeCount"),
        "idle_time_before_scale_down": int(idle[2:-1]) * (60 if idle.endswith("M") else 1) if idle[2:-1].isdigit() else None,
        "location": body.get("location"),
    }
    return {key: value for key, value in found.items() if value is not None}


def _kind_of(value: Any) -> str:
    return "Bool" if isinstance(value, bool) else {str: "String", int: "Int", list: "Array"}.get(type(value), "Object")


def _shown(context: Context, outcome: Outcome, name: str, group: str) -> dict[str, Any]:
    base = f"/subscriptions/{SUBSCRIPTION}" + (f"/resourceGroups/{group}" if group else "")
    return {
        "id": f"{base}/providers/Microsoft.Resources/deployments/{name}",
        "location": None if group else context.text("location"),
        "name": name,
        "properties": {
            "error": None,
            "mode": "Incremental",
            "outputResources": [{"id": one.id} for one in outcome.everything()],
            "outputs": {key: {"type": _kind_of(value), "value": value} for key, value in outcome.outputs.items()},
            "provisioningState": "Succeeded",
        },
        "resourceGroup": group or None,
        "tags": None,
        "type": "Microsoft.Resources/deployments",
    }


def _create(context: Context, group: str = "") -> Any:
    outcome, name = _evaluate(context, group)
    if context.has("what_if") or context.has("confirm_with_what_if"):
        raise NotOnTheDesk("--what-if of create: use az deployment … what-if")
    _make(context, outcome)
    shown = _shown(context, outcome, name, group)
    Arm(context.root).keep_deployment(group, name, shown)
    return shown


def _validate(context: Context, group: str = "") -> Any:
    outcome, name = _evaluate(context, group)
    shown = _shown(context, outcome, name, group)
    shown["properties"]["validatedResources"] = shown["properties"].pop("outputResources")
    return shown


def _delta(before: Any, after: Any, path: str = "") -> list[dict[str, Any]]:
    """What a deployment would change, property by property; what a template does not name stays."""
    if isinstance(before, dict) and isinstance(after, dict):
        return [change for key in after for change in _delta(before.get(key), after[key], f"{path}.{key}" if path else key)]
    if before == after:
        return []
    kind = "Create" if before is None else "Delete" if after is None else "Modify"
    return [{"path": path, "propertyChangeType": kind, "before": before, "after": after, "children": None}]


def _what_if(context: Context, group: str = "") -> Any:
    outcome, _ = _evaluate(context, group)
    arm = Arm(context.root)
    there = {one.id.lower(): one for one in arm.all(group)}
    changes: list[dict[str, Any]] = []
    for one in outcome.everything():
        before = there.pop(one.id.lower(), None)
        delta = _delta(before.body, one.body) if before else []
        kind = "Create" if before is None else "Modify" if delta else "NoChange"
        changes.append(
            {"changeType": kind, "resourceId": one.id, "before": before.body if before else None, "after": one.body, "delta": delta or None}
        )
    changes += [
        {"changeType": "Ignore", "resourceId": one.id, "before": one.body, "after": one.body, "delta": None} for one in there.values()
    ]
    changes.sort(key=lambda change: (change["changeType"], change["resourceId"].lower()))
    if context.has("no_pretty_print"):
        return {"status": "Succeeded", "changes": changes, "error": None}
    print(_pretty(changes, group))
    return None


_SIGNS: Final = {"Create": "+", "Modify": "~", "NoChange": "=", "Ignore": "*", "Delete": "-"}


def _pretty(changes: list[dict[str, Any]], group: str) -> str:
    lines = [f"Scope: /subscriptions/{SUBSCRIPTION}" + (f"/resourceGroups/{group}" if group else ""), ""]
    for change in changes:
        short = change["resourceId"].split("/providers/", 1)[-1]
        lines.append(f"  {_SIGNS[change['changeType']]} {short}")
        for one in (change["delta"] or [])[:_MOST]:
            sign = _SIGNS[one["propertyChangeType"]]
            lines.append(f"      {sign} {one['path']}: {json.dumps(one['before'])} => {json.dumps(one['after'])}")
        if len(change["delta"] or []) > _MOST:
            lines.append(f"      … and {len(change['delta']) - _MOST} more")
    counts = {kind: sum(change["changeType"] == kind for change in changes) for kind in _SIGNS}
    words = (("Create", "to create"), ("Modify", "to modify"), ("NoChange", "no change"), ("Ignore", "to ignore"))
    said = ", ".join(f"{counts[kind]} {text}" for kind, text in words if counts[kind]) or "nothing"
    return "\n".join([*lines, "", f"Resource changes: {said}."])


def _resource(one: ArmResource) -> dict[str, Any]:
    return {
        "id": one.id,
        "name": one.name.rsplit("/", 1)[-1],
        "type": one.type,
        "resourceGroup": one.group,
        "createdTime": one.created,
        "changedTime": one.changed,
        "provisioningState": "Succeeded",
        **{key: one.body.get(key) for key in ("identity", "kind", "location", "sku", "tags")},
    }


def _is_listed(one: ArmResource) -> bool:
    """Whether it is a resource of a group, and nothing below or on another one."""
    parts = one.id.split("/providers/")
    return len(parts) == 2 and parts[1].count("/") == 2


def _resource_list(context: Context) -> Any:
    tag = context.text("tag")
    key, _, value = tag.partition("=")
    found = Arm(context.root).all(context.text("resource_group"), context.text("resource_type"))
    name = context.text("name").lower()
    return [
        _resource(one)
        for one in found
        # What lies below a resource is listed with it, and not by itself.
        if _is_listed(one) and name in ("", one.name.lower()) and (not tag or (one.body.get("tags") or {}).get(key) == value)
    ]


def _resource_show(context: Context) -> Any:
    arm = Arm(context.root)
    identifier = context.text("ids")
    if identifier:
        found = arm.get(identifier)
    else:
        kind, name = context.text("resource_type"), context.text("name")
        if not kind or not name:
            raise ArgumentError("az resource show: --ids, or --resource-group, --resource-type and --name are needed")
        matching = [one for one in arm.all(context.group(), kind) if one.name.lower() == name.lower()]
        found = matching[0] if matching else None
        identifier = f"{kind}/{name}"
    if found is None:
        raise MissingError(f"(ResourceNotFound) The Resource '{identifier}' was not found.")
    return {**_resource(found), "properties": found.body.get("properties") or {}}


_FILE: Final = ("name", "template_file", "parameters", "mode")
_QUIET: Final = (
    ("no_prompt", "nothing is asked here"), ("validation_level", "everything is checked that the desk knows"),
)  # fmt: skip
_MORE: Final = (*_QUIET, ("no_wait", "it is there at once"))
COMMANDS: Final = {
    "deployment group create": Handler(
        lambda c: _create(c, c.group()), "let be what a Bicep file declares", ("resource_group", *_FILE, "what_if", "confirm_with_what_if"), _MORE,
    ),
    "deployment group validate": Handler(lambda c: _validate(c, c.group()), "evaluate a Bicep file", ("resource_group", *_FILE), _QUIET),
    "deployment group what-if": Handler(
        lambda c: _what_if(c, c.group()), "what a Bicep file would change", ("resource_group", *_FILE, "no_pretty_print"), _QUIET,
    ),
    "deployment group show": Handler(lambda c: Arm(c.root).deployment(c.group(), c.text("name")), "a deployment"),
    "deployment sub create": Handler(
        _create, "let be what a Bicep file of the subscription declares", ("location", *_FILE[:3], "what_if", "confirm_with_what_if"), _MORE,
    ),
    "deployment sub validate": Handler(_validate, "evaluate a Bicep file", ("location", *_FILE[:3]), _QUIET),
    "deployment sub what-if": Handler(_what_if, "what a Bicep file would change", ("location", *_FILE[:3], "no_pretty_print"), _QUIET),
    "deployment sub show": Handler(lambda c: Arm(c.root).deployment("", c.text("name")), "a deployment"),
    "resource list": Handler(_resource_list, "what deployments have made", ("resource_group", "resource_type", "name", "tag")),
    "resource show": Handler(
        _resource_show, "a resource", ("ids", "resource_group", "resource_type", "name"), (("api_version", "a resource has one here"),),
    ),
}  # fmt: skip
