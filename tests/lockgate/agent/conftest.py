"""A project in a folder of its own, its pipelines run by the command line in real processes."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

import forked

PATIENCE = 30.0
"""Seconds after which a condition that should come true never will."""


def _environment(**more: str) -> dict[str, str]:
    """This process's environment, without what a hook or another desk may have left in it."""
    kept = {name: text for name, text in os.environ.items() if not name.startswith(("GIT_", "LOCKGATE_"))}
    return {**kept, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull, **more}


def _git(folder: Path, *words: str) -> str:
    who = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org", "-c", "commit.gpgsign=false"]
    done = subprocess.run(["git", "-C", str(folder), *who, *words], capture_output=True, text=True, check=True, env=_environment())
    return done.stdout.strip()


def _wait_until(condition: Callable[[], Any], what: str, patience: float = PATIENCE) -> Any:
    deadline = time.monotonic() + patience
    while not (found := condition()):
        if time.monotonic() > deadline:
            pytest.fail(f"waited {patience:g} s in vain for: {what}")
        time.sleep(0.02)
    return found


def _is_alive(process: int) -> bool:
    try:
        stat = Path(f"/proc/{process}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] not in {"Z", "X"}


@dataclass(frozen=True)
class Ended:
    """A run that has ended: what it printed, its exit code and its folder."""

    project: Project
    code: int
    out: str
    err: str

    @property
    def shown(self) -> str:
        """All that the person saw."""
        return self.out + self.err

    @property
    def records(self) -> list[dict[str, Any]]:
        """What --json printed, a record per run."""
        found = json.loads(self.out)
        return found if isinstance(found, list) else [found]

    @property
    def folder(self) -> Path:
        """The folder of the newest run."""
        return self.project.newest()

    @property
    def record(self) -> dict[str, Any]:
        """run.json of the newest run."""
        return self.project.record(int(self.folder.name))

    @property
    def result(self) -> str:
        """How the newest run ended."""
        return str(self.record["result"])

    @property
    def status(self) -> dict[str, str]:
        """How stages (`s`), jobs (`s/j`) and steps (`s/j/1`) of the newest run ended."""
        return {path: one["status"] for path, one in self._all()}

    @property
    def details(self) -> dict[str, str]:
        """What is said of each stage, job and step."""
        return {path: one.get("detail", "") for path, one in self._all()}

    @property
    def issues(self) -> dict[str, list[dict[str, str]]]:
        """Errors and warnings by step, job or stage."""
        return {path: one["issues"] for path, one in self._all() if one.get("issues")}

    @property
    def reused(self) -> list[str]:
        """What an earlier attempt had done."""
        return [path for path, one in self._all() if one.get("reused")]

    def _all(self) -> list[tuple[str, dict[str, Any]]]:
        found = []
        for stage in self.record["stages"]:
            found.append((stage["name"], stage))
            for job in stage["jobs"]:
                found.append((f"{stage['name']}/{job['name']}", job))
                found += [(f"{stage['name']}/{job['name']}/{step['name']}", step) for step in job["steps"]]
        return found

    def log(self, path: str = "__default/Job/2") -> list[str]:
        """The log of a step, such as `build/compile/2`."""
        stage, job, step = path.split("/")
        key = f"{stage}.{job}".replace(" ", ".")
        base = self.folder / "logs" / key
        number = step.replace(".", "-")
        files = [*base.glob(f"{number}.txt"), *base.glob(f"{number}-*.txt")]
        files = [file for file in files if number[-1].isdigit()]
        return files[0].read_text(encoding="utf-8").splitlines() if files else []

    @property
    def logs(self) -> str:
        """All logs."""
        return "\n".join(path.read_text(encoding="utf-8") for path in sorted((self.folder / "logs").rglob("*.txt")))

    def variables(self, job: str = "__default.Job") -> dict[str, str]:
        """What a job's variables were at its end."""
        found: dict[str, str] = json.loads((self.folder / "variables.json").read_text(encoding="utf-8"))[job]
        return found


class Project:
    """A folder with pipelines and the desk's state."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.started: list[subprocess.Popen[str]] = []
        self.seen: list[int] = []

    # Files ----------------------------------------------------------------------------------------------------------------

    def write(self, name: str, text: str) -> Path:
        """Write a file."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text), encoding="utf-8")
        return path

    def program(self, name: str, text: str) -> Path:
        """Write a file that can be executed."""
        path = self.write(name, text)
        path.chmod(0o755)
        return path

    def read(self, name: str) -> str:
        """A file's text."""
        return (self.folder / name).read_text(encoding="utf-8")

    def git(self, *words: str) -> str:
        """Run git here."""
        return _git(self.folder, *words)

    def repository(self, name: str, **files: str) -> Path:
        """A further repository beside this one, with a commit."""
        folder = self.folder.parent / name
        folder.mkdir()
        _git(folder, "init", "--quiet", "--initial-branch=main")
        for file, text in files.items():
            (folder / file.replace("_", ".")).write_text(text, encoding="utf-8")
        _git(folder, "add", "--all")
        _git(folder, "commit", "--quiet", "--allow-empty", "-m", f"first of {name}")
        return folder

    # Runs -----------------------------------------------------------------------------------------------------------------

    @property
    def runs(self) -> Path:
        """The folder of all runs."""
        return self.folder / ".lockgate" / "runs"

    def newest(self) -> Path:
        """The folder of the newest run."""
        return max((path for path in self.runs.iterdir() if path.name.isdigit()), key=lambda path: int(path.name))

    def record(self, run: int) -> dict[str, Any]:
        """run.json of a run; empty as long as there is none."""
        path = self.runs / str(run) / "run.json"
        return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}

    @staticmethod
    def arguments(*words: str) -> list[str]:
        """The command."""
        return [sys.executable, "-m", "lockgate", *words]

    def call(self, *words: str, **environment: str) -> Ended:
        """Run any command of the desk to its end."""
        given = _environment(HERE=str(self.folder), **environment)
        done = forked.run("desk", self.arguments(*words)[1:], cwd=self.folder, env=given, timeout=PATIENCE)
        assert "Traceback" not in done.stdout + done.stderr, done.stderr
        return Ended(self, done.returncode, done.stdout, done.stderr)

    def run(self, file: str = "p.yml", *options: str, **environment: str) -> Ended:
        """`lockgate run` to its end."""
        return self.call("run", file, "--plain", "--json", *options, **environment)

    def run_text(self, text: str, *options: str, name: str = "p.yml", **environment: str) -> Ended:
        """Write a pipeline and run it."""
        self.write(name, text)
        return self.run(name, *options, **environment)

    def start(self, file: str = "p.yml", *options: str, **environment: str) -> subprocess.Popen[str]:
        """`lockgate run` in the background."""
        process = subprocess.Popen(
            self.arguments("run", file, "--plain", *options),
            cwd=self.folder,
            env=_environment(HERE=str(self.folder), **environment),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.started.append(process)
        return process

    def end_of(self, process: subprocess.Popen[str]) -> Ended:
        """Wait for a run that was started in the background."""
        shown, _ = process.communicate(timeout=PATIENCE)
        assert "Traceback" not in shown, shown
        return Ended(self, process.returncode, shown, "")

    # Conditions -----------------------------------------------------------------------------------------------------------

    def wait_until(self, condition: Callable[[], Any], what: str, patience: float = PATIENCE) -> Any:
        """Wait for a condition, as long as a run that was started goes on; its value."""

        def found() -> Any:
            ended = bool(self.started) and all(process.poll() is not None for process in self.started)
            value = condition()
            if ended and not value:
                shown = [process.stdout.read() for process in self.started if process.stdout and not process.stdout.closed]
                pytest.fail(f"all runs have ended, and there is no hope for: {what}\n{''.join(shown)}")
            return value

        return _wait_until(found, what, patience)

    def wait_for(self, name: str) -> str:
        """Wait for a line in a file of the project; its text."""
        path = self.folder / name

        def found() -> str:
            text = path.read_text(encoding="utf-8") if path.exists() else ""
            return text if text.endswith("\n") else ""

        return str(self.wait_until(found, f"{name} to be written"))

    def pid(self, name: str) -> int:
        """The process id that a step writes into a file of the project, once it has."""
        self.seen.append(int(self.wait_for(name)))
        return self.seen[-1]

    def wait_for_status(self, run: int, path: str, status: str, patience: float = PATIENCE) -> None:
        """Wait until a stage, job or step of a run stands as it should."""
        names = path.split("/")

        def found() -> bool:
            inside: list[dict[str, Any]] = self.record(run).get("stages", [])
            one: dict[str, Any] = {}
            for name, below in zip(names, ("jobs", "steps", ""), strict=False):
                one = next((part for part in inside if part["name"] == name), {})
                inside = one.get(below, [])
            return one.get("status") == status

        self.wait_until(found, f"{path} of run {run} to be {status}", patience)

    def assert_ended(self, *processes: int) -> None:
        """Nothing of them is left, or not for long."""
        for process in processes:
            _wait_until(lambda process=process: not _is_alive(process), f"process {process} to end")

    @staticmethod
    def is_alive(process: int) -> bool:
        """Whether a process runs. One that has ended and that nobody has asked about does not."""
        return _is_alive(process)

    def close(self) -> None:
        """End what a failed test has left running."""
        for process in self.started:
            if process.poll() is None:
                process.kill()
            process.wait()
            if process.stdout is not None:
                process.stdout.close()
        for number in self.seen:
            if _is_alive(number):
                os.kill(number, signal.SIGKILL)


@pytest.fixture(scope="session")
def _repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with one commit, to be copied: git takes longer to make one."""
    folder = tmp_path_factory.mktemp("repository")
    _git(folder, "init", "--quiet", "--initial-branch=main")
    (folder / "readme.txt").write_text("first\n", encoding="utf-8")
    (folder / ".gitignore").write_text(".lockgate/\n*.ignored\n", encoding="utf-8")
    _git(folder, "add", "--all")
    _git(folder, "commit", "--quiet", "-m", "the first commit")
    return folder


def _project(folder: Path, repository: Path) -> Iterator[Project]:
    target = folder / "shop"
    shutil.copytree(repository, target)
    project = Project(target)
    try:
        yield project
    finally:
        project.close()


@pytest.fixture(scope="module")
def new_project(tmp_path_factory: pytest.TempPathFactory, _repository: Path) -> Iterator[Callable[[], Project]]:
    """Makes projects, for tests that run several at once."""
    made: list[Project] = []

    def make() -> Project:
        folder = tmp_path_factory.mktemp("project")
        shutil.copytree(_repository, folder / "shop")
        made.append(Project(folder / "shop"))
        return made[-1]

    yield make
    for project in made:
        project.close()


@pytest.fixture
def project(tmp_path: Path, _repository: Path) -> Iterator[Project]:
    """A project for one test."""
    yield from _project(tmp_path, _repository)
