"""A job, or a leg of one: its folders, variables and steps, one after the other."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from lockgate.agent.runs import read_json, write_json
from lockgate.agent.step import StepRun
from lockgate.agent.task import Folders, TaskError
from lockgate.agent.variables import Expanded, Variables
from lockgate.expressions.values import Names, try_number
from lockgate.pipelines.model import Job, Origin, Outcome, Step
from lockgate.processes import end_marked

if TYPE_CHECKING:
    from lockgate.agent.events import View
    from lockgate.agent.run import Run

_DEFAULT_MINUTES: Final = 60.0
_DEFAULT_CANCEL_MINUTES: Final = 5.0
_GOOD: Final = ("Succeeded", "SucceededWithIssues")


def signature(step: Step) -> str:
    """What a step is, so that a run that is resumed knows whether it is still the same."""
    parts = [step.task, step.inputs, step.name, step.condition, step.env, step.enabled]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def worst(outcomes: list[Outcome]) -> Outcome:
    """How what consists of several has ended."""
    for outcome in ("Failed", "Abandoned", "Canceled", "SucceededWithIssues"):
        if outcome in outcomes:
            return "Failed" if outcome == "Abandoned" else outcome
    return "Skipped" if outcomes and all(outcome == "Skipped" for outcome in outcomes) else "Succeeded"


def with_added(job: Job, steps: list[Step], *, checkout: bool, download: list[str] | None) -> list[Step]:
    """The steps of the file, after those that Azure adds: a checkout in a job, downloads from `download` in a deployment."""
    origin = Origin(job.origin.place)
    added: list[Step] = []
    if checkout and not any(step.task == "checkout" for step in steps):
        added.append(Step("checkout", {"repository": "self"}, origin))
    if download is not None and not any(step.task == "download" for step in steps):
        added += [Step("download", {"source": source}, origin) for source in ("current", *download)]
    return [*added, *steps]


def phases(job: Job, sources: list[str]) -> list[tuple[str, list[Step]]]:
    """Hook and steps of each phase of a job; an ordinary job has one, without a hook."""
    if job.deployment is None:
        return [("", with_added(job, job.steps, checkout=not job.server, download=None))]
    return [
        (hook.name, with_added(job, hook.steps, checkout=False, download=sources if hook.name == "deploy" else None))
        for hook in job.deployment.hooks
    ]


class JobRun:
    """A job that is being run.

    Args:
        run: the run it belongs to.
        job: the job.
        key: its id within the run, such as `build.compile.linux`.
        variables: those it begins with.
        view: how it looks.
    """

    def __init__(self, run: Run, job: Job, key: str, variables: Variables, view: View) -> None:
        self.run = run
        self.job = job
        self.key = key
        self.view = view
        self.outcome: Outcome = "Succeeded"
        self.outputs = Names()
        self.canceled = False
        self.checkouts = 1
        self.at_end: list[Callable[[], None]] = []
        self._first = variables
        self.variables = variables
        self.folders = self._folders("")
        self._paths: list[str] = []
        self._expanded: Expanded | None = None
        self._begun = time.monotonic()
        self._canceled_at = 0.0
        self._minutes = self._number(job.timeout_minutes, _DEFAULT_MINUTES, "timeoutInMinutes")
        self._cancel_minutes = self._number(job.cancel_timeout_minutes, _DEFAULT_CANCEL_MINUTES, "cancelTimeoutInMinutes")
        self._hook = ""

    # What steps ask ----------------------------------------------------------------------------------------------------

    def expanded(self) -> Expanded:
        """The variables with macros replaced."""
        status = "Canceled" if self.canceled else self.outcome
        if self.variables.get("Agent.JobStatus") != status:
            self.variables.set("Agent.JobStatus", status, readonly=True)
        self._expanded = self.variables.expanded()
        return self._expanded

    def expand(self, text: str) -> str:
        """A text with its macros replaced."""
        return self.expanded().replace(text) if "$(" in text else text

    def environment(self, own: dict[str, str], expanded: Expanded) -> dict[str, str]:
        """What a step's processes get: this process's environment, the step's `env`, and all variables that are not secret."""
        outer = self.run.outer_environment
        path = os.pathsep.join([*self._paths, *self.run.first_on_path, str(Path(sys.executable).parent), outer.get("PATH", os.defpath)])
        marks = {"LOCKGATE_RUN": self.run.mark, "LOCKGATE_JOB": f"{self.run.mark}.{self.key}", "LOCKGATE_ROOT": str(self.run.root)}
        return {**outer, "PATH": path, **own, **expanded.environment(), **self.run.step_environment, **marks}

    def set_variable(self, step: str, name: str, text: str, *, secret: bool, output: bool, readonly: bool) -> None:
        """Set a variable; an output is seen as `step.name`, here and by what depends on the job."""
        if output:
            self.outputs[f"{step}.{name}"] = text
            self.variables.set(f"{step}.{name}", text, secret=secret, readonly=True)
        else:
            self.variables.set(name, text, secret=secret, readonly=readonly)

    def prepend_path(self, folder: str) -> None:
        """Put a folder before PATH; one that is there already comes to the front."""
        self._paths = [folder, *(path for path in self._paths if path != folder)]

    def cancel(self, reason: str) -> None:
        """End it: the step that runs is stopped, unless its own condition wants it to go on."""
        if not self.canceled:
            self._canceled_at = time.monotonic()
            self.view.detail = reason
            self.canceled = True

    def cancel_time_is_over(self) -> bool:
        """Whether the job was cancelled so long ago that nothing of it may go on. Cancels it when its own time is over."""
        if not self.canceled and self._minutes and time.monotonic() - self._begun > self._minutes * 60:
            self.cancel(f"stopped after its timeoutInMinutes of {self._minutes:g}")
            self.view.issues.append({"type": "error", "message": self.view.detail})
        return self.canceled and time.monotonic() - self._canceled_at > self._cancel_minutes * 60

    # How it runs -------------------------------------------------------------------------------------------------------

    def execute(self) -> Outcome:
        """Run all of it; never raises for what a job does."""
        self.view.begun = self._begun = time.monotonic()
        self.run.change(self.view, "running", "")
        deployment = self.job.deployment
        if deployment is None:
            self.outcome = self._phase("", self.job.steps, checkout=not self.job.server)
        else:
            self.outcome = self._deploy()
        if self.outcome == "Failed" and self.run.is_true(self.job.continue_on_error, self.variables):
            self.outcome = "SucceededWithIssues"
        self.view.seconds = self.view.elapsed()
        detail = self.view.detail if self.canceled else ""
        self.run.change(self.view, "Canceled" if self.canceled else self.outcome, detail)
        return "Canceled" if self.canceled else self.outcome

    def _deploy(self) -> Outcome:
        deployment = self.job.deployment
        if deployment is None:
            return "Succeeded"
        hooks = {hook.name: hook.steps for hook in deployment.hooks}
        cycles = {"preDeploy": "PreIteration", "on.success": "PostIteration", "on.failure": "PostIteration"}
        outcomes: list[Outcome] = []
        for name in [hook.name for hook in deployment.hooks if not hook.name.startswith("on.")]:
            if outcomes and worst(outcomes) not in _GOOD:
                self._skip_hook(name, "a hook before has failed")
                continue
            outcomes.append(self._hook_run(name, hooks[name], cycles.get(name, "Iteration")))
        after, other = ("on.success", "on.failure") if worst(outcomes) in _GOOD else ("on.failure", "on.success")
        if other in hooks:
            self._skip_hook(other, f"it runs after {'a success' if other == 'on.success' else 'a failure'} only")
        if after in hooks and not self.run.hurry:
            outcomes.append(self._hook_run(after, hooks[after], cycles[after]))
        return worst(outcomes)

    def _hook_run(self, name: str, steps: list[Step], cycle: str) -> Outcome:
        self.variables = self._first.copy()
        self.variables.set("Strategy.Name", "runOnce", readonly=True)
        self.variables.set("Strategy.CycleName", cycle, readonly=True)
        self._paths = []
        before = Names(self.outputs)
        self.outputs = Names()
        self._hook = name
        outcome = self._phase(name, steps, checkout=False, download=name == "deploy")
        own = self.outputs
        self.outputs = before
        for key, text in own.items():
            if name == "deploy":
                self.outputs[f"{self.job.name}.{key}"] = text
            if self.job.deployment and self.job.deployment.resource:
                self.outputs[f"{name}_{self.job.deployment.resource}.{key}"] = text
            self.outputs[f"{name}.{key}"] = text
        return outcome

    def _skip_hook(self, name: str, reason: str) -> None:
        for view in self.view.children:
            if view.name.startswith(f"{name}."):
                self.run.change(view, "Skipped", reason)

    def _folders(self, hook: str) -> Folders:
        base = self.run.folder.work(self.key + (f".{hook}" if hook else ""))
        temp = self.run.folder.path / "temp" / base.name
        return Folders(base, base / "s", base / "b", base / "a", base / "TestResults", temp, self.run.runs.state / "tools")

    def _prepare(self, hook: str, *, again: bool) -> None:
        """Make the folders, and the variables that name them."""
        self.folders = folders = self._folders(hook)
        if not again:
            shutil.rmtree(folders.workspace, ignore_errors=True)
        shutil.rmtree(folders.temp, ignore_errors=True)
        for folder in (folders.sources, folders.binaries, folders.staging, folders.results, folders.temp, folders.tools):
            folder.mkdir(parents=True, exist_ok=True)
        names = {
            "Agent.BuildDirectory": folders.workspace,
            "Agent.TempDirectory": folders.temp,
            "Agent.ToolsDirectory": folders.tools,
            "Agent.WorkFolder": folders.workspace.parent,
            "Build.ArtifactStagingDirectory": folders.staging,
            "Build.BinariesDirectory": folders.binaries,
            "Build.Repository.LocalPath": folders.sources,
            "Build.SourcesDirectory": folders.sources,
            "Build.StagingDirectory": folders.staging,
            "Common.TestResultsDirectory": folders.results,
            "Pipeline.Workspace": folders.workspace,
            "System.DefaultWorkingDirectory": folders.sources,
        }
        for name, folder in names.items():
            self.variables.set(name, str(folder), readonly=True)

    def _phase(self, hook: str, steps: list[Step], *, checkout: bool, download: bool = False) -> Outcome:
        """Run steps in a work folder of their own."""
        self.outcome = "Succeeded"
        self.at_end = []
        steps = with_added(self.job, steps, checkout=checkout, download=self.run.resources_with_artifacts() if download else None)
        self.checkouts = sum(1 for step in steps if step.task == "checkout" and step.inputs.get("repository", "").lower() != "none")
        path = self.run.folder.state(self.key + (f".{hook}" if hook else ""))
        done: list[dict[str, Any]] = []
        known = read_json(path) if self.run.resuming else None
        resumable = self._resumable(steps, known or [])
        try:
            self._prepare(hook, again=bool(resumable))
            views = [view for view in self.view.children if not hook or view.name.startswith(f"{hook}.")]
            for number, (step, view) in enumerate(zip(steps, views, strict=True)):
                if number < len(resumable) and step.task != "checkout":  # Files may have been mended since.
                    self._take_over(step, view, resumable[number])
                    done.append(resumable[number])
                    continue
                log = self.run.folder.path / "logs" / self.key / f"{view.name.replace('.', '-')}{'-' + step.name if step.name else ''}.txt"
                current = StepRun(self, step, view, log)
                outcome = current.execute()
                self._count(outcome)
                done.append({"signature": signature(step), "outcome": outcome, "seconds": round(view.seconds, 3), "set": current.set_here,
                             "paths": current.paths_here, "secret": current.secret_here})  # fmt: skip
                write_json(path, done)
                self.cancel_time_is_over()
            if self.outcome in _GOOD and not self.canceled:
                for action in self.at_end:
                    action()
        except TaskError as error:
            self.view.issues.append({"type": "error", "message": str(error)})
            self.outcome = "Failed"
        except OSError as error:
            self.view.issues.append({"type": "error", "message": f"{error.strerror}: {error.filename}"})
            self.outcome = "Failed"
        finally:
            end_marked(f"LOCKGATE_JOB={self.run.mark}.{self.key}")
            if self.outcome in _GOOD and not self.canceled:
                self.run.sources.give_back(self.folders.workspace)
            shutil.rmtree(self.folders.temp, ignore_errors=True)
            self.run.keep_variables(self.key + (f".{hook}" if hook else ""), self.variables)
        return self.outcome

    def _count(self, outcome: Outcome) -> None:
        """How the job stands after a step."""
        if outcome in ("Failed", "Canceled", "SucceededWithIssues") and self.outcome != "Failed":
            self.outcome = outcome

    def _resumable(self, steps: list[Step], known: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """What an earlier attempt did that need not be done again: the steps that succeeded, up to the first that is not the same any more.

        A step that set a secret is done again, and so all before it: secrets are nowhere kept.
        """
        found: list[dict[str, Any]] = []
        for step, record in zip(steps, known, strict=False):
            if record["signature"] != signature(step) or record["outcome"] not in (*_GOOD, "Skipped"):
                break
            found.append(record)
        return [] if any(record["secret"] for record in found) else found

    def _take_over(self, step: Step, view: View, record: dict[str, Any]) -> None:
        for one in record["set"]:
            self.set_variable(step.name, one["name"], one["text"], secret=one["secret"], output=one["output"], readonly=one["readonly"])
        for folder in record["paths"]:
            self.prepend_path(folder)
        if record["outcome"] == "SucceededWithIssues":
            self.outcome = "SucceededWithIssues"
        view.reused = True
        view.seconds = record["seconds"]
        self.run.change(view, record["outcome"], "done by an earlier attempt")

    def _number(self, text: str, default: float, key: str) -> float:
        written = self.run.evaluated(text, self.variables)
        number = try_number(written) if written.strip() else None
        if written.strip() and (number is None or number < 0):
            message = f"{key}: found {self.run.masker.mask(written)!r}; allowed: minutes; taken: {default:g}"
            self.view.issues.append({"type": "error", "message": message})
        return default if number is None else float(number)
