"""Shows a running job: a live tree in a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from typing import Any, Final, TextIO

from lockgate.execution.events import JobView, NodeStatus, NodeView, Watcher

SYMBOLS: Final[dict[NodeStatus, str]] = {
    "waiting": "·",
    "running": "▶",
    "completed": "✔",
    "reused": "↺",
    "failed": "✘",
    "canceled": "■",
    "skipped": "-",
}
_STYLES: Final[dict[NodeStatus, str]] = {
    "waiting": "dim",
    "running": "bold blue",
    "completed": "green",
    "reused": "cyan",
    "failed": "bold red",
    "canceled": "yellow",
    "skipped": "dim",
}
_EVERY: Final = 0.1
_LONG: Final = 10.0


class Lines:
    """Plain lines: one per change, and one now and then for what takes long."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._begun = time.monotonic()
        self._spoken = time.monotonic()

    def _say(self, text: str) -> None:
        self._stream.write(f"[{time.monotonic() - self._begun:6.1f} s] {text}\n")
        self._stream.flush()
        self._spoken = time.monotonic()

    def begin(self, view: JobView) -> None:
        """See `Watcher`."""
        self._say(f"job {view.name} ({view.display_name}), {len(view.nodes)} nodes")
        for note in view.notes:
            self._say(f"note: {note}")

    def change(self, view: JobView, node: NodeView) -> None:
        """See `Watcher`."""
        width = max(len(name) for name in view.nodes)
        took = f" in {node.seconds:.1f} s" if node.status in ("completed", "failed") else ""
        detail = f": {node.detail}" if node.detail else ""
        self._say(f"{SYMBOLS[node.status]} {node.name:<{width}}  {node.status}{took}{detail}")

    def tick(self, view: JobView) -> None:
        """See `Watcher`."""
        if time.monotonic() - self._spoken > _LONG:
            running = [n for n in view.nodes.values() if n.status == "running"]
            self._say("; ".join(f"{n.name} {n.seconds:.0f} s: {n.detail}" for n in running) or "waiting")

    def end(self, view: JobView) -> None:
        """See `Watcher`."""


class LiveTree:
    """A tree that is redrawn in place, by rich."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.live import Live

        self._console = Console()
        self._live: Any = Live(console=self._console, auto_refresh=False, transient=False)
        self._drawn = 0.0

    def begin(self, view: JobView) -> None:
        """See `Watcher`."""
        from rich.text import Text

        for note in view.notes:
            self._console.print(Text.assemble(("note: ", "dim"), note))
        self._live.start()
        self._draw(view)

    def change(self, view: JobView, node: NodeView) -> None:  # noqa: ARG002 - all of it is redrawn
        """See `Watcher`."""
        self._draw(view)

    def tick(self, view: JobView) -> None:
        """See `Watcher`."""
        if time.monotonic() - self._drawn > _EVERY:
            self._draw(view)

    def end(self, view: JobView) -> None:
        """See `Watcher`."""
        self._draw(view)
        self._live.stop()

    def _draw(self, view: JobView) -> None:
        from rich.text import Text

        width = max(len(name) for name in view.nodes)
        depth = _depths(view)
        indent = max(depth.values(), default=0)
        lines = [Text(f"{view.display_name}  ", style="bold").append(view.name, style="dim")]
        for node in view.nodes.values():
            style = _STYLES[node.status]
            line = Text("  " * depth[node.name] + SYMBOLS[node.status] + " ", style=style)
            line.append(node.name.ljust(width + 2 * (indent - depth[node.name]) + 1), style=style)
            line.append(f"{node.status:<10}", style=style)
            line.append(f"{node.seconds:6.1f} s  " if node.seconds else " " * 10, style="dim")
            line.append(node.detail, style="" if node.status == "failed" else "dim")
            line.no_wrap, line.overflow = True, "ellipsis"
            lines.append(line)
        tree = Text("\n", no_wrap=True, overflow="ellipsis").join(lines)
        tree.no_wrap, tree.overflow = True, "ellipsis"
        self._live.update(tree, refresh=True)
        self._drawn = time.monotonic()


def _depths(view: JobView) -> dict[str, int]:
    found: dict[str, int] = {}

    def depth(name: str) -> int:
        if name not in found:
            found[name] = 0
            found[name] = 1 + max((depth(need) for need in view.nodes[name].needs), default=-1)
        return found[name]

    for name in view.nodes:
        depth(name)
    return found


def make_watcher(stream: TextIO | None = None, *, plain: bool = False) -> Watcher:
    """The tree for a terminal, lines for anything else."""
    stream = stream or sys.stdout
    return LiveTree() if stream.isatty() and not plain else Lines(stream)
