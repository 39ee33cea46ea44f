"""A step: its condition, its task, what it prints, its time, and its further tries."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, TextIO

from lockgate.agent import approvals
from lockgate.agent.command_handlers import CommandHandlers
from lockgate.agent.logging_commands import parse_command
from lockgate.agent.masking import MaskedLines
from lockgate.agent.process import run_process
from lockgate.agent.runs import RunFolder
from lockgate.agent.task import RANK, Folders, Result, TaskError, is_true
from lockgate.expressions import ExpressionError
from lockgate.pipelines.conditions import JobSoFar, holds
from lockgate.pipelines.model import Outcome, Step
from lockgate.pipelines.plan import explain

if TYPE_CHECKING:
    from lockgate.agent.events import View
    from lockgate.agent.job import JobRun

_GRACE: Final = 5.0
_POLL: Final = 0.05
_ISSUES: Final = 10
"""Errors that are kept of a step, and warnings."""


class _StoppedError(Exception):
    """The step was told to end while its task waited."""


class StepRun:
    """A step that is being run; it is what its task sees as `StepHost`."""

    def __init__(self, job: JobRun, step: Step, view: View, log: Path) -> None:
        self.job = job
        self.step = step
        self.view = view
        self.inputs: Mapping[str, str] = {}
        self.environment: dict[str, str] = {}
        self.values: Mapping[str, Any] = {}
        self.set_here: list[dict[str, Any]] = []
        self.paths_here: list[str] = []
        self.secret_here = False
        self._log_path = log
        self._log: TextIO | None = None
        self._lines = MaskedLines(job.run.masker)
        self._commands = CommandHandlers(self)
        self.completed: Outcome | None = None
        self.command_failed = ""
        self._deadline: float | None = None
        self._timed_out = False
        self._goes_on_when_canceled: bool | None = None
        self.debug = False

    # What a task asks ------------------------------------------------------------------------------------------------

    @property
    def folders(self) -> Folders:
        """See `StepHost`."""
        return self.job.folders

    @property
    def run_folder(self) -> RunFolder:
        """See `StepHost`."""
        return self.job.run.folder

    @property
    def resuming(self) -> bool:
        """See `StepHost`."""
        return self.job.run.resuming

    def mask(self, text: str) -> str:
        """See `StepHost`."""
        return self.job.run.masker.mask(text)

    def say(self, line: str) -> None:
        """See `StepHost`."""
        command = parse_command(line)
        if command is not None:
            self._commands.follow(command)
            if not self.debug:
                return
            line = f"##[debug]Processed: {line}"
        for masked in self._lines.feed(line):
            self.write(masked)

    def issue(self, kind: Literal["error", "warning"], message: str) -> None:
        """See `StepHost`."""
        self.note_issue(kind, message)
        self.say(f"##[{kind}]{message}")

    def run(
        self, command: Sequence[str | Path], folder: Path, *, fail_on_stderr: bool = False, environment: Mapping[str, str] | None = None
    ) -> int:
        """See `StepHost`."""
        wrote: list[str] = []

        def errors(line: str) -> None:
            wrote.append(line)
            self.say(line)

        try:
            all_ = {**self.environment, **(environment or {})}
            code = run_process(command, folder, all_, self.say, errors if fail_on_stderr else None, self._stop)
        except OSError as error:
            raise TaskError(f"{Path(command[0]).name} can't be started: {error.strerror or error}") from None
        except ValueError as error:
            raise TaskError(f"{Path(command[0]).name} can't be started: {error}; is there a NUL in a variable?") from None
        if self._stop() is not None:
            raise _StoppedError
        if fail_on_stderr and wrote and not code:
            raise TaskError(f"it wrote {len(wrote)} lines to stderr, which fails it as the step says; the first: {wrote[0]}")
        return code

    def wait(self, seconds: float) -> None:
        """See `StepHost`."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            if self._stop() is not None:
                raise _StoppedError
            time.sleep(min(_POLL, left))

    def resolve(self, path: str) -> Path:
        """See `StepHost`."""
        return Path(self.values["System.DefaultWorkingDirectory"]) / path

    def set_variable(self, name: str, text: str, *, secret: bool = False, output: bool = False, readonly: bool = False) -> None:
        """See `StepHost`."""
        secret = secret or self.job.variables.is_secret(name)
        if secret:
            self.job.run.masker.add(text)
        # What holds a secret is kept nowhere, so the step is done again when the run is resumed.
        hidden = secret or self.mask(text) != text or self.mask(name) != name
        self.secret_here = self.secret_here or hidden
        self.set_here.append(
            {"name": self.mask(name), "text": "" if hidden else text, "secret": secret, "output": output, "readonly": readonly}
        )
        self.job.set_variable(self.step.name, name, text, secret=secret, output=output, readonly=readonly)

    def prepend_path(self, folder: Path) -> None:
        """See `StepHost`."""
        self.secret_here = self.secret_here or self.mask(str(folder)) != str(folder)
        self.paths_here.append(self.mask(str(folder)))
        self.job.prepend_path(str(folder))

    def at_job_end(self, action: Callable[[], None]) -> None:
        """See `StepHost`."""
        self.job.at_end.append(action)

    def folder_of_resource(self, alias: str) -> RunFolder:
        """See `StepHost`."""
        found = self.job.run.resources.get(alias.lower())
        if found is None:
            raise TaskError(f"there is no pipeline resource {alias!r}; declare it under resources.pipelines")
        return found

    def find_runs(self, pipeline: str) -> list[RunFolder]:
        """See `StepHost`."""
        return [run for run in self.job.run.runs.of_pipeline(pipeline) if run.id != self.run_folder.id and run.record.get("result")]

    def ask(self, instructions: str, timeout_minutes: float) -> bool:
        """See `StepHost`."""
        what = f"{'.'.join(self.view.path())} ({self.step.title})"
        what = self.mask(what)
        approvals.ask(self.run_folder, what, self.mask(instructions))
        self.job.run.change(self.view, "approval", f"waits for an answer: lockgate approve {self.run_folder.id}")
        until = time.monotonic() + timeout_minutes * 60
        while (answer := approvals.answer_of(self.run_folder, what)) is None:
            if time.monotonic() > until or self._timed_out_now():
                raise TimeoutError
            if self._stop() is not None:
                raise _StoppedError
            self.job.run.answer_at_once(what)
            time.sleep(_POLL)
        self.job.run.change(self.view, "running", "")
        return answer == "approved"

    # How it runs -------------------------------------------------------------------------------------------------------

    def execute(self) -> Outcome:
        """Run it, unless its condition says no."""
        run = self.job.run
        self._refresh()
        try:
            true, reason = self._wanted()
        except ExpressionError as error:
            self.view.begun = time.monotonic()
            return self._finish("Failed", f"its condition can't be evaluated: {error}: {self.step.condition}")
        if not true:
            run.change(self.view, "Skipped", reason)
            return "Skipped"
        self.view.begun = time.monotonic()
        self.view.title = self.mask(self.job.expand(self.step.title))
        run.change(self.view, "running", "")
        outcome: Outcome = "Failed"
        detail = ""
        for attempt in range(self.step.retries + 1):
            outcome, detail = self._attempt()
            if outcome != "Failed" or attempt == self.step.retries or self.job.canceled:
                break
            pause = (attempt + 1) ** 2
            self.say(f"##[warning]{detail}; trying again in {pause} s, {self.step.retries - attempt} times at most")
            self._deadline = None
            try:
                self.wait(pause)
            except _StoppedError:
                outcome, detail = "Canceled", "cancelled while it waited for its next try"
                break
        if outcome == "Failed" and is_true(self.job.expand(self.step.continue_on_error)):
            return self._finish("SucceededWithIssues", f"{detail}; goes on, as continueOnError says")
        return self._finish(outcome, detail)

    def _wanted(self) -> tuple[bool, str]:
        if not self.step.enabled:
            return False, "enabled is false"
        status = JobSoFar("Canceled" if self.job.canceled else self.job.outcome)
        if self.job.run.hurry:
            return False, "the run was stopped"
        if holds(self.step.condition, status, self.values):
            return True, ""
        if self.step.condition:
            return False, f"its condition is false: {self.mask(explain(self.step.condition, self.values))}"
        return False, "the run was cancelled" if status.outcome == "Canceled" else f"the job has {status.outcome.lower()}"

    def _refresh(self) -> None:
        """See the job's variables as they are now."""
        expanded = self.job.expanded()
        self.values = expanded.values
        self.debug = is_true(str(expanded.values.get("System.Debug", "")))
        own = {key: expanded.replace(text) for key, text in self.step.env.items()}
        self.environment = self.job.environment(own, expanded)

    def _attempt(self) -> tuple[Outcome, str]:
        self.completed = None
        self.command_failed = ""
        self._timed_out = False
        minutes = self.step.timeout_minutes
        self._deadline = time.monotonic() + minutes * 60 if minutes else None
        outcome: Outcome = "Succeeded"
        detail = ""
        try:
            found = self._run_task()
            outcome = found or "Succeeded"
        except _StoppedError:
            outcome = "Canceled"
            if self._timed_out:
                outcome, detail = "Failed", f"stopped after its timeoutInMinutes of {minutes}"
                self.note_issue("error", detail)
        except TaskError as error:
            outcome, detail = "Failed", str(error)
            if self.job.canceled and self._stop() is not None:
                outcome, detail = "Canceled", ""
            else:
                self.issue("error", detail)
        for line in self._lines.end():
            self.write(line)
        outcome, detail = self._with_commands(outcome, detail)
        return outcome, self.mask(detail)

    def _with_commands(self, outcome: Outcome, detail: str) -> tuple[Outcome, str]:
        """How it ended once the logging commands that it printed are counted in."""
        if outcome not in ("Succeeded", "SucceededWithIssues"):
            return outcome, detail
        if self.command_failed:
            return "Failed", self.command_failed
        if self.completed:
            outcome = max(outcome, self.completed, key=RANK.index)
            detail = detail or (self.view.detail if outcome != "Succeeded" else "")
        return outcome, detail

    def _run_task(self) -> Result | None:
        from lockgate.agent.builtin_steps import BUILTIN

        expanded = self.job.expanded()
        given = {name: expanded.replace(text) for name, text in self.step.inputs.items()}
        builtin = BUILTIN.get(self.step.task)
        if builtin is not None:
            self.inputs = given
            builtin(self)
            return None
        task, specification = self.job.run.task(self.step.task)
        inputs = {one.name: expanded.replace(one.default) for one in specification.inputs}
        for name, text in given.items():
            known = specification.input(name)
            inputs[known.name if known else name] = text
        self.inputs = inputs
        self._check_inputs(specification.inputs, inputs)
        for sentence in specification.check(inputs):
            raise TaskError(sentence)
        return task(self)

    def _check_inputs(self, known: Sequence[Any], inputs: Mapping[str, str]) -> None:
        """What macros came to is checked here; the rest was when the file was read."""
        for one in known:
            text = inputs[one.name]
            if one.required and not text and not one.may_be_empty:
                raise TaskError(f"{one.name} is empty; it is {one.help}")
            if one.allowed and text and text.lower() not in {word.lower() for word in one.allowed}:
                raise TaskError(f"{one.name}: found {text!r}; allowed: {', '.join(one.allowed)}")
            for value, why in one.refused:
                if text.lower() == value.lower():
                    raise TaskError(f"{one.name}: {text!r} is not run on the desk: {why}")

    def _finish(self, outcome: Outcome, detail: str) -> Outcome:
        self.view.seconds = self.view.elapsed()
        if self._log is not None:
            self._log.close()
            self._log = None
        self.job.run.change(self.view, outcome, detail)
        return outcome

    def _timed_out_now(self) -> bool:
        return self._deadline is not None and time.monotonic() > self._deadline

    def _stop(self) -> float | None:
        """None while it may go on; then the seconds that it has to end."""
        if self.job.run.hurry or self.job.cancel_time_is_over():
            return 0.0
        if self._timed_out_now():
            self._timed_out = True
            return _GRACE
        if self.job.canceled:
            if self._goes_on_when_canceled is None:
                self._goes_on_when_canceled = self._wants_to_go_on()
            if not self._goes_on_when_canceled:
                return _GRACE
        return None

    def _wants_to_go_on(self) -> bool:
        try:
            return bool(self.step.condition) and holds(self.step.condition, JobSoFar("Canceled"), self.values)
        except ExpressionError:
            return False

    # What it prints ------------------------------------------------------------------------------------------------------

    def masked(self, line: str) -> list[str]:
        """The lines that can be shown once this one is there too."""
        return self._lines.feed(line)

    def write(self, line: str) -> None:
        """Write a line, masked before, to the log."""
        if self._log is None:
            self._log_path.parent.mkdir(parents=True, exist_ok=True)
            self._log = self._log_path.open("a", encoding="utf-8", buffering=1)
            self.view.log = self._log_path
        self._log.write(f"{line}\n")
        if line.strip() and not line.startswith(("##[group]", "##[endgroup]")):
            self.view.detail = line.strip()
        self.job.run.line(self.view, line)

    def note_issue(self, kind: Literal["error", "warning"], message: str, properties: Mapping[str, str] | None = None) -> None:
        """Keep an error or warning of the step, with its place in a file."""
        place = {
            name: text for name, text in (properties or {}).items() if name in ("sourcepath", "linenumber", "columnnumber", "code") and text
        }
        if sum(1 for issue in self.view.issues if issue["type"] == kind) < _ISSUES:
            self.view.issues.append({"type": kind, "message": self.mask(message), **{k: self.mask(v) for k, v in place.items()}})
