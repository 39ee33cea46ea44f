"""Runs a command as a process of its own and says what it cost."""

from __future__ import annotations

import os
import platform
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
WORK = Path(__file__).parent / ".work"


@dataclass(frozen=True)
class Cost:
    """Wall-clock seconds, and the largest resident memory of the process in MB (Linux)."""

    seconds: float
    megabytes: float


def run(command: list[str], **environment: str) -> Cost:
    """Run a command to its end.

    Raises:
        SystemExit: it failed; its output is shown.
    """
    begun = time.perf_counter()
    process = subprocess.Popen(command, env={**os.environ, **environment}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    output = process.stdout.read() if process.stdout else b""
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - begun
    if status:
        raise SystemExit(f"{' '.join(command)} failed:\n{output.decode(errors='replace')}")
    return Cost(seconds, usage.ru_maxrss / 1024)


def machine() -> str:
    """What it was measured on, without the machine's name."""
    return f"{len(os.sched_getaffinity(0))} cores, {platform.system()} {platform.machine()}, Python {platform.python_version()}"
