"""A node's process: a session of its own, its output in a file, ended as a whole."""

from __future__ import annotations

import ctypes
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from lockgate.processes import end_marked, signal_group, tail

_GRACE: Final = 5.0
"""Seconds between asking a process group to end and ending it."""
_POLL: Final = 0.02
_PR_SET_PDEATHSIG: Final = 1


class Running:
    """A command that is running."""

    def __init__(self, command: str, folder: Path, environment: Mapping[str, str], log: Path, mark: str) -> None:
        """Start it. `mark` is a `NAME=value` of its environment that no other command has."""
        self._mark = mark
        log.parent.mkdir(parents=True, exist_ok=True)
        self.log = log
        self.begun = time.monotonic()
        with log.open("wb") as stream:
            self._process = subprocess.Popen(
                ["/bin/bash", "-c", command],
                cwd=folder,
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=_die_with_parent if sys.platform == "linux" else None,  # noqa: PLW1509 - no threads fork here
            )

    def poll(self) -> int | None:
        """The exit code; None while it runs."""
        return self._process.poll()

    @property
    def seconds(self) -> float:
        """How long it has been running."""
        return time.monotonic() - self.begun

    def ask(self) -> None:
        """Ask all of the group to end."""
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """End the process and all it started, also what has left its group."""
        self._signal(signal.SIGKILL)
        end_marked(self._mark)
        self._process.wait()

    def sweep(self) -> None:
        """After the command's end: end what it left behind."""
        self._signal(signal.SIGKILL)
        end_marked(self._mark)

    def _signal(self, number: int) -> None:
        signal_group(self._process.pid, number)

    def last_line(self) -> str:
        """The last line of its log that is not empty."""
        lines = tail(self.log, 1)
        return lines[-1] if lines else ""


def _die_with_parent() -> None:
    """Linux: a killed desk takes its commands with it."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def stop_all(commands: Sequence[Running], hurry: Callable[[], bool]) -> None:
    """End commands: all are asked first, and made to after a few seconds, or when somebody is in a hurry."""
    for command in commands:
        command.ask()
    deadline = time.monotonic() + _GRACE
    while time.monotonic() < deadline and not hurry() and any(command.poll() is None for command in commands):
        time.sleep(_POLL)
    for command in commands:
        command.kill()
