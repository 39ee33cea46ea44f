"""Artifacts: folders of a run that other jobs and pipelines read."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from lockgate.agent.runs import RunFolder
from lockgate.agent.task import StepHost, TaskError
from lockgate.agent.tasks._files import matching

_FORBIDDEN: Final = re.compile(r'["\\/:<>|*?\x00-\x1f]')


def publish(host: StepHost, source: Path, name: str, *, again: bool = False) -> None:
    """Keep a file or folder as an artifact of the run.

    Raises:
        TaskError: there is no such file, or the artifact is there already.
    """
    name = host.mask(name)
    if not name or _FORBIDDEN.search(name) or name in (".", ".."):
        raise TaskError(f'artifact: found the name {name!r}; allowed: a name without " : < > | * ? / \\')
    if not source.exists():
        raise TaskError(f"there is no file or folder {source} to publish; correct the path")
    target = host.run_folder.artifact(name)
    publisher = host.run_folder.path / "state" / "artifacts" / name
    job = str(host.values.get("System.JobId", ""))
    if target.exists() and host.resuming and publisher.is_file() and publisher.read_text(encoding="utf-8") == job:
        shutil.rmtree(target)  # The job published it in an earlier attempt of the run, and does it again.
    if target.exists() and not again:
        raise TaskError(f"this run has an artifact {name!r} already; choose another name")
    beside = target.with_name(f".{name}.part")
    if beside.exists():
        shutil.rmtree(beside)
    beside.mkdir(parents=True)
    if source.is_dir():
        shutil.copytree(source, beside, dirs_exist_ok=True, ignore=lambda _folder, names: {".git"} & set(names))
    else:
        shutil.copy2(source, beside / source.name)
    if target.exists():
        shutil.copytree(beside, target, dirs_exist_ok=True)
        shutil.rmtree(beside)
    else:
        publisher.parent.mkdir(parents=True, exist_ok=True)
        publisher.write_text(job, encoding="utf-8")
        beside.replace(target)
    host.say(f"artifact {name}: {sum(1 for path in target.rglob('*') if path.is_file())} files")


def fetch(host: StepHost, run: RunFolder, name: str, target: Path, patterns: Iterable[str] = ("**",)) -> None:
    """Copy an artifact of a run, or all of them each into a folder of its name.

    Raises:
        TaskError: the run has no such artifact.
    """
    there = sorted(path.name for path in (run.path / "artifacts").glob("*") if path.is_dir() and not path.name.startswith("."))
    if name and name not in there:
        raise TaskError(f"run {run.id} has no artifact {name!r}; it has: {', '.join(there) or 'none'}")
    wanted = [name] if name else there
    for one in wanted:
        source = run.artifact(one)
        goes_to = target if name else target / one
        goes_to.mkdir(parents=True, exist_ok=True)
        files = matching(source, patterns)
        for path in files:
            copy = goes_to / path.relative_to(source)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, copy)
        host.say(f"artifact {one} of run {run.id}: {len(files)} files to {goes_to}")
    if not wanted:
        host.say(f"run {run.id} has no artifacts")
