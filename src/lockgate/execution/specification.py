"""What a job file says, typed: ports, components, nodes, the job. Made by `job_file`, run by `runner`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from lockgate.execution.bindings import Binding, NodeOutput
from lockgate.workspace.references import Reference
from lockgate.yaml_source import Node

DATA_TYPES: Final = ("uri_file", "uri_folder", "mltable", "mlflow_model", "custom_model", "triton_model")
LITERAL_TYPES: Final = ("string", "number", "integer", "boolean")
FOLDER_TYPES: Final = ("uri_folder", "mltable", "mlflow_model", "custom_model", "triton_model")
DATA_ASSETS: Final = ("uri_file", "uri_folder", "mltable")
"""Types whose `azureml:NAME:VERSION` is a data asset; the others are models."""


@dataclass(frozen=True)
class Port:
    """A declared input or output.

    Attributes:
        type: one of DATA_TYPES or LITERAL_TYPES; empty for an input of a node's own command, which is what it is bound to.
        default: of a literal; None if it has none.
    """

    name: str
    type: str
    optional: bool = False
    default: Any = None
    minimum: float | None = None
    maximum: float | None = None
    enum: tuple[Any, ...] = ()

    @property
    def is_data(self) -> bool:
        """Whether it is a path and not a value."""
        return self.type in DATA_TYPES

    def refuses(self, kind: str) -> str | None:
        """What is wrong with data of a type, as "allowed: …"; None if nothing is. An empty type is not known."""
        if not self.type or (self.is_data and (not kind or (kind == "uri_file") == (self.type == "uri_file"))):
            return None
        return f"allowed: {with_article(self.type)}"

    def check(self, value: Any) -> str | None:
        """What is wrong with a literal, as "allowed: …"; None if nothing is."""
        if not self.type:
            return None
        fits = {
            "string": isinstance(value, str | int | float | bool),
            "integer": isinstance(value, int) and not isinstance(value, bool),
            "number": isinstance(value, int | float) and not isinstance(value, bool),
            "boolean": isinstance(value, bool),
        }[self.type]
        if not fits:
            return f"allowed: {with_article(self.type)}"
        if self.enum and value not in self.enum:
            return f"allowed: one of {', '.join(map(str, self.enum))}"
        if self.minimum is not None and value < self.minimum:
            return f"allowed: at least {self.minimum:g}"
        if self.maximum is not None and value > self.maximum:
            return f"allowed: at most {self.maximum:g}"
        return None


@dataclass(frozen=True)
class PathInput:
    """A data input that names where its content is.

    Attributes:
        type: one of DATA_TYPES.
        path: an absolute local path, if `reference` is None.
        reference: what an `azureml:` address names.
    """

    type: str
    path: Path | None
    reference: Reference | None
    node: Node


@dataclass(frozen=True)
class Literal:
    """A literal input: str, int, float or bool, and as it was written."""

    value: Any
    text: str


class Broken:
    """An input that is there and wrong, which has been said."""


BROKEN: Final = Broken()
Value = Binding | PathInput | Literal


def with_article(noun: str) -> str:
    """The noun with its indefinite article, such as an integer."""
    return f"{'an' if noun[:1] in 'aeio' or noun == 'mltable' else 'a'} {noun}"


@dataclass(frozen=True)
class Component:
    """A command with its ports.

    Attributes:
        code: absolute folder of the code; None if there is none.
        environment: a reference or name of the environment, for people.
        conda_file: the environment's conda file, whose pins are compared with what is installed.
        kind: command, parallel or automl.
    """

    name: str
    command: str
    inputs: dict[str, Port]
    outputs: dict[str, Port]
    code: Path | None
    environment: str
    conda_file: Path | None
    deterministic: bool = True
    kind: str = "command"


@dataclass(frozen=True)
class Saved:
    """Where an output goes when it is there, beside the job's own folder.

    Attributes:
        type: one of DATA_TYPES.
        path: in a datastore; None if it is named nowhere.
        name, version: of the asset that is made of it; no name: none is.
        node: for messages.
    """

    type: str
    path: Reference | None
    name: str
    version: str
    node: Node


@dataclass(frozen=True)
class PipelineComponent:
    """A pipeline that is a node of another one.

    Attributes:
        nodes: its own, by name.
        sources: output → the output of a node that it is.
    """

    name: str
    inputs: dict[str, Port]
    outputs: dict[str, Port]
    nodes: dict[str, PipelineNode]
    sources: dict[str, NodeOutput]


@dataclass(frozen=True)
class NestedNode:
    """A node that is a pipeline, until the nodes of that stand in its place."""

    name: str
    component: PipelineComponent
    inputs: dict[str, Value]
    saved: dict[str, Saved] = field(default_factory=dict)

    def needs(self) -> set[str]:
        """The nodes it waits for."""
        return {value.node for value in self.inputs.values() if isinstance(value, NodeOutput)}


@dataclass(frozen=True)
class PipelineNode:
    """A step of a pipeline: a component and what its inputs are bound to. `timeout` is in seconds."""

    name: str
    component: Component
    inputs: dict[str, Value]
    environment_variables: dict[str, str]
    timeout: float | None
    display_name: str
    saved: dict[str, Saved] = field(default_factory=dict)

    def needs(self) -> set[str]:
        """The nodes it waits for."""
        return {value.node for value in self.inputs.values() if isinstance(value, NodeOutput)}


@dataclass(frozen=True)
class PipelineJob:
    """A job: a pipeline, or something that is run as a pipeline of one node.

    Attributes:
        path: of its file.
        name: the name that the file asks for; empty: a new one.
        kind: pipeline, or what the one node of it is: command, automl, batch.
        outputs: the pipeline's own: of which node, and where they go.
        notes: what is taken without effect here.
        force_rerun: whether results of earlier jobs are left alone.
        tags, properties, description: what is kept with it.
    """

    path: Path
    name: str
    display_name: str
    experiment: str
    inputs: dict[str, Value]
    nodes: dict[str, PipelineNode]
    continue_on_failure: bool
    force_rerun: bool
    kind: str = "pipeline"
    tags: Mapping[str, str] = field(default_factory=dict)
    properties: Mapping[str, str] = field(default_factory=dict)
    description: str = ""
    outputs: Mapping[str, tuple[NodeOutput, Saved | None]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
