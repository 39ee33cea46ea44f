"""The folder of a run, and those of all runs.

.lockgate/
  runs/<id>/
    run.json                     what was asked for, how it stands, how stages, jobs and steps ended
    plan.yml                     the flat YAML that is run
    logs/<stage>/<job>/          a log per step, in order
    state/<stage>.<job>.json     which steps have ended and what they set: what --resume goes by
    variables.json               the variables that every job ended with, secrets hidden
    artifacts/<name>/  attachments/  summary/  approvals/
    sources/<alias>.{index.json,bytes}     the repositories as they were when the run began
    work/<stage>.<job>/{s,a,b,TestResults}  temp/
  sources/<hash>/                the newest snapshot of a repository, and work trees that jobs have done with
  counters.json  locks/  cache/  tools/
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lockgate.errors import StateError
from lockgate.state import STATE_FOLDER, state_folder


def write_json(path: Path, value: Any) -> None:
    """Write a file so that nobody ever sees half of it, whatever happens."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    beside.write_text(json.dumps(value, indent=1, ensure_ascii=False), encoding="utf-8")
    beside.replace(path)


def read_json(path: Path) -> Any:
    """A file's content; None if there is none.

    Raises:
        StateError: it is damaged.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise StateError(f"{path} can't be read: {error}; remove it") from None


class RunFolder:
    """A run's folder."""

    def __init__(self, folder: Path) -> None:
        self.path = folder
        self.id = int(folder.name)

    @property
    def record(self) -> dict[str, Any]:
        """What run.json says; empty if the run ended before it was written."""
        return read_json(self.path / "run.json") or {}

    def artifact(self, name: str) -> Path:
        """The folder of an artifact."""
        return self.path / "artifacts" / name

    def state(self, job: str) -> Path:
        """The file that says which steps of a job have ended."""
        return self.path / "state" / f"{job}.json"

    def work(self, job: str) -> Path:
        """A job's work folder."""
        return self.path / "work" / job

    @contextmanager
    def held(self) -> Iterator[None]:
        """While the run is being worked on. The lock goes with the process, however it ends.

        Raises:
            StateError: another process works on it.
        """
        with (self.path / ".running").open("a") as stream:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise StateError(f"run {self.id} is going on in another process; wait for it, or stop that process") from None
            stream.truncate(0)
            stream.write(str(os.getpid()))
            stream.flush()
            yield

    def stop(self, patience: float = 30.0) -> bool:
        """Ask the process that works on it to end, as Ctrl-C does, and wait until it has.

        Returns:
            Whether there was one.
        """
        if not self.is_held():
            return False
        text = (self.path / ".running").read_text(encoding="utf-8")
        if not text:
            return False  # It has just begun, and has not said who it is.
        deadline = time.monotonic() + patience
        os.kill(int(text), signal.SIGINT)
        while self.is_held():
            if time.monotonic() > deadline:
                os.kill(int(text), signal.SIGKILL)
                break
            time.sleep(0.05)
        return True

    def is_held(self) -> bool:
        """Whether a process works on it."""
        try:
            with self.held():
                return False
        except StateError:
            return True


class Runs:
    """All runs of a project.

    Args:
        root: the folder that holds `.lockgate`.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.state = root / STATE_FOLDER

    def create(self) -> RunFolder:
        """A new run's folder. Two processes never get the same."""
        folder = state_folder(self.root) / "runs"
        folder.mkdir(parents=True, exist_ok=True)
        number = max((run.id for run in self.all()), default=0) + 1
        while True:
            try:
                (folder / str(number)).mkdir()
            except FileExistsError:
                number += 1
            else:
                return RunFolder(folder / str(number))

    def all(self) -> list[RunFolder]:
        """All runs, the newest last."""
        folders = (self.state / "runs").glob("[0-9]*")
        return sorted((RunFolder(folder) for folder in folders if folder.name.isdigit()), key=lambda run: run.id)

    def find(self, number: int) -> RunFolder:
        """A run by its id.

        Raises:
            StateError: there is none.
        """
        folder = self.state / "runs" / str(number)
        if not folder.is_dir():
            newest = ", ".join(str(run.id) for run in self.all()[-5:]) or "none"
            raise StateError(f"there is no run {number}; the newest are: {newest}")
        return RunFolder(folder)

    def of_pipeline(self, name: str) -> list[RunFolder]:
        """The runs of a pipeline, the newest last."""
        return [run for run in self.all() if str(run.record.get("pipeline", "")).lower() == name.lower()]

    def count(self, pipeline: str, prefix: str, seed: int) -> int:
        """The next number of a pipeline's counter."""
        path = state_folder(self.root) / "counters.json"
        with (self.state / "counters.lock").open("a") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)
            counters = read_json(path) or {}
            own = counters.setdefault(pipeline, {})
            own[prefix] = max(own[prefix] + 1, seed) if prefix in own else seed
            write_json(path, counters)
            return int(own[prefix])
