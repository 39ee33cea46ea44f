"""The JSON schema of Azure Pipelines that Microsoft's language service wants, made from the facts in tests/cases/microsoft.

`keys.txt` and `tasks.txt` say how they are written. Whether a key or a task is deprecated is said there; Microsoft's sentence about it is not.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

FACTS = Path(__file__).parents[1] / "cases" / "microsoft"
DEPRECATED = {"deprecationMessage": "deprecated"}
_QUOTED = r'"(?:[^"\\]|\\.)*"'
_WORD = re.compile(rf'(?:{_QUOTED}|[^\s"])+')
_KEY = re.compile(rf'({_QUOTED}|[^"!^~=:]+)([!^~]*)([=:])({_QUOTED}|\w+)(?:=(.+))?')
_INPUT = re.compile(r"([^!?#=]+)(!?)([?#]?)(?:=(.+))?")
_TYPES = {"?": {"type": "boolean"}, "#": {"type": "integer"}, "": {"type": "string"}}


def schema(folder: Path = FACTS) -> dict[str, Any]:
    """Return the schema."""
    definitions = {name: _one_of(words) | mark for name, mark, words in _lines(folder / "keys.txt")}
    names, *tasks = _lines(folder / "tasks.txt")
    every = definitions["task"]
    every["properties"] = {"task": {"anyOf": [_accepted(name) for name in names[2]]}} | every["properties"]
    every |= {"firstProperty": ["task"], "anyOf": [_task(name, words) | mark for name, mark, words in tasks]}
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "oneOf": [{"$ref": "#/definitions/pipeline"}, {"type": "string", "pattern": "^$"}],
        "definitions": definitions,
    }


def _lines(file: Path) -> Iterator[tuple[str, dict[str, str], list[str]]]:
    """Name, whether it is deprecated, and the words behind it."""
    for line in file.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            name, _, rest = line.partition(":")
            yield name.removesuffix("~"), _mark(name), _WORD.findall(rest)


def _mark(text: str) -> dict[str, str]:
    return DEPRECATED if text.endswith("~") else {}


def _one_of(words: list[str]) -> dict[str, Any]:
    parts = [_part(list(one)) for is_bar, one in itertools.groupby(words, "|".__eq__) if not is_bar]
    return parts[0] if len(parts) == 1 else {"anyOf": parts}


def _part(words: list[str]) -> dict[str, Any]:
    first = words[0]
    if first.startswith("~"):
        return _part([first[1:], *words[1:]]) | DEPRECATED
    if first == "{":
        return _mapping(words[1:-1])
    if first.startswith("["):
        return {"type": "array", "items": _reference(first[1:-1])}
    if first.startswith("@"):
        return {"type": "object"} | _reference(first[1:])
    if first.startswith('"'):
        any_case = {"ignoreCase": "value"} if first.endswith("i") else {}
        return {"type": "string", "pattern": json.loads(first.removesuffix("i"))} | any_case
    return {"type": first}


def _mapping(words: list[str]) -> dict[str, Any]:
    found: dict[str, Any] = {
        "type": "object",
        "properties": {},
        "additionalProperties": "..." in words,
        "required": [],
        "firstProperty": [],
    }
    if "+" in words:
        found["minProperties"] = 1
    for word in words:
        if word in {"...", "+"}:
            continue
        name, marks, sign, part, values = _matched(_KEY, word)
        key = (_reference(part) if sign == "=" else _part([part])) | _mark(marks)
        if values:
            key["enum"] = _values(values)
        if name.startswith('"'):
            found.setdefault("patternProperties", {})[json.loads(name)] = key
            continue
        found["properties"][name] = key
        if "!" in marks:
            found["required"].append(name)
        if "^" in marks:
            found["firstProperty"].append(name)
    return {key: value for key, value in found.items() if value not in ({}, [])}


def _accepted(name: str) -> dict[str, Any]:
    return {"ignoreCase": "value", "enum": [name.removesuffix("~")]} | _mark(name)


def _task(name: str, words: list[str]) -> dict[str, Any]:
    inputs: dict[str, Any] = {"properties": {}, "additionalProperties": False, "required": []}
    for word in words:
        names, required, kind, values = _matched(_INPUT, word)
        first, *aliases = names.split(",")
        one: dict[str, Any] = {"ignoreCase": "all", "enum": _values(values)} if values else {"ignoreCase": "key"} | _TYPES[kind]
        inputs["properties"][first] = one | ({"aliases": aliases} if aliases else {})
        if required:
            inputs["required"].append(first)
    return {
        "properties": {"task": {"ignoreCase": "value", "pattern": f"^{name}$"}, "inputs": inputs},
        "firstProperty": ["task"],
        "required": ["task", "inputs"] if inputs["required"] else ["task"],
    }


def _matched(pattern: re.Pattern[str], word: str) -> tuple[Any, ...]:
    match = pattern.fullmatch(word)
    if not match:
        raise ValueError(f"{word!r} is no fact; see the head of its file")
    return match.groups()


def _values(text: str) -> list[str]:
    return [json.loads(value) if value.startswith('"') else value for value in re.findall(rf"{_QUOTED}|[^|]+", text)]


def _reference(name: str) -> dict[str, Any]:
    return {"$ref": f"#/definitions/{name}"}
