"""Ends what a run has started if the run's own process is killed."""

from __future__ import annotations

import subprocess
from typing import Final

_WATCHDOG: Final = """read -r done && exit 0
for file in /proc/[0-9]*/environ; do
  if tr '\\0' '\\n' <"$file" 2>/dev/null | grep -qx "LOCKGATE_RUN=$1"; then
    pid=${file#/proc/}; kill -9 "${pid%/environ}" 2>/dev/null
  fi
done"""


"""Its pipe closes when the run's process is gone; if that was on purpose, a line was written before."""


class Watchdog:
    """A small process that outlives the run's.

    Args:
        mark: value of LOCKGATE_RUN in the environment of everything that the run starts.
    """

    def __init__(self, mark: str) -> None:
        self._process = subprocess.Popen(
            ["/bin/sh", "-c", _WATCHDOG, "sh", mark],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            cwd="/",
        )

    def dismiss(self) -> None:
        """The run has ended by itself."""
        if self._process.stdin is not None:
            self._process.stdin.write(b"done\n")
            self._process.stdin.close()
        self._process.wait()
