"""Reads an Azure ML pipeline job file and all it refers to, and finds every mistake before anything starts."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

from lockgate.errors import FileError, Mistake, UnsupportedError
from lockgate.execution.bindings import Binding, NodeOutput, ParentInput, parse_binding, references
from lockgate.execution.graph import find_cycle
from lockgate.execution.overrides import Override, apply_overrides
from lockgate.execution.specification import (
    DATA_TYPES,
    FOLDER_TYPES,
    LITERAL_TYPES,
    Component,
    Literal,
    PathInput,
    PipelineJob,
    PipelineNode,
    Port,
    Value,
)
from lockgate.workspace.models import parse_reference
from lockgate.yaml_source import Node, load_yaml

_NAME: Final = re.compile(r"[a-z_][a-z0-9_]*")
_PORT: Final = re.compile(r"[A-Za-z_]\w*")

# Keys that say where or how Azure runs a thing, and change nothing of what it computes: taken, without effect on the desk.
_DESCRIPTIVE: Final = ("$schema", "description", "tags", "display_name", "properties")
_JOB_KEYS: Final = (*_DESCRIPTIVE, "type", "name", "experiment_name", "inputs", "outputs", "settings", "jobs", "compute", "identity")
_SETTINGS: Final = ("default_compute", "default_datastore", "continue_on_step_failure", "force_rerun")
_NODE_KEYS: Final = (*_DESCRIPTIVE, "type", "component", "inputs", "outputs", "environment_variables", "limits", "compute",
                     "environment", "identity", "resources")  # fmt: skip
_COMMAND_KEYS: Final = ("command", "code", "is_deterministic")
_COMPONENT_KEYS: Final = (*_DESCRIPTIVE, *_COMMAND_KEYS, "type", "name", "version", "inputs", "outputs", "environment", "resources")
_PORT_KEYS: Final = ("type", "description", "optional", "default", "min", "max", "enum", "mode", "path")
_NODE_TYPES: Final = ("command", "automl", "parallel", "sweep", "spark", "pipeline", "import", "data_transfer")
_MODES: Final = ("ro_mount", "rw_mount", "download", "upload", "direct", "eval_mount", "eval_download")


class _Reader:
    """Collects mistakes while it reads, so that one look shows them all."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.mistakes: list[Mistake] = []
        self._components: dict[Path, Component | None] = {}

    def fail(self, node: Node, message: str, *, at_key: bool = False) -> None:
        """Note a mistake."""
        self.mistakes.append(node.mistake(message, at_key=at_key))

    def refuse(self, node: Node, message: str, *, at_key: bool = False) -> None:
        """Note what is right for Azure and not run here."""
        self.mistakes.append(node.mistake(message, at_key=at_key, unsupported=True))

    def keys(self, node: Node, allowed: Sequence[str], what: str, refused: Sequence[str] = ()) -> None:
        """Note unknown and refused keys of a mapping."""
        for key, value in node.items():
            if key in refused:
                self.refuse(
                    value, f"key {key!r} of {what} is not supported on the desk; run this file in Azure, or leave the key out", at_key=True
                )
            elif key not in allowed:
                near = difflib.get_close_matches(key, allowed, n=1)
                hint = f"did you mean {near[0]!r}?" if near else f"allowed: {', '.join(sorted(allowed))}"
                self.fail(value, f"unknown key {key!r} of {what}; {hint}", at_key=True)

    def text(self, parent: Node, key: str, default: str = "") -> str:
        """A text of a mapping."""
        node = parent.get(key)
        if node is None:
            return default
        if node.is_mapping or node.is_list or node.value is None:
            self.fail(node, f"{key}: found {node.describe()}; allowed: a text")
            return default
        return node.text

    def mapping(self, parent: Node, key: str) -> Node | None:
        """A mapping below a mapping; None if it is absent or empty."""
        node = parent.get(key)
        if node is None or node.value is None:
            return None
        if not node.is_mapping:
            self.fail(node, f"{key}: found {node.describe()}; allowed: a mapping")
            return None
        return node

    def boolean(self, parent: Node, key: str, *, default: bool) -> bool:
        """True or false."""
        node = parent.get(key)
        if node is None:
            return default
        if not isinstance(node.value, bool):
            self.fail(node, f"{key}: found {node.describe()}; allowed: true or false")
            return default
        return node.value

    def local_path(self, node: Node, text: str) -> Path:
        """A path beside the file that names it."""
        return Path(os.path.normpath(node.source.path.parent / text.removeprefix("file:")))

    # Ports ----------------------------------------------------------------------------------------------------------

    def ports(self, parent: Node, key: str) -> dict[str, Port]:
        """The declared inputs or outputs of a component."""
        section = self.mapping(parent, key)
        ports: dict[str, Port] = {}
        for name, node in section.items() if section else ():
            if not _PORT.fullmatch(name):
                self.fail(node, f"{key} name {name!r}: allowed: letters, digits and '_', not beginning with a digit", at_key=True)
            elif not node.is_mapping:
                self.fail(node, f"{key}.{name}: found {node.describe()}; allowed: a mapping with a type")
            else:
                ports[name] = self._port(name, node, key)
        return ports

    def _port(self, name: str, node: Node, key: str) -> Port:
        self.keys(node, _PORT_KEYS, f"{key}.{name}")
        kind = self.text(node, "type")
        allowed = (*DATA_TYPES, *LITERAL_TYPES) if key == "inputs" else DATA_TYPES
        if kind not in allowed:
            self.fail(node.get("type") or node, f"{key}.{name}.type: found {kind or 'nothing'!r}; allowed: {', '.join(allowed)}")
            kind = "string" if key == "inputs" else "uri_folder"
        self._mode(node)
        enum = node.get("enum")
        default = node.get("default")
        low, high = (self._bound(node, bound) for bound in ("min", "max"))
        port = Port(
            name=name,
            type=kind,
            optional=self.boolean(node, "optional", default=False),
            default=None if default is None else default.value,
            minimum=low,
            maximum=high,
            enum=tuple(item.value for item in enum.value) if enum is not None and enum.is_list else (),
        )
        if default is not None:
            wrong = "data inputs have no default" if port.is_data else port.check(default.value)
            if wrong:
                self.fail(default, f"{key}.{name}.default: found {default.describe()}; {wrong}")
        return port

    def _bound(self, node: Node, key: str) -> float | None:
        bound = node.get(key)
        if bound is None:
            return None
        if isinstance(bound.value, bool) or not isinstance(bound.value, int | float):
            self.fail(bound, f"{key}: found {bound.describe()}; allowed: a number")
            return None
        return float(bound.value)

    def _mode(self, node: Node) -> None:
        mode = node.get("mode")
        if mode is not None and mode.value not in _MODES:
            self.fail(mode, f"mode: found {mode.describe()}; allowed: {', '.join(_MODES)}")

    # Components -----------------------------------------------------------------------------------------------------

    def component_file(self, node: Node, text: str) -> Component | None:
        """The component of a file."""
        path = self.local_path(node, text)
        if path in self._components:
            return self._components[path]
        if not path.exists():
            self.fail(node, f"component: there is no file {text!r} ({shown(path, self.root)}); mend the path")
            self._components[path] = None
            return None
        try:
            found = load_yaml(path, shown(path, self.root))
        except FileError as error:
            self.mistakes += error.mistakes
            self._components[path] = None
            return None
        self._components[path] = self.component(found)
        return self._components[path]

    def component(self, node: Node) -> Component | None:
        """A component from its own file's node."""
        if not node.is_mapping:
            self.fail(node, f"found {node.describe()}; allowed: a component, a mapping with type: command")
            return None
        kind = self.text(node, "type", "command")
        if kind != "command":
            at = node.get("type") or node
            if kind in _NODE_TYPES:
                self.refuse(at, f"a component of type {kind!r} is not run on the desk yet; allowed here: command")
            else:
                self.fail(at, f"type: found {kind!r}; allowed: command")
            return None
        self.keys(node, _COMPONENT_KEYS, "a command component", refused=("distribution",))
        inputs, outputs = self.ports(node, "inputs"), self.ports(node, "outputs")
        for name in sorted(inputs.keys() & outputs.keys()):
            section = node.get("outputs")
            self.fail(section.value[name] if section else node, f"{name!r} is an input and an output; rename one", at_key=True)
        return self._command(node, self.text(node, "name", "component"), inputs, outputs)

    def _command(self, node: Node, name: str, inputs: dict[str, Port], outputs: dict[str, Port]) -> Component | None:
        command = node.get("command")
        if command is None or not isinstance(command.value, str) or not command.value.strip():
            self.fail(command or node, "command: found nothing; allowed: the command line to run")
            return None
        self._references(command, inputs, outputs)
        code = node.get("code")
        folder = None
        if code is not None:
            folder = self.local_path(code, code.text)
            if not folder.is_dir():
                self.fail(code, f"code: there is no folder {code.text!r} ({shown(folder, self.root)}); mend the path")
        environment, conda = self._environment(node)
        self._resources(node)
        return Component(
            name=name,
            command=command.value,
            inputs=inputs,
            outputs=outputs,
            code=folder,
            environment=environment,
            conda_file=conda,
            deterministic=self.boolean(node, "is_deterministic", default=True),
        )

    def _references(self, command: Node, inputs: dict[str, Port], outputs: dict[str, Port]) -> None:
        for reference in references(command.value):
            declared = {"inputs": inputs, "outputs": outputs}.get(reference.kind)
            if declared is None:
                self.fail(command, f"command: {reference.text} is neither ${{{{inputs.NAME}}}} nor ${{{{outputs.NAME}}}}")
            elif reference.name not in declared:
                names = ", ".join(declared) or "none"
                self.fail(command, f"command: {reference.text} is not declared; {reference.kind} are: {names}")
            elif reference.kind == "inputs" and inputs[reference.name].optional and not reference.optional:
                self.fail(command, f"command: {reference.text} is optional, so it must stand inside $[[ … ]]")

    def _environment(self, node: Node) -> tuple[str, Path | None]:
        environment = node.get("environment")
        if environment is None:
            self.fail(node, "environment: found nothing; allowed: azureml:NAME:VERSION, or a mapping with an image", at_key=True)
            return "", None
        if not environment.is_mapping:
            text = self.text(node, "environment")
            if not re.fullmatch(r"azureml:[\w.-]+:[\w.-]+|azureml://registries/.+|azureml:/subscriptions/.+", text):
                self.fail(environment, f"environment: found {text!r}; allowed: azureml:NAME:VERSION (exact), or a mapping with an image")
            return text, None
        self.keys(environment, ("image", "conda_file", "name", "version", "description", "build"), "environment")
        if environment.get("image") is None and environment.get("build") is None:
            self.fail(environment, "environment: found neither image nor build; allowed: one of them")
        conda = environment.get("conda_file")
        if conda is None or conda.is_mapping:
            return self.text(environment, "image"), None
        path = self.local_path(conda, conda.text)
        if not path.exists():
            self.fail(conda, f"conda_file: there is no file {conda.text!r} ({shown(path, self.root)}); mend the path")
            return "", None
        return self.text(environment, "image"), path

    def _resources(self, node: Node) -> None:
        resources = self.mapping(node, "resources")
        count = resources.get("instance_count") if resources else None
        if count is not None and count.value != 1:
            self.refuse(count, f"resources.instance_count: found {count.describe()}; the desk is one machine: allowed here: 1")

    # The job --------------------------------------------------------------------------------------------------------

    def values(self, parent: Node, what: str, *, bindings: bool) -> dict[str, tuple[Value, Node]]:
        """The values of an `inputs` section of a job or node."""
        section = self.mapping(parent, "inputs")
        found: dict[str, tuple[Value, Node]] = {}
        for name, node in section.items() if section else ():
            value = self._value(name, node, what, bindings=bindings)
            if value is not None:
                found[name] = value, node
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
                return Literal(literal.value)
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
                self.fail(node, f"{what}.{name}: found {node.describe()}; a pipeline's own inputs have no parent to be bound to")
                return None
            return binding
        return Literal(node.value)

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
        if kind not in _NODE_TYPES:
            self.fail(node.get("type") or node, f"jobs.{name}.type: found {kind or 'nothing'!r}; allowed: {', '.join(_NODE_TYPES)}")
            return None
        if kind != "command":
            self.refuse(
                node.get("type") or node, f"node {name!r} is of type {kind!r}, which the desk does not run yet; allowed here: command"
            )
            return None
        own = node.get("component")
        if own is None:
            self.keys(node, (*_NODE_KEYS, *_COMMAND_KEYS), f"job {name!r}", refused=("distribution", "services", "queue_settings"))
            component = self._inline(name, node)
        else:
            self.keys(node, _NODE_KEYS, f"job {name!r}", refused=("distribution", "services", "queue_settings"))
            component = self._component_of(own)
        if component is None:
            return None
        self._resources(node)
        self._outputs(name, node, component)
        bound = self.values(node, f"jobs.{name}.inputs", bindings=True)
        self._bind(name, node, component, bound)
        return PipelineNode(
            name=name,
            component=component,
            inputs={key: value for key, (value, _) in bound.items()},
            environment_variables=self._variables(node),
            timeout=self._timeout(node),
            display_name=self.text(node, "display_name", name),
        )

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
            bound = not value.is_mapping and isinstance(value.value, str) and "${{" in value.value
            inputs[key] = Port(key, "uri_folder" if bound else kind)
        outputs = {key: Port(key, self.text(value, "type", "uri_folder")) for key, value in self._output_items(node)}
        return self._command(node, name, inputs, outputs)

    def _output_items(self, node: Node) -> Iterable[tuple[str, Node]]:
        section = self.mapping(node, "outputs")
        return section.items() if section else ()

    def _outputs(self, name: str, node: Node, component: Component) -> None:
        for key, value in self._output_items(node):
            if key not in component.outputs:
                self.fail(
                    value,
                    f"jobs.{name}.outputs: {key!r} is not an output of {component.name}; outputs are: {', '.join(component.outputs) or 'none'}",
                    at_key=True,
                )
            elif value.is_mapping:
                self.keys(value, ("type", "mode", "description"), f"jobs.{name}.outputs.{key}", refused=("name", "version", "path"))
            elif value.value is not None:
                self.refuse(
                    value,
                    f"jobs.{name}.outputs.{key}: found {value.describe()}; outputs of the pipeline itself are not kept on the desk yet",
                )

    def _variables(self, node: Node) -> dict[str, str]:
        section = self.mapping(node, "environment_variables")
        found: dict[str, str] = {}
        for key, value in section.items() if section else ():
            if value.is_mapping or value.is_list:
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

    def _bind(self, name: str, node: Node, component: Component, bound: dict[str, tuple[Value, Node]]) -> None:
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
            elif isinstance(value, PathInput) and not port.is_data:
                self.fail(at, f"jobs.{name}.inputs.{key}: found a path; allowed: a {port.type}")
        for key, port in component.inputs.items():
            if key not in bound and not port.optional and port.default is None:
                section = node.get("inputs")
                self.fail(
                    section or node, f"jobs.{name}.inputs: {key!r} ({port.type}) of {component.name} is required and not bound", at_key=True
                )


