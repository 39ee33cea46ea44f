"""Writes docs/reference/azure-pipelines.md from the tables that the desk itself goes by; `--check` compares instead."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from lockgate.agent.logging_commands import COMMANDS, FORMATS
from lockgate.agent.predefined import VARIABLES
from lockgate.agent.tasks import TASKS
from lockgate.expressions.functions import FUNCTIONS
from lockgate.pipelines.keys import ALL, Key
from lockgate.pipelines.parameters import TYPES

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "azure-pipelines.md"
_HEAD = """\
# What of Azure Pipelines runs on the desk

Written by `tools/write_pipelines_reference.py` from the tables that the desk itself goes by; a test compares them.

| sign | meaning |
|---|---|
| ✔ | as in Azure |
| shown | it steers Azure DevOps; the desk checks it and `lockgate plan` shows it |
| none | accepted, and without effect on one machine, for the reason given |
| ✘ | refused by name; `lockgate check` ends with exit code 3 if a file has nothing worse |

"""
_SIGNS = {"run": "✔", "shown": "shown", "none": "none", "refused": "✘"}


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _keys() -> Iterator[str]:
    yield "## Keys\n"
    for table in ALL:
        yield f"### {table.what[0].upper()}{table.what[1:]}\n"
        yield "| key | desk | what it is |"
        yield "|---|---|---|"
        for key in table.keys.values():
            yield f"| `{key.name}` | {_SIGNS[key.desk]} | {_cell(_said(key))} |"
        yield ""
    yield "### Types of parameters\n"
    yield ", ".join(f"`{name}`" for name in TYPES) + "\n"


def _said(key: Key) -> str:
    return f"{key.help}; {key.why}" if key.why else key.help


def _tasks() -> Iterator[str]:
    yield "## Tasks\n"
    yield "Any other task is refused, unless the project maps it: an executable file `.lockgate/tasks/Name@1` gets the inputs as `INPUT_…` variables.\n"
    for task in sorted((task.specification for task in TASKS), key=lambda one: one.name.lower()):
        versions = ", ".join(f"`{task.name}@{version}`" for version in task.versions)
        yield f"### {versions}\n"
        yield f"It {task.help}." + (" Only in jobs with `pool: server`." if task.where == "server" else "") + "\n"
        yield "| input | desk | what it is |"
        yield "|---|---|---|"
        for one in task.inputs:
            names = ", ".join(f"`{name}`" for name in (one.name, *one.aliases))
            parts = [one.help, "required" if one.required else "", f"default `{one.default}`" if one.default else ""]
            parts += [f"one of {', '.join(f'`{word}`' for word in one.allowed)}" if one.allowed else "", one.no_effect]
            parts += [f"`{value}` is refused: {why}" for value, why in one.refused]
            yield f"| {names} | {'none' if one.no_effect else '✔'} | {_cell('; '.join(part for part in parts if part))} |"
        yield ""


def _functions() -> Iterator[str]:
    places = {"template": "`${{ }}`", "variable": "`$[ ]`", "condition": "conditions"}
    yield "## Functions of expressions\n"
    yield "| function | arguments | where | what it gives | example |"
    yield "|---|---|---|---|---|"
    for function in sorted(FUNCTIONS.values(), key=lambda one: one.name.lower()):
        where = "everywhere" if len(function.where) == len(places) else ", ".join(places[place] for place in function.where)
        example = f"`{function.example[0]}` → `{function.example[1]}`"
        yield f"| `{function.name}` | {function.takes()} | {where} | {_cell(function.help)} | {_cell(example)} |"
    yield ""


def _commands() -> Iterator[str]:
    yield "## Logging commands\n"
    yield "| command | desk | what it does |"
    yield "|---|---|---|"
    for command in COMMANDS:
        properties = f" ({', '.join(f'`{name}`' for name in command.properties)})" if command.properties else ""
        yield f"| `##vso[{command.name}]` | {_SIGNS[command.desk]} | {_cell(command.help + properties + (f'; {command.why}' if command.why else ''))} |"
    yield ""
    yield f"Lines that begin with {', '.join(f'`##[{name}]`' for name in FORMATS)} are kept as they are.\n"


def _variables() -> Iterator[str]:
    yield "## Predefined variables\n"
    yield "| variable | in `${{ }}` | on the desk |"
    yield "|---|---|---|"
    for variable in VARIABLES:
        yield f"| `{variable.name}` | {'yes' if variable.in_templates else 'no'} | {_cell(variable.help)} |"


def page() -> str:
    """The page as it should be."""
    parts = (*_keys(), *_tasks(), *_functions(), *_commands(), *_variables())
    return _HEAD + "\n".join(parts).rstrip("\n") + "\n"


def main() -> None:
    """Write the page, or compare it."""
    if "--check" in sys.argv:
        if not PAGE.exists() or PAGE.read_text(encoding="utf-8") != page():
            raise SystemExit(f"{PAGE.name} is not what the code says; run tools/write_pipelines_reference.py")
        return
    PAGE.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
