"""Microsoft's own check of Azure Pipelines files: their language service on Node, with the facts of their JSON schema.

It knows every key of the schema and every input of the tasks that Microsoft ships. It does not know Azure: expressions,
conditions, the names in `dependsOn`, and what a template takes are not looked at.
"""

from __future__ import annotations

import functools
import hashlib
import json
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from microsoft.schema import schema

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
CACHE = ROOT / ".tools" / "microsoft"
MARKETPLACE_TASKS = frozenset({"AzureMLJobWaitTask@1"})
"""Tasks of marketplace extensions, unknown to the schema, that pipelines may use all the same. Their inputs are not checked."""

NO_MATCH = "String does not match the pattern of"
LONGEST = 300
"""Characters of a message that are kept: the one on an unknown task lists all the tasks there are."""
PATIENCE = 300.0
"""Seconds after which an install or a check that should end never will."""
OFFLINE = re.compile(r"\b(ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ENETUNREACH|EHOSTUNREACH|ETIMEDOUT|ERR_SOCKET_TIMEOUT)\b")


class Unavailable(Exception):  # noqa: N818 - not an error: the reason to skip
    """Why there is no check on this machine."""


def problems(files: Iterable[Path]) -> dict[Path, list[str]]:
    """Check all files in one run of Node.

    Each problem reads `line:column: message`, in the words of the language service. The tasks of `MARKETPLACE_TASKS` are
    known to it. Patterns are not held against template expressions, which are no names yet. Skips the test, with the reason,
    where Node, npm or, for the install, a network is missing.
    """
    found = {}
    for file, many in _check(files, MARKETPLACE_TASKS).items():
        lines = file.read_text(encoding="utf-8").split("\n")
        kept = [one for one in many if not (NO_MATCH in one["message"] and "${{" in lines[one["line"] - 1][one["column"] - 1 :])]
        found[file] = [f"{one['line']}:{one['column']}: {_short(one['message'])}" for one in kept]
    return found


def unknown_tasks(tasks: Iterable[str]) -> set[str]:
    """Which of these, such as `AzureMLJobWaitTask@1`, the schema itself does not know."""
    with tempfile.TemporaryDirectory() as folder:
        files = {Path(folder) / f"{number}.yml": task for number, task in enumerate(tasks)}
        for file, task in files.items():
            file.write_text(f"steps:\n  - task: {task}\n", encoding="utf-8")
        found = _check(files, frozenset())
    return {files[file] for file, many in found.items() if any(one["message"].startswith("Value is not accepted.") for one in many)}


def _check(files: Iterable[Path], tasks: frozenset[str]) -> dict[Path, list[dict[str, Any]]]:
    names = {str(file.resolve()): file for file in files}
    try:
        node, modules = _ready()
    except Unavailable as reason:
        pytest.skip(f"Microsoft's check of Azure Pipelines files: {reason}")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "schema.json"
        file.write_text(json.dumps(_with_tasks(schema(), tasks)), encoding="utf-8")
        done = subprocess.run(
            [node, str(HERE / "check.mjs"), str(file), *names],
            cwd=modules,
            capture_output=True,
            encoding="utf-8",
            timeout=PATIENCE,
            check=False,
        )
    if done.returncode != 0:
        raise RuntimeError(f"check.mjs ended with {done.returncode}:\n{done.stderr}")
    answer = json.loads(done.stdout)
    return {file: answer[name] for name, file in names.items()}


def _with_tasks(whole: dict[str, Any], tasks: frozenset[str]) -> dict[str, Any]:
    """Add tasks, with any inputs. Without that their steps are held against the first task of the schema: three messages or more."""
    definition = whole["definitions"]["task"]
    for task in sorted(tasks):
        definition["properties"]["task"]["anyOf"].append({"ignoreCase": "value", "enum": [task]})
        named = {"ignoreCase": "value", "pattern": f"^{re.escape(task)}$"}
        definition["anyOf"].append(
            {"properties": {"task": named, "inputs": {"type": "object"}}, "firstProperty": ["task"], "required": ["task"]}
        )
    return whole


def _short(message: str) -> str:
    return message if len(message) <= LONGEST else message[: LONGEST - 1] + "…"


def _ready() -> tuple[str, Path]:
    """Return Node, and the folder that holds its modules."""
    commands = [shutil.which(name) for name in ("node", "npm")]
    if not all(commands):
        raise Unavailable("there is no node or no npm on PATH")
    node, npm = (str(command) for command in commands)
    found = _installed(npm, CACHE)
    if isinstance(found, Unavailable):
        raise found
    return node, found


@functools.cache
def _installed(npm: str, cache: Path) -> Path | Unavailable:
    """Install the modules of the lock file, once per lock file and machine; without a network, ask once per process."""
    stamp = hashlib.sha256((HERE / "package-lock.json").read_bytes()).hexdigest()[:16]
    ready = cache / stamp
    if ready.is_dir():
        return ready
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache, prefix="installing-") as folder:
        work = Path(folder) / stamp
        work.mkdir()
        for name in ("package.json", "package-lock.json", ".npmrc"):
            shutil.copy(HERE / name, work)
        try:
            done = subprocess.run(
                [npm, "ci", "--no-progress"], cwd=work, capture_output=True, encoding="utf-8", timeout=PATIENCE, check=False
            )
        except subprocess.TimeoutExpired:
            return Unavailable(f"npm ci has not ended in {PATIENCE:g} s; is there a network?")
        if done.returncode != 0:
            offline = OFFLINE.search(done.stderr)
            if offline:
                return Unavailable(f"npm ci has no network: {offline[0]}")
            raise RuntimeError(f"npm ci ended with {done.returncode}:\n{done.stderr}")
        try:
            work.rename(ready)  # whole or not at all, whoever else installs at this moment
        except OSError:
            if not ready.is_dir():
                raise
    return ready
