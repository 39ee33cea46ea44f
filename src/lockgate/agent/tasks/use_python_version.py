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
    """Names to look for, the likeliest first; the Python that runs Lockgate is one too."""
    named = [f"python3.{minor}"] if minor else []
    if not minor:
        named = [sys.executable, "python3", *(f"python3.{number}" for number in range(20, 8, -1))]
    elif sys.version_info[1] == int(minor):
        named.insert(0, sys.executable)
    return [found for name in named if (found := shutil.which(name, path=search))]


def _run(host: StepHost) -> None:
    wanted = host.inputs["versionSpec"].strip()
    match = _SPECIFICATION.fullmatch(wanted)
    if match is None:
        raise TaskError(f"versionSpec: found {wanted!r}; allowed here: 3.x, 3.12, 3.12.1 or >=3.11")
    minor, patch = (part if part and part.isdigit() else None for part in match.groups())
    at_least = wanted.startswith(">")
    seen: list[str] = []
    for name in _candidates(None if at_least else minor, host.environment.get("PATH")):
        asked = subprocess.run([name, "-c", _ASK], capture_output=True, text=True, check=False, timeout=60)
        if asked.returncode:
            continue
        executable, version = asked.stdout.split("\n")[:2]
        numbers = [int(part) for part in re.findall(r"\d+", version)[:3]]
        seen.append(version)
        if (at_least and minor and numbers[1] < int(minor)) or (not at_least and minor and numbers[1] != int(minor)):
            continue
        if patch and numbers[2] != int(patch) and not at_least:
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
