"""What a task is: its specification and what it does; and what it gets to do it with."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol

from lockgate.errors import LockgateError
from lockgate.pipelines.model import Outcome
from lockgate.pipelines.task_specification import TaskSpecification

if TYPE_CHECKING:
    from lockgate.agent.runs import RunFolder

Result = Literal["Succeeded", "SucceededWithIssues", "Failed", "Canceled", "Skipped"]
RANK: Final[tuple[Outcome, ...]] = ("Succeeded", "SucceededWithIssues", "Failed", "Canceled", "Skipped")
"""How a step can end, the worse after the better."""


class TaskError(LockgateError):
    """A task failed; the sentence says why and what to do. The step fails with it."""

    code = "TaskFailed"


@dataclass(frozen=True)
class Folders:
    """The folders of a job, laid out as an agent does."""

    workspace: Path
    sources: Path
    binaries: Path
    staging: Path
    results: Path
    temp: Path
    tools: Path


class StepHost(Protocol):
    """What a running task may ask of its step."""

    @property
    def inputs(self) -> Mapping[str, str]:
        """All of the task's inputs by their own names, defaults filled in, macros replaced."""

    @property
    def environment(self) -> Mapping[str, str]:
        """What a process of the step gets."""

    @property
    def folders(self) -> Folders:
        """The job's folders."""

    @property
    def run_folder(self) -> RunFolder:
        """The run's folder."""

    @property
    def values(self) -> Mapping[str, Any]:
        """All variables, macros replaced."""

    @property
    def resuming(self) -> bool:
        """Whether this is a further attempt of the run."""

    def mask(self, text: str) -> str:
        """A text without the secrets."""

    def say(self, line: str) -> None:
        """Print a line; a logging command in it is followed."""

    def issue(self, kind: Literal["error", "warning"], message: str) -> None:
        """Note an error or warning of the step."""

    def run(
        self, command: Sequence[str | Path], folder: Path, *, fail_on_stderr: bool = False, environment: Mapping[str, str] | None = None
    ) -> int:
        """Run a process to its end, its output being the step's.

        Returns:
            Its exit code.

        Raises:
            TaskError: it can't be started, or wrote to stderr where that fails it.
        """

    def wait(self, seconds: float) -> None:
        """Wait, unless the step is cancelled or out of time, which ends it."""

    def resolve(self, path: str) -> Path:
        """A path of an input: relative ones are below System.DefaultWorkingDirectory."""

    def set_variable(self, name: str, text: str, *, secret: bool = False, output: bool = False) -> None:
        """Set a variable of the job."""

    def prepend_path(self, folder: Path) -> None:
        """Put a folder before PATH for the steps after."""

    def at_job_end(self, action: Callable[[], None]) -> None:
        """Do something once the job has succeeded."""

    def folder_of_resource(self, alias: str) -> RunFolder:
        """The run that a pipeline resource stands for.

        Raises:
            TaskError: there is none.
        """

    def find_runs(self, pipeline: str) -> list[RunFolder]:
        """The completed runs of a pipeline, the newest last."""

    def ask(self, instructions: str, timeout_minutes: float) -> bool:
        """Wait for a person.

        Returns:
            Whether it was approved.

        Raises:
            TimeoutError: nobody answered in time.
        """


@dataclass(frozen=True)
class Task:
    """A task. `run` raises TaskError, or returns how the step ended."""

    specification: TaskSpecification
    run: Callable[[StepHost], Result | None]


def is_true(text: str) -> bool:
    """An input that is true or false."""
    return text.strip().lower() == "true"
