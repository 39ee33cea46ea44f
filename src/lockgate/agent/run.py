"""A run: what all its jobs share, and what is kept of it."""

from __future__ import annotations

import hashlib
import os
import select
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path

from lockgate import __version__
from lockgate.agent import approvals
from lockgate.agent.environments import Environment
from lockgate.agent.events import Status, View, Watcher
from lockgate.agent.git import Commit
from lockgate.agent.job import worst
from lockgate.agent.masking import Masker
from lockgate.agent.predefined import when_running
from lockgate.agent.runs import RunFolder, Runs, write_json
from lockgate.agent.schedule import Schedule
from lockgate.agent.scopes import Scopes
from lockgate.agent.sources import Sources
from lockgate.agent.task import Result, StepHost
from lockgate.agent.tasks import TASKS
from lockgate.agent.tasks.mapped import run_mapped
from lockgate.agent.variables import Variables
from lockgate.agent.watchdog import Watchdog
from lockgate.errors import StateError
from lockgate.expressions import ExpressionError
from lockgate.pipelines.emit import flat_yaml
from lockgate.pipelines.model import Outcome, Pipeline
from lockgate.pipelines.pipeline_file import Request
from lockgate.pipelines.task_specification import TaskCatalog, TaskSpecification
from lockgate.processes import end_marked

_RECORD_EVERY = 0.2
"""Seconds between two writings of run.json."""


