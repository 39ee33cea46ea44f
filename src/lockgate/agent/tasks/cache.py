"""`Cache@2`: a folder that is kept from run to run, under a key of texts and files' contents."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Final

from lockgate.agent.task import StepHost, Task, TaskError
from lockgate.agent.tasks._files import matching
from lockgate.pipelines.task_specification import Input, TaskSpecification

_NOT_IN_NAMES: Final = frozenset('"<>|:')
_RESERVED: Final = ("*", "**")


def _is_text(segment: str) -> bool:
    quoted = len(segment) > 1 and segment.startswith('"') and segment.endswith('"')
    return (
        quoted
        or any(c in _NOT_IN_NAMES for c in segment)
        or ("." not in segment and "/" not in segment and "*" not in segment)
        or segment.endswith(".")
    )


def fingerprint(host: StepHost, key: str) -> list[str]:
    """The segments of a key, each a text, or the hash of the files that it names.

    Raises:
        TaskError: a pattern names no file, or the key is empty.
    """
    found: list[str] = []
    for segment in (part.strip() for part in key.replace("\n", "|").split("|")):
        if segment in _RESERVED or not segment:
            raise TaskError(f"key: found the segment {segment!r}; allowed: a text, a file, or a pattern such as ./*")
        if _is_text(segment):
            host.say(f" - {segment} [text]")
            found.append(segment)
            continue
        root = host.resolve(".")
        names = [name.strip() for name in segment.split(",")]
        outside = [host.resolve(name) for name in names if name.startswith("/") and not Path(name).is_relative_to(root)]
        files = matching(root, names) + [path for path in outside if path.is_file()]
        if not files:
            raise TaskError(f"key: found no file for {segment!r} in {root}; correct the pattern, or quote it if it is a text")
        digest = hashlib.sha256()
        for path in files:
            digest.update(f"{os.path.relpath(path, root)}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
        host.say(f" - {segment} [{len(files)} files] → {digest.hexdigest()[:16]}")
        found.append(digest.hexdigest())
    return found


def _folder(host: StepHost) -> Path:
    pipeline = str(host.values.get("Build.DefinitionName", ""))
    return host.folders.tools.parent / "cache" / hashlib.sha256(pipeline.encode()).hexdigest()[:16]


def _entry(base: Path, segments: list[str]) -> Path:
    return base / hashlib.sha256(json.dumps(segments).encode()).hexdigest()


def _restorable(host: StepHost, base: Path) -> tuple[Path, list[str]] | None:
    """The newest entry that begins with one of the restoreKeys, in their order."""
    entries = [(path, json.loads((path / "key.json").read_text())) for path in base.glob("*/") if (path / "key.json").is_file()]
    for line in host.inputs["restoreKeys"].splitlines():
        if not line.strip():
            continue
        wanted = fingerprint(host, line.strip())
        fitting = [(path, key) for path, key in entries if key[: len(wanted)] == wanted]
        if fitting:
            return max(fitting, key=lambda entry: (entry[0] / "key.json").stat().st_mtime_ns)
    return None


def _run(host: StepHost) -> None:
    segments = fingerprint(host, host.inputs["key"])
    path = host.resolve(host.inputs["path"])
    base = _folder(host)
    entry = _entry(base, segments)
    name = host.inputs["cacheHitVar"]
    if (entry / "key.json").is_file():
        shutil.copytree(entry / "content", path, dirs_exist_ok=True, symlinks=True)
        host.say("cache: found exactly this key")
        if name:
            host.set_variable(name, "true")
        return
    near = _restorable(host, base)
    if near:
        shutil.copytree(near[0] / "content", path, dirs_exist_ok=True, symlinks=True)
    host.say("cache: found a key that begins alike" if near else "cache: found nothing; it is filled when the job succeeds")
    if name:
        host.set_variable(name, "inexact" if near else "false")

    def save() -> None:
        if not path.is_dir() or entry.exists():
            return
        base.mkdir(parents=True, exist_ok=True)
        beside = base / f".{entry.name}.{os.getpid()}"
        shutil.rmtree(beside, ignore_errors=True)
        shutil.copytree(path, beside / "content", symlinks=True)
        (beside / "key.json").write_text(json.dumps(segments), encoding="utf-8")
        try:
            beside.replace(entry)
        except OSError:
            shutil.rmtree(beside)  # Another job was quicker; a key's content never changes.

    host.at_job_end(save)


TASK = Task(
    TaskSpecification(
        "Cache",
        (2,),
        "brings a folder back that an earlier run has filled, and keeps it once the job has succeeded",
        (
            Input("key", "texts, files and patterns with | between", required=True),
            Input("path", "the folder", required=True),
            Input("cacheHitVar", "variable that becomes true, inexact or false"),
            Input("restoreKeys", "beginnings of keys that will do, a line each"),
        ),
    ),
    _run,
)
