"""Reads an Azure ML pipeline job file and all it refers to, and finds every mistake before anything starts."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from lockgate.errors import FileError, UnsupportedError
from lockgate.execution.binding_checks import check_bindings
from lockgate.execution.bindings import parse_binding
from lockgate.execution.component_file import COMMAND_KEYS, DESCRIPTIVE, NODE_TYPES, ComponentReader
from lockgate.execution.graph import find_cycle
from lockgate.execution.overrides import Override, apply_overrides
from lockgate.execution.reader import shown
from lockgate.execution.specification import (
    BROKEN,
    DATA_TYPES,
    FOLDER_TYPES,
    LITERAL_TYPES,
    Broken,
    Component,
    Literal,
    PathInput,
    PipelineJob,
    PipelineNode,
    Port,
    Value,
    with_article,
)
from lockgate.workspace.models import parse_reference
from lockgate.yaml_source import Node, load_yaml

_NAME: Final = re.compile(r"[a-z_][a-z0-9_]*")
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_JOB_KEYS: Final = (*DESCRIPTIVE, "type", "name", "experiment_name", "inputs", "outputs", "settings", "jobs", "compute", "identity")
_SETTINGS: Final = ("default_compute", "default_datastore", "continue_on_step_failure", "force_rerun")
_COMMAND_JOB_KEYS: Final = (*DESCRIPTIVE, "type", "name", "experiment_name", "command", "code", "environment", "environment_variables", "inputs",
                            "outputs", "limits", "compute", "identity", "resources")  # fmt: skip
_NODE_KEYS: Final = (*DESCRIPTIVE, "type", "component", "inputs", "outputs", "environment_variables", "limits", "compute",
                     "environment", "identity", "resources")  # fmt: skip


class _JobReader(ComponentReader):
    """Reads a pipeline's inputs and nodes."""

    def values(self, parent: Node, what: str, *, bindings: bool) -> dict[str, tuple[Value | Broken, Node]]:
        """The values of an `inputs` section of a job or node."""
        section = self.mapping(parent, "inputs")
        found: dict[str, tuple[Value | Broken, Node]] = {}
        for name, node in section.items() if section else ():
            # What is wrong is said once; that it was there is known, so that nothing else is said of it.
            found[name] = self._value(name, node, what, bindings=bindings) or BROKEN, node
        return found

    def _value(self, name: str, node: Node, what: str, *, bindings: bool) -> Value | None:
        if node.is_list:
            self.fail(node, f"{what}.{name}: found a list; allowed: a value, or a mapping with type and path")
            return None
        if not node.is_mapping:
            return self._scalar_value(name, node, what, bindings=bindings)
        self.keys(node, ("type", "path", "mode", "description", "optional", "default", "min", "max", "enum", "value"), f"{what}.{name}")
        optional = node.get("optional")
        if optional is not None and optional.value:
            self.fail(optional, f"{what}.{name}: Azure rejects optional inputs here; they exist on components in files only", at_key=True)
            return None
        kind = self.text(node, "type", "")
        path = node.get("path")
        if path is None:
            literal = node.get("default") or node.get("value")
            if kind in LITERAL_TYPES and literal is not None:
                wrong = Port(name, kind).check(literal.value)
                if wrong:
                    self.fail(literal, f"{what}.{name}: found {literal.describe()}; {wrong}")
                return Literal(literal.value, literal.text)
            self.fail(node, f"{what}.{name}: found no path; allowed: {{type: …, path: …}}")
            return None
        if kind and kind not in DATA_TYPES:
            self.fail(node.get("type") or node, f"{what}.{name}.type: found {kind!r}; allowed: {', '.join(DATA_TYPES)}")
            return None
        self._mode(node)
        text = path.text
        if "${{" in text:
            return self._scalar_value(name, path, what, bindings=bindings)
        return self._path(name, path, kind, what)

    def _scalar_value(self, name: str, node: Node, what: str, *, bindings: bool) -> Value | None:
        if node.value is None:
            self.fail(node, f"{what}.{name}: found nothing; allowed: a value or a binding", at_key=True)
            return None
        if isinstance(node.value, str) and "${{" in node.value:
            try:
                binding = parse_binding(node.value)
            except ValueError as error:
                self.fail(node, f"{what}.{name}: found {node.describe()}; {error}")
                return None
            if not bindings:
                self.fail(node, f"{what}.{name}: found {node.describe()}; a job's own inputs have no parent to be bound to")
                return None
            return binding
        if "\0" in node.text:
            self.fail(node, f"{what}.{name}: found {node.describe()}; allowed: a text without NUL, which no process can be given")
            return None
        return Literal(node.value, node.text)

    def _path(self, name: str, node: Node, kind: str, what: str) -> Value | None:
        text = node.text
        if text.startswith("azureml:"):
            reference = parse_reference(text)
            if reference is None:
                if re.fullmatch(r"azureml:[\w.-]+@[\w.-]+", text):
                    self.fail(node, f"{what}.{name}: found {text!r}; a label can move: name the exact version, azureml:NAME:VERSION")
                else:
                    self.refuse(
                        node, f"{what}.{name}: {text!r} is not resolved on the desk yet; allowed here: azureml:NAME:VERSION or a local path"
                    )
                return None
            return PathInput(kind, None, reference, node)
        if "://" in text:
            self.refuse(node, f"{what}.{name}: {text!r} is not on this machine; allowed on the desk: a local path or azureml:NAME:VERSION")
            return None
        path = self.local_path(node, text)
        if not path.exists():
            self.fail(node, f"{what}.{name}: there is no file or folder {text!r} ({shown(path, self.root)}); mend the path")
            return None
        if kind == "uri_file" and path.is_dir():
            self.fail(node, f"{what}.{name}: {text!r} is a folder; allowed: a file, or type uri_folder")
        elif kind in FOLDER_TYPES and path.is_file():
            self.fail(node, f"{what}.{name}: {text!r} is a file; allowed: a folder, or type uri_file")
        return PathInput(kind, path, None, node)

    def node(self, name: str, node: Node) -> PipelineNode | None:
        """A node of a pipeline."""
        if not _NAME.fullmatch(name):
            self.fail(node, f"job name {name!r}: allowed: lower-case letters, digits and '_', not beginning with a digit", at_key=True)
        if not node.is_mapping:
            self.fail(node, f"jobs.{name}: found {node.describe()}; allowed: a mapping with a type")
            return None
        kind = self.text(node, "type", "command" if node.get("component") or node.get("command") else "")
        if kind not in NODE_TYPES:
            self.fail(node.get("type") or node, f"jobs.{name}.type: found {kind or 'nothing'!r}; allowed: {', '.join(NODE_TYPES)}")
            return None
        if kind != "command":
            self.refuse(
                node.get("type") or node, f"node {name!r} is of type {kind!r}, which the desk does not run yet; allowed here: command"
            )
            return None
        own = node.get("component")
        if own is None:
            self.keys(node, (*_NODE_KEYS, *COMMAND_KEYS), f"job {name!r}", refused=("distribution", "services", "queue_settings"))
            component = self._inline(name, node)
        else:
            self.keys(node, _NODE_KEYS, f"job {name!r}", refused=("distribution", "services", "queue_settings"))
            component = self._component_of(own)
        if component is None:
            return None
        if own is not None and node.get("environment") is not None:
            environment, conda = self._environment(node)
            component = replace(component, environment=environment, conda_file=conda)
        self._resources(node)
        self._outputs(f"jobs.{name}.outputs", node, component)
        bound = self.values(node, f"jobs.{name}.inputs", bindings=True)
        self._bind(name, node, component, bound)
        return PipelineNode(
            name=name,
            component=component,
            inputs={key: value for key, (value, _) in bound.items() if not isinstance(value, Broken)},
            environment_variables=self._variables(node),
            timeout=self._timeout(node),
            display_name=self.text(node, "display_name", name),
        )

    def command_job(self, top: Node) -> PipelineNode | None:
        """A job of type command, as the one node that it is run as."""
        self.keys(top, _COMMAND_JOB_KEYS, "a command job", refused=("distribution", "services", "queue_settings", "parent_job_name"))
        component = self._inline("command", top)
        bound = self.values(top, "inputs", bindings=False)
        if component is None:
            return None
        self._outputs("outputs", top, component)
        return PipelineNode(
            name="command",
            component=component,
            inputs={key: value for key, (value, _) in bound.items() if not isinstance(value, Broken)},
            environment_variables=self._variables(top),
            timeout=self._timeout(top),
            display_name=self.text(top, "display_name", "command"),
        )

    def texts(self, parent: Node, key: str) -> dict[str, str]:
        """A mapping of texts, such as tags."""
        section = self.mapping(parent, key)
        found: dict[str, str] = {}
        for name, value in section.items() if section else ():
            if value.is_mapping or value.is_list or value.value is None:
                self.fail(value, f"{key}.{name}: found {value.describe()}; allowed: a text")
            else:
                found[name] = value.text
        return found

    def _component_of(self, node: Node) -> Component | None:
        if node.is_mapping:
            return self.component(node)
        text = node.text
        if text.startswith("azureml:"):
            self.refuse(node, f"component: {text!r} is registered in Azure; allowed on the desk: the path of a component file")
            return None
        return self.component_file(node, text)

    def _inline(self, name: str, node: Node) -> Component | None:
        """The component of a node that holds its own command: its inputs are declared by being there."""
        inputs: dict[str, Port] = {}
        section = self.mapping(node, "inputs")
        for key, value in section.items() if section else ():
            kind = self.text(value, "type", "uri_folder") if value.is_mapping else "string"
            path = value.get("path") or value
            bound = isinstance(path.value, str) and "${{" in path.value
            inputs[key] = Port(key, "" if bound else kind)
        outputs = {key: Port(key, self.text(value, "type", "uri_folder")) for key, value in self._output_items(node)}
        return self._command(node, name, inputs, outputs)

    def _output_items(self, node: Node) -> Iterable[tuple[str, Node]]:
        section = self.mapping(node, "outputs")
        return section.items() if section else ()

    def _outputs(self, what: str, node: Node, component: Component) -> None:
        for key, value in self._output_items(node):
            if key not in component.outputs:
                self.fail(
                    value,
                    f"{what}: {key!r} is not an output of {component.name}; outputs are: {', '.join(component.outputs) or 'none'}",
                    at_key=True,
                )
            elif value.is_mapping:
                self.keys(value, ("type", "mode", "description"), f"{what}.{key}", refused=("name", "version", "path"))
            elif value.value is not None:
                self.refuse(value, f"{what}.{key}: found {value.describe()}; outputs of the pipeline itself are not kept on the desk yet")

    def _variables(self, node: Node) -> dict[str, str]:
        section = self.mapping(node, "environment_variables")
        found: dict[str, str] = {}
        for key, value in section.items() if section else ():
            if not _VARIABLE.fullmatch(key):
                self.fail(value, f"environment_variables: found the name {key!r}; allowed: letters, digits and '_'", at_key=True)
            elif value.is_mapping or value.is_list or "\0" in value.text:
                self.fail(value, f"environment_variables.{key}: found {value.describe()}; allowed: a text")
            else:
                found[key] = value.text
        return found

    def _timeout(self, node: Node) -> float | None:
        limits = self.mapping(node, "limits")
        if limits is None:
            return None
        self.keys(limits, ("timeout",), "limits")
        timeout = limits.get("timeout")
        if timeout is None:
            return None
        if isinstance(timeout.value, bool) or not isinstance(timeout.value, int | float) or timeout.value <= 0:
            self.fail(timeout, f"limits.timeout: found {timeout.describe()}; allowed: seconds above 0")
            return None
        return float(timeout.value)

    def _bind(self, name: str, node: Node, component: Component, bound: dict[str, tuple[Value | Broken, Node]]) -> None:
        declared = ", ".join(component.inputs) or "none"
        for key, (value, at) in bound.items():
            port = component.inputs.get(key)
            if port is None:
                self.fail(at, f"jobs.{name}.inputs: {key!r} is not an input of {component.name}; inputs are: {declared}", at_key=True)
            elif isinstance(value, Literal):
                if port.is_data:
                    self.fail(
                        at,
                        f"jobs.{name}.inputs.{key}: found the text {at.describe()}; allowed: {{type: {port.type}, path: …}} or a binding",
                    )
                elif wrong := port.check(value.value):
                    self.fail(at, f"jobs.{name}.inputs.{key}: found {at.describe()}; {wrong}")
            elif isinstance(value, PathInput) and (wrong := port.refuses(value.type)):
                self.fail(at, f"jobs.{name}.inputs.{key}: found {with_article(value.type or 'path')}; {wrong}")
        for key, port in component.inputs.items():
            if key not in bound and not port.optional and port.default is None:
                section = node.get("inputs")
                self.fail(
                    section or node, f"jobs.{name}.inputs: {key!r} ({port.type}) of {component.name} is required and not bound", at_key=True
                )


