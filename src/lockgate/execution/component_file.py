"""Reads Azure ML component files: ports, command, code, environment."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Final

from lockgate.errors import FileError
from lockgate.execution import parallel_file
from lockgate.execution.bindings import references, unclosed
from lockgate.execution.parallel_file import parallel_component
from lockgate.execution.reader import Reader, shown
from lockgate.execution.specification import DATA_TYPES, LITERAL_TYPES, Component, PipelineComponent, Port, with_article
from lockgate.yaml_source import Node, load_yaml

# Keys that say where or how Azure runs a thing, and change nothing of what it computes: taken, without effect on the desk.
DESCRIPTIVE: Final = ("$schema", "description", "tags", "display_name", "properties")
COMMAND_KEYS: Final = ("command", "code", "is_deterministic")
NODE_TYPES: Final = ("command", "automl", "parallel", "sweep", "spark", "pipeline", "import", "data_transfer")
_PORT: Final = re.compile(r"[A-Za-z_]\w*")
_KEYS: Final = (*DESCRIPTIVE, *COMMAND_KEYS, "type", "name", "version", "inputs", "outputs", "environment", "resources")
_PARALLEL_KEYS: Final = (*DESCRIPTIVE, *parallel_file.KEYS, "type", "name", "version", "inputs", "outputs")
_PORT_KEYS: Final = ("type", "description", "optional", "default", "min", "max", "enum", "mode", "path")
_MODES: Final = ("ro_mount", "rw_mount", "download", "upload", "direct", "eval_mount", "eval_download")


class ComponentReader(Reader, ABC):
    """Reads components, each file once."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self._reading: list[Path] = []
        self._components: dict[Path, Component | PipelineComponent | None] = {}

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
        low, high = (self._bound(node, bound, f"{key}.{name}", kind) for bound in ("min", "max"))
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

    def _bound(self, node: Node, key: str, what: str, kind: str) -> float | None:
        bound = node.get(key)
        if bound is None:
            return None
        if kind not in ("number", "integer"):
            self.fail(bound, f"{what}.{key}: {with_article(kind)} has no {key}; allowed for: integer, number")
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

    def component_file(self, node: Node, text: str) -> Component | PipelineComponent | None:
        """The component of a file."""
        path = self.local_path(node, text)
        if path in self._components:
            return self._components[path]
        if not path.exists():
            self.fail(node, f"component: there is no file {text!r} ({shown(path, self.root)}); mend the path")
            self._components[path] = None
            return None
        if path in self._reading:
            chain = " → ".join(shown(one, self.root) for one in (*self._reading, path))
            self.fail(node, f"component: {text!r} holds itself: {chain}; take one of them out")
            return None
        self._reading.append(path)
        try:
            self._components[path] = self.component(load_yaml(path, shown(path, self.root)))
        except FileError as error:
            self.mistakes += error.mistakes
            self._components[path] = None
        self._reading.pop()
        return self._components[path]

    def component(self, node: Node) -> Component | PipelineComponent | None:
        """A component from its own file's node."""
        if not node.is_mapping:
            self.fail(node, f"found {node.describe()}; allowed: a component, a mapping with type: command")
            return None
        kind = self.text(node, "type", "command")
        if kind == "pipeline":
            return self.pipeline_component(node)
        if kind not in ("command", "parallel"):
            at = node.get("type") or node
            if kind in NODE_TYPES:
                self.refuse(at, f"a component of type {kind!r} is not run on the desk; allowed here: command, parallel, pipeline")
            else:
                self.fail(at, f"type: found {kind!r}; allowed: command, parallel, pipeline")
            return None
        if kind == "parallel":
            self.keys(node, _PARALLEL_KEYS, "a parallel component")
        else:
            self.keys(node, _KEYS, "a command component", refused=("distribution",))
        self.mapping(node, "tags")
        inputs, outputs = self.ports(node, "inputs"), self.ports(node, "outputs")
        for name in sorted(inputs.keys() & outputs.keys()):
            section = node.get("outputs")
            self.fail(section.value[name] if section else node, f"{name!r} is an input and an output; rename one", at_key=True)
        name = self.text(node, "name", "component")
        if kind == "parallel":
            return parallel_component(self, node, name, f"component {name!r}", inputs, outputs)
        return self._command(node, name, inputs, outputs)

    @abstractmethod
    def pipeline_component(self, node: Node) -> PipelineComponent | None:
        """A component that is a pipeline: its nodes are read by whoever reads jobs."""

    def _command(self, node: Node, name: str, inputs: dict[str, Port], outputs: dict[str, Port]) -> Component | None:
        command = node.get("command")
        if command is None or not isinstance(command.value, str) or not command.value.strip():
            found = command.describe() if command is not None and command.value not in (None, "") else "nothing"
            self.fail(command or node, f"command: found {found}; allowed: the command line to run")
            return None
        self._references(command, inputs, outputs)
        code = node.get("code")
        folder = None
        if code is not None:
            folder = self.local_path(code, code.text)
            if not folder.is_dir():
                self.fail(code, f"code: there is no folder {code.text!r} ({shown(folder, self.root)}); mend the path")
        environment, conda = self.environment(node)
        self.own_resources(node)
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
        offset = unclosed(command.value)
        if offset is not None:
            piece = command.value[offset:].split(maxsplit=1)[0]
            self.fail(command, f"command: {piece!r} is not closed; allowed: ${{{{inputs.NAME}}}} or ${{{{outputs.NAME}}}}")
        for reference in references(command.value):
            declared = {"inputs": inputs, "outputs": outputs}.get(reference.kind)
            if declared is None:
                self.fail(command, f"command: {reference.text} is neither ${{{{inputs.NAME}}}} nor ${{{{outputs.NAME}}}}")
            elif reference.name not in declared:
                names = ", ".join(declared) or "none"
                self.fail(command, f"command: {reference.text} is not declared; {reference.kind} are: {names}")
            elif reference.kind == "inputs" and inputs[reference.name].optional and not reference.optional:
                self.fail(command, f"command: {reference.text} is optional, so it must stand inside $[[ … ]]")

    def environment(self, node: Node) -> tuple[str, Path | None]:
        """The environment of a component: its reference or image, and its conda file."""
        environment = node.get("environment")
        if environment is None:
            self.fail(node, "environment: found nothing; allowed: azureml:NAME:VERSION, or a mapping with an image", at_key=True)
            return "", None
        if not environment.is_mapping:
            text = self.text(node, "environment")
            if not re.fullmatch(r"azureml:[\w.-]+(?::[\w.-]+|@[\w.-]+)|azureml://registries/.+|azureml:/subscriptions/.+", text):
                self.fail(environment, f"environment: found {text!r}; allowed: azureml:NAME:VERSION, or a mapping with an image")
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

    def own_resources(self, node: Node, *, several: bool = False) -> None:
        """Check `resources`; several instances are processes, where that is what they are for."""
        resources = self.mapping(node, "resources")
        count = resources.get("instance_count") if resources else None
        if count is not None and count.value != 1 and not several:
            self.refuse(count, f"resources.instance_count: found {count.describe()}; the desk is one machine: allowed here: 1")
