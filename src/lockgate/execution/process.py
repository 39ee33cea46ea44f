"""A node's process: a session of its own, its output in a file, ended as a whole."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

_GRACE: Final = 5.0
"""Seconds between asking a process group to end and ending it."""
_PR_SET_PDEATHSIG: Final = 1


class Running:
    """A command that is running."""

    def __init__(self, command: str, folder: Path, environment: Mapping[str, str], log: Path) -> None:
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

    def stop(self) -> None:
        """End the process and all it started: asked first, made to after a few seconds."""
        self._signal(signal.SIGTERM)
        try:
            self._process.wait(_GRACE)
        except subprocess.TimeoutExpired:
            pass  # The next line ends it.
        # Also when the first process has ended: what it started may not have.
        self._signal(signal.SIGKILL)
        self._process.wait()

    def sweep(self) -> None:
        """After the command's end: end what it left behind."""
        self._signal(signal.SIGKILL)

    def _signal(self, number: int) -> None:
        try:
            os.killpg(self._process.pid, number)
        except ProcessLookupError:
            pass  # All of the group has ended.

    def last_line(self) -> str:
        """The last line of its log that is not empty, without a terminal's control codes."""
        lines = tail(self.log, 1)
        return lines[-1] if lines else ""


def _die_with_parent() -> None:
    """Linux: a killed desk takes its commands with it."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def tail(log: Path, count: int) -> list[str]:
    """The last lines of a log that are not empty."""
    try:
        with log.open("rb") as stream:
            stream.seek(0, os.SEEK_END)
            stream.seek(max(0, stream.tell() - 65_536))
            data = stream.read()
    except OSError:
        return []
    text = data.decode(errors="replace").replace("\r", "\n")
    return [line.rstrip() for line in text.split("\n") if line.strip()][-count:]
