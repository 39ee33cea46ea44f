"""What a run tells whoever watches it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

NodeStatus = Literal["waiting", "running", "completed", "reused", "failed", "canceled", "skipped"]


@dataclass
class NodeView:
    """A node as it looks now.

    Attributes:
        needs: the nodes it waits for.
        seconds: how long it ran, or has been running.
        detail: the last line of its log, or why it did not run.
        log: its log.
    """

    name: str
    needs: tuple[str, ...]
    status: NodeStatus = "waiting"
    seconds: float = 0.0
    detail: str = ""
    log: Path | None = None


@dataclass
class JobView:
    """A job as it looks now; `notes` are sentences that hold for the whole of it."""

    name: str
    display_name: str
    nodes: dict[str, NodeView]
    notes: list[str] = field(default_factory=list)


class Watcher(Protocol):
    """Shows a job."""

    def begin(self, view: JobView) -> None:
        """The job is about to start."""
        ...

    def change(self, view: JobView, node: NodeView) -> None:
        """A node's status has changed."""
        ...

    def tick(self, view: JobView) -> None:
        """Nothing happened; time went by."""
        ...

    def end(self, view: JobView) -> None:
        """The job is over."""
        ...