def load_job(path: Path, overrides: Sequence[Override] = (), root: Path | None = None) -> PipelineJob:
    """Read a job of type pipeline or command.

    Args:
        path: the YAML file.
        overrides: of `--set`.
        root: paths in messages are shown relative to it; the current folder, if None.

    Raises:
        FileError: every mistake found, with file, line and column.
        UnsupportedError: there is no mistake, but something that only Azure runs.
    """
    root = root or Path.cwd()
    top = load_yaml(path, shown(path, root))
    apply_overrides(top, overrides)
    reader = _JobReader(root)
    if not top.is_mapping:
        raise FileError([top.mistake(f"found {top.describe()}; allowed: a job, a mapping with type: pipeline")])
    kind = top.get("type")
    # Azure takes a job without a type for a command.
    is_command = kind.value == "command" if kind else top.get("command") is not None
    if not is_command and (kind is None or kind.value != "pipeline"):
        at = kind or top
        found = kind.describe() if kind else "nothing"
        if kind is not None and kind.value in NODE_TYPES:
            raise UnsupportedError(
                [at.mistake(f"type: a job of type {found} is not run on the desk yet; allowed here: pipeline, command", unsupported=True)]
            )
        raise FileError([at.mistake(f"type: found {found}; allowed: pipeline, command")])
    job = _command_job(top, path, reader) if is_command else _job(top, path, reader)
    if reader.mistakes:
        wrong = [m for m in reader.mistakes if not m.unsupported]
        raise (FileError if wrong else UnsupportedError)(reader.mistakes)
    return job


