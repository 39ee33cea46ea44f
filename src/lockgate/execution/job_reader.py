"""Reads inputs, nodes and outputs of a job, those of nested pipelines too."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

from lockgate.errors import LockgateError
from lockgate.execution import automl_file, parallel_file
from lockgate.execution.automl_file import automl_component
from lockgate.execution.binding_checks import check_bindings
from lockgate.execution.bindings import NodeOutput, parent_output, parse_binding
from lockgate.execution.component_file import COMMAND_KEYS, DESCRIPTIVE, NODE_TYPES, ComponentReader
from lockgate.execution.graph import find_cycle
from lockgate.execution.nested import flat
from lockgate.execution.parallel_file import parallel_component
from lockgate.execution.reader import shown
from lockgate.execution.specification import (
    BROKEN,
    DATA_TYPES,
    FOLDER_TYPES,
    LITERAL_TYPES,
    Broken,
    Component,
    Literal,
    NestedNode,
    PathInput,
    PipelineComponent,
    PipelineNode,
    Port,
    Saved,
    Value,
    with_article,
)
from lockgate.workspace import references
from lockgate.workspace.locate import asset_of
from lockgate.workspace.store import Store
from lockgate.yaml_source import Node

_ASSET_WORD: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,254}")
_NAME: Final = re.compile(r"[a-z_][a-z0-9_]*")
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_COMMAND_JOB_KEYS: Final = (*DESCRIPTIVE, "type", "name", "experiment_name", "command", "code", "environment", "environment_variables", "inputs",
                            "outputs", "limits", "compute", "identity", "resources", "services")  # fmt: skip
_NODE_KEYS: Final = (*DESCRIPTIVE, "type", "component", "inputs", "outputs", "environment_variables", "limits", "compute",
                     "environment", "identity", "resources", "services")  # fmt: skip
_NESTED_KEYS: Final = (*DESCRIPTIVE, "type", "component", "inputs", "outputs", "compute", "identity")
_PARALLEL_KEYS: Final = (*_NODE_KEYS, *parallel_file.KEYS)
_COMPONENT_KEYS: Final = (*DESCRIPTIVE, "type", "name", "version", "inputs", "outputs", "jobs", "is_deterministic")
_REFUSED: Final = ("distribution", "queue_settings")
AnyNode = PipelineNode | NestedNode


class JobReader(ComponentReader):
    """Reads a job's inputs and nodes.

    Args:
        root: paths in messages are shown relative to it.
        store: the workspace that registered components are taken from; None if none is known.
    """

    def __init__(self, root: Path, store: Store | None = None) -> None:
        super().__init__(root)
        self._store = store
        self._parent_outputs: dict[str, NodeOutput] = {}
        self._output_types: dict[str, str] = {}

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
        reference = references.parse(text)
        if reference.kind == "web":
            self.refuse(
                node,
                f"{what}.{name}: {text!r} is not on this machine; allowed on the desk: a local path, azureml:NAME:VERSION or azureml://…",
            )
            return None
        if reference.kind != "local":
            return PathInput(kind, None, reference, node)
        if text.startswith("azureml:") or "://" in text.removeprefix("file://"):
            forms = "azureml:NAME:VERSION, azureml:NAME@LABEL, azureml://registries/…, azureml://jobs/…/outputs/…, azureml://datastores/…/paths/…"
            self.fail(node, f"{what}.{name}: found {text!r}; allowed: {forms}, or a local path")
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

    # Nodes ---------------------------------------------------------------------------------------------------------------

    def node(self, name: str, node: Node) -> AnyNode | None:
        """A node of a pipeline."""
        if not _NAME.fullmatch(name):
            self.fail(node, f"job name {name!r}: allowed: lower-case letters, digits and '_', not beginning with a digit", at_key=True)
        if not node.is_mapping:
            self.fail(node, f"jobs.{name}: found {node.describe()}; allowed: a mapping with a type")
            return None
        own = node.get("component")
        kind = self.text(node, "type", "command" if own or node.get("command") else "")
        if kind not in NODE_TYPES:
            self.fail(node.get("type") or node, f"jobs.{name}.type: found {kind or 'nothing'!r}; allowed: {', '.join(NODE_TYPES)}")
            return None
        if kind == "automl":
            return self._automl(name, node, f"jobs.{name}", bindings=True)
        if kind not in ("command", "parallel", "pipeline"):
            allowed = "command, parallel, pipeline, automl"
            self.refuse(
                node.get("type") or node, f"node {name!r} is of type {kind!r}, which the desk does not run; allowed here: {allowed}"
            )
            return None
        if own is not None:
            component = self._component_of(own)
        elif kind == "pipeline":
            self.fail(node, f"jobs.{name}.component: found nothing; allowed: a component of type pipeline", at_key=True)
            return None
        else:
            component = self._inline(name, node, kind)
        if component is None:
            return None
        runs = "pipeline" if isinstance(component, PipelineComponent) else component.kind
        if own is not None and runs != kind:
            self.fail(node.get("type") or node, f"jobs.{name}.type: found {kind!r}; its component is of type {runs!r}: write that")
        self._node_keys(name, node, kind, component, own)
        if isinstance(component, Component) and own is not None and node.get("environment") is not None:
            environment, conda = self.environment(node)
            component = replace(component, environment=environment, conda_file=conda)
        if isinstance(component, Component) and kind != "parallel":
            self.own_resources(node)
        saved = self._outputs(f"jobs.{name}.outputs", node, component, name)
        bound = self.values(node, f"jobs.{name}.inputs", bindings=True)
        self._bind(name, node, component, bound)
        inputs = {key: value for key, (value, _) in bound.items() if not isinstance(value, Broken)}
        if isinstance(component, PipelineComponent):
            return NestedNode(name, component, inputs, saved)
        return PipelineNode(
            name=name,
            component=component,
            inputs=inputs,
            environment_variables=self._variables(node),
            timeout=self._timeout(node),
            display_name=self.text(node, "display_name", name),
            saved=saved,
        )

    def _node_keys(self, name: str, node: Node, kind: str, component: Component | PipelineComponent, own: Node | None) -> None:
        what = f"job {name!r}"
        if isinstance(component, PipelineComponent):
            self.keys(node, _NESTED_KEYS, what, refused=("environment_variables", "limits", "environment", "resources", *_REFUSED))
        elif kind == "parallel":
            # What a component file has decided is not changed by its node here.
            own_keys = parallel_file.KEYS if own is not None else ()
            self.keys(node, _PARALLEL_KEYS if own is None else _NODE_KEYS, what, refused=(*own_keys, *_REFUSED))
        else:
            self.keys(node, _NODE_KEYS if own is not None else (*_NODE_KEYS, *COMMAND_KEYS), what, refused=_REFUSED)
        self.services(node, what)

    def services(self, node: Node, what: str) -> None:
        """Note the services that are not opened."""
        services = self.mapping(node, "services")
        for name, value in services.items() if services else ():
            self.note(value, f"services.{name} of {what} is not opened on the desk")

    def _automl(self, name: str, node: Node, what: str, *, bindings: bool) -> PipelineNode | None:
        if automl_file.refuse_task(self, node, what):
            return None
        component = automl_component(self, node, name, what, self.root)
        inputs: dict[str, Value] = {}
        for key in automl_file.DATA:
            at = node.get(key)
            if at is None:
                say = self.fail if key == "training_data" else self.refuse
                say(node, f"{what}.{key}: found nothing; allowed on the desk: an mltable, as prep writes it", at_key=True)
                continue
            found = self._value(key, at, what, bindings=bindings)
            if isinstance(found, Literal):
                self.fail(at, f"{what}.{key}: found {at.describe()}; allowed: {{type: mltable, path: …}} or a binding")
            elif found is not None:
                inputs[key] = found
        if component is None:
            return None
        section = node.get("outputs")
        if section is None or section.get("best_model") is None:
            self.note(node, f"{what} has no outputs: best_model, so that nothing can use its model")
        saved = self._outputs(f"{what}.outputs", node, component, name)
        self.services(node, what)
        return PipelineNode(
            name=name,
            component=component,
            inputs=inputs,
            environment_variables=self._variables(node),
            timeout=None,
            display_name=self.text(node, "display_name", name),
            saved=saved,
        )

    def single(self, top: Node, kind: str) -> PipelineNode | None:
        """A job that is no pipeline, as the one node that it is run as."""
        if kind == "automl":
            return self._automl("automl", top, "an automl job", bindings=False)
        self.keys(top, _COMMAND_JOB_KEYS, "a command job", refused=(*_REFUSED, "parent_job_name"))
        component = self._inline("command", top, "command")
        bound = self.values(top, "inputs", bindings=False)
        if not isinstance(component, Component):
            return None
        saved = self._outputs("outputs", top, component, "command")
        self.services(top, "the job")
        return PipelineNode(
            name="command",
            component=component,
            inputs={key: value for key, (value, _) in bound.items() if not isinstance(value, Broken)},
            environment_variables=self._variables(top),
            timeout=self._timeout(top),
            display_name=self.text(top, "display_name", "command"),
            saved=saved,
        )

    # Pipelines -----------------------------------------------------------------------------------------------------------

    def pipeline_component(self, node: Node) -> PipelineComponent | None:
        """A component that is a pipeline."""
        self.keys(node, _COMPONENT_KEYS, "a pipeline component")
        ports, outputs = self.ports(node, "inputs"), self.ports(node, "outputs")
        section = node.get("inputs")
        given = {name: (port, section.value[name]) for name, port in ports.items()} if section is not None else {}
        nodes, sources = self.scope(node, given, {name: port.type for name, port in outputs.items()})
        for name in outputs.keys() - sources.keys():
            at = node.value["outputs"].value[name]
            self.fail(at, f"outputs.{name}: no node's output is bound to it; write ${{{{parent.outputs.{name}}}}} at one", at_key=True)
        if self.mistakes:
            return None
        return PipelineComponent(self.text(node, "name", "component"), ports, outputs, nodes, sources)

    def scope(
        self, top: Node, inputs: Mapping[str, tuple[Value | Broken | Port, Node]], outputs: Mapping[str, str]
    ) -> tuple[dict[str, PipelineNode], dict[str, NodeOutput]]:
        """The nodes of a pipeline, those of nested ones in their place, and which outputs its own are.

        Args:
            top: holds `jobs`.
            inputs: the pipeline's own.
            outputs: the names of its own, and their types.
        """
        outer, self._parent_outputs = self._parent_outputs, {}
        outer_types, self._output_types = self._output_types, dict(outputs)
        section = self.mapping(top, "jobs")
        jobs = top.get("jobs")
        if jobs is None or not jobs.value:
            self.fail(jobs or top, "jobs: found nothing; allowed: at least one node")
        read: dict[str, AnyNode] = {}
        known = set(dict(section.items())) if section else set()
        for name, node in section.items() if section else ():
            found = self.node(name, node)
            if found is not None:
                read[name] = found
        for name, item in read.items():
            check_bindings(name, item, read, known, inputs, top, self)
        cycle = find_cycle({name: item.needs() for name, item in read.items()})
        if cycle and section is not None:
            self.fail(
                section.value[cycle[0]], f"nodes wait for each other in a circle: {' → '.join(cycle)}; take one binding out", at_key=True
            )
        for name in self._parent_outputs.keys() - outputs.keys():
            there = ", ".join(sorted(outputs)) or "none"
            self.fail(top, f"${{{{parent.outputs.{name}}}}}: the pipeline has no output {name!r}; outputs are: {there}", at_key=True)
        bound, self._parent_outputs = self._parent_outputs, outer
        self._output_types = outer_types
        if self.mistakes:
            return {}, bound
        nodes, meant = flat(read)
        return nodes, {name: meant.get(source, source) for name, source in bound.items()}

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

    def _component_of(self, node: Node) -> Component | PipelineComponent | None:
        if node.is_mapping:
            return self.component(node)
        text = node.text
        reference = references.parse(text)
        if reference.kind in ("asset", "registry"):
            if self._store is None:
                self.refuse(
                    node, f"component: {text!r} is registered, and no workspace is known here; allowed: the path of a component file"
                )
                return None
            try:
                asset = asset_of(self._store, reference, "component")
            except LockgateError as error:
                self.fail(node, f"component: {error}")
                return None
            return self.component_file(node, str(Path(asset.path) / "component.yml"))
        return self.component_file(node, text)

    def _inline(self, name: str, node: Node, kind: str) -> Component | None:
        """The component of a node that holds its own command: its inputs are declared by being there."""
        inputs: dict[str, Port] = {}
        section = self.mapping(node, "inputs")
        for key, value in section.items() if section else ():
            type_ = self.text(value, "type", "uri_folder") if value.is_mapping else "string"
            path = value.get("path") or value
            bound = isinstance(path.value, str) and "${{" in path.value
            inputs[key] = Port(key, "" if bound else type_)
        outputs = {key: Port(key, self._type_of_output(value)) for key, value in self._output_items(node)}
        if kind == "parallel":
            return parallel_component(self, node, name, f"jobs.{name}", inputs, outputs)
        return self._command(node, name, inputs, outputs)

    def _type_of_output(self, node: Node) -> str:
        """The type of an inline node's output: its own, or that of the pipeline's output that it is."""
        path = node.get("path") if node.is_mapping else node
        parent = parent_output(path.text) if path is not None and isinstance(path.value, str) else None
        return self.text(node, "type", self._output_types.get(parent or "", "uri_folder"))

    def _output_items(self, node: Node) -> Iterable[tuple[str, Node]]:
        section = self.mapping(node, "outputs")
        return section.items() if section else ()

    def _outputs(self, what: str, node: Node, component: Component | PipelineComponent, name: str) -> dict[str, Saved]:
        """Where a node's outputs go beside its own folder; what of them is an output of the pipeline is noted in `_parent_outputs`."""
        saved: dict[str, Saved] = {}
        for key, value in self._output_items(node):
            if key not in component.outputs:
                self.fail(
                    value,
                    f"{what}: {key!r} is not an output of {component.name}; outputs are: {', '.join(component.outputs) or 'none'}",
                    at_key=True,
                )
                continue
            path = value.get("path") if value.is_mapping else value
            parent = parent_output(path.text) if path is not None and isinstance(path.value, str) else None
            if parent is not None and parent in self._parent_outputs:
                first = self._parent_outputs[parent]
                self.fail(
                    value, f"{what}.{key}: {parent!r} of the pipeline is output {first.name!r} of {first.node!r} already; bind it once"
                )
            elif parent is not None:
                self._parent_outputs[parent] = NodeOutput(name, key)
            elif not value.is_mapping and value.value is not None:
                self.fail(value, f"{what}.{key}: found {value.describe()}; allowed: ${{{{parent.outputs.NAME}}}}, or a mapping with a type")
            if value.is_mapping:
                found = self.saved(value, f"{what}.{key}", component.outputs[key].type, key, bound=parent is not None)
                if found is not None:
                    saved[key] = found
        return saved

    def saved(self, node: Node, what: str, kind: str, output: str, *, bound: bool = False) -> Saved | None:
        """Where an output goes; None if it goes nowhere beside the job's folder."""
        self.keys(node, ("type", "mode", "description", "path", "name", "version"), what)
        kind = self.text(node, "type", kind)
        if kind not in DATA_TYPES:
            self.fail(node.get("type") or node, f"{what}.type: found {kind!r}; allowed: {', '.join(DATA_TYPES)}")
        self._mode(node)
        path = node.get("path") if not bound else None
        reference = None
        if path is not None and path.value is not None:
            text = path.text.replace("${{default_datastore}}", "workspaceblobstore").replace("${{output_name}}", output)
            reference = references.parse(text)
            if reference.kind == "datastore" and any(part == ".." for part in reference.path.split("/")):
                self.fail(path, f"{what}.path: found {path.text!r}; allowed: a path within the datastore, without '..'")
            if reference.kind in ("web", "local"):
                allowed = "azureml://datastores/NAME/paths/…"
                (self.refuse if reference.kind == "web" else self.fail)(
                    path, f"{what}.path: found {path.text!r}; allowed on the desk: {allowed}"
                )
            elif reference.kind != "datastore":
                self.fail(path, f"{what}.path: found {path.text!r}; allowed: azureml://datastores/NAME/paths/…")
        name, version = self.text(node, "name"), self.text(node, "version")
        if version and not name:
            self.fail(node.value["version"], f"{what}.version: found a version without a name; name both, or none", at_key=True)
        for key, text in (("name", name), ("version", version)):
            if text and not _ASSET_WORD.fullmatch(text):
                self.fail(node.value[key], f"{what}.{key}: found {text!r}; allowed: letters, digits, '.', '-' and '_'")
        if reference is None and not name:
            return None
        return Saved(kind, reference, name, version, node)

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

    def _bind(self, name: str, node: Node, component: Component | PipelineComponent, bound: dict[str, tuple[Value | Broken, Node]]) -> None:
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
