"""Tasks that a project maps to programs of its own: `.lockgate/tasks/Name@1`, which gets its inputs as INPUT_… variables."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final

from lockgate.agent.task import StepHost, TaskError
from lockgate.agent.tasks._script import finish
from lockgate.agent.variables import environment_name

_NAME: Final = re.compile(r"[A-Za-z][\w.-]*@\d+")


def _folder(root: Path) -> Path:
    return root / ".lockgate" / "tasks"


def mapped_tasks(root: Path) -> list[str]:
    """The names of the tasks that are mapped, as `Name@1`."""
    folder = _folder(root)
    return sorted(path.name for path in folder.iterdir() if _NAME.fullmatch(path.name)) if folder.is_dir() else []


def run_mapped(host: StepHost, root: Path, task: str) -> None:
    """Run the program that a task is mapped to."""
    path = next((path for path in _folder(root).iterdir() if path.name.lower() == task.lower()), _folder(root) / task)
    if not os.access(path, os.X_OK):
        raise TaskError(f"{path} can't be executed; make it a program: chmod +x")
    inputs = {f"INPUT_{environment_name(name)}": text for name, text in host.inputs.items()}
    finish(host.run([path], host.folders.sources, environment=inputs), task)