def load_job(path: Path, overrides: Sequence[Override] = (), root: Path | None = None) -> PipelineJob:
    """Read a pipeline job.

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
    reader = _Reader(root)
    if not top.is_mapping:
        raise FileError([top.mistake(f"found {top.describe()}; allowed: a job, a mapping with type: pipeline")])
    kind = top.get("type")
    if kind is None or kind.value != "pipeline":
        at = kind or top
        found = kind.describe() if kind else "nothing"
        if kind is not None and kind.value in _NODE_TYPES:
            raise UnsupportedError(
                [at.mistake(f"type: a job of type {found} is not run on the desk yet; allowed here: pipeline", unsupported=True)]
            )
        raise FileError([at.mistake(f"type: found {found}; allowed: pipeline")])
    job = _job(top, path, reader)
    if reader.mistakes:
        wrong = [m for m in reader.mistakes if not m.unsupported]
        raise (FileError if wrong else UnsupportedError)(reader.mistakes)
    return job


def _job(top: Node, path: Path, reader: _Reader) -> PipelineJob:
    reader.keys(top, _JOB_KEYS, "a pipeline job")
    settings = reader.mapping(top, "settings")
    if settings is not None:
        reader.keys(settings, _SETTINGS, "settings")
    inputs = reader.values(top, "inputs", bindings=False)
    section = reader.mapping(top, "jobs")
    if section is None or not section.value:
        reader.fail(top.get("jobs") or top, "jobs: found nothing; allowed: at least one node")
    nodes: dict[str, PipelineNode] = {}
    known = set(dict(section.items())) if section else set()
    for name, node in section.items() if section else ():
        found = reader.node(name, node)
        if found is not None:
            nodes[name] = found
    for name, item in nodes.items():
        _check_bindings(name, item, nodes, known, inputs, top, reader)
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
        inputs={key: value for key, (value, _) in inputs.items()},
        nodes=nodes,
        continue_on_failure=reader.boolean(settings, "continue_on_step_failure", default=False) if settings else False,
        tags={},
    )


def _check_bindings(
    name: str, item: PipelineNode, nodes: dict[str, PipelineNode], known: set[str], inputs: dict[str, Any], top: Node, reader: _Reader
) -> None:
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
    what: str, at: Node, value: ParentInput, port: Port | None, inputs: dict[str, tuple[Value, Node]], reader: _Reader
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
    elif isinstance(given, PathInput) and not port.is_data:
        reader.fail(at, f"{what}: the pipeline's input {value.name!r} is a path; allowed: a {port.type}")


def _check_node_output(what: str, at: Node, value: Binding, port: Port | None, source: PipelineNode, reader: _Reader) -> None:
    if not isinstance(value, NodeOutput):
        return
    output = source.component.outputs.get(value.name)
    if output is None:
        names = ", ".join(source.component.outputs) or "none"
        reader.fail(at, f"{what}: node {value.node!r} has no output {value.name!r}; outputs are: {names}")
    elif (port is not None and not port.is_data) or (port is not None and (port.type == "uri_file") != (output.type == "uri_file")):
        reader.fail(at, f"{what}: output {value.name!r} is a {output.type}; allowed: a {port.type}")


def shown(path: Path, root: Path) -> str:
    """A path as people should see it: relative to the root where it is below it."""
    absolute = Path(os.path.normpath(path.absolute()))
    try:
        return str(absolute.relative_to(root.resolve()))
    except ValueError:
        return str(path)
