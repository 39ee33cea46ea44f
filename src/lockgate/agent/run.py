"""A run: stages and jobs in their order, several at once, until all has ended."""

from __future__ import annotations

import hashlib
import os
import queue
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Final, Literal

from lockgate import __version__
from lockgate.agent import approvals
from lockgate.agent.environments import Environment
from lockgate.agent.events import Status, View, Watcher
from lockgate.agent.git import Commit
from lockgate.agent.job import JobRun, phases, worst
from lockgate.agent.locks import LockTicket
from lockgate.agent.masking import Masker
from lockgate.agent.predefined import PROJECT_ID, build_number, when_running
from lockgate.agent.runs import RunFolder, Runs, read_json, write_json
from lockgate.agent.sources import Sources
from lockgate.agent.task import Result, StepHost
from lockgate.agent.tasks import TASKS
from lockgate.agent.tasks.mapped import run_mapped
from lockgate.agent.variables import Variables
from lockgate.errors import StateError
from lockgate.expressions import ExpressionError, Scope, evaluate, parse
from lockgate.expressions.values import Names, to_string
from lockgate.pipelines.conditions import Dependencies, holds
from lockgate.pipelines.emit import flat_yaml
from lockgate.pipelines.jobs import matrix_of_json
from lockgate.pipelines.model import DEFAULT_STAGE, Job, Outcome, Pipeline, Stage, Variable
from lockgate.pipelines.pipeline_file import Request
from lockgate.pipelines.plan import explain
from lockgate.pipelines.stages import before
from lockgate.pipelines.task_specification import TaskCatalog, TaskSpecification
from lockgate.pipelines.variables import runtime_expression
from lockgate.processes import end_marked

_POLL: Final = 0.05
DEFAULT_NUMBER: Final = "$(Date:yyyyMMdd).$(Rev:r)"
_GOOD: Final = ("Succeeded", "SucceededWithIssues")
# Ends what a run has started if the run's own process is killed: its pipe closes then, and nobody has written to it.
_WATCHDOG: Final = """read -r done && exit 0
for file in /proc/[0-9]*/environ; do
  if tr '\\0' '\\n' <"$file" 2>/dev/null | grep -qx "LOCKGATE_RUN=$1"; then
    pid=${file#/proc/}; kill -9 "${pid%/environ}" 2>/dev/null
  fi
done"""


@dataclass
class Options:
    """How a run is made.

    Attributes:
        jobs: how many jobs at once.
        yes: approve everything, which is recorded.
        stages: the only stages that run; all if empty.
        first_on_path: folders that come before the person's PATH.
        interactive: whether a person may be asked in the terminal.
    """

    jobs: int = 1
    yes: bool = False
    stages: tuple[str, ...] = ()
    first_on_path: tuple[str, ...] = ()
    interactive: bool = False


@dataclass
class _JobState:
    job: Job
    views: list[View]
    legs: list[JobRun] = field(default_factory=list)
    pending: list[tuple[str, dict[str, str], View]] = field(default_factory=list)
    ended: list[Outcome] = field(default_factory=list)
    outcome: Outcome | None = None
    outputs: Names = field(default_factory=Names)
    started: bool = False
    variables: Variables | None = None


@dataclass
class _StageState:
    stage: Stage
    view: View
    jobs: dict[str, _JobState]
    variables: Variables
    phase: Literal["waiting", "gates", "running", "ended"] = "waiting"
    outcome: Outcome | None = None
    questions: list[str] = field(default_factory=list)
    asked: float = 0.0
    patience: float = 0.0
    locks: list[str] = field(default_factory=list)
    tickets: list[LockTicket] = field(default_factory=list)


