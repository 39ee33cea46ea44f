"""What a stage waits for before its jobs begin: somebody who starts it, approvals of its environments, and locks."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from lockgate.agent import approvals
from lockgate.agent.environments import Environment
from lockgate.agent.locks import LockTicket
from lockgate.pipelines.model import Outcome, Stage

if TYPE_CHECKING:
    from lockgate.agent.run import Run

_THIRTY_DAYS: Final = 43_200.0


@dataclass(frozen=True)
class Verdict:
    """How the gates of a stage stand.

    Attributes:
        kind: open: its jobs may begin; approval or lock: it waits for one; shut: it ends with `outcome`.
        detail: what it waits for, or why it ends.
    """

    kind: Literal["open", "approval", "lock", "shut"]
    detail: str = ""
    outcome: Outcome = "Failed"


@dataclass(frozen=True)
class _Question:
    what: str
    until: float


class Gates:
    """The gates of a stage.

    Args:
        run: the run.
        stage: the stage, whose condition is true.
    """

    def __init__(self, run: Run, stage: Stage) -> None:
        self._run = run
        self._stage = stage
        self._questions: list[_Question] = []
        self._refusal = ""
        # Once it was cancelled only stages begin whose condition wants it so.
        self._wants_to = run.canceled
        self._locks: list[str] = []
        self._tickets: list[LockTicket] = []
        self._waiting: LockTicket | None = None
        self._was_first = False
        self._behaviour = stage.lock_behavior or run.pipeline.lock_behavior
        if stage.manual:
            self._ask("start", "this stage is started by hand", _THIRTY_DAYS)
        if self._behaviour:
            self._locks.append(f"stage-{run.name}-{stage.name}")
        for name in dict.fromkeys(job.deployment.environment for job in stage.jobs if job.deployment):
            self._add(run.environments.get(name.lower(), Environment(name)))
        # Always in this order, so that two runs never wait for each other.
        self._locks.sort()

    def _add(self, environment: Environment) -> None:
        branch = str(self._run.predefined.get("Build.SourceBranch", ""))
        if not environment.allows(branch):
            takes = ", ".join(environment.branches)
            self._refusal = self._refusal or f"environment {environment.name} takes only {takes}; this run is of {branch or 'no branch'}"
            return
        if environment.approval:
            self._ask(f"environment {environment.name}", environment.approval.instructions, environment.approval.timeout_minutes)
        if environment.exclusive_lock:
            self._locks.append(f"environment-{environment.name.lower()}")

    def _ask(self, what: str, instructions: str, minutes: float) -> None:
        if not self._refusal:
            self._questions.append(_Question(f"stage {self._stage.name}: {what}", time.monotonic() + minutes * 60))
            approvals.ask(self._run.folder, self._questions[-1].what, instructions)

    def look(self) -> Verdict:
        """How they stand now."""
        if self._run.canceled and not self._wants_to:
            return Verdict("shut", "the run was cancelled", "Canceled")
        if self._refusal:
            return Verdict("shut", self._refusal)
        for question in self._questions:
            self._run.answer_at_once(question.what)
            answer = approvals.answer_of(self._run.folder, question.what)
            if answer == "rejected":
                return Verdict("shut", f"rejected: {question.what}")
            if answer is None and time.monotonic() > question.until:
                return Verdict("shut", f"nobody answered in time: {question.what}")
            if answer is None:
                number = self._run.folder.id
                return Verdict("approval", f"waits for an approval ({question.what.partition(': ')[2]}): lockgate approve {number}")
        return self._take_locks()

    def _take_locks(self) -> Verdict:
        while self._waiting is not None or len(self._tickets) < len(self._locks):
            if self._waiting is None:
                name = self._locks[len(self._tickets)]
                self._waiting = LockTicket(self._run.runs.state / "locks", name, self._run.folder.id)
                self._was_first = self._waiting.is_mine()
            ticket = self._waiting
            # Asked first: a run that has waited is overtaken also where the lock has just become free.
            if not self._was_first and (self._behaviour or "runLatest") == "runLatest" and ticket.is_overtaken():
                return Verdict("shut", f"a newer run waits for {ticket.name} too, and lockBehavior is runLatest", "Canceled")
            if not ticket.is_mine():
                return Verdict("lock", f"waits for {ticket.name}, which run {ticket.holder()} has")
            self._tickets.append(ticket)
            self._waiting = None
        return Verdict("open")

    def release(self) -> None:
        """Let other runs go on."""
        for ticket in [*self._tickets, *([self._waiting] if self._waiting else [])]:
            ticket.release()
        self._tickets, self._waiting = [], None
