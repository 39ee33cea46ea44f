"""What several tests of the data science library need: places, processes, small projects, typed frames."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import forked
from tabular.project import Project, load_project

T = TypeVar("T")
E = TypeVar("E", bound=Exception)
ROOT = Path(__file__).parents[2]
DATA_SCIENCE = ROOT / "data-science"
SOURCE = DATA_SCIENCE / "src"
DATA = DATA_SCIENCE / "data"
PROJECT = DATA_SCIENCE / "project.yml"
NO_FEATURES = Path("no-features.py")


def process(*arguments: object, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run Python with arguments, without the tracking variables of whoever runs the tests."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("MLFLOW_", "AZUREML_"))}
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=cwd,
        env={**inherited, "PYTHONPATH": str(SOURCE), **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def step(script: str, *arguments: object, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a step of `data-science/src`, in a process that begins with its libraries loaded."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("MLFLOW_", "AZUREML_"))}
    given = {**inherited, "PYTHONPATH": str(SOURCE), **environment}
    return forked.run("steps", [SOURCE / script, *arguments], cwd=cwd, env=given)


def done(result: subprocess.CompletedProcess[str]) -> str:
    """The output of a process that had to succeed."""
    assert result.returncode == 0, f"exit code {result.returncode}\n{result.stdout}\n{result.stderr}"
    return result.stdout


def outcome(act: Callable[[], T], kind: type[E]) -> tuple[T | None, E | None]:
    """What a call gave, or the error of a kind that it raised: for what may end either way, if it says why."""
    try:
        return act(), None
    except kind as error:
        return None, error


def project_of(text: str, folder: Path) -> Project:
    """Read the text of a project.yml."""
    path = folder / "project.yml"
    path.write_text(text, encoding="utf-8")
    return load_project(path)


def write_csv(path: Path, header: Sequence[str], rows: Sequence[Sequence[Any]]) -> Path:
    """Write rows, None as an empty cell."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(["" if value is None else value for value in row] for row in rows)
    return path


def prep_arguments(raw: Path, project: Path, output: Path, features: Path = NO_FEATURES) -> list[object]:
    """The command line of prep.py, all outputs below one folder."""
    sides: list[object] = []
    for side in ("train", "validation", "test", "recipe"):
        sides += [f"--{side}", output / side]
    return ["--raw", raw, "--project", project, "--features", features, *sides]


def prep_outputs(folder: Path) -> dict[str, Path]:
    """The output folders of `preparation.prepare`."""
    return {side: folder / side for side in ("train", "validation", "test")}


def swapped(row: Mapping[str, Any], **values: Any) -> dict[str, Any]:
    """A row with some values replaced."""
    return {**row, **values}
