"""Whether what a pipeline's nodes are bound to is there and of the right type."""

from __future__ import annotations

import difflib
from collections.abc import Mapping

from lockgate.execution.bindings import NodeOutput, ParentInput
from lockgate.execution.reader import Reader
from lockgate.execution.specification import Broken, Literal, NestedNode, PathInput, PipelineNode, Port, Value, with_article
from lockgate.yaml_source import Node


def check_bindings(
    name: str,
    item: PipelineNode | NestedNode,
    nodes: Mapping[str, PipelineNode | NestedNode],
    known: set[str],
    inputs: Mapping[str, tuple[Value | Broken | Port, Node]],
    top: Node,
    reader: Reader,
) -> None:
    """Note what a node's inputs are wrongly bound to.

    Args:
        name, item: the node.
        nodes: those that could be read.
        known: the names of all nodes.
        inputs: the job's own; of a pipeline component its ports.
        top: the job's file.
        reader: takes the mistakes.
    """
    jobs = top.get("jobs")
    node = jobs.value[name] if jobs else top
    section = node.get("inputs")
    for key, value in item.inputs.items():
        # Those of an AutoML node stand beside its other keys.
        at = (section.get(key) if section is not None else None) or node.get(key) or node
        port = item.component.inputs.get(key)
        if isinstance(value, ParentInput):
            _check_parent_input(f"jobs.{name}.inputs.{key}", at, value, port, inputs, reader)
        elif isinstance(value, NodeOutput):
            if value.node not in known:
                near = difflib.get_close_matches(value.node, known, n=1)
                hint = f"did you mean {near[0]!r}?" if near else f"nodes are: {', '.join(sorted(known))}"
                reader.fail(at, f"jobs.{name}.inputs.{key}: there is no node {value.node!r}; {hint}")
            elif value.node in nodes:
                _check_node_output(f"jobs.{name}.inputs.{key}", at, value, port, nodes[value.node], reader)


def _check_parent_input(
    what: str, at: Node, value: ParentInput, port: Port | None, inputs: Mapping[str, tuple[Value | Broken | Port, Node]], reader: Reader
) -> None:
    if value.name not in inputs:
        near = difflib.get_close_matches(value.name, inputs, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"inputs are: {', '.join(inputs) or 'none'}"
        reader.fail(at, f"{what}: the pipeline has no input {value.name!r}; {hint}")
        return
    given, given_at = inputs[value.name]
    if port is None:
        return
    if isinstance(given, Literal):
        wrong = "allowed: data with a path" if port.is_data else port.check(given.value)
        if wrong:
            reader.fail(at, f"{what}: the pipeline's input {value.name!r} is {given_at.describe()}; {wrong}")
    elif isinstance(given, Port):
        # What an inline node is bound to has that type.
        fits = not port.type or (
            given.is_data == port.is_data and not (port.refuses(given.type) if port.is_data else _differ(given.type, port.type))
        )
        if not fits:
            reader.fail(
                at, f"{what}: the pipeline's input {value.name!r} is {with_article(given.type)}; allowed: {with_article(port.type)}"
            )
        elif given.optional and not port.optional:
            reader.fail(at, f"{what}: the pipeline's input {value.name!r} is optional and this one is not; make both so, or neither")
    elif isinstance(given, PathInput) and (wrong := port.refuses(given.type)):
        reader.fail(at, f"{what}: the pipeline's input {value.name!r} is {with_article(given.type or 'path')}; {wrong}")


def _differ(given: str, wanted: str) -> bool:
    """Whether a literal of one type can't be one of another."""
    return given != wanted and wanted not in ("", "string") and (given, wanted) != ("integer", "number")


def _check_node_output(
    what: str, at: Node, value: NodeOutput, port: Port | None, source: PipelineNode | NestedNode, reader: Reader
) -> None:
    output = source.component.outputs.get(value.name)
    if output is None:
        names = ", ".join(source.component.outputs) or "none"
        reader.fail(at, f"{what}: node {value.node!r} has no output {value.name!r}; outputs are: {names}")
    elif port is not None and (wrong := port.refuses(output.type)):
        reader.fail(at, f"{what}: output {value.name!r} is {with_article(output.type)}; {wrong}")
