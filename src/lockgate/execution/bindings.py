"""The `${{…}}` and `$[[…]]` of Azure ML job files."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from lockgate.execution.shell import BashReader, written

_EXPRESSION: Final = re.compile(r"\$\{\{\s*([^{}]*?)\s*\}\}")
_OPTIONAL: Final = re.compile(r"\$\[\[(.*?)\]\]", re.DOTALL)
_PARENT_INPUT: Final = re.compile(r"parent\.inputs\.([A-Za-z_]\w*)")
_NODE_OUTPUT: Final = re.compile(r"parent\.jobs\.([A-Za-z_]\w*)\.outputs\.([A-Za-z_]\w*)")
_PARENT_OUTPUT: Final = re.compile(r"\$\{\{\s*parent\.outputs\.([A-Za-z_]\w*)\s*\}\}")
_OWN: Final = re.compile(r"(inputs|outputs)\.([A-Za-z_]\w*)")


@dataclass(frozen=True)
class ParentInput:
    """`${{parent.inputs.NAME}}`."""

    name: str


@dataclass(frozen=True)
class NodeOutput:
    """`${{parent.jobs.NODE.outputs.NAME}}`."""

    node: str
    name: str


Binding = ParentInput | NodeOutput


def parse_binding(text: str) -> Binding | None:
    """The binding that a whole value is; None for a plain text.

    Raises:
        ValueError: it holds `${{` but is no binding that a pipeline knows; the text says what is allowed.
    """
    if "${{" not in text:
        return None
    match = _EXPRESSION.fullmatch(text.strip())
    inner = match[1] if match else ""
    if found := _PARENT_INPUT.fullmatch(inner):
        return ParentInput(found[1])
    if found := _NODE_OUTPUT.fullmatch(inner):
        return NodeOutput(found[1], found[2])
    raise ValueError("allowed: ${{parent.inputs.NAME}} or ${{parent.jobs.NODE.outputs.NAME}}, and nothing beside it")


def parent_output(text: str) -> str | None:
    """NAME of `${{parent.outputs.NAME}}`; None for any other text."""
    match = _PARENT_OUTPUT.fullmatch(text.strip())
    return match[1] if match else None


@dataclass(frozen=True)
class Reference:
    """A `${{inputs.NAME}}` or `${{outputs.NAME}}` of a command. `position` is its offset in the command."""

    kind: str
    name: str
    position: int
    optional: bool
    text: str


def references(command: str) -> list[Reference]:
    """Every `${{…}}` of a command; kind is empty for one that is neither an input nor an output."""
    spans = [match.span() for match in _OPTIONAL.finditer(command)]
    found = []
    for match in _EXPRESSION.finditer(command):
        own = _OWN.fullmatch(match[1])
        optional = any(start <= match.start() < end for start, end in spans)
        kind, name = (own[1], own[2]) if own else ("", "")
        found.append(Reference(kind, name, match.start(), optional, match[0]))
    return found


@dataclass(frozen=True)
class Rendered:
    """A command as bash gets it, and the variables that hold its values."""

    command: str
    variables: dict[str, str]


def render_command(command: str, inputs: Mapping[str, str], outputs: Mapping[str, str]) -> Rendered:
    """The command with every value in its place, each as one word whatever is in it (see `shell`).

    A `$[[…]]` part is kept only if every input in it has a value.
    """

    def keep(match: re.Match[str]) -> str:
        names = [r.name for r in references(match[1]) if r.kind == "inputs"]
        return match[1] if all(name in inputs for name in names) else ""

    command = _OPTIONAL.sub(keep, command)
    reader = BashReader()
    parts: list[str] = []
    variables: dict[str, str] = {}
    position = 0
    for match in _EXPRESSION.finditer(command):
        own = _OWN.fullmatch(match[1])
        if own is None:
            continue
        kind, name = own[1], own[2]
        value = (inputs if kind == "inputs" else outputs)[name]
        text = command[position : match.start()]
        reader.read(text)
        variable = f"LOCKGATE_{kind[:-1].upper()}_{name}"
        variables[variable] = value
        parts += [text, written(reader.state, variable, value)]
        reader.value()
        position = match.end()
    return Rendered("".join([*parts, command[position:]]), variables)


def unclosed(command: str) -> int | None:
    """The offset of a `${{` that no `}}` closes; None if there is none."""
    rest = _EXPRESSION.sub(lambda match: " " * len(match[0]), command)
    position = rest.find("${{")
    return None if position < 0 else position
