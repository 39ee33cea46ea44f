"""`UsePythonVersion@0`: a Python of this machine."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

from lockgate.agent.task import StepHost, Task, TaskError, is_true
from lockgate.pipelines.task_specification import Input, TaskSpecification

_SPECIFICATION = re.compile(r"(?:3|>=?\s*3)(?:\.(\d+|x|\*))?(?:\.(\d+|x|\*))?")
_ASK = "import platform, sys; print(sys.executable); print(platform.python_version())"


def _candidates(minor: str | None, search: str | None) -> list[str]:
    """Pythons to look at, the likeliest first; the one that runs Lockgate is one too."""
    names = [sys.executable, "python3", *(f"python3.{number}" for number in range(20, 8, -1))]
    if minor:
        names.insert(0, f"python3.{minor}")
    return list(dict.fromkeys(found for name in names if (found := shutil.which(name, path=search))))


def _fits(numbers: list[int], minor: str | None, patch: str | None, *, at_least: bool) -> bool:
    wanted = [3, *(int(part) for part in (minor, patch) if part)]
    return numbers[: len(wanted)] >= wanted if at_least else numbers[: len(wanted)] == wanted


def _run(host: StepHost) -> None:
    wanted = host.inputs["versionSpec"].strip()
    match = _SPECIFICATION.fullmatch(wanted)
    if match is None:
        raise TaskError(f"versionSpec: found {wanted!r}; allowed here: 3.x, 3.12, 3.12.1 or >=3.11")
    minor, patch = (part if part and part.isdigit() else None for part in match.groups())
    seen: list[str] = []
    for name in _candidates(minor, host.environment.get("PATH")):
        asked = subprocess.run([name, "-c", _ASK], capture_output=True, text=True, check=False, timeout=60)
        if asked.returncode:
            continue
        executable, version = asked.stdout.split("\n")[:2]
        seen.append(version)
        if not _fits([int(part) for part in re.findall(r"\d+", version)[:3]], minor, patch, at_least=wanted.startswith(">")):
            continue
        host.say(f"Python {version} at {executable}")
        host.set_variable("pythonLocation", str(Path(executable).parent), output=True)
        if is_true(host.inputs["addToPath"]):
            host.prepend_path(Path(executable).parent)
        return
    there = ", ".join(dict.fromkeys(seen)) or "none"
    raise TaskError(f"versionSpec: found no Python {wanted} on this machine; there is: {there}; install it, or ask for one of those")


TASK = Task(
    TaskSpecification(
        "UsePythonVersion",
        (0,),
        "puts a Python of this machine first on PATH",
        (
            Input("versionSpec", "which version", "3.x"),
            Input("addToPath", "whether it comes first on PATH", "true", kind="boolean"),
            Input("architecture", "which build", "x64", allowed=("x64", "x86", "arm64"), no_effect="this machine's own is used"),
            Input("disableDownloadFromRegistry", "whether none may be fetched", "false", kind="boolean", no_effect="nothing is fetched"),
            Input("allowUnstable", "whether unfinished versions count", "false", kind="boolean", no_effect="nothing is fetched"),
            Input("githubToken", "token for fetching", no_effect="nothing is fetched"),
        ),
    ),
    _run,
)
