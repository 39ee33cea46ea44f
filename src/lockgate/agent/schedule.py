"""The order of a run: stages wait for stages and for their checks, jobs for jobs and for a free place."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from lockgate.agent.events import View
from lockgate.agent.gates import Gates
from lockgate.agent.job import JobRun, phases, signature, worst
from lockgate.agent.runs import read_json, write_json
from lockgate.agent.variables import Variables
from lockgate.errors import StateError
from lockgate.expressions import ExpressionError
from lockgate.expressions.values import Names
from lockgate.pipelines.conditions import Dependencies, holds
from lockgate.pipelines.jobs import matrix_of_json
from lockgate.pipelines.model import DEFAULT_STAGE, Job, Outcome, Stage
from lockgate.pipelines.plan import explain
from lockgate.pipelines.stages import before

if TYPE_CHECKING:
    from lockgate.agent.run import Run

_POLL: Final = 0.05
_GOOD: Final = ("Succeeded", "SucceededWithIssues")


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
    gates: Gates | None = None
    after_cancel: bool = False
    """Whether it was begun although the run was cancelled, since its condition wants it so."""


class Schedule:
    """Runs the stages and jobs of a run, all from one thread; each job has a thread of its own.

    Args:
        run: the run.
    """

    def __init__(self, run: Run) -> None:
        self._run = run
        self._ended: queue.SimpleQueue[tuple[_StageState, _JobState, JobRun, Outcome]] = queue.SimpleQueue()
        self._stages: dict[str, _StageState] = {}
        for stage in run.pipeline.stages:
            view = run.view.add("stage", stage.name, stage.title if stage.name != DEFAULT_STAGE else run.name)
            jobs: dict[str, _JobState] = {}
            for job in stage.jobs:
                state = _JobState(job, [])
                jobs[job.name.lower()] = state
                for leg in self._static_legs(job):
                    state.views.append(self._job_view(view, job, leg))
            self._stages[stage.name.lower()] = _StageState(stage, view, jobs, run.variables.copy())

    def outcomes(self) -> list[Outcome]:
        """How the stages have ended."""
        return [state.outcome or "Skipped" for state in self._stages.values()]

    def release(self) -> None:
        """Give back the locks that are left, whatever happened."""
        for state in self._stages.values():
            if state.gates is not None:
                state.gates.release()

    def _static_legs(self, job: Job) -> list[str]:
        if job.strategy and job.strategy.matrix:
            return list(job.strategy.matrix)
        if job.strategy and job.strategy.parallel.strip().isdigit():
            return [f"Job{number}" for number in range(1, int(job.strategy.parallel) + 1)]
        return [""]

    def _job_view(self, stage: View, job: Job, leg: str) -> View:
        view = stage.add("job", f"{job.name} {leg}".strip(), f"{job.title} {leg}".strip())
        for hook, steps in phases(job, self._run.resources_with_artifacts()):
            for number, step in enumerate(steps, 1):
                view.add("step", f"{hook}.{number}" if hook else str(number), f"{hook}: {step.title}" if hook else step.title)
        return view

    # The loop ------------------------------------------------------------------------------------------------------------

    def work(self) -> None:
        """Run until all has ended."""
        while True:
            self._heed_interrupts()
            progress = self._advance()
            if all(state.phase == "ended" for state in self._stages.values()):
                return
            try:
                stage, job, leg, outcome = self._ended.get(timeout=0 if progress else _POLL)
            except queue.Empty:
                self._run.tick()
                continue
            self._leg_ended(stage, job, leg, outcome)

    def _heed_interrupts(self) -> None:
        count = self._run.interrupts()
        if count and not self._run.canceled:
            self._run.canceled = True
            self._run.note("cancelling: steps that run are stopped, then those with always() run; once more to stop all at once")
            for state in self._stages.values():
                for job in state.jobs.values():
                    for leg in job.legs:
                        leg.cancel("the run was cancelled")
        if count > 1:
            self._run.hurry = True

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
        chosen = {name.lower() for name in self._run.options.stages}
        return [self._stages[other.name.lower()] for other in before(stage, found) if not chosen or other.name.lower() in chosen]

    def _direct(self, stage: Stage) -> list[_StageState]:
        """What a stage names in dependsOn: only of these it sees results and outputs."""
        names = {name.lower() for name in stage.depends_on}
        return [state for state in self._needed(stage) if state.stage.name.lower() in names]

    def _begin_stage(self, state: _StageState) -> bool:
        stage = state.stage
        if self._run.options.stages and stage.name.lower() not in {name.lower() for name in self._run.options.stages}:
            self._end_stage(state, "Skipped", "not among the stages of --stage")
            return True
        needed = self._needed(stage)
        if any(other.outcome is None for other in needed):
            return False
        outcomes: dict[str, Outcome] = {other.stage.name: other.outcome for other in needed if other.outcome}
        contexts = {
            "dependencies": self._stage_outputs(self._direct(stage)),
            "stageDependencies": self._job_outputs(self._direct(stage)),
        }
        try:
            self._run.scopes.set_block(state.variables, stage.variables, contexts, counters=True)
            state.variables.set("System.StageName", stage.name, readonly=True)
            state.variables.set("System.StageDisplayName", stage.title, readonly=True)
            true = holds(stage.condition, Dependencies(outcomes, self._run.canceled), state.variables.expanded().values, contexts)
        except (ExpressionError, StateError) as error:
            self._end_stage(state, "Abandoned", f"its condition or variables can't be evaluated: {error}")
            return True
        if not true or self._run.hurry:
            self._end_stage(
                state, "Canceled" if self._run.canceled else "Skipped", self._reason(stage.condition, outcomes, state.variables)
            )
            return True
        state.after_cancel = self._run.canceled
        state.gates = Gates(self._run, stage)
        state.phase = "gates"
        return True

    def _reason(self, condition: str, outcomes: Mapping[str, Outcome], variables: Variables) -> str:
        if self._run.canceled:
            return "the run was cancelled"
        if condition:
            return f"its condition is false: {explain(condition, variables.expanded().values)}"
        bad = [
            f"{name} {'was' if outcome in ('Skipped', 'Canceled', 'Abandoned') else 'has'} {outcome.lower()}"
            for name, outcome in outcomes.items()
            if outcome not in _GOOD
        ]
        return " and ".join(bad)

    def _pass_gates(self, state: _StageState) -> bool:
        if state.gates is None:
            return False
        verdict = state.gates.look()
        if verdict.kind == "open":
            state.phase = "running"
            state.view.begun = time.monotonic()
            self._run.change(state.view, "running", "")
            return True
        if verdict.kind == "shut":
            self._end_stage(state, verdict.outcome, verdict.detail)
            return True
        if state.view.status != verdict.kind or state.view.detail != verdict.detail:
            self._run.change(state.view, verdict.kind, verdict.detail)
        return False

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
        return job.job.server or self._running() < self._run.options.jobs

    def _begin_job(self, state: _StageState, job: _JobState) -> bool:
        found = {name: other.job for name, other in state.jobs.items()}
        needed = [state.jobs[other.name.lower()] for other in before(job.job, found)]
        if any(other.outcome is None for other in needed):
            return False
        direct = {name.lower() for name in job.job.depends_on}
        outcomes: dict[str, Outcome] = {other.job.name: other.outcome for other in needed if other.outcome}
        contexts = Names(
            {
                "dependencies": Names(
                    {
                        other.job.name: {"result": other.outcome, "outputs": other.outputs}
                        for other in needed
                        if other.job.name.lower() in direct
                    }
                ),
                "stageDependencies": self._job_outputs(self._direct(state.stage)),
                "pipeline": self._run.scopes.pipeline,
            }
        )
        variables = state.variables.copy()
        try:
            self._run.scopes.set_block(variables, job.job.variables, contexts, counters=True)
            for name, text in self._names_of(job.job).items():
                variables.set(name, text, readonly=True)
            canceled = self._run.canceled and not state.after_cancel
            true = holds(job.job.condition, Dependencies(outcomes, canceled), variables.expanded().values, contexts)
            legs = self._legs(job.job, variables, contexts) if true and not self._run.hurry else {}
        except (ExpressionError, StateError, ValueError) as error:
            self._end_job(job, "Abandoned", f"it can't be started: {error}")
            return True
        if not true or self._run.hurry:
            self._end_job(job, "Canceled" if self._run.canceled else "Skipped", self._reason(job.job.condition, outcomes, variables))
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
            "Build.BuildNumber": self._run.number,
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
            return matrix_of_json(self._run.scopes.evaluated(strategy.matrix_expression, variables, contexts))
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
        run = JobRun(self._run, job.job, key, variables, view)
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
            self._run.change(leg.view, outcome, leg.view.detail)
        if not job.pending and len(job.ended) == len(job.legs):
            job.outcome = worst(job.ended)
            self._keep_job(state, job)
        elif self._run.canceled:
            for _, _, view in job.pending:
                self._run.change(view, "Canceled", "the run was cancelled")
            job.pending = []
            if len(job.ended) == len(job.legs):
                job.outcome = "Canceled"

    def _job_file(self, state: _StageState, job: _JobState) -> Path:
        return self._run.folder.path / "state" / f"{state.stage.name}.{job.job.name}.job.json"

    def _signature(self, job: _JobState) -> list[str]:
        return [signature(step) for _, steps in phases(job.job, self._run.resources_with_artifacts()) for step in steps]

    def _keep_job(self, state: _StageState, job: _JobState) -> None:
        # What holds a secret is kept nowhere, so the job is done again when the run is resumed.
        secret = any(
            leg.variables.is_secret(key) or self._run.masker.mask(text) != text for leg in job.legs for key, text in leg.outputs.items()
        )
        kept = {"outcome": job.outcome, "signature": self._signature(job), "secret": secret, "outputs": {} if secret else dict(job.outputs)}
        write_json(self._job_file(state, job), kept)

    def _take_over(self, state: _StageState, job: _JobState) -> bool:
        """Take a job as an earlier attempt of the run did it, if it succeeded and is still the same."""
        if not self._run.resuming:
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
            self._run.change(view, kept["outcome"], "done by an earlier attempt")
        return True

    def _end_job(self, job: _JobState, outcome: Outcome, detail: str) -> None:
        job.outcome = outcome
        job.started = True
        for view in job.views:
            for step in view.children:
                step.status = "Skipped"
            if outcome == "Abandoned":
                view.issues.append({"type": "error", "message": self._run.masker.mask(detail)})
            self._run.change(view, outcome, detail)

    def _end_stage(self, state: _StageState, outcome: Outcome, detail: str) -> None:
        state.phase = "ended"
        state.outcome = outcome
        for job in state.jobs.values():
            if job.outcome is None:
                self._end_job(job, "Canceled" if outcome == "Canceled" else "Skipped", "its stage was not run")
        if state.gates is not None:
            state.gates.release()
        state.view.seconds = state.view.elapsed()
        self._run.change(state.view, outcome, detail)

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
