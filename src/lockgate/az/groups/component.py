"""`az ml component`: component files kept with code and environment, as versions that never change."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any, Final

from lockgate.az.context import Context
from lockgate.az.errors import ArgumentError
from lockgate.az.groups.asset import archive, list_all, one, shown, update
from lockgate.az.handlers import Handler

_PLACE: Final = ("registry_name", "resource_group", "workspace_name")


def _create(context: Context) -> Any:
    from lockgate.execution.component_package import pack
    from lockgate.execution.job_file import load_component
    from lockgate.execution.overrides import apply_overrides, parse_override
    from lockgate.workspace import assets
    from lockgate.yaml_source import load_yaml

    place = context.place()
    store = context.store(place)
    file = Path(context.text("file"))
    top = load_yaml(file, context.text("file"))
    apply_overrides(top, [parse_override(text) for text in context.words("set")])
    load_component(top, store if place.kind == "workspace" else None)
    given = top.plain()
    name = context.text("name") or str(given.get("name") or "")
    if not name:
        raise ArgumentError("the following arguments are required: --name/-n, or name: in the file")
    version = context.invocation.text("version") or str(given.get("version") or "")
    with tempfile.TemporaryDirectory() as folder:
        plain = pack(top, Path(folder))
        spec: dict[str, Any] = {
            key: plain[key] for key in ("display_name", "inputs", "outputs", "command", "is_deterministic", "environment") if key in plain
        }
        tags = {key: node.text for key, node in (top.get("tags") or top).items()} if top.get("tags") is not None else {}
        made = assets.create(
            store, "component", name, version, type=str(given.get("type") or "command"), content=Path(folder), spec=spec, tags=tags,
            description=str(given.get("description") or ""),
        )  # fmt: skip
    return shown(place, made)


COMMANDS: Final = {
    "ml component create": Handler(
        _create, "register a version: component", ("file", "name", "version", "set", *_PLACE), (("skip_validation", "a component is always checked"),)
    ),
    "ml component show": Handler(lambda c: shown(*one(c, "component")), "a version: component"),
    "ml component list": Handler(lambda c: list_all(c, "component"), "the newest of each name, or all versions of one: component"),
    "ml component update": Handler(
        lambda c: update(c, "component"), "change tags, description: component",
        ("name", "version", "label", "set", "remove", *_PLACE), (("force_string", "values of tags are texts"),),
    ),
    "ml component archive": Handler(lambda c: archive(c, "component", archived=True), "hide: component"),
    "ml component restore": Handler(lambda c: archive(c, "component", archived=False), "show again: component"),
}  # fmt: skip