@dataclass
class Options:
    """How a run is made.

    Attributes:
        jobs: how many jobs at once.
        yes: approve everything, which is recorded.
        stages: the only stages that run; all if empty.
        first_on_path: folders that come before the person's PATH.
        environment: what the processes of steps find beside everything else.
        interactive: whether a person may be asked in the terminal.
    """

    jobs: int = 1
    yes: bool = False
    stages: tuple[str, ...] = ()
    first_on_path: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    interactive: bool = False


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
        self.step_environment = options.environment
        self.outer_environment = {k: v for k, v in os.environ.items() if not k.startswith(("LOCKGATE_", "AZUREML_", "MLFLOW_"))}
        self.mark = f"{hashlib.sha256(str(root).encode()).hexdigest()[:8]}-{self.folder.id}"
        self._before = self.folder.record if self.resuming else {}
        self.attempt = int(self._before.get("attempt", 0)) + 1
        self.number = str(self._before.get("number", ""))
        self._request = request
        self._commit = commit
        self.options = options
        self._watcher = watcher
        self._catalog = catalog
        self.environments = environments
        self.interrupts = interrupts
        self._lock = threading.RLock()
        self._started_at = datetime.now(timezone.utc)
        self._kept_variables: dict[str, dict[str, str]] = {}
        self.sources = Sources(self.folder.path / "sources", {"self": root, **request.repositories}, self.runs.state / "sources")
        self.view = View("run", str(self.folder.id), name)
        self.predefined = request.predefined
        self.scopes = Scopes(
            pipeline, str(root), commit, self._started_at, self.masker, lambda prefix, seed: self.runs.count(name, prefix, seed)
        )
        self.variables = Variables()
        self._written = 0.0
        self._behind = False
        self._asked_here: str | None = None

    # What jobs and steps ask --------------------------------------------------------------------------------------------

    def change(self, view: View, status: Status, detail: str) -> None:
        """Something has another status."""
        with self._lock:
            view.status = status
            view.detail = self.masker.mask(detail)
            self._watcher.change(view)
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
            if (masked := self.masker.mask(tag)) not in self.tags:
                self.tags.append(masked)
            self._write_record()

    def keep_variables(self, key: str, variables: Variables) -> None:
        """Keep the variables that a job ended with, secrets hidden."""
        expanded = variables.expanded()
        hidden = {
            name: "***" if name.lower() in expanded.secret else self.masker.mask(text or "") for name, text in expanded.values.items()
        }
        with self._lock:
            self._kept_variables[key] = dict(sorted(hidden.items()))
            write_json(self.folder.path / "variables.json", self.masker.mask_all(self._kept_variables))

    def resources_with_artifacts(self) -> list[str]:
        """Aliases of the pipeline resources, as the file writes them."""
        return [resource.alias for resource in self.pipeline.pipelines]

    def repository_name(self, alias: str) -> str:
        """The folder that a repository is checked out to beside others: the last part of its name."""
        if alias.lower() == "self":
            return self.root.name
        body = next((body for name, body in self.pipeline.repositories.items() if name.lower() == alias.lower()), {})
        return str(body.get("name", alias)).rstrip("/").rpartition("/")[2].removesuffix(".git")

    def evaluated(self, text: str, variables: Variables) -> str:
        """A text with its macros replaced, or the value of the `$[ ]` that it is; empty if that can't be evaluated."""
        try:
            return self.scopes.evaluated(text, variables)
        except ExpressionError as error:
            self.note(f"{text} can't be evaluated: {error}")
            return ""

    def is_true(self, text: str, variables: Variables) -> bool:
        """A text such as continueOnError, once its macros and runtime expression are evaluated."""
        return self.evaluated(text, variables).strip().lower() == "true"

    def note(self, text: str) -> None:
        """Something that is said once."""
        with self._lock:
            self._watcher.note(self.masker.mask(text))

    def tick(self) -> None:
        """Time has passed."""
        with self._lock:
            self._watcher.tick(self.view)
            if self._behind:
                self._write_record()

    def answer_at_once(self, what: str) -> None:
        """Answer a question with --yes, or ask the person at the terminal."""
        if approvals.answer_of(self.folder, what) is not None:
            self._asked_here = None if self._asked_here == what else self._asked_here
            return
        if self.options.yes:
            approvals.record(self.folder, what, "approved", "--yes")
        elif self.options.interactive:
            with self._lock:
                self._ask_here(what)

    def _ask_here(self, what: str) -> None:
        """One question at a time: a line of the terminal is the answer to the one that was shown last."""
        if self._asked_here is None:
            self._asked_here = what
            self._watcher.note(f"approve {what}? type y or n, and Enter; or answer elsewhere: lockgate approve {self.folder.id}")
        if self._asked_here != what or not select.select([sys.stdin], [], [], 0)[0]:
            return
        line = sys.stdin.readline()
        if not line:
            self.options.interactive = False  # The terminal is gone; somebody may still answer elsewhere.
            return
        word = line.strip().lower()
        if word in ("y", "yes", "n", "no"):
            approvals.record(self.folder, what, "approved" if word.startswith("y") else "rejected", "prompt")
            self._asked_here = None

    # The run itself --------------------------------------------------------------------------------------------------------

    def execute(self) -> Outcome:
        """Run everything.

        Returns:
            How it ended.

        Raises:
            StateError: another process works on this run, or a variable of the pipeline can't be evaluated.
        """
        with self.folder.held():
            watchdog = Watchdog(self.mark)
            self.view.begun = time.monotonic()
            schedule: Schedule | None = None
            try:
                try:
                    self._begin()
                except StateError as error:
                    raise StateError(self.masker.mask(str(error))) from None
                schedule = Schedule(self)
                self._watcher.begin(self.view)
                for note in self.pipeline.notes:
                    self.note(note)
                schedule.work()
            finally:
                end_marked(f"LOCKGATE_RUN={self.mark}")
                if schedule is not None:
                    schedule.release()
                watchdog.dismiss()
            self.view.seconds = self.view.elapsed()
            outcome: Outcome = "Canceled" if self.canceled else worst(schedule.outcomes())
            self.view.status = outcome
            self._write_record(done=True)
            self._watcher.end(self.view)
            return outcome

    def _begin(self) -> None:
        """Set the variables that all stages begin with, and write the plan."""
        if self.resuming:
            self.sources.forget()
            approvals.ask_again(self.folder, self.attempt)
            self.tags = list(self._before.get("tags", []))
        variables = self.variables
        for name, text in self.predefined.items():
            variables.set(name, str(text), readonly=True)
        for name, text in when_running(self.root, self._commit, self.folder.id, self.number, __version__, self.attempt).items():
            variables.set(name, text, readonly=True)
        token = f"desk-token-{self.mark}"
        variables.set("System.AccessToken", token, secret=True, readonly=True)
        self.masker.add(token)
        for alias, run in self.resources.items():
            self.scopes.set_resource(variables, alias, run, self.root.name)
        for name, text in self._request.variables.items():
            variables.set(name, text)
        # A run that goes on keeps what its variables were, so that counters do not count again.
        kept = self._before.get("variables", {})
        self.scopes.set_block(variables, [own for own in self.pipeline.variables if own.secret or own.name not in kept], counters=True)
        for own in self.pipeline.variables:
            if own.name in kept and not own.secret:
                variables.set(own.name, kept[own.name], readonly=own.readonly)
        self.number = self.number or self.scopes.number(variables)
        variables.set("Build.BuildNumber", self.number, readonly=True)
        (self.folder.path / "plan.yml").write_text(self.masker.mask(flat_yaml(self.pipeline)), encoding="utf-8")
        self.view.status = "running"

    # What is kept ----------------------------------------------------------------------------------------------------------

    def _open(self, values: Mapping[str, str]) -> dict[str, str]:
        """The values without a secret in them. The others are kept nowhere, and have to be given again."""
        return {name: text for name, text in values.items() if self.masker.mask(text) == text}

    def _write_record(self, *, done: bool = False) -> None:
        """Write run.json: at most five times a second while it goes on."""
        with self._lock:
            now = time.monotonic()
            self._behind = not done and now - self._written < _RECORD_EVERY
            if self._behind:
                return  # `tick` writes it soon.
            self._written = now
            own = {one.name: self.variables.get(one.name) or "" for one in self.pipeline.variables if not one.secret}
            view = self.view.to_dict()
            write_json(
                self.folder.path / "run.json",
                self.masker.mask_all(
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
                        "given": {"parameters": self._open(self._request.parameters), "variables": self._open(self._request.variables)},
                        "variables": self._open(own),
                        "resources": {alias: run.id for alias, run in self.resources.items()},
                        "started": self._started_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
                        "ended": approvals.now() if done else "",
                        "result": self.view.status if done else "",
                        "tags": self.tags,
                        "seconds": view["seconds"],
                        "stages": view["stages"],
                    }
                ),
            )
