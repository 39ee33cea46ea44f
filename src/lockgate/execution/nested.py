"""Pipelines within pipelines: the nodes of an inner one stand in the outer one in its place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from lockgate.execution.bindings import NodeOutput, ParentInput
from lockgate.execution.specification import Literal, NestedNode, PipelineNode, Value


def flat(read: Mapping[str, PipelineNode | NestedNode]) -> tuple[dict[str, PipelineNode], dict[NodeOutput, NodeOutput]]:
    """Nodes with those of nested pipelines in their place, and which output of a node each output of a nested pipeline is."""
    nodes: dict[str, PipelineNode] = {}
    meant: dict[NodeOutput, NodeOutput] = {}
    for item in read.values():
        if isinstance(item, PipelineNode):
            nodes[item.name] = item
            continue
        for inner in item.component.nodes.values():
            name = f"{item.name}.{inner.name}"
            values = {key: _outside(value, item) for key, value in inner.inputs.items()}
            nodes[name] = replace(inner, name=name, inputs={key: value for key, value in values.items() if value is not None})
        for output, source in item.component.sources.items():
            inside = NodeOutput(f"{item.name}.{source.node}", source.name)
            meant[NodeOutput(item.name, output)] = inside
            if output in item.saved:
                node = nodes[inside.node]
                nodes[inside.node] = replace(node, saved={**node.saved, inside.name: item.saved[output]})
    for name, node in nodes.items():
        inputs = {key: meant.get(value, value) if isinstance(value, NodeOutput) else value for key, value in node.inputs.items()}
        nodes[name] = replace(node, inputs=inputs)
    return nodes, meant


def _outside(value: Value, nested: NestedNode) -> Value | None:
    """An input of a node of a nested pipeline as it is from outside; None if it is optional and not given."""
    if isinstance(value, NodeOutput):
        return NodeOutput(f"{nested.name}.{value.node}", value.name)
    if isinstance(value, ParentInput):
        default = nested.component.inputs[value.name].default
        return nested.inputs.get(value.name) or (None if default is None else Literal(default, str(default)))
    return value
