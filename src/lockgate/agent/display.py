"""Shows a run: a live tree in a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from typing import Any, Final, TextIO

from lockgate.agent.events import Status, View, Watcher

SYMBOLS: Final[dict[Status, str]] = {
    "waiting": "·",
    "approval": "⏸",
    "lock": "⏸",
    "running": "▶",
    "Succeeded": "✔",
    "SucceededWithIssues": "!",
    "Failed": "✘",
    "Canceled": "■",
    "Skipped": "-",
    "Abandoned": "✘",
}
_STYLES: Final[dict[Status, str]] = {
    "waiting": "dim",
    "approval": "bold magenta",
    "lock": "bold magenta",
    "running": "bold blue",
    "Succeeded": "green",
    "SucceededWithIssues": "yellow",
    "Failed": "bold red",
    "Canceled": "yellow",
    "Skipped": "dim",
    "Abandoned": "bold red",
}
_WORDS: Final[dict[Status, str]] = {"SucceededWithIssues": "with issues", "approval": "waiting", "lock": "waiting"}
_EVERY: Final = 0.1
_LONG: Final = 10.0


Head = Callable[[View], Sequence[str]]
"""Lines that stand above a run: what it is a part of."""


def word(status: Status) -> str:
    """A status in words."""
    return _WORDS.get(status, status.lower())


class Lines:
    """Plain lines: one per change, one now and then for what takes long, and what steps print if asked."""

    def __init__(self, stream: TextIO, *, logs: bool = False, head: Head | None = None) -> None:
        self._stream = stream
        self._head = head
        self._logs = logs
        self._begun = time.monotonic()
        self._spoken = time.monotonic()

    def _say(self, text: str) -> None:
        self._stream.write(f"[{time.monotonic() - self._begun:6.1f} s] {text}\n")
        self._stream.flush()
        self._spoken = time.monotonic()

    def begin(self, view: View) -> None:
        """See `Watcher`."""
        for text in self._head(view) if self._head else ():
            self._stream.write(f"{text}\n")
        self._say(f"run {view.name} of {view.title}: {len(view.children)} stage{'' if len(view.children) == 1 else 's'}")

    def note(self, text: str) -> None:
        """See `Watcher`."""
        self._say(f"note: {text}")

    def change(self, view: View) -> None:
        """See `Watcher`."""
        if view.status == "running" and view.kind != "step" and view.children:
            return
        if view.status == "Skipped" and view.parent is not None and view.parent.status == "Skipped":
            return
        took = f" in {view.elapsed():.1f} s" if view.status in ("Succeeded", "SucceededWithIssues", "Failed", "Canceled") else ""
        name = " / ".join([*view.path()[:-1], view.title]) if view.kind == "step" else f"{view.kind} {' / '.join(view.path())}"
        detail = f": {view.detail}" if view.detail and (view.status not in ("Succeeded", "running") or view.reused) else ""
        self._say(f"{SYMBOLS[view.status]} {name}  {word(view.status)}{took}{detail}")

    def line(self, view: View, text: str) -> None:
        """See `Watcher`."""
        if self._logs:
            self._stream.write(f"           {' / '.join(view.path())} | {text}\n")
            self._stream.flush()

    def tick(self, view: View) -> None:
        """See `Watcher`."""
        if time.monotonic() - self._spoken > _LONG:
            busy = [
                v for v in _all(view) if v.status in ("running", "approval", "lock") and not any(c.status == "running" for c in v.children)
            ]
            self._say("; ".join(f"{' / '.join(v.path())} {v.elapsed():.0f} s: {v.detail}" for v in busy if v.kind != "run") or "waiting")

    def end(self, view: View) -> None:
        """See `Watcher`."""


class LiveTree:
    """A tree that is redrawn in place, by rich."""

    def __init__(self, head: Head | None = None) -> None:
        from rich.console import Console
        from rich.live import Live

        self._head = head
        self._console = Console()
        self._live: Any = Live(console=self._console, auto_refresh=False, transient=False)
        self._drawn = 0.0
        self._view: View | None = None

    def begin(self, view: View) -> None:
        """See `Watcher`."""
        self._view = view
        self._live.start()
        self._draw(view)

    def note(self, text: str) -> None:
        """See `Watcher`."""
        from rich.text import Text

        self._console.print(Text.assemble(("note: ", "dim"), text))

    def change(self, view: View) -> None:
        """See `Watcher`."""
        del view
        if self._view is not None and time.monotonic() - self._drawn > _EVERY / 4:
            self._draw(self._view)

    def line(self, view: View, text: str) -> None:
        """See `Watcher`."""

    def tick(self, view: View) -> None:
        """See `Watcher`."""
        if time.monotonic() - self._drawn > _EVERY:
            self._draw(view)

    def end(self, view: View) -> None:
        """See `Watcher`."""
        self._draw(view)
        self._live.stop()

    def _draw(self, view: View) -> None:
        from rich.text import Text

        rows = self._rows(view)
        above = [Text(text, style="bold" if "▶" in text else "dim") for text in (self._head(view) if self._head else ())]
        lines = [*above, Text(f"{view.title}  ", style="bold").append(f"run {view.name}", style="dim")]
        width = min(60, max((2 * depth + len(one.title) for depth, one in rows), default=0))
        for depth, one in rows:
            style = _STYLES[one.status]
            line = Text("  " * depth + SYMBOLS[one.status] + " ", style=style)
            line.append(one.title.ljust(max(1, width - 2 * depth)) + "  ", style=style)
            line.append(f"{word(one.status):<12}", style=style)
            line.append(f"{one.elapsed():7.1f} s  " if one.begun is not None or one.seconds else " " * 11, style="dim")
            line.append(
                one.detail if one.status != "Succeeded" or one.reused else "", style="" if one.status in ("Failed", "approval") else "dim"
            )
            lines.append(line)
        tree = Text("\n", no_wrap=True, overflow="ellipsis").join(lines)
        tree.no_wrap, tree.overflow = True, "ellipsis"
        self._live.update(tree, refresh=True)
        self._drawn = time.monotonic()

    def _rows(self, view: View) -> list[tuple[int, View]]:
        """Stages and jobs, and the steps of jobs that run or have failed; fewer where the terminal is low."""
        single = len(view.children) == 1 and view.children[0].name.startswith("__")
        rows: list[tuple[int, View]] = []
        for stage in view.children:
            if not single:
                rows.append((1, stage))
            for job in stage.children if stage.status != "Skipped" else []:
                depth = 1 if single else 2
                rows.append((depth, job))
                shown = job.status in ("running", "Failed") or (len(view.children) == 1 and len(stage.children) == 1)
                rows += [(depth + 1, step) for step in job.children if shown]
        room = max(5, self._console.size.height - 4 - (len(self._head(view)) if self._head else 0))
        if len(rows) > room:
            rows = [row for row in rows if row[1].kind != "step" or row[1].status in ("running", "Failed", "approval")]
        return rows if len(rows) <= room else [row for row in rows if row[1].status not in ("Succeeded", "Skipped")][:room]


def _all(view: View) -> list[View]:
    return [view, *(inner for child in view.children for inner in _all(child))]


def failures(view: View) -> str:
    """Every failed step with the last lines of its log, and what jobs and stages say that have none."""
    parts: list[str] = []
    for one in _all(view):
        if one.status not in ("Failed", "Abandoned", "Canceled") or one.kind == "run":
            continue
        if one.kind == "step" and one.status == "Failed":
            parts.append(f"── {' / '.join(one.path())} ({one.title}) failed: {one.detail} ── {one.log or ''}".rstrip(" ─"))
            parts += [f"   {line}" for line in _tail(one)]
        elif one.kind != "step" and (one.detail or one.issues):
            texts = [issue["message"] for issue in one.issues] or [one.detail]
            parts.append(f"── {one.kind} {' / '.join(one.path())}: {'; '.join(dict.fromkeys(texts))}")
    return "\n".join(parts)


def _tail(view: View, count: int = 20) -> list[str]:
    from lockgate.processes import without_control

    if view.log is None:
        return []
    try:
        lines = view.log.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    return [without_control(line) for line in lines if line.strip()][-count:]


def make_watcher(stream: TextIO | None = None, *, plain: bool = False, logs: bool = False, head: Head | None = None) -> Watcher:
    """The tree for a terminal, lines for anything else.

    Args:
        stream: where to; standard output if it is None.
        plain, logs: lines also in a terminal; with what the steps print.
        head: gives lines that stand above a run, as the run stands.
    """
    stream = stream or sys.stdout
    return LiveTree(head) if stream.isatty() and not plain and not logs else Lines(stream, logs=logs, head=head)