def _command_job(top: Node, path: Path, reader: _JobReader) -> PipelineJob:
    node = reader.command_job(top)
    return PipelineJob(
        path=path,
        name=reader.text(top, "name"),
        display_name=reader.text(top, "display_name", path.stem),
        experiment=reader.text(top, "experiment_name", path.stem),
        inputs={},
        nodes={} if node is None else {node.name: node},
        continue_on_failure=False,
        force_rerun=True,  # Azure uses results again for steps of pipelines only.
        kind="command",
        tags=reader.texts(top, "tags"),
        properties=reader.texts(top, "properties"),
        description=reader.text(top, "description"),
    )


def _job(top: Node, path: Path, reader: _JobReader) -> PipelineJob:
    reader.keys(top, _JOB_KEYS, "a pipeline job")
    settings = reader.mapping(top, "settings")
    if settings is not None:
        reader.keys(settings, _SETTINGS, "settings")
    inputs = reader.values(top, "inputs", bindings=False)
    section = reader.mapping(top, "jobs")
    jobs = top.get("jobs")
    if jobs is None or not jobs.value:
        reader.fail(jobs or top, "jobs: found nothing; allowed: at least one node")
    nodes: dict[str, PipelineNode] = {}
    known = set(dict(section.items())) if section else set()
    for name, node in section.items() if section else ():
        found = reader.node(name, node)
        if found is not None:
            nodes[name] = found
    for name, item in nodes.items():
        check_bindings(name, item, nodes, known, inputs, top, reader)
    cycle = find_cycle({name: item.needs() for name, item in nodes.items()})
    if cycle and section is not None:
        reader.fail(
            section.value[cycle[0]], f"nodes wait for each other in a circle: {' → '.join(cycle)}; take one binding out", at_key=True
        )
    return PipelineJob(
        path=path,
        name=reader.text(top, "name"),
        display_name=reader.text(top, "display_name", path.stem),
        experiment=reader.text(top, "experiment_name", path.stem),
        inputs={key: value for key, (value, _) in inputs.items() if not isinstance(value, Broken)},
        nodes=nodes,
        continue_on_failure=reader.boolean(settings, "continue_on_step_failure", default=False) if settings else False,
        force_rerun=reader.boolean(settings, "force_rerun", default=False) if settings else False,
        tags=reader.texts(top, "tags"),
        properties=reader.texts(top, "properties"),
        description=reader.text(top, "description"),
    )
