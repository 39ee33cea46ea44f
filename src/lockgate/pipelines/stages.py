"""Stages, and how stages and jobs depend on one another."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from typing import Any, Final, TypeVar

from lockgate.errors import Mistake
from lockgate.pipelines import keys
from lockgate.pipelines.conditions import JOB_NAMES, note_unseen_dependencies, read_condition
from lockgate.pipelines.context import Context
from lockgate.pipelines.document import MappingNode, Node, Scalar, UnknownScalar, plain
from lockgate.pipelines.expansion import expand, expand_pairs
from lockgate.pipelines.fields import Fields, Pair
from lockgate.pipelines.jobs import JobReader, read_pool
from lockgate.pipelines.mistakes import Mistakes, suggestion
from lockgate.pipelines.model import DEFAULT_JOB, Job, Origin, Stage
from lockgate.pipelines.steps import NAME
from lockgate.pipelines.templates import include
from lockgate.pipelines.variables import origin_of, read_variables

T = TypeVar("T", Stage, Job)
LOCKS: Final = ("sequential", "runLatest")


class StageReader:
    """Reads lists of stages."""

    def __init__(self, jobs: JobReader) -> None:
        self._jobs = jobs

    def read(self, items: Iterable[tuple[Node, Context]], pool: Any) -> list[Stage]:
        """Stages, those of templates too; one without dependsOn waits for the one above it."""
        found: list[Stage] = []
        self._read_into(items, pool, found)
        return found

    def _read_into(self, items: Iterable[tuple[Node, Context]], pool: Any, found: list[Stage]) -> None:
        for item, context in items:
            node = expand(item, context) if isinstance(item, Scalar) else item
            if isinstance(node, UnknownScalar):
                continue
            if not isinstance(node, MappingNode):
                context.fail(node, f"found {node.describe()} as a stage; allowed: a mapping that begins with stage or template")
                continue
            pairs = list(expand_pairs(node, context))
            names = [key.text for key, _, _ in pairs]
            if "template" in names:
                if included := include(Fields(node, context, keys.REFERENCE, pairs), ("stages",)):
                    self._read_into(included[0].items("stages"), pool, found)
            elif "stage" in names:
                found.append(self._stage(node, context, pool, pairs, found))
            elif names and not context.world.unsure:
                context.fail(pairs[0][0], f"found a stage with {', '.join(names)}; allowed: it has stage or template")

    def _stage(self, node: MappingNode, context: Context, pool: Any, pairs: list[Pair], above: Sequence[Stage]) -> Stage:
        fields = Fields(node, context, keys.STAGE, pairs)
        written = fields.scalar("stage")
        name = written.text if written and written.text else f"Stage{len(above) + 1}"
        if not NAME.fullmatch(name):
            context.fail(written or node, f"stage: found {name!r}; allowed: letters, digits and _, no digit first")
        stage = Stage(name, origin_of(node, context))
        stage.display_name = fields.text("displayName")
        depends = fields.texts("dependsOn")
        if depends is None:
            stage.depends_on = [above[-1].name] if above else []
        else:
            stage.depends_on = [scalar.text for scalar in depends if scalar.text]
            stage.depends_on_origins = [origin_of(scalar, context) for scalar in depends if scalar.text]
        stage.condition = read_condition(fields, JOB_NAMES)
        note_unseen_dependencies(stage.condition, "dependencies", stage.depends_on, fields)
        stage.lock_behavior = fields.choice("lockBehavior", LOCKS)
        stage.manual = fields.choice("trigger", ("manual", "automatic"), "automatic") == "manual"
        stage.pool, _ = read_pool(fields, pool)
        for key in ("isSkippable", "group", "templateContext"):
            field = fields.field(key)
            if field is not None:
                stage.other[key] = plain(field.expanded())
        stage.variables, inner = read_variables(fields.field("variables"), context)
        stage.jobs = self._jobs.read(fields.items("jobs", inner.variables), stage.pool)
        if not stage.jobs and not (context.world.checking and "jobs" in fields):
            fields.fail(f"stage {name!r} has no jobs; write jobs: with at least one")
        return stage


def name_jobs(stages: Iterable[Stage]) -> None:
    """Give a name to every job that has none, as Azure does: Job, or Job2, Job3, … by its place."""
    for stage in stages:
        taken = {job.name.lower() for job in stage.jobs}
        for number, job in enumerate(stage.jobs, 1):
            if not job.name:
                name = DEFAULT_JOB if number == 1 else f"{DEFAULT_JOB}{number}"
                while name.lower() in taken:
                    name += "_"
                job.name = name
                taken.add(name.lower())


def check_order(stages: list[Stage], mistakes: Mistakes) -> None:
    """Note names that are there twice, dependencies on nothing, and circles."""
    _check(stages, "stage", mistakes)
    for stage in stages:
        _check(stage.jobs, "job", mistakes)


def _check(found: Sequence[T], what: str, mistakes: Mistakes) -> None:
    names: dict[str, T] = {}
    for one in found:
        other = names.setdefault(one.name.lower(), one)
        if other is not one:
            mistakes.add(_mistake(one.origin, f"there is a {what} {one.name!r} already, at {other.origin.place}; rename one"))
    graph: dict[str, set[str]] = {}
    for one in found:
        graph[one.name.lower()] = set()
        places = one.depends_on_origins or [one.origin] * len(one.depends_on)
        for need, place in zip(one.depends_on, places, strict=True):
            if need.lower() == one.name.lower():
                if one.depends_on_origins:  # Otherwise the name is there twice, which was said.
                    mistakes.add(_mistake(place, f"{what} {one.name!r} depends on itself; take it out of dependsOn"))
            elif need.lower() in names:
                graph[one.name.lower()].add(need.lower())
            else:
                hint = suggestion(need, [other.name for other in found if other is not one])
                mistakes.add(_mistake(place, f"{what} {one.name!r} depends on {need!r}, which is not there; {hint}"))
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        circle = [names[name] for name in reversed(error.args[1])]
        way = " → ".join(one.name for one in circle)
        mistakes.add(_mistake(circle[0].origin, f"{what}s depend on one another in a circle: {way}; take out one of these dependsOn"))


def _mistake(origin: Origin, message: str) -> Mistake:
    return Mistake(origin.place, message, origin.source, included=origin.included)


def in_order(found: Sequence[T]) -> list[T]:
    """Stages or jobs so that each comes after those it depends on."""
    names = {one.name.lower(): one for one in found}
    graph = {name: {need.lower() for need in one.depends_on} for name, one in names.items()}
    return [names[name] for name in TopologicalSorter(graph).static_order() if name in names]


def before(one: T, found: Mapping[str, T]) -> list[T]:
    """All that a stage or job depends on, also indirectly. `found` is by name in small letters."""
    seen: dict[str, T] = {}
    open_ = list(one.depends_on)
    while open_:
        name = open_.pop().lower()
        if name not in seen and name in found:
            seen[name] = found[name]
            open_ += found[name].depends_on
    return list(seen.values())
