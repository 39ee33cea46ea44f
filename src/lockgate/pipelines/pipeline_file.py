"""A pipeline from its file: all templates included, all expressions of `${{ }}` evaluated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lockgate.errors import FileError, Mistake, Place
from lockgate.expressions.values import Names
from lockgate.pipelines import keys
from lockgate.pipelines.context import Context, World, root_context
from lockgate.pipelines.document import MappingNode, Node, Scalar, SequenceNode, parse_document, plain
from lockgate.pipelines.fields import Fields
from lockgate.pipelines.files import SELF, File, Files
from lockgate.pipelines.jobs import JobReader, read_pool
from lockgate.pipelines.mistakes import Mistakes, suggestion
from lockgate.pipelines.model import DEFAULT_STAGE, Pipeline, Stage, Variable
from lockgate.pipelines.parameters import Parameter, bind, read_declarations
from lockgate.pipelines.resources import Resources, read_schedules, read_trigger
from lockgate.pipelines.stages import LOCKS, StageReader, check_order, name_jobs
from lockgate.pipelines.static import check_expressions
from lockgate.pipelines.task_specification import TaskCatalog
from lockgate.pipelines.templates import include
from lockgate.pipelines.variables import origin_of, read_variables
from lockgate.yaml_source import Source

BODIES = ("stages", "jobs", "steps", "extends")
_TYPES_OF_YAML = ("object", "stringList", "step", "stepList", "job", "jobList", "deployment", "deploymentList", "stage", "stageList")


@dataclass
class Request:
    """What is asked for when a pipeline is started.

    Attributes:
        parameters: name → text; YAML for parameters that are no scalars.
        variables: given when it is started, as in Azure's dialogue.
        predefined: predefined variables that are known before anything runs.
        groups: variable groups by name; None if no file of groups was given.
        repositories: alias → folder.
        checking: whether the file is only checked.
    """

    parameters: Mapping[str, str] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)
    predefined: Mapping[str, str] = field(default_factory=dict)
    groups: Mapping[str, Mapping[str, Any]] | None = None
    repositories: Mapping[str, Path] = field(default_factory=dict)
    checking: bool = False


def load_pipeline(
    path: Path, root: Path, tasks: TaskCatalog, request: Request | None = None, shown_from: Path | None = None
) -> tuple[Pipeline, Mistakes]:
    """Read a pipeline.

    Args:
        path: its file.
        root: the folder of its repository.
        tasks: the tasks there are.
        request: what is asked for.
        shown_from: folder that paths in messages are relative to; the current one if None.

    Returns:
        The pipeline, and what was found: mistakes, and what is not run on the desk. With mistakes it is not complete.

    Raises:
        FileError: the file can't be read at all.
    """
    request = request or Request()
    mistakes = Mistakes()
    files = Files({SELF: root, **request.repositories}, shown_from or Path.cwd())
    world = World(files, mistakes, request.checking, groups=request.groups)
    file = files.load_root(path)
    reader = _Reader(world, tasks, request)
    return reader.read(file), mistakes


def root_kind(node: Node) -> str:
    """What a file is: `pipeline`, `template` of steps, jobs or stages (which a pipeline may look like too), `variables`, or nothing."""
    if not isinstance(node, MappingNode):
        return ""
    names = {key.text for key, _ in node.pairs}
    body = next((name for name in BODIES if name in names), "")
    jobs = next((value for key, value in node.pairs if key.text == "jobs"), None)
    if body == "jobs" and isinstance(jobs, MappingNode):
        return ""  # An Azure ML pipeline job.
    if body:
        return "pipeline" if names - {body, "parameters"} or body == "extends" else "template"
    return "variables" if "variables" in names and names <= {"variables", "parameters"} else ""


class _Reader:
    def __init__(self, world: World, tasks: TaskCatalog, request: Request) -> None:
        self._world = world
        self._tasks = tasks
        self._request = request
        self._jobs = JobReader(tasks)
        self._stages = StageReader(self._jobs)
        self._resources = Resources()

    def read(self, file: File) -> Pipeline:
        root = file.root
        if not isinstance(root, MappingNode):
            raise FileError([Mistake(root.place(), "allowed: a mapping")])
        pipeline = Pipeline(root.source.name)
        context = root_context(self._world, file, Names(), Names(self._request.predefined))
        self._world.alone = self._request.checking and root_kind(root) in ("template", "variables")
        context = self._bound(root, context, pipeline)
        fields = Fields(root, context, keys.PIPELINE)
        kinds = [kind for kind in BODIES if kind in fields]
        if root_kind(root) == "variables":
            pipeline.variables, _ = read_variables(fields.field("variables"), context)
            return pipeline
        if len(kinds) != 1 and "phases" not in fields:
            allowed = f"allowed: exactly one of {', '.join(BODIES)}"
            context.fail(root, f"found {' and '.join(kinds) or 'nothing to run'} in a pipeline; {allowed}")
        self._resources.read(fields)
        pipeline.variables, context = read_variables(fields.field("variables"), context, root=True)
        self._check_given_variables(pipeline.variables)
        self._heading(fields, pipeline)
        if kinds:
            self._body(fields, kinds[0], context, pipeline)
        name_jobs(pipeline.stages)
        check_order(pipeline.stages, self._world.mistakes)
        self._check_sources(pipeline)
        pipeline.pipelines = self._resources.pipelines
        pipeline.repositories = self._resources.repositories
        pipeline.other.update(self._resources.other)
        pipeline.notes = [f"{place}: {message}" for message, place in self._world.notes.items()]
        return pipeline

    def _bound(self, root: MappingNode, context: Context, pipeline: Pipeline) -> Context:
        node = next((value for key, value in root.pairs if key.text == "parameters"), None)
        declared = [] if node is None else read_declarations(node, context)
        names = [parameter.name for parameter in declared]
        given: dict[str, tuple[Scalar, Node]] = {}
        for name, text in self._request.parameters.items():
            source = Source(Path(), f"-p {name}", text.splitlines(), text)
            key = Scalar(name, name, (1, 1, 1), source)
            kind = next((parameter.type for parameter in declared if parameter.name.lower() == name.lower()), "")
            if not kind:
                self._world.mistakes.add(
                    Mistake(Place(f"-p {name}", 0, 0), f"there is no parameter {name!r}; {suggestion(name, names, 'declared')}")
                )
                continue
            value: Node = Scalar(text, text, (1, 1, max(1, len(source.lines))), source)
            if kind in _TYPES_OF_YAML and text.strip():
                try:
                    value = parse_document(source)
                except FileError as error:
                    self._world.mistakes.extend(error)
                    continue
            given[name] = (key, value)

        def missing(parameter: Parameter) -> None:
            if not self._world.checking:  # Whoever runs a file that is only checked gives a value.
                message = f"parameter {parameter.name!r} ({parameter.type}) has no default; give it with -p {parameter.name}=VALUE"
                context.fail(parameter.node, message)

        bound = bind(declared, given, context, missing, strict=True)
        pipeline.parameters = {name: plain(value) for name, value in bound.items()}
        typed = not isinstance(node, MappingNode)
        inner = context.with_names(parameters=bound)
        check_expressions(root, inner, declared if typed else None)
        return inner

    def _check_given_variables(self, variables: list[Variable]) -> None:
        own = {variable.name.lower(): variable for variable in variables if not variable.group}
        for name in self._request.variables:
            if name.lower() in own:
                place = own[name.lower()].origin.place
                message = (
                    f"the pipeline sets {name!r} itself, at {place}, and Azure lets that count; change it there, or make it a parameter"
                )
                self._world.mistakes.add(Mistake(Place(f"-v {name}", 0, 0), message))

    def _heading(self, fields: Fields, pipeline: Pipeline) -> None:
        pipeline.number_format = fields.text("name") or pipeline.number_format
        pipeline.lock_behavior = fields.choice("lockBehavior", LOCKS) or pipeline.lock_behavior
        pipeline.pool, _ = read_pool(fields, pipeline.pool)
        for key in ("trigger", "pr"):
            found = read_trigger(fields, key)
            if found is not None:
                setattr(pipeline, key, found)
        pipeline.schedules = read_schedules(fields) or pipeline.schedules
        if "appendCommitMessageToRunName" in fields:
            fields.boolean("appendCommitMessageToRunName", default=True)
            pipeline.other["appendCommitMessageToRunName"] = fields.text("appendCommitMessageToRunName")

    def _body(self, fields: Fields, kind: str, context: Context, pipeline: Pipeline) -> None:
        field = fields.field(kind)
        if field is None:
            return
        if kind == "extends":
            self._extends(fields, context, pipeline)
            return
        origin = origin_of(fields.node, context)
        if kind == "stages":
            pipeline.stages = self._stages.read(fields.items("stages", context.variables), pipeline.pool)
        elif kind == "jobs":
            jobs = self._jobs.read(fields.items("jobs", context.variables), pipeline.pool)
            pipeline.stages = [Stage(DEFAULT_STAGE, origin, jobs, pool=pipeline.pool)]
        else:
            job = self._jobs.single(fields, context, pipeline.pool, origin)
            pipeline.stages = [Stage(DEFAULT_STAGE, origin, [job], pool=pipeline.pool)]
        if (
            not self._world.checking
            and not any(job.all_steps() for stage in pipeline.stages for job in stage.jobs)
            and not self._world.mistakes.wrong
            and not self._world.mistakes.unsupported
        ):
            field.fail(f"{kind}: nothing is left to run; check the conditions of ${{{{ if }}}} and the parameters")

    def _extends(self, fields: Fields, context: Context, pipeline: Pipeline) -> None:
        field = fields.field("extends")
        node = field.expanded() if field and isinstance(field.node, Scalar) else field.node if field else None
        if field is None or not isinstance(node, MappingNode):
            if field and node and isinstance(node, SequenceNode):
                field.fail(f"extends: found {node.describe()}; allowed: {{template: path, parameters: …}}")
            elif field and isinstance(node, Scalar):
                field.fail("extends: allowed: a mapping with template")
            return
        reference = Fields(node, field.context.with_name("variables", context.variables), keys.EXTENDS)
        if "template" not in reference:
            reference.fail("extends needs template:, the path of the template")
        included = include(reference, BODIES)
        if included is None:
            return
        body, inner = included
        self._resources.read(body)
        if "variables" in body:
            own, inner = read_variables(body.field("variables"), inner, root=True)
            pipeline.variables += own
        self._heading(body, pipeline)
        kinds = [kind for kind in BODIES if kind in body]
        if len(kinds) != 1:
            inner.fail(body.node, f"the template gives {' and '.join(kinds)}; allowed: exactly one of {', '.join(BODIES)}")
            return
        self._body(body, kinds[0], inner, pipeline)

    def _check_sources(self, pipeline: Pipeline) -> None:
        """Note a download from a pipeline that is not declared."""
        if self._world.alone:
            return
        aliases = [resource.alias for resource in self._resources.pipelines]
        known = {alias.lower() for alias in aliases}
        for stage in pipeline.stages:
            for job in stage.jobs:
                for step in job.all_steps():
                    source = step.inputs.get("source", "")
                    if step.task == "download" and source.lower() not in ("current", "none", *known) and "$(" not in source:
                        hint = suggestion(source, ["current", "none", *aliases])
                        message = f"download: there is no pipeline resource {source!r}; {hint}"
                        origin = step.value_origin or step.origin
                        self._world.mistakes.add(Mistake(origin.place, message, origin.source, included=origin.included))
