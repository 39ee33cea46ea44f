"""The processes of a deployment: started, watched by their probes, restarted when they die, ended."""

from __future__ import annotations

import asyncio
import ctypes
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, TextIO

from lockgate.processes import end_marked, signal_group, tail
from lockgate.serving.router import Instance

PORT: Final = "@LOCKGATE_PORT@"
"""Stands in a command or environment for the port, which is known when a process starts."""
_FIRST_STARTS: Final = 3
"""How often a process that has never been ready is started before its deployment is Failed."""
_DEATHS: Final = 6
"""How many deaths in a row, each soon after the last start, make a deployment Failed."""
_STEADY: Final = 10.0
"""Seconds for which a process has to be ready before an earlier death is forgotten."""
_BACK_OFF: Final = 0.2
_LONGEST_BACK_OFF: Final = 30.0
_PROBE: Final = 0.05
"""Seconds between two looks at a process that is starting: sooner than a probe's period, as waiting longer proves nothing."""
_LOOK: Final = 0.1
"""Seconds between two looks at a process that is ready; a request that can't reach it makes one at once."""
_GRACE: Final = 5.0
_LOG_LIMIT: Final = 50_000_000
_LINES: Final = 12
_PR_SET_PDEATHSIG: Final = 1
_LIBC: Final = ctypes.CDLL(None)
"""Opened here: between fork and exec, in a process with threads, as little as possible is to happen."""


class Launch:
    """How a deployment's processes are started, as `launch.plan` wrote it.

    Attributes:
        instances: how many.
        concurrency: requests at once for each.
        timeout: seconds for a request.
        routes: path of a caller → path of a process.
    """

    def __init__(self, plan: Mapping[str, Any]) -> None:
        self.command: list[str] = plan["command"]
        self.environment: dict[str, str] = plan["environment"]
        self.folder = Path(plan["folder"])
        self.instances: int = plan["instances"]
        self.concurrency: int = plan["concurrency"]
        self.timeout: float = plan["timeout"]
        self.routes: dict[str, str] = plan["routes"]
        self.readiness: dict[str, Any] = plan["readiness"]
        self.liveness: dict[str, Any] = plan["liveness"]
        self.collector: dict[str, Any] = plan.get("collector") or {}
        self.notes: list[str] = plan.get("notes") or []

    @property
    def patience(self) -> float:
        """Seconds that a process may take to become ready."""
        probe = self.readiness
        return float(probe["initial_delay"] + probe["period"] * probe["failure_threshold"])


