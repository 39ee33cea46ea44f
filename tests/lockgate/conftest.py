"""A desk in a folder of its own, driven by its command line in real processes."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

import forked
from lockgate.tracking import service

PATIENCE = 60.0
"""Seconds after which a condition that should come true never will."""


def _wait_until(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"waited {PATIENCE:g} s in vain for: {what}")
        time.sleep(0.02)


def _is_alive(process: int) -> bool:
    done = subprocess.run(["ps", "-o", "stat=", "-p", str(process)], capture_output=True, text=True, check=False)
    return done.stdout.strip()[:1] not in {"", "Z"}


class Desk:
    """A folder with job files and the desk's state."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.started: list[subprocess.Popen[str]] = []
        self.seen: list[int] = []

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text), encoding="utf-8")
        return path

    def read(self, name: str) -> str:
        return (self.folder / name).read_text(encoding="utf-8")

    def arguments(self, *words: str) -> list[str]:
        command = [sys.executable, "-m", "lockgate", *words]
        return [*command, "--root", str(self.folder)] if words[0] == "run" else command

    def call(self, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return forked.run("desk", self.arguments(*words)[1:], cwd=self.folder, env={**os.environ, **environment}, timeout=PATIENCE)

    def run(self, file: str = "job.yml", *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return self.call("run", file, *options, **environment)

    def outcome(self, file: str = "job.yml", *options: str) -> dict[str, Any]:
        """Run a job that must complete; what --json says of it."""
        done = self.run(file, "--json", *options)
        assert done.returncode == 0, done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    def start(self, file: str = "job.yml", *options: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            self.arguments("run", file, *options), cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        self.started.append(process)
        return process

    def pid(self, name: str) -> int:
        """The process id that a command writes into a file, once it has."""
        path = self.folder / name
        self.wait_until(lambda: path.exists() and path.read_text().endswith("\n"), f"{name} to be written")
        self.seen.append(int(path.read_text()))
        return self.seen[-1]

    @staticmethod
    def wait_until(condition: Callable[[], object], what: str) -> None:
        _wait_until(condition, what)

    @staticmethod
    def is_alive(process: int) -> bool:
        """Whether a process runs. One that has ended and that nobody has asked about does not."""
        return _is_alive(process)

    def rows(self, query: str, *values: str) -> list[dict[str, Any]]:
        """Rows of the workspace's database."""
        with closing(sqlite3.connect(self.folder / ".lockgate/workspaces/dev/workspace.db")) as connection:
            connection.row_factory = sqlite3.Row
            return [dict(row) for row in connection.execute(query, values)]

    def mlflow(self, query: str, *values: str) -> list[Any]:
        """Rows of MLflow's database, once the tracking server has taken in what was said."""
        service.settle(self.folder / ".lockgate/mlflow")
        with closing(sqlite3.connect(self.folder / ".lockgate/mlflow/mlflow.db")) as connection:
            return connection.execute(query, values).fetchall()

    def close(self) -> None:
        """End what a failed test has left running."""
        service.stop(self.folder / ".lockgate/mlflow")
        for process in self.started:
            process.kill()
            process.wait()
            if process.stdout is not None:
                process.stdout.close()
        for number in self.seen:
            if _is_alive(number):
                os.kill(number, signal.SIGKILL)


def _desk(folder: Path) -> Iterator[Desk]:
    desk = Desk(folder)
    try:
        yield desk
    finally:
        desk.close()


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """A desk for one test."""
    yield from _desk(tmp_path)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """A desk for the tests of a module that do not get into each other's way."""
    yield from _desk(tmp_path_factory.mktemp("desk"))
