"""What the tasks that run scripts share."""

from __future__ import annotations

import shutil
import uuid
from pathlib import Path

from lockgate.agent.task import StepHost, TaskError, is_true


def write_script(host: StepHost, text: str, ending: str = "sh") -> Path:
    """A script in the job's temporary folder."""
    path = host.folders.temp / f"{uuid.uuid4()}.{ending}"
    path.write_text(text if text.endswith("\n") else text + "\n", encoding="utf-8")
    return path


def working_folder(host: StepHost, name: str) -> Path:
    """The folder that an input names, or the default one.

    Raises:
        TaskError: there is no such folder.
    """
    folder = host.resolve(host.inputs.get(name, "") or ".")
    if not folder.is_dir():
        raise TaskError(f"{name}: there is no folder {folder}; make it in a step before, or correct the input")
    return folder


def announce(host: StepHost, text: str) -> None:
    """Show what is run, where it is one line."""
    lines = text.strip().splitlines()
    if len(lines) == 1 and "##vso[" not in text:
        host.say(f"##[command]{lines[0]}")


def finish(code: int, what: str) -> None:
    """Fail after an exit code that is not 0.

    Raises:
        TaskError: it is not 0.
    """
    if code:
        raise TaskError(f"{what} exited with code {code}")


def find_bash() -> str:
    """The bash of this machine.

    Raises:
        TaskError: there is none.
    """
    found = shutil.which("bash")
    if found is None:
        raise TaskError("found no bash on PATH; install it")
    return found


def stderr_fails(host: StepHost, name: str) -> bool:
    """Whether the input `name` is true."""
    return is_true(host.inputs.get(name, ""))