class Run:
    """A run of a pipeline.

    Args:
        root: the project's folder.
        pipeline: what is run.
        name: the pipeline's name.
        request: what was asked for.
        commit: where git stands.
        options: how it is run.
        watcher: who is told what happens.
        resources: alias in small letters → the run that a pipeline resource stands for.
        folder: the run to go on with; None for a new one.
    """

    def __init__(
        self,
        root: Path,
        pipeline: Pipeline,
        name: str,
        request: Request,
        commit: Commit,
        options: Options,
        watcher: Watcher,
        *,
        catalog: TaskCatalog,
        environments: Mapping[str, Environment],
        resources: Mapping[str, RunFolder],
        interrupts: Callable[[], int] = lambda: 0,
        folder: RunFolder | None = None,
    ) -> None:
        self.root = root
        self.pipeline = pipeline
        self.name = name
        self.runs = Runs(root)
        self.resuming = folder is not None
        self.folder = folder or self.runs.create()
        self.masker = Masker()
        self.resources = dict(resources)
        self.tags: list[str] = []
        self.hurry = False
        self.canceled = False
        self.first_on_path = options.first_on_path
        self.outer_environment = {k: v for k, v in os.environ.items() if not k.startswith(("LOCKGATE_", "AZUREML_", "MLFLOW_"))}
        self.mark = f"{hashlib.sha256(str(root).encode()).hexdigest()[:8]}-{self.folder.id}"
        self._before = self.folder.record if self.resuming else {}
        self.attempt = int(self._before.get("attempt", 0)) + 1
        self.number = str(self._before.get("number", ""))
        self._request = request
        self._commit = commit
        self._options = options
        self._watcher = watcher
        self._catalog = catalog
        self._environments = environments
        self._interrupts = interrupts
        self._lock = threading.RLock()
        self._ended: queue.SimpleQueue[tuple[_StageState, _JobState, JobRun, Outcome]] = queue.SimpleQueue()
        self._started_at = datetime.now(timezone.utc)
        self._kept_variables: dict[str, dict[str, str]] = {}
        self.sources = Sources(self.folder.path / "sources", {"self": root, **request.repositories})
        self.view = View("run", str(self.folder.id), name)
        self._stages: dict[str, _StageState] = {}
        self._written = 0.0
        self._asked_at_once: set[str] = set()

    # What jobs and steps ask --------------------------------------------------------------------------------------------

    def change(self, view: View, status: Status, detail: str) -> None:
        """Something has another status."""
        with self._lock:
            view.status = status
            view.detail = self.masker.mask(detail)
            self._watcher.change(view)
            if view.kind != "step":
                self._write_record()

    def line(self, view: View, text: str) -> None:
        """A step has printed a line, masked."""
        with self._lock:
            self._watcher.line(view, text)

    def task(self, reference: str) -> tuple[Callable[[StepHost], Result | None], TaskSpecification]:
        """What a task does, and its specification."""
        specification = self._catalog.find(reference)
        if specification is None:
            raise StateError(f"there is no task {reference}")
        if specification.any_input:
            return lambda host: run_mapped(host, self.root, reference), specification
        return next(task.run for task in TASKS if task.specification is specification), specification

    def set_number(self, text: str) -> None:
        """Change the run's number."""
        with self._lock:
            self.number = text
            self._write_record()

    def add_tag(self, tag: str) -> None:
        """Tag the run."""
        with self._lock:
            if tag not in self.tags:
                self.tags.append(tag)
            self._write_record()

    def keep_variables(self, key: str, variables: Variables) -> None:
        """Keep the variables that a job ended with, secrets hidden."""
        expanded = variables.expanded()
        hidden = {
            name: "***" if name.lower() in expanded.secret else self.masker.mask(text or "") for name, text in expanded.values.items()
        }
        with self._lock:
            self._kept_variables[key] = dict(sorted(hidden.items()))
            write_json(self.folder.path / "variables.json", self._kept_variables)

    def resources_with_artifacts(self) -> list[str]:
        """Aliases of the pipeline resources, as the file writes them."""
        return [resource.alias for resource in self.pipeline.pipelines]

    def repository_name(self, alias: str) -> str:
        """The folder that a repository is checked out to beside others: the last part of its name."""
        if alias.lower() == "self":
            return self.root.name
        body = next((body for name, body in self.pipeline.repositories.items() if name.lower() == alias.lower()), {})
        return str(body.get("name", alias)).rstrip("/").rpartition("/")[2].removesuffix(".git")

    def is_true(self, text: str, variables: Variables) -> bool:
        """A text such as continueOnError, once its macros and runtime expression are evaluated."""
        return self.evaluated(text, variables).strip().lower() == "true"

    def evaluated(self, text: str, variables: Variables) -> str:
        """A text with its macros replaced, or the value of the runtime expression that it is."""
        inside = runtime_expression(text)
        expanded = variables.expanded()
        if inside is None:
            return expanded.replace(text)
        try:
            return to_string(evaluate(parse(inside, "variable"), Scope(Names({"variables": expanded.values}))))
        except ExpressionError:
            return ""

    def answer_at_once(self, what: str) -> None:
        """Answer a question with --yes, or ask the person at the terminal."""
        if self._options.yes and approvals.answer_of(self.folder, what) is None:
            approvals.record(self.folder, what, "approved", "--yes")

    # The run itself --------------------------------------------------------------------------------------------------------

    def execute(self) -> Outcome:
        """Run everything.

        Returns:
            How it ended.

        Raises:
            StateError: another process works on this run.
        """
        with self.folder.held():
            watchdog = self._watchdog()
            self.view.begun = time.monotonic()
            try:
                self._begin()
                self._loop()
            finally:
                end_marked(f"LOCKGATE_RUN={self.mark}")
                for state in self._stages.values():
                    for ticket in state.tickets:
                        ticket.release()
                if watchdog.stdin is not None:
                    watchdog.stdin.write(b"done\n")
                    watchdog.stdin.close()
                watchdog.wait()
            self.view.seconds = self.view.elapsed()
            outcome = worst([state.outcome or "Skipped" for state in self._stages.values()])
            self.view.status = "Canceled" if self.canceled else outcome
            self._write_record(done=True)
            self._watcher.end(self.view)
            return "Canceled" if self.canceled else outcome

    def _watchdog(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(["/bin/sh", "-c", _WATCHDOG, "sh", self.mark], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                start_new_session=True, cwd="/")  # fmt: skip

    def _begin(self) -> None:
        if self.resuming:
            self.sources.forget()
            self.tags = list(self._before.get("tags", []))
        base = self._base_variables()
        self._views()
        (self.folder.path / "plan.yml").write_text(flat_yaml(self.pipeline), encoding="utf-8")
        for stage in self.pipeline.stages:
            state = self._stages[stage.name.lower()]
            state.variables = base.copy()
        self.view.status = "running"
        self._write_record()
        self._watcher.begin(self.view)
        for note in self.pipeline.notes:
            self._watcher.note(note)

    def _base_variables(self) -> Variables:
        """Predefined variables, those given at the start, and the pipeline's own."""
        variables = Variables()
        self.view.title = self.name
        for name, text in self._request.predefined.items():
            variables.set(name, str(text), readonly=True)
        for name, text in when_running(self.root, self._commit, self.folder.id, self.number, __version__, self.attempt).items():
            variables.set(name, text, readonly=True)
        variables.set("System.AccessToken", f"desk-token-{self.mark}", secret=True, readonly=True)
        self.masker.add(f"desk-token-{self.mark}")
        for alias, run in self.resources.items():
            self._resource_variables(variables, alias, run)
        for name, text in self._request.variables.items():
            variables.set(name, text, readonly=name.lower() == "system.debug")
        kept = self._before.get("variables")
        if kept is not None and self.resuming:
            self._set_all(variables, [v for v in self.pipeline.variables if v.name not in kept or v.secret], {}, counters=False)
            for variable in self.pipeline.variables:
                if variable.name in kept and not variable.secret:
                    variables.set(variable.name, kept[variable.name], readonly=variable.readonly)
        else:
            self._set_all(variables, self.pipeline.variables, {}, counters=True)
        if not self.number:
            self.number = self._make_number(variables)
        variables.set("Build.BuildNumber", self.number, readonly=True)
        return variables

    def _resource_variables(self, variables: Variables, alias: str, run: RunFolder) -> None:
        record = run.record
        written = next((resource.alias for resource in self.pipeline.pipelines if resource.alias.lower() == alias), alias)
        values = {
            "projectID": PROJECT_ID,
            "projectName": self.root.name,
            "pipelineName": record.get("pipeline", ""),
            "pipelineID": record.get("definition", ""),
            "runName": record.get("number", ""),
            "runID": str(run.id),
            "runURI": f"vstfs:///Build/Build/{run.id}",
            "sourceBranch": record.get("sourceBranch", ""),
            "sourceCommit": record.get("sourceVersion", ""),
            "sourceProvider": "TfsGit",
            "requestedFor": record.get("requestedFor", ""),
            "requestedForID": "00000000-0000-0000-0000-000000000000",
        }
        for name, text in values.items():
            variables.set(f"resources.pipeline.{written}.{name}", str(text), readonly=True)

    def _make_number(self, variables: Variables) -> str:
        pattern = self.pipeline.number_format or DEFAULT_NUMBER
        values = {name: text or "" for name, text in variables.expanded().values.items()}
        base = build_number(pattern, self._started_at, values, 0)
        revision = self.runs.count(self.name, f"number:{base}", 1) if "$(rev" in pattern.lower() else 1
        number = build_number(pattern, self._started_at, values, revision)
        return "".join("_" if sign in '"/:<>\\|?@*' else sign for sign in number)[:255]

    def _set_all(self, variables: Variables, block: list[Variable], contexts: Mapping[str, Any], *, counters: bool = False) -> None:
        """Set the variables of a block, in their order; a `$[ ]` sees those before it.

        Raises:
            StateError: a `$[ ]` can't be evaluated.
        """
        for variable in block:
            inside = runtime_expression(variable.value)
            text = variable.value
            if inside is not None:
                names = Names(
                    {"variables": variables.expanded().values, "pipeline": {"startTime": self._started_at}, "resources": self._resources()}
                )
                scope = Scope(names.merge(contexts))
                if counters:
                    scope.count = lambda prefix, seed: self.runs.count(self.name, prefix, seed)
                try:
                    text = to_string(evaluate(parse(inside, "variable"), scope))
                except ExpressionError as error:
                    raise StateError(
                        f"{variable.origin.place}: variable {variable.name!r} can't be evaluated: {error}: {variable.value}"
                    ) from None
            if variable.secret:
                self.masker.add(text)
            variables.set(variable.name, text, secret=variable.secret, readonly=variable.readonly)

    def _resources(self) -> dict[str, Any]:
        own = {"id": str(self.root), "name": self.root.name, "ref": self._commit.branch, "type": "git", "version": self._commit.sha}
        others = {alias: {"id": alias, "name": body.get("name", alias), "ref": body.get("ref", ""), "type": body.get("type", "git")}
                  for alias, body in self.pipeline.repositories.items()}  # fmt: skip
        return {"repositories": {"self": own, **others}}

    def _views(self) -> None:
        for stage in self.pipeline.stages:
            view = self.view.add("stage", stage.name, stage.title if stage.name != DEFAULT_STAGE else self.name)
            jobs: dict[str, _JobState] = {}
            for job in stage.jobs:
                state = _JobState(job, [])
                jobs[job.name.lower()] = state
                for leg in self._static_legs(job):
                    state.views.append(self._job_view(view, job, leg))
            self._stages[stage.name.lower()] = _StageState(stage, view, jobs, Variables())

    def _static_legs(self, job: Job) -> list[str]:
        if job.strategy and job.strategy.matrix:
            return list(job.strategy.matrix)
        if job.strategy and job.strategy.parallel.strip().isdigit():
            return [f"Job{number}" for number in range(1, int(job.strategy.parallel) + 1)]
        return [""]

    def _job_view(self, stage: View, job: Job, leg: str) -> View:
        view = stage.add("job", f"{job.name} {leg}".strip(), f"{job.title} {leg}".strip())
        for hook, steps in phases(job, self.resources_with_artifacts()):
            for number, step in enumerate(steps, 1):
                view.add("step", f"{hook}.{number}" if hook else str(number), f"{hook}: {step.title}" if hook else step.title)
        return view

    # The loop ------------------------------------------------------------------------------------------------------------

    def _loop(self) -> None:
        while True:
            self._heed_interrupts()
            progress = self._advance()
            if all(state.phase == "ended" for state in self._stages.values()):
                return
            try:
                stage, job, leg, outcome = self._ended.get(timeout=0 if progress else _POLL)
            except queue.Empty:
                with self._lock:
                    self._watcher.tick(self.view)
                continue
            self._leg_ended(stage, job, leg, outcome)

    def _heed_interrupts(self) -> None:
        count = self._interrupts()
        if count and not self.canceled:
            self.canceled = True
            self._watcher.note("cancelling: steps that run are stopped, then those with always() run; once more to stop all at once")
            for state in self._stages.values():
                for job in state.jobs.values():
                    for leg in job.legs:
                        leg.cancel("the run was cancelled")
        if count > 1:
            self.hurry = True

    def _advance(self) -> bool:
        progress = False
        for state in self._stages.values():
            if state.phase == "waiting":
                progress |= self._begin_stage(state)
            if state.phase == "gates":
                progress |= self._pass_gates(state)
            if state.phase == "running":
                progress |= self._begin_jobs(state)
        return progress

    def _needed(self, stage: Stage) -> list[_StageState]:
        found = {name: state.stage for name, state in self._stages.items()}
        chosen = {name.lower() for name in self._options.stages}
        return [self._stages[other.name.lower()] for other in before(stage, found) if not chosen or other.name.lower() in chosen]

    def _begin_stage(self, state: _StageState) -> bool:
        stage = state.stage
        if self._options.stages and stage.name.lower() not in {name.lower() for name in self._options.stages}:
            self._end_stage(state, "Skipped", "not among the stages of --stage")
            return True
        needed = self._needed(stage)
        if any(other.outcome is None for other in needed):
            return False
        outcomes: dict[str, Outcome] = {other.stage.name: other.outcome for other in needed if other.outcome}
        contexts = {
            "dependencies": self._stage_outputs(needed),
            "stageDependencies": self._job_outputs(needed),
            "pipeline": {"startTime": self._started_at},
        }
        try:
            self._set_all(state.variables, stage.variables, contexts)
            state.variables.set("System.StageName", stage.name, readonly=True)
            state.variables.set("System.StageDisplayName", stage.title, readonly=True)
            true = holds(stage.condition, Dependencies(outcomes, self.canceled), state.variables.expanded().values, contexts)
        except (ExpressionError, StateError) as error:
            self._end_stage(state, "Abandoned", f"its condition or variables can't be evaluated: {error}")
            return True
        if not true or self.hurry:
            self._end_stage(state, "Canceled" if self.canceled else "Skipped", self._reason(stage.condition, outcomes, state.variables))
            return True
        self._gates(state)
        return True

    def _reason(self, condition: str, outcomes: Mapping[str, Outcome], variables: Variables) -> str:
        if self.canceled:
            return "the run was cancelled"
        if condition:
            return f"its condition is false: {explain(condition, variables.expanded().values)}"
        bad = [
            f"{name} {'was' if outcome in ('Skipped', 'Canceled', 'Abandoned') else 'has'} {outcome.lower()}"
            for name, outcome in outcomes.items()
            if outcome not in _GOOD
        ]
        return " and ".join(bad)

    # Checks of a stage -------------------------------------------------------------------------------------------------

    def _gates(self, state: _StageState) -> None:
        stage = state.stage
        if stage.manual:
            self._question(state, f"stage {stage.name}: start", "this stage is started by hand", 43_200)
        behaviour = stage.lock_behavior or self.pipeline.lock_behavior
        if behaviour:
            state.locks.append(f"stage-{self.name}-{stage.name}")
        for name in dict.fromkeys(job.deployment.environment for job in stage.jobs if job.deployment):
            environment = self._environments.get(name.lower(), Environment(name))
            branch = self._request.predefined.get("Build.SourceBranch", "")
            if not environment.allows(branch):
                self._end_stage(
                    state,
                    "Failed",
                    f"environment {name} takes only {', '.join(environment.branches)}; this run is of {branch or 'no branch'}",
                )
                return
            if environment.approval:
                approval = environment.approval
                self._question(state, f"stage {stage.name}: environment {name}", approval.instructions, approval.timeout_minutes)
            if environment.exclusive_lock:
                state.locks.append(f"environment-{name.lower()}")
        state.locks.sort()
        state.phase = "gates"

    def _question(self, state: _StageState, what: str, instructions: str, minutes: float) -> None:
        approvals.ask(self.folder, what, instructions)
        state.questions.append(what)
        state.asked = time.monotonic()
        state.patience = minutes * 60

    def _pass_gates(self, state: _StageState) -> bool:
        if self.canceled:
            self._end_stage(state, "Canceled", "the run was cancelled")
            return True
        for what in state.questions:
            self.answer_at_once(what)
            answer = approvals.answer_of(self.folder, what)
            if answer == "rejected":
                self._end_stage(state, "Failed", f"rejected: {what}")
                return True
            if answer is None:
                if time.monotonic() - state.asked > state.patience:
                    self._end_stage(state, "Failed", f"nobody answered in time: {what}")
                    return True
                if state.view.status != "approval":
                    self.change(
                        state.view, "approval", f"waits for an approval ({what.partition(': ')[2]}): lockgate approve {self.folder.id}"
                    )
                return False
        return self._take_locks(state)

    def _take_locks(self, state: _StageState) -> bool:
        """One after the other, by name, so that two runs never wait for each other."""
        behaviour = state.stage.lock_behavior or self.pipeline.lock_behavior or "runLatest"
        while len(state.tickets) < len(state.locks) or (state.tickets and not state.tickets[-1].is_mine()):
            if not state.tickets or state.tickets[-1].is_mine():
                state.tickets.append(LockTicket(self.runs.state / "locks", state.locks[len(state.tickets)], self.folder.id))
            ticket = state.tickets[-1]
            if ticket.is_mine():
                continue
            if behaviour == "runLatest" and ticket.is_overtaken():
                self._end_stage(state, "Canceled", f"a newer run waits for {ticket.name} too, and lockBehavior is runLatest")
                return True
            if state.view.status != "lock":
                self.change(state.view, "lock", f"waits for {ticket.name}, which run {ticket.holder()} has")
            return False
        state.phase = "running"
        state.view.begun = time.monotonic()
        self.change(state.view, "running", "")
        return True

    # Jobs ----------------------------------------------------------------------------------------------------------------

    def _running(self) -> int:
        """Jobs that have an agent now; those without one take no place."""
        return sum(
            len(job.legs) - len(job.ended)
            for state in self._stages.values()
            for job in state.jobs.values()
            if job.outcome is None and not job.job.server
        )

    def _begin_jobs(self, state: _StageState) -> bool:
        progress = False
        for job in state.jobs.values():
            if job.outcome is None and not job.started:
                progress |= self._begin_job(state, job)
            while job.pending and job.outcome is None and self._has_place(job):
                self._start_leg(state, job)
                progress = True
        if all(job.outcome is not None for job in state.jobs.values()):
            self._end_stage(state, worst([job.outcome for job in state.jobs.values() if job.outcome]), "")
            progress = True
        return progress

    def _has_place(self, job: _JobState) -> bool:
        limit = job.job.strategy.max_parallel if job.job.strategy else 0
        if limit and len(job.legs) - len(job.ended) >= limit:
            return False
        return job.job.server or self._running() < self._options.jobs

    def _begin_job(self, state: _StageState, job: _JobState) -> bool:
        found = {name: other.job for name, other in state.jobs.items()}
        needed = [state.jobs[other.name.lower()] for other in before(job.job, found)]
        if any(other.outcome is None for other in needed):
            return False
        outcomes: dict[str, Outcome] = {other.job.name: other.outcome for other in needed if other.outcome}
        contexts = {
            "dependencies": {other.job.name: {"result": other.outcome, "outputs": other.outputs} for other in needed},
            "stageDependencies": self._job_outputs(self._needed(state.stage)),
            "pipeline": {"startTime": self._started_at},
        }
        contexts = {name: Names(value) for name, value in contexts.items()}
        variables = state.variables.copy()
        try:
            self._set_all(variables, job.job.variables, contexts)
            for name, text in self._names_of(job.job).items():
                variables.set(name, text, readonly=True)
            true = holds(job.job.condition, Dependencies(outcomes, self.canceled), variables.expanded().values, contexts)
            legs = self._legs(job.job, variables, contexts) if true and not self.hurry else {}
        except (ExpressionError, StateError, ValueError) as error:
            self._end_job(job, "Abandoned", f"it can't be started: {error}")
            return True
        if not true or self.hurry:
            self._end_job(job, "Canceled" if self.canceled else "Skipped", self._reason(job.job.condition, outcomes, variables))
            return True
        if self._take_over(state, job):
            return True
        if list(legs) != self._static_legs(job.job):
            state.view.children = [view for view in state.view.children if view not in job.views]
            job.views = [self._job_view(state.view, job.job, leg) for leg in legs]
        job.started = True
        job.variables = variables
        job.pending = [(leg, values, view) for (leg, values), view in zip(legs.items(), job.views, strict=True)]
        return True

    def _names_of(self, job: Job) -> dict[str, str]:
        found = {
            "Agent.JobName": job.name,
            "System.JobName": job.name,
            "System.JobDisplayName": job.title,
            "System.PhaseName": job.name,
            "System.PhaseDisplayName": job.title,
        }
        if job.deployment:
            found |= {"Environment.Name": job.deployment.environment, "Environment.Id": "1"}
            if job.deployment.resource:
                found["Environment.ResourceName"] = job.deployment.resource
        return found

    def _legs(self, job: Job, variables: Variables, contexts: Mapping[str, Any]) -> dict[str, dict[str, str]]:
        strategy = job.strategy
        if strategy is None:
            return {"": {}}
        if strategy.matrix:
            return strategy.matrix
        if strategy.matrix_expression:
            inside = runtime_expression(strategy.matrix_expression) or ""
            scope = Scope(Names({"variables": variables.expanded().values}).merge(contexts))
            return matrix_of_json(to_string(evaluate(parse(inside, "variable"), scope)))
        written = variables.expanded().replace(strategy.parallel)
        if not written.strip().isdigit() or not 1 <= int(written) <= 100:
            raise StateError(f"{strategy.origin.place}: parallel: found {written!r}; allowed: a whole number from 1 to 100")
        total = int(written)
        return {
            f"Job{number}": {"System.JobPositionInPhase": str(number), "System.TotalJobsInPhase": str(total)}
            for number in range(1, total + 1)
        }

    def _start_leg(self, state: _StageState, job: _JobState) -> None:
        leg, values, view = job.pending.pop(0)
        variables = (job.variables or state.variables).copy()
        for name, text in values.items():
            variables.set(name, text)
        key = ".".join(part for part in (state.stage.name, job.job.name, leg) if part)
        variables.set("System.JobId", key, readonly=True)
        if leg:
            variables.set("Agent.JobName", f"{job.job.name} {leg}", readonly=True)
            variables.set("System.JobName", leg, readonly=True)
        run = JobRun(self, job.job, key, variables, view)
        job.legs.append(run)

        def work() -> None:
            outcome: Outcome = "Failed"
            try:
                outcome = run.execute()
            finally:
                self._ended.put((state, job, run, outcome))

        threading.Thread(target=work, name=key, daemon=True).start()

    def _leg_ended(self, state: _StageState, job: _JobState, leg: JobRun, outcome: Outcome) -> None:
        job.ended.append(outcome)
        name = leg.key.removeprefix(f"{state.stage.name}.{job.job.name}").removeprefix(".")
        for key, text in leg.outputs.items():
            job.outputs[f"{name}.{key}" if name else key] = text
        if not leg.view.ended:
            self.change(leg.view, outcome, leg.view.detail)
        if not job.pending and len(job.ended) == len(job.legs):
            job.outcome = worst(job.ended)
            self._keep_job(state, job)
        elif self.canceled:
            for _, _, view in job.pending:
                self.change(view, "Canceled", "the run was cancelled")
            job.pending = []
            if len(job.ended) == len(job.legs):
                job.outcome = "Canceled"

    def _job_file(self, state: _StageState, job: _JobState) -> Path:
        return self.folder.path / "state" / f"{state.stage.name}.{job.job.name}.job.json"

    def _signature(self, job: _JobState) -> list[str]:
        from lockgate.agent.job import signature

        return [signature(step) for _, steps in phases(job.job, self.resources_with_artifacts()) for step in steps]

    def _keep_job(self, state: _StageState, job: _JobState) -> None:
        secret = any(leg.variables.values[key].secret for leg in job.legs for key in leg.outputs if key in leg.variables.values)
        kept = {"outcome": job.outcome, "signature": self._signature(job), "secret": secret, "outputs": {} if secret else dict(job.outputs)}
        write_json(self._job_file(state, job), kept)

    def _take_over(self, state: _StageState, job: _JobState) -> bool:
        """Take a job as an earlier attempt of the run did it, if it succeeded and is still the same."""
        if not self.resuming:
            return False
        kept = read_json(self._job_file(state, job))
        if not kept or kept["outcome"] not in _GOOD or kept["secret"] or kept["signature"] != self._signature(job):
            return False
        job.outcome = kept["outcome"]
        job.outputs = Names(kept["outputs"])
        for view in job.views:
            for step in view.children:
                step.reused = True
                step.status = "Succeeded"
            view.reused = True
            self.change(view, kept["outcome"], "done by an earlier attempt")
        return True

    def _end_job(self, job: _JobState, outcome: Outcome, detail: str) -> None:
        job.outcome = outcome
        job.started = True
        for view in job.views:
            for step in view.children:
                step.status = "Skipped"
            if outcome == "Abandoned":
                view.issues.append({"type": "error", "message": self.masker.mask(detail)})
            self.change(view, outcome, detail)

    def _end_stage(self, state: _StageState, outcome: Outcome, detail: str) -> None:
        state.phase = "ended"
        state.outcome = outcome
        for job in state.jobs.values():
            if job.outcome is None:
                self._end_job(job, "Canceled" if outcome == "Canceled" else "Skipped", "its stage was not run")
        for ticket in state.tickets:
            ticket.release()
        state.tickets = []
        state.view.seconds = state.view.elapsed()
        self.change(state.view, outcome, detail)

    def _stage_outputs(self, states: list[_StageState]) -> Names:
        found = Names()
        for state in states:
            outputs = Names()
            for job in state.jobs.values():
                for key, text in job.outputs.items():
                    outputs[f"{job.job.name}.{key}"] = text
            found[state.stage.name] = {"result": state.outcome, "outputs": outputs}
        return found

    def _job_outputs(self, states: list[_StageState]) -> Names:
        return Names({
            state.stage.name: Names({job.job.name: {"result": job.outcome, "outputs": job.outputs} for job in state.jobs.values()}) for state in states
        })  # fmt: skip

    # What is kept ----------------------------------------------------------------------------------------------------------

    def _write_record(self, *, done: bool = False) -> None:
        """Write run.json: at most five times a second while it goes on."""
        with self._lock:
            now = time.monotonic()
            if not done and now - self._written < 0.2 and self.view.children and self.view.children[0].status != "waiting":
                return
            self._written = now
            root = self._stages and next(iter(self._stages.values())).variables
            own = {v.name: root.get(v.name) or "" for v in self.pipeline.variables if not v.secret} if root else {}
            view = self.view.to_dict()
            write_json(
                self.folder.path / "run.json",
                {
                    "id": self.folder.id,
                    "pipeline": self.name,
                    "definition": self._request.predefined.get("System.DefinitionId", ""),
                    "file": self.pipeline.file,
                    "number": self.number,
                    "attempt": self.attempt,
                    "reason": self._request.predefined.get("Build.Reason", ""),
                    "requestedFor": self._request.predefined.get("Build.RequestedFor", ""),
                    "sourceBranch": self._request.predefined.get("Build.SourceBranch", ""),
                    "sourceVersion": self._commit.sha,
                    "parameters": self.pipeline.parameters,
                    "given": {"parameters": dict(self._request.parameters), "variables": dict(self._request.variables)},
                    "variables": {name: text for name, text in own.items() if self.masker.mask(text) == text},
                    "resources": {alias: run.id for alias, run in self.resources.items()},
                    "started": self._started_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
                    "ended": approvals.now() if done else "",
                    "result": self.view.status if done else "",
                    "tags": self.tags,
                    "seconds": view["seconds"],
                    "stages": view["stages"],
                },
            )
