"""Writes the facts of two of Microsoft's publications that the tests hold the desk and its pipelines against. It is run by hand.

    python tools/write_reference_facts.py --from FOLDER --month 2026-04

FOLDER holds two files that are no part of the project:

- `az-ml-commands.json`, read from the command reference of the ml extension in the month of `--month`: command → {"params": option →
  {"aliases": […], "required": true|false, "values": "a, b" or null, "global": true|false, "group": its heading or null}};
- `service-schema.json`, the JSON schema of Azure Pipelines in github.com/microsoft/azure-pipelines-vscode.

No sentence of theirs is kept. What the files of facts have no room for ends the tool, so nothing is lost in silence.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

CASES = Path(__file__).parents[1] / "tests" / "cases"
AZ = CASES / "azure" / "ml-commands.txt"
KEYS = CASES / "microsoft" / "keys.txt"
TASKS = CASES / "microsoft" / "tasks.txt"
_WRITTEN = "# Written by tools/write_reference_facts.py, which says how; not to be changed by hand.\n"
_AZ_HEAD = """\
# Every command of az's ml extension and its options, from Microsoft's command reference as of {version}.
# Marks as in src/lockgate/az/commands.txt: required (!), limited to values (=a|b). The line * has the options that every command has.
# The options below its heading Global Policy Arguments are left out.
"""
_KEYS_HEAD = """\
# Every part of a pipeline's YAML and its keys, from Microsoft's JSON schema of Azure Pipelines, {version}. tests/microsoft/schema.py reads it.
# A part is one of: a type, "a pattern" (of any case: i), [a list of a part], @another part, {{ a mapping }}; ... stands for keys of any name.
# Keys: name=part, name=part=a|b, name:type or name:"a pattern"; required (!), first (^), deprecated (~; parts too).
# "A pattern"=part: the keys that fit it; + : at least one key. The part task has the keys of every task.
"""
_TASKS_HEAD = """\
# Every task and its inputs, from Microsoft's JSON schema of Azure Pipelines, {version}. tests/microsoft/schema.py reads it.
# Inputs: names, required (!), of type boolean (?) or integer (#), limited to values (=a|b). Deprecated: ~ behind the task's name.
# The line * has the names that the schema accepts, in its order. Some stand there twice, and some have no line below or no place in it.
"""
_NO_FACTS = {"description", "title", "examples", "doNotSuggest"}
"""Keywords that say nothing of what is right."""


def az_lines(reference: dict[str, Any]) -> Iterator[str]:
    """Command: its options, as `commands.txt` writes them."""
    shared: set[str] = set()
    for name, command in sorted(reference.items()):
        options = sorted(command["params"].items(), key=_required_first)
        shared.add(" ".join(_option(option, one) for option, one in options if one["global"]))
        own = [_option(option, one) for option, one in options if not one["global"] and "Global" not in str(one["group"])]
        yield f"{name.removeprefix('az ')}: {' '.join(own)}"
    if len(shared) != 1:
        raise SystemExit(f"the commands differ in their global options: {sorted(shared)}")
    yield f"*: {shared.pop()}"


def _required_first(named: tuple[str, dict[str, Any]]) -> tuple[bool, str]:
    name, option = named
    return not option["required"], name


def _option(name: str, option: dict[str, Any]) -> str:
    values = f"={'|'.join(option['values'].split(', '))}" if option["values"] else ""
    mark = "!" if option["required"] else ""
    return ",".join([name, *option["aliases"]]) + mark + values


def key_lines(schema: dict[str, Any]) -> Iterator[str]:
    """Part: what it may be. The names and inputs of the tasks are left to `task_lines`."""
    root = [{"$ref": "#/definitions/pipeline"}, {"type": "string", "pattern": "^$"}]
    if schema["oneOf"] != root:
        raise SystemExit(f"a file may be {schema['oneOf']}; tests/microsoft/schema.py thinks: {root}")
    for name, definition in schema["definitions"].items():
        part = _facts(definition)
        alternatives = part.pop("anyOf", None)
        if name == "task":
            part["properties"] = {key: one for key, one in part["properties"].items() if key != "task"}
            alternatives = None
        if alternatives is None:
            yield f"{name}: {_part(part)}"
            continue
        mark = "~" * bool(part.pop("deprecationMessage", ""))
        if "patternProperties" in part:  # beside the alternatives; only a mapping has keys
            place = next(number for number, one in enumerate(alternatives) if one.get("type") == "object")
            alternatives[place] |= {"patternProperties": part.pop("patternProperties"), "minProperties": part.pop("minProperties")}
        _is_empty(part, name)
        yield f"{name}{mark}: {' | '.join(map(_part, alternatives))}"


def _part(part: dict[str, Any]) -> str:
    part = _facts(part)
    mark = "~" * bool(part.pop("deprecationMessage", ""))
    kind = part.pop("type", None)
    if "$ref" in part:
        said = f"@{_name(part)}"
    elif kind == "array":
        said = f"[{_name(part.pop('items'))}]"
    elif kind == "object":
        said = _mapping(part)
    elif "pattern" in part:
        said = json.dumps(part.pop("pattern")) + {"value": "i", None: ""}[part.pop("ignoreCase", None)]
    else:
        said = str(kind)
    _is_empty(part, said)
    return mark + said


def _mapping(part: dict[str, Any]) -> str:
    required, first = part.pop("required", []), part.pop("firstProperty", [])
    words = []
    for name, key in part.pop("properties", {}).items():
        one = _facts(key)
        marks = "!" * (name in required) + "^" * (name in first) + "~" * bool(one.pop("deprecationMessage", ""))
        values = _values(one.pop("enum", []))
        words.append(f"{name}{marks}{_key(one)}{values}")
    if part.pop("additionalProperties", True):
        words.append("...")
    words += [f"{json.dumps(pattern)}={_name(dict(one))}" for pattern, one in part.pop("patternProperties", {}).items()]
    words += ["+"] * part.pop("minProperties", 0)
    return "{ " + " ".join(words) + " }"


def _key(one: dict[str, Any]) -> str:
    if one == {"type": "object"}:
        return "=mapping"
    return f"={_name(one)}" if "$ref" in one else f":{_part(one)}"


def task_lines(schema: dict[str, Any]) -> Iterator[str]:
    """Task: its inputs."""
    definition = schema["definitions"]["task"]
    names = [_facts(one) for one in definition["properties"]["task"]["anyOf"]]
    yield "*: " + " ".join(one["enum"][0] + "~" * ("deprecationMessage" in one) for one in names)
    if definition["firstProperty"] != ["task"]:
        raise SystemExit(f"a task begins with {definition['firstProperty']}; tests/microsoft/schema.py thinks: task")
    for task in definition["anyOf"]:
        name = task["properties"]["task"]["pattern"].removeprefix("^").removesuffix("$")
        inputs = task["properties"]["inputs"]
        needed = ["task", "inputs"] if inputs["required"] else ["task"]
        if (task["required"], task["firstProperty"], inputs["additionalProperties"]) != (needed, ["task"], False):
            raise SystemExit(f"{name}: tests/microsoft/schema.py takes task and, if one of them is required, inputs for required")
        words = [_input(key, _facts(one), key in inputs["required"]) for key, one in inputs["properties"].items()]
        yield f"{name}{'~' * ('deprecationMessage' in task)}: {' '.join(words)}".rstrip()


def _input(name: str, one: dict[str, Any], required: bool) -> str:  # noqa: FBT001 - a mark
    kind = {"boolean": "?", "integer": "#", "string": "", None: ""}[one.pop("type", None)]
    if one.pop("ignoreCase") != ("all" if "enum" in one else "key"):
        raise SystemExit(f"{name}: tests/microsoft/schema.py takes names of inputs in any case, and their listed values too")
    said = ",".join([name, *one.pop("aliases", [])]) + "!" * required + kind + _values(one.pop("enum", []))
    _is_empty(one, name)
    return said


def _values(values: list[str]) -> str:
    return "=" + "|".join(value if re.fullmatch(r"[^\s\"|]+", value) else json.dumps(value) for value in values) if values else ""


def _facts(part: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in part.items() if key not in _NO_FACTS}


def _name(part: dict[str, Any]) -> str:
    name = str(part.pop("$ref")).removeprefix("#/definitions/")
    _is_empty(part, name)
    return name


def _is_empty(part: dict[str, Any], where: str) -> None:
    if part:
        raise SystemExit(f"{where}: the facts have no room for {part}")


def main() -> None:
    """Write the files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--from", dest="folder", type=Path, required=True, help="the folder of the two files")
    parser.add_argument("--month", required=True, help="when the command reference was read, such as 2026-04: the file doesn't say it")
    args = parser.parse_args()
    reference = json.loads((args.folder / "az-ml-commands.json").read_text(encoding="utf-8"))
    schema = json.loads((args.folder / "service-schema.json").read_text(encoding="utf-8"))
    for path, head, version, lines in (
        (AZ, _AZ_HEAD, args.month, az_lines(reference)),
        (KEYS, _KEYS_HEAD, schema["$comment"], key_lines(schema)),
        (TASKS, _TASKS_HEAD, schema["$comment"], task_lines(schema)),
    ):
        text = head.format(version=version) + _WRITTEN + "".join(f"{line}\n" for line in lines)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
