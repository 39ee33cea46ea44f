"""A job in a process of its own, which goes on after the command that began it."""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from lockgate.errors import LockgateError, RunError
from lockgate.workspace import jobs
from lockgate.workspace.errors import ConflictError
from lockgate.workspace.store import Store

LOG: Final = "desk.log"
_PATIENCE: Final = 60.0
"""Seconds in which a job has to be recorded once its process has begun."""
_POLL: Final = 0.02
_OF_OTHERS: Final = ("LOCKGATE_RUN", "LOCKGATE_JOB", "LOCKGATE_AZUREML_JOB", "LOCKGATE_AZUREML_NODE")
"""By these whoever began the job ends what it left behind; the job is not that."""


def begin(store: Store, name: str, file: Path, overrides: Sequence[str]) -> None:
    """Begin a job, and come back once it is recorded.

    Raises:
        ConflictError: the name is taken.
        RunError: it ended before it was.
    """
    folder = store.job_folder(name)
    folder.parent.mkdir(parents=True, exist_ok=True)
    try:
        folder.mkdir()  # Of two that want the name, one gets it.
    except FileExistsError:
        raise ConflictError(
            f"(UserError) A job with name {name} already exists in workspace {store.workspace}. Please use a different name."
        ) from None
    command = [sys.executable, "-m", "lockgate.execution.job_process", str(store.root), store.workspace, name, str(file), *overrides]
    # A job belongs to its workspace, not to the step that began it, as in Azure.
    environment = {key: value for key, value in os.environ.items() if key not in _OF_OTHERS}
    with (folder / LOG).open("wb") as log:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True, env=environment
        )
    deadline = time.monotonic() + _PATIENCE
    while jobs.find_job(store, name) is None:
        if process.poll() is not None or time.monotonic() > deadline:
            last = (folder / LOG).read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1:]
            shutil.rmtree(folder)
            raise RunError("".join(last) or f"job {name} ended before it began")
        time.sleep(_POLL)


def main() -> None:
    """Run the job that the command line names."""
    from lockgate.execution.display import Lines
    from lockgate.execution.job_file import load_job
    from lockgate.execution.overrides import parse_override
    from lockgate.execution.runner import Runner, failure_report
    from lockgate.interrupts import Interrupts

    parser = argparse.ArgumentParser()
    for word in ("root", "workspace", "name", "file"):
        parser.add_argument(word)
    parser.add_argument("overrides", nargs="*")
    args = parser.parse_args()
    interrupts = Interrupts()
    try:
        store = Store(Path(args.root), args.workspace)
        job = load_job(Path(args.file), [parse_override(text) for text in args.overrides], store=store)
        runner = Runner(
            job, store, Lines(sys.stdout), parallel=os.cpu_count() or 1, reuse=True, interrupts=interrupts, name=args.name, strict=True
        )
        outcome = runner.run()
    except KeyboardInterrupt:
        sys.exit(130)
    except LockgateError as error:
        print(error, flush=True)
        sys.exit(error.exit_code)
    if outcome.status != "Completed":
        print(failure_report(runner.view), flush=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
