"""How a run looks while it goes on, and who watches it."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

Status = Literal["waiting", "approval", "lock", "running", "Succeeded", "SucceededWithIssues", "Failed", "Canceled", "Skipped", "Abandoned"]
ENDED: tuple[Status, ...] = ("Succeeded", "SucceededWithIssues", "Failed", "Canceled", "Skipped", "Abandoned")


@dataclass
class View:
    """A run, stage, job or step as it looks now.

    Attributes:
        kind: run, stage, job or step.
        name: within what it is in; a step's is its number.
        detail: why it was skipped or failed, what it waits for, or its last line.
        reused: whether an earlier attempt of the run had done it.
    """

    kind: Literal["run", "stage", "job", "step"]
    name: str
    title: str
    status: Status = "waiting"
    detail: str = ""
    seconds: float = 0.0
    begun: float | None = None
    reused: bool = False
    log: Path | None = None
    issues: list[dict[str, str]] = field(default_factory=list)
    parent: View | None = None
    children: list[View] = field(default_factory=list)

    def add(self, kind: Literal["stage", "job", "step"], name: str, title: str) -> View:
        """A view inside."""
        view = View(kind, name, title, parent=self)
        self.children.append(view)
        return view

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.status in ENDED

    def elapsed(self) -> float:
        """Seconds that it took, or has taken so far."""
        return time.monotonic() - self.begun if self.begun is not None and not self.ended else self.seconds

    def path(self) -> list[str]:
        """The names from the stage down to it."""
        return [*(self.parent.path() if self.parent else []), self.name] if self.kind != "run" else []

    def to_dict(self) -> dict[str, Any]:
        """For run.json."""
        inner = {"run": "stages", "stage": "jobs", "job": "steps"}.get(self.kind)
        found: dict[str, Any] = {"name": self.name, "title": self.title, "status": self.status}
        if self.detail:
            found["detail"] = self.detail
        found["seconds"] = round(self.elapsed(), 3)
        if self.reused:
            found["reused"] = True
        if self.issues:
            found["issues"] = self.issues
        if inner:
            found[inner] = [child.to_dict() for child in self.children]
        return found


class Watcher(Protocol):
    """Is told what happens, from several threads, one call at a time."""

    def begin(self, view: View) -> None:
        """The run begins."""

    def change(self, view: View) -> None:
        """Something has another status."""

    def line(self, view: View, text: str) -> None:
        """A step has printed a line, masked."""

    def note(self, text: str) -> None:
        """Something that is said once."""

    def tick(self, view: View) -> None:
        """Time has passed; the run's view."""

    def end(self, view: View) -> None:
        """The run has ended."""
