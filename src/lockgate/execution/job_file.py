"""Reads an Azure ML job file and all it refers to, and finds every mistake before anything starts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from lockgate.errors import FileError, UnsupportedError
from lockgate.execution.bindings import NodeOutput
from lockgate.execution.component_file import DESCRIPTIVE
from lockgate.execution.job_reader import JobReader
from lockgate.execution.overrides import Override, apply_overrides
from lockgate.execution.reader import shown
from lockgate.execution.specification import (
    Broken,
    PipelineJob,
    Saved,
)
from lockgate.workspace.specifications import check
from lockgate.workspace.store import Store
from lockgate.yaml_source import Node, load_yaml

_JOB_KEYS: Final = (
    *DESCRIPTIVE,
    "type",
    "name",
    "experiment_name",
    "inputs",
    "outputs",
    "settings",
    "jobs",
    "compute",
    "identity",
    "services",
)
_SETTINGS: Final = ("default_compute", "default_datastore", "continue_on_step_failure", "force_rerun")
_KINDS: Final = ("pipeline", "command", "automl", "parallel", "sweep", "spark")


def load_job(path: Path, overrides: Sequence[Override] = (), root: Path | None = None, store: Store | None = None) -> PipelineJob:
    """Read a job of type pipeline, command or automl.

    Args:
        path: the YAML file.
        overrides: of `--set`.
        root: paths in messages are shown relative to it; the current folder, if None.
        store: the workspace that registered components are taken from.

    Raises:
        FileError: every mistake found, with file, line and column.
        UnsupportedError: there is no mistake, but something that only Azure runs.
    """
    root = root or Path.cwd()
    top = load_yaml(path, shown(path, root))
    apply_overrides(top, overrides)
    reader = JobReader(root, store)
    if not top.is_mapping:
        raise FileError([top.mistake(f"found {top.describe()}; allowed: a job, a mapping with type: pipeline")])
    given = top.get("type")
    # Azure takes a job without a type for a command.
    kind = given.text if given is not None else "command" if top.get("command") is not None else ""
    if kind not in _KINDS:
        at = given or top
        found = given.describe() if given else "nothing"
        raise FileError([at.mistake(f"type: found {found}; allowed: {', '.join(_KINDS)}")])
    if kind == "parallel":
        raise FileError(
            [
                (given or top).mistake(
                    "type: a job of type parallel is a node of a pipeline, in Azure too; write it below jobs: of a pipeline"
                )
            ]
        )
    if kind in ("sweep", "spark"):
        check(top, kind)
        raise UnsupportedError(
            [
                (given or top).mistake(
                    f"type: a job of type {kind!r} is not run on the desk; allowed here: pipeline, command, automl", unsupported=True
                )
            ]
        )
    job = _job(top, path, reader) if kind == "pipeline" else _single(top, path, reader, kind)
    if reader.mistakes:
        wrong = [m for m in reader.mistakes if not m.unsupported]
        raise (FileError if wrong else UnsupportedError)(reader.mistakes)
    return replace(job, notes=tuple(reader.notes))


def load_component(top: Node, store: Store | None = None, root: Path | None = None) -> None:
    """Find the mistakes of a component's file.

    Raises:
        FileError: every mistake found.
        UnsupportedError: there is no mistake, but something that only Azure runs.
    """
    reader = JobReader(root or Path.cwd(), store)
    reader.component(top)
    if reader.mistakes:
        wrong = [m for m in reader.mistakes if not m.unsupported]
        raise (FileError if wrong else UnsupportedError)(reader.mistakes)


def _single(top: Node, path: Path, reader: JobReader, kind: str) -> PipelineJob:
    node = reader.single(top, kind)
    return PipelineJob(
        path=path,
        name=reader.text(top, "name"),
        display_name=reader.text(top, "display_name", path.stem),
        experiment=reader.text(top, "experiment_name", path.stem),
        inputs={},
        nodes={} if node is None else {node.name: node},
        continue_on_failure=False,
        force_rerun=True,  # Azure uses results again for steps of pipelines only.
        kind=kind,
        tags=reader.texts(top, "tags"),
        properties=reader.texts(top, "properties"),
        description=reader.text(top, "description"),
    )


def _job(top: Node, path: Path, reader: JobReader) -> PipelineJob:
    reader.keys(top, _JOB_KEYS, "a pipeline job")
    reader.services(top, "the job")
    settings = reader.mapping(top, "settings")
    if settings is not None:
        reader.keys(settings, _SETTINGS, "settings")
    inputs = reader.values(top, "inputs", bindings=False)
    section = reader.mapping(top, "outputs")
    declared = dict(section.items()) if section else {}
    types = {name: reader.text(node, "type", "uri_folder") if node.is_mapping else "uri_folder" for name, node in declared.items()}
    nodes, sources = reader.scope(top, inputs, types)
    outputs: dict[str, tuple[NodeOutput, Saved | None]] = {}
    for name, node in declared.items():
        if name not in sources:
            reader.fail(node, f"outputs.{name}: no node's output is bound to it; write ${{{{parent.outputs.{name}}}}} at one", at_key=True)
        elif node.value is not None and not node.is_mapping:
            reader.fail(node, f"outputs.{name}: found {node.describe()}; allowed: a mapping with a type")
        else:
            outputs[name] = sources[name], reader.saved(node, f"outputs.{name}", "uri_folder", name) if node.is_mapping else None
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
        outputs=outputs,
    )
