"""Variable groups, which Azure DevOps keeps in its library and the desk reads from a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lockgate.errors import FileError, Mistake
from lockgate.yaml_source import Node, load_yaml


def load_groups(path: Path) -> dict[str, dict[str, Any]]:
    """Groups by name: each a mapping of variables to a text, or to `{value: …, isSecret: true}`.

    Raises:
        FileError: the file is wrong.
    """
    root = load_yaml(path)
    mistakes: list[Mistake] = []
    if not root.is_mapping:
        raise FileError([root.mistake(f"found {root.describe()}; allowed: a mapping of groups to their variables")])
    groups: dict[str, dict[str, Any]] = {}
    for name, group in root.items():
        if not group.is_mapping:
            mistakes.append(group.mistake(f"group {name!r}: found {group.describe()}; allowed: a mapping of names to values"))
            continue
        groups[name] = {key: _value(key, node, mistakes) for key, node in group.items()}
    if mistakes:
        raise FileError(mistakes)
    return groups


def _value(name: str, node: Node, mistakes: list[Mistake]) -> Any:
    if not node.is_mapping and not node.is_list:
        return node.text
    value, secret = node.get("value"), node.get("isSecret")
    stray = [key for key, _ in node.items() if key not in ("value", "isSecret")]
    if (
        node.is_list
        or stray
        or value is None
        or value.is_mapping
        or value.is_list
        or (secret is not None and not isinstance(secret.value, bool))
    ):
        mistakes.append(node.mistake(f"variable {name!r}: allowed: a text, or {{value: text, isSecret: true}}"))
        return ""
    return {"value": value.text, "isSecret": bool(secret and secret.value)}
