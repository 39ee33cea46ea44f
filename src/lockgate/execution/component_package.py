"""A component file with all that it refers to, in one folder: what a registered component is."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, Final

import yaml

from lockgate.errors import FileError
from lockgate.workspace.content import ignore_patterns, list_files
from lockgate.yaml_source import Node, load_yaml

FILE: Final = "component.yml"
_REGISTERED: Final = ("azureml:", "azureml://")


class _Packer:
    """Writes one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._packed: dict[Path, str] = {}

    def pack(self, top: Node, target: Path) -> dict[str, Any]:
        """Write a component and what it refers to; relative paths in it are made those of the folder."""
        plain: dict[str, Any] = top.plain()
        self._one(top, plain)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(yaml.safe_dump(plain, sort_keys=False, allow_unicode=True), encoding="utf-8")
        return plain

    def _one(self, node: Node, plain: dict[str, Any]) -> None:
        self._code(node, plain)
        task = node.get("task")
        if task is not None and task.is_mapping:
            if task.get("code") is None:
                # Then the script lies beside the file.
                task.value["code"] = Node(".", ".", task.place, task.source)
            self._code(task, plain["task"])
            self._environment(task, plain["task"])
        self._environment(node, plain)
        jobs = node.get("jobs")
        for name, job in jobs.items() if jobs is not None else ():
            component = job.get("component")
            if component is None:
                self._one(job, plain["jobs"][name])
            elif component.is_mapping:
                self._one(component, plain["jobs"][name]["component"])
            elif not component.text.startswith(_REGISTERED):
                plain["jobs"][name]["component"] = self._file(component)
            if component is not None:
                self._environment(job, plain["jobs"][name])

    def _file(self, node: Node) -> str:
        """A component file that a pipeline component refers to, as a file of the package."""
        path = (node.source.path.parent / node.text.removeprefix("file:")).resolve()
        if path not in self._packed:
            name = f"{FILE.removesuffix('.yml')}-{len(self._packed) + 1}.yml"
            self._packed[path] = f"./{name}"
            self.pack(load_yaml(path, node.text), self._folder / name)
        return self._packed[path]

    def _code(self, node: Node, plain: dict[str, Any]) -> None:
        code = node.get("code")
        if code is None or not isinstance(code.value, str) or code.text.startswith(_REGISTERED):
            return
        source = (code.source.path.parent / code.text).resolve()
        if source not in self._packed:
            name = f"code-{len(self._packed) + 1}"
            self._packed[source] = f"./{name}"
            ignore = ignore_patterns(source)
            for file in list_files(source, ignore):
                copy = self._folder / name / file.relative_to(source)
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file, copy)
        plain["code"] = self._packed[source]

    def _environment(self, node: Node, plain: dict[str, Any]) -> None:
        environment = node.get("environment")
        conda = environment.get("conda_file") if environment is not None else None
        if conda is None or not isinstance(conda.value, str):
            return
        source = (conda.source.path.parent / conda.text).resolve()
        if source not in self._packed:
            name = f"conda-{len(self._packed) + 1}.yml"
            self._packed[source] = f"./{name}"
            self._folder.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, self._folder / name)
        plain["environment"]["conda_file"] = self._packed[source]


def pack(top: Node, folder: Path) -> dict[str, Any]:
    """Write a checked component and all it refers to into a folder.

    Returns:
        The component as plain values, with the paths of the folder.

    Raises:
        FileError: a component file that it refers to is wrong.
    """
    if not top.is_mapping:
        raise FileError([top.mistake(f"found {top.describe()}; allowed: a component, a mapping with type: command")])
    return _Packer(folder).pack(top, folder / FILE)
