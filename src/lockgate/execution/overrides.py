"""`--set a.b.c=value`: changes to a job file's text from the command line, as `az ml job create --set` takes them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import yaml

from lockgate.errors import Place, UsageError
from lockgate.yaml_source import Node, Source


@dataclass(frozen=True)
class Override:
    """One `--set`: the keys to the value, and the value as it was written."""

    keys: tuple[str, ...]
    text: str


def parse_override(argument: str) -> Override:
    """Read one `--set` argument.

    Raises:
        UsageError: it is not `a.b=value`.
    """
    path, separator, value = argument.partition("=")
    keys = tuple(path.strip().split("."))
    if not separator or not all(keys):
        raise UsageError(f"--set {argument!r}: allowed: path.to.key=value, such as jobs.evaluate.inputs.champion.path=azureml:NAME:VERSION")
    return Override(keys, value)


def apply_overrides(top: Node, overrides: Sequence[Override]) -> None:
    """Change a file's node in place. Mappings that are not there are made; a value in the way is replaced by one.

    Relative paths in a value are read, like those of the file, from the file's folder.
    """
    for override in overrides:
        shown = f"--set {'.'.join(override.keys)}"
        source = Source(top.source.path, shown, [f"{shown}={override.text}"])
        place = Place(shown, 1, 1)
        current = top
        for key in override.keys[:-1]:
            following = current.get(key)
            if following is None or not following.is_mapping:
                following = Node({}, "", place, source, key_place=place)
                if not current.is_mapping:
                    current.value = {}
                current.value[key] = following
            current = following
        current.value[override.keys[-1]] = Node(_typed(override.text), override.text, place, source, key_place=place)


def _typed(text: str) -> object:
    """A value as YAML types it, where that is a plain scalar; else the text."""
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        return text
    return value if isinstance(value, int | float | bool) else text
