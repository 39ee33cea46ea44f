"""The YAML file of a command, with --set and single options laid over it, checked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lockgate.az.context import Context
from lockgate.az.errors import ArgumentError
from lockgate.errors import FileError
from lockgate.workspace import specifications
from lockgate.yaml_source import Node, Source, load_yaml, parse_yaml


def read(context: Context, kind: str, options: tuple[str, ...] = ()) -> Node:
    """The file of --file as it is after --set and options such as --name, checked.

    Args:
        context: the command.
        kind: of `specifications.ALL`.
        options: options that stand for keys of the file.

    Raises:
        FileError: the file is wrong.
        ArgumentError: an option is.
    """
    import yaml

    given = context.text("file")
    if given:
        path = Path(given)
        node = load_yaml(path, given)
    else:
        source = Source(Path.cwd() / "command line", "the command line", ["{}"], "{}")
        node = parse_yaml("{}", source)
    if not node.is_mapping:
        raise FileError([node.mistake(f"found {node.describe()}; allowed: a mapping")])
    changes: dict[str, str] = {name: context.text(name) for name in options if context.has(name) and name != "tags"}
    for name, value in {**changes, **context.pairs("set")}.items():
        _put(node, name.split("."), _typed(value, yaml), value)
    if "tags" in options and context.has("tags"):
        for name, value in context.pairs("tags").items():
            _put(node, ["tags", name], value, value)
    specifications.check(node, kind)
    return node


def _typed(text: str, yaml: Any) -> Any:
    try:
        found = yaml.safe_load(text)
    except yaml.YAMLError:
        return text
    return found if isinstance(found, (int, float, bool)) else text


def _put(node: Node, path: list[str], value: Any, text: str) -> None:
    if not all(path):
        raise ArgumentError(f"--set: found '{'.'.join(path)}'; allowed: key=value or key.inner=value")
    for name in path[:-1]:
        inner = node.get(name)
        if inner is None or not inner.is_mapping:
            inner = Node({}, "", node.place, node.source, node.place)
            node.value[name] = inner
        node = inner
    node.value[path[-1]] = Node(value, text, node.place, node.source, node.place)
