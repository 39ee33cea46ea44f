"""What a run of a pipeline would do, as far as that can be said before it runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from lockgate.expressions import ExpressionError, Scope, UnknownValueError, evaluate, parse
from lockgate.expressions.ast import Index, Named, walk
from lockgate.expressions.ast import Literal as LiteralNode
from lockgate.expressions.values import Names, Unknown, to_string
from lockgate.pipelines.conditions import Dependencies, JobSoFar, holds
from lockgate.pipelines.model import Job, Outcome, Pipeline, Stage, Step, Variable
from lockgate.pipelines.stages import before, in_order
from lockgate.pipelines.variables import runtime_expression

Verdict = Literal["runs", "skipped", "depends"]


@dataclass
class Entry:
    """A stage, job or step of a plan.

    Attributes:
        verdict: whether it runs, as far as can be said, if all that runs before it succeeds.
        reason: why it is skipped, or what it depends on.
    """

    kind: Literal["stage", "job", "step"]
    name: str
    title: str
    verdict: Verdict = "runs"
    reason: str = ""
    notes: list[str] = field(default_factory=list)
    needs: list[str] = field(default_factory=list)
    children: list[Entry] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """For --json."""
        found: dict[str, Any] = {"name": self.name, "title": self.title, "verdict": self.verdict}
        if self.reason:
            found["reason"] = self.reason
        if self.notes:
            found["notes"] = self.notes
        if self.needs:
            found["dependsOn"] = self.needs
        inner = {"stage": "jobs", "job": "steps"}.get(self.kind)
        if inner:
            found[inner] = [child.to_dict() for child in self.children]
        return found


def make_plan(pipeline: Pipeline, predefined: Mapping[str, Any], given: Mapping[str, str], chosen: Iterable[str] = ()) -> list[Entry]:
    """The stages of a run with what is in them.

    Args:
        pipeline: the pipeline.
        predefined: predefined variables; Unknown for what is known only when it runs.
        given: variables given when it is started.
        chosen: the only stages that are to run; all if empty.
    """
    return _Planner(pipeline, predefined, given, {name.lower() for name in chosen}).stages()


def explain(condition: str, variables: Mapping[str, Any]) -> str:
    """A condition with the values of the variables in it."""
    try:
        expression = parse(condition, "condition")
    except ExpressionError:
        return condition
    seen: dict[str, str] = {}
    for part in walk(expression.root):
        if (
            isinstance(part, Index)
            and isinstance(part.target, Named)
            and part.target.name.lower() == "variables"
            and isinstance(part.index, LiteralNode)
        ):
            name = str(part.index.value)
            value = variables.get(name)
            if isinstance(value, Unknown):
                seen[name] = "not known yet"
            else:
                seen[name] = "not set" if value is None else repr(to_string(value))
    return condition + (f" with {', '.join(f'{name} {value}' for name, value in seen.items())}" if seen else "")


class _MayBeSet(Names):
    """Variables as a step sees them: what is not there may have been set by a step before."""

    def get(self, key: str, default: Any = None) -> Any:
        return super().get(key, default) if key in self else Unknown()


class _Planner:
    def __init__(self, pipeline: Pipeline, predefined: Mapping[str, Any], given: Mapping[str, str], chosen: set[str]) -> None:
        self._pipeline = pipeline
        self._base = Names(predefined).merge(given)
        self._chosen = chosen
        self._stages: dict[str, Entry] = {}

    def stages(self) -> list[Entry]:
        root = self._with(self._base, self._pipeline.variables)
        found = {stage.name.lower(): stage for stage in self._pipeline.stages}
        for stage in in_order(self._pipeline.stages):
            self._stages[stage.name.lower()] = self._stage(stage, found, root)
        return [self._stages[stage.name.lower()] for stage in self._pipeline.stages]

    def _with(self, outer: Names, variables: list[Variable]) -> Names:
        found = outer.copy()
        for variable in variables:
            inside = runtime_expression(variable.value)
            if inside is None:
                found[variable.name] = variable.value
                continue
            try:
                scope = Scope(Names({"variables": found, **_unknown_contexts()}))
                found[variable.name] = to_string(evaluate(parse(inside, "variable"), scope))
            except (UnknownValueError, ExpressionError):
                found[variable.name] = Unknown()
        return found

    def _stage(self, stage: Stage, found: Mapping[str, Stage], root: Names) -> Entry:
        entry = Entry("stage", stage.name, stage.title, needs=stage.depends_on)
        variables = self._with(root, stage.variables)
        variables["System.StageName"] = stage.name
        earlier = [self._stages[other.name.lower()] for other in before(stage, found)]
        if self._chosen:
            earlier = [other for other in earlier if other.name.lower() in self._chosen]
        if self._chosen and stage.name.lower() not in self._chosen:
            entry.verdict, entry.reason = "skipped", "not among the stages of --stage"
        else:
            self._judge(entry, stage.condition, earlier, variables)
        if stage.manual:
            entry.notes.append("waits until somebody starts it")
        environments = list(dict.fromkeys(job.deployment.environment for job in stage.jobs if job.deployment))
        if environments:
            entry.notes.append(f"environment {', '.join(environments)}")
        jobs: dict[str, Entry] = {}
        by_name = {job.name.lower(): job for job in stage.jobs}
        for job in stage.jobs:
            jobs[job.name.lower()] = self._job(job, entry, variables)
        for job in in_order(stage.jobs):
            if entry.verdict != "skipped":
                earlier = [jobs[other.name.lower()] for other in before(job, by_name)]
                self._judge(jobs[job.name.lower()], job.condition, earlier, self._with(variables, job.variables))
                if jobs[job.name.lower()].verdict == "skipped":
                    _skip_all(jobs[job.name.lower()], "its job is skipped")
        entry.children = list(jobs.values())
        return entry

    def _judge(self, entry: Entry, condition: str, earlier: list[Entry], variables: Names) -> None:
        outcomes: dict[str, Outcome] = {other.name: "Skipped" if other.verdict == "skipped" else "Succeeded" for other in earlier}
        unsure = [other.name for other in earlier if other.verdict == "depends"]
        contexts = Names(_unknown_contexts())
        try:
            true = holds(condition, Dependencies(outcomes), variables, contexts)
        except UnknownValueError:
            entry.verdict, entry.reason = "depends", f"if {explain(condition, variables)}"
            return
        except ExpressionError as error:
            entry.verdict, entry.reason = "depends", f"the condition can't be evaluated: {error}"
            return
        skipped = [name for name, outcome in outcomes.items() if outcome == "Skipped"]
        if true and unsure and not condition:
            entry.verdict, entry.reason = "depends", f"if {' and '.join(unsure)} run and succeed"
        elif not true and self._after_a_failure(condition, outcomes, variables, contexts):
            entry.verdict, entry.reason = "depends", f"if something before it fails: {condition}"
        elif not true and not condition and skipped:
            entry.verdict, entry.reason = "skipped", f"{' and '.join(skipped)} {'is' if len(skipped) == 1 else 'are'} skipped"
        elif not true:
            entry.verdict, entry.reason = "skipped", f"its condition is false: {explain(condition, variables)}"
        elif condition:
            entry.reason = f"condition: {condition}"

    @staticmethod
    def _after_a_failure(condition: str, outcomes: Mapping[str, Outcome], variables: Names, contexts: Names) -> bool:
        """Whether a condition that is false if all goes well is true if something before fails."""
        failed: list[dict[str, Outcome]] = [{**outcomes, name: "Failed"} for name, outcome in outcomes.items() if outcome != "Skipped"]
        try:
            return any(holds(condition, Dependencies(one), variables, contexts) for one in failed)
        except (UnknownValueError, ExpressionError):
            return False

    def _job(self, job: Job, stage: Entry, outer: Names) -> Entry:
        entry = Entry("job", job.name, job.title, needs=job.depends_on)
        variables = _MayBeSet(self._with(outer, job.variables))
        if stage.verdict == "skipped":
            entry.verdict, entry.reason = "skipped", "its stage is skipped"
        if job.deployment:
            entry.notes.append(f"deployment to {job.deployment.environment}, {job.deployment.strategy}")
        if job.server:
            entry.notes.append("without an agent")
        if job.strategy and job.strategy.matrix:
            entry.notes.append(f"legs: {', '.join(job.strategy.matrix)}")
        elif job.strategy and job.strategy.matrix_expression:
            entry.notes.append("legs are known when it runs")
        elif job.strategy and job.strategy.parallel:
            entry.notes.append(f"{job.strategy.parallel} equal legs")
        hooks = [(hook.name, hook.steps) for hook in job.deployment.hooks] if job.deployment else [("", job.steps)]
        for hook, steps in hooks:
            for number, step in enumerate(steps, 1):
                entry.children.append(self._step(step, hook, number, entry, variables))
        return entry

    def _step(self, step: Step, hook: str, number: int, job: Entry, variables: Names) -> Entry:
        entry = Entry("step", step.name or str(number), step.title)
        if hook:
            entry.notes.append(hook)
        if job.verdict == "skipped":
            entry.verdict, entry.reason = "skipped", "its job is skipped"
        elif not step.enabled:
            entry.verdict, entry.reason = "skipped", "enabled is false"
        elif step.condition:
            try:
                if holds(step.condition, JobSoFar("Succeeded"), variables):
                    entry.reason = f"condition: {step.condition}"
                elif number > 1 and holds(step.condition, JobSoFar("Failed"), variables):
                    entry.verdict, entry.reason = "depends", f"if something before it fails: {step.condition}"
                else:
                    entry.verdict, entry.reason = "skipped", f"its condition is false: {explain(step.condition, variables)}"
            except UnknownValueError:
                entry.verdict, entry.reason = "depends", f"if {explain(step.condition, variables)}"
            except ExpressionError as error:
                entry.verdict, entry.reason = "depends", f"the condition can't be evaluated: {error}"
        return entry


def _skip_all(entry: Entry, reason: str) -> None:
    for child in entry.children:
        child.verdict, child.reason = "skipped", reason


def _unknown_contexts() -> dict[str, Any]:
    return {name: Unknown() for name in ("dependencies", "stageDependencies", "pipeline", "resources")}