class Group:
    """All processes of one revision of a deployment.

    Args:
        name: of the deployment.
        launch: how to start them.
        log: takes their output.
        mark: NAME=value of the environment of all of them.
        changed: is told of an instance that has become ready, or is not any more.
        failed: is told, with the reason, when it is given up.
    """

    def __init__(
        self, name: str, launch: Launch, log: Path, mark: str, changed: Callable[[Instance], None], failed: Callable[[str], None]
    ) -> None:
        self.name = name
        self.launch = launch
        self.instances: list[Instance] = []
        self._log = log
        self._mark = mark
        self._changed = changed
        self._failed = failed
        self._tasks: list[asyncio.Task[None]] = []
        self._first = asyncio.Event()
        self._reason = ""
        self._processes: dict[Instance, subprocess.Popen[bytes]] = {}
        self._suspects: set[Instance] = set()

    async def start(self) -> str:
        """Start all, and wait until all are ready.

        Returns:
            Why they are not; empty if they are.
        """
        self._log.parent.mkdir(parents=True, exist_ok=True)
        if self._log.exists() and self._log.stat().st_size > _LOG_LIMIT:
            self._log.replace(self._log.with_suffix(".1.txt"))
        for note in self.launch.notes:
            self._note(note)
        self.instances = [Instance(0) for _ in range(self.launch.instances)]
        self._tasks = [asyncio.create_task(self._keep_or_say(number, instance)) for number, instance in enumerate(self.instances, 1)]
        while not self._reason and not all(instance.ready for instance in self.instances):
            self._first.clear()
            await self._first.wait()
        if self._reason:
            await self.stop()
        return self._reason

    async def stop(self) -> None:
        """End all processes."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for instance in self.instances:
            instance.ready = False
        processes = list(self._processes.values())
        for process in processes:
            signal_group(process.pid, signal.SIGTERM)
        deadline = time.monotonic() + _GRACE
        while any(process.poll() is None for process in processes) and time.monotonic() < deadline:
            await asyncio.sleep(0.02)
        for process in processes:
            signal_group(process.pid, signal.SIGKILL)
            process.wait()
        for instance in self.instances:
            instance.close()

    def suspect(self, instance: Instance) -> None:
        """A request could not reach a process: look at it at once."""
        self._suspects.add(instance)

    # One process -----------------------------------------------------------------------------------------------------------

    async def _keep_or_say(self, number: int, instance: Instance) -> None:
        """Whatever goes wrong here is said: nobody may wait for a process for ever."""
        try:
            await self._keep(number, instance)
        except (OSError, ValueError) as error:
            self._note(f"instance {number} can't be started: {error}")
            self._give_up(f"instance {number} can't be started: {error}")

    async def _keep(self, number: int, instance: Instance) -> None:
        """Keep one process going for as long as that makes sense."""
        deaths = 0
        ever = False
        while True:
            process = self._start(number, instance)
            began = time.monotonic()
            why = await self._until_ready(instance, process)
            if not why:
                ever = True
                ready_at = time.monotonic()
                self._note(f"instance {number} is ready after {ready_at - began:.1f} s")
                instance.ready = True
                self._tell(instance)
                why = await self._while_alive(instance, process)
                instance.ready = False
                self._tell(instance)
                if time.monotonic() - ready_at > _STEADY:
                    deaths = 0
            deaths += 1
            self._note(f"instance {number} {why}")
            await self._end(process)
            instance.close()
            if deaths >= (_DEATHS if ever else _FIRST_STARTS):
                last = "\n".join(f"  {line}" for line in tail(self._log, _LINES))
                self._give_up(f"instance {number} {why}, {deaths} times in a row; its last lines:\n{last}")
                return
            wait = min(_BACK_OFF * 2 ** (deaths - 1), _LONGEST_BACK_OFF)
            self._note(f"instance {number} is started again in {wait:g} s")
            await asyncio.sleep(wait)

    def _start(self, number: int, instance: Instance) -> subprocess.Popen[bytes]:
        instance.port = _free_port()
        port = str(instance.port)
        environment = {name: value.replace(PORT, port) for name, value in self.launch.environment.items()}
        name, _, value = self._mark.partition("=")
        environment[name] = value
        command = [word.replace(PORT, port) for word in self.launch.command]
        self._note(f"instance {number} starts on port {port}: {' '.join(command)}")
        with self._log.open("ab") as stream:
            process = subprocess.Popen(
                command, cwd=self.launch.folder, env=environment, stdin=subprocess.DEVNULL, stdout=stream, stderr=subprocess.STDOUT,
                start_new_session=True, preexec_fn=_die_with_parent if sys.platform == "linux" else None,  # noqa: PLW1509 - one system call
            )  # fmt: skip
        self._processes[instance] = process
        return process

    async def _until_ready(self, instance: Instance, process: subprocess.Popen[bytes]) -> str:
        """Wait until the readiness probe is answered. Why it is not; empty if it is."""
        probe = self.launch.readiness
        deadline = time.monotonic() + self.launch.patience
        answered = 0
        while process.poll() is None:
            if await probe_once(instance.port, probe["path"], probe["timeout"]):
                answered += 1
                if answered >= probe["success_threshold"]:
                    return ""
                continue
            answered = 0
            if time.monotonic() > deadline:
                return f"was not ready after {self.launch.patience:g} s (readiness_probe: initial_delay + period * failure_threshold)"
            await asyncio.sleep(_PROBE)
        return _ended(process.returncode)

    async def _while_alive(self, instance: Instance, process: subprocess.Popen[bytes]) -> str:
        """Wait until the process has ended or does not answer its liveness probe. Why."""
        probe = self.launch.liveness
        failures = 0
        due = time.monotonic() + probe["period"]
        while process.poll() is None:
            if instance in self._suspects:
                self._suspects.discard(instance)
                await asyncio.sleep(_PROBE)
                if process.poll() is None and not instance.ready and await probe_once(instance.port, probe["path"], probe["timeout"]):
                    instance.ready = True  # It had only closed a connection.
                    self._tell(instance)
                continue
            if time.monotonic() >= due:
                due = time.monotonic() + probe["period"]
                failures = 0 if await probe_once(instance.port, probe["path"], probe["timeout"]) else failures + 1
                if failures >= probe["failure_threshold"]:
                    return f"did not answer its liveness probe {failures} times"
            await asyncio.sleep(_LOOK)
        return _ended(process.returncode)

    async def _end(self, process: subprocess.Popen[bytes]) -> None:
        if process.poll() is None:
            signal_group(process.pid, signal.SIGTERM)
            deadline = time.monotonic() + _GRACE
            while process.poll() is None and time.monotonic() < deadline:
                await asyncio.sleep(0.02)
        signal_group(process.pid, signal.SIGKILL)
        process.wait()

    def _tell(self, instance: Instance) -> None:
        self._first.set()
        self._changed(instance)

    def _give_up(self, reason: str) -> None:
        self._reason = reason
        self._first.set()
        self._failed(reason)

    def _note(self, text: str) -> None:
        with self._log.open("a", encoding="utf-8") as stream:
            _write(stream, text)


def _write(stream: TextIO, text: str) -> None:
    stream.write(f"{datetime.now(UTC).isoformat(timespec='milliseconds')} lockgate: {text}\n")


def _ended(code: int) -> str:
    return f"was ended by signal {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"


def _die_with_parent() -> None:
    """Linux: a killed router takes its instances with it."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


async def probe_once(port: int, path: str, timeout: float) -> bool:  # noqa: ASYNC109 - a probe's own setting
    """Whether a GET is answered with 2xx or 3xx in time."""
    try:
        async with asyncio.timeout(timeout):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                writer.write(f"GET {path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nconnection: close\r\n\r\n".encode())
                line = await reader.readline()
            finally:
                writer.close()
    except (OSError, TimeoutError, ValueError):
        return False
    words = line.split()
    return len(words) > 1 and words[1][:1] in (b"2", b"3")


def sweep(mark: str) -> None:
    """End what an earlier process of this endpoint left behind."""
    end_marked(mark)
