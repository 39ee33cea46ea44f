"""Whether what a pipeline's nodes are bound to is there and of the right type."""

from __future__ import annotations

import difflib

from lockgate.execution.bindings import NodeOutput, ParentInput
from lockgate.execution.reader import Reader
from lockgate.execution.specification import Broken, Literal, PathInput, PipelineNode, Port, Value, with_article
from lockgate.yaml_source import Node


def check_bindings(
    name: str,
    item: PipelineNode,
    nodes: dict[str, PipelineNode],
    known: set[str],
    inputs: dict[str, tuple[Value | Broken, Node]],
    top: Node,
    reader: Reader,
) -> None:
    """Note what a node's inputs are wrongly bound to.

    Args:
        name, item: the node.
        nodes: those that could be read.
        known: the names of all nodes.
        inputs: the job's own.
        top: the job's file.
        reader: takes the mistakes.
    """
    jobs = top.get("jobs")
    section = jobs.value[name].get("inputs") if jobs else None
    for key, value in item.inputs.items():
        at = section.value[key] if section is not None else top
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
    what: str, at: Node, value: ParentInput, port: Port | None, inputs: dict[str, tuple[Value | Broken, Node]], reader: Reader
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
    elif isinstance(given, PathInput) and (wrong := port.refuses(given.type)):
        reader.fail(at, f"{what}: the pipeline's input {value.name!r} is {with_article(given.type or 'path')}; {wrong}")


def _check_node_output(what: str, at: Node, value: NodeOutput, port: Port | None, source: PipelineNode, reader: Reader) -> None:
    output = source.component.outputs.get(value.name)
    if output is None:
        names = ", ".join(source.component.outputs) or "none"
        reader.fail(at, f"{what}: node {value.node!r} has no output {value.name!r}; outputs are: {names}")
    elif port is not None and (wrong := port.refuses(output.type)):
        reader.fail(at, f"{what}: output {value.name!r} is {with_article(output.type)}; {wrong}")
