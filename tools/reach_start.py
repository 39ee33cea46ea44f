"""Runs first in every Python process of a recorded test run: starts coverage, in the context of the test that the process belongs to.

A `.pth` file of the environment that `write_test_map.py` makes imports this, so that no process can be without it, whatever its variables.
Most processes inherit the context as a variable. Some start with few variables on purpose; those ask which process they come from.
"""

from __future__ import annotations

import os
from pathlib import Path

VARIABLE = "REACH_CONTEXT"
_CONFIGURATION = "COVERAGE_PROCESS_START"
_folder = Path()


def start(folder: str) -> None:
    """Start coverage, with `coverage.ini` of a folder, into that folder."""
    global _folder  # noqa: PLW0603 - a process has one
    if _folder != Path():
        return
    _folder = Path(folder)
    context = _inherited()
    _note(context)
    import coverage

    # The variables stay only as long as coverage reads them: a test may look at what a process was given.
    before = {name: os.environ.get(name) for name in (_CONFIGURATION, VARIABLE)}
    os.environ |= {_CONFIGURATION: str(_folder / "coverage.ini"), VARIABLE: context}
    coverage.process_startup()
    for name, text in before.items():
        if text is None:
            del os.environ[name]
        else:
            os.environ[name] = text


def switch(context: str) -> None:
    """Count what this process and those that it starts from now on execute as another context's."""
    import coverage

    _note(context)
    os.environ[VARIABLE] = context
    current = coverage.Coverage.current()
    if current is not None:
        current.switch_context(context)


def folder() -> Path:
    """Where the recording lies."""
    return _folder


def _note(context: str) -> None:
    """Leave word for processes that will not inherit the variable."""
    process = os.getpid()
    try:
        begun = _status(process)[1]
    except OSError:
        return  # no /proc: what starts without variables is not recorded there
    (_folder / "contexts").mkdir(exist_ok=True)
    (_folder / "contexts" / str(process)).write_text(f"{begun} {context}", encoding="utf-8")


def _inherited() -> str:
    if VARIABLE in os.environ:
        return os.environ[VARIABLE]
    process = os.getppid()
    try:
        while process > 1:
            parent, begun = _status(process)
            try:
                told, _, context = (_folder / "contexts" / str(process)).read_text(encoding="utf-8").partition(" ")
            except FileNotFoundError:
                told, context = "", ""
            if told == begun:  # else the number was another's before
                return context
            process = parent
    except OSError:
        pass  # it has ended, or there is no /proc
    return ""


def _status(process: int) -> tuple[int, str]:
    """A process's parent, and when it began."""
    fields = Path(f"/proc/{process}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    return int(fields[1]), fields[19]
