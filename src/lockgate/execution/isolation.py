"""Virtual environments of conda files' pip parts, each built once by uv and kept: `lockgate run --isolated`."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from lockgate.errors import RunError, UnsupportedError, UsageError
from lockgate.yaml_source import Node, load_yaml

_AZURE_ONLY: Final = re.compile(r"azureml-(?:mlflow|defaults|inference-server-http)\b", re.IGNORECASE)
_DONE: Final = ".complete"
_LINES: Final = 6


@dataclass(frozen=True)
class Packages:
    """What an environment needs: the Python, such as 3.12 (empty: this one's), and lines as pip takes them."""

    python: str
    lines: tuple[str, ...]

    @property
    def key(self) -> str:
        """Stands for them."""
        return hashlib.sha256(json.dumps([self.python, sorted(self.lines), sys.platform]).encode()).hexdigest()[:16]


def packages_of(conda_file: Path) -> Packages:
    """What a conda file asks for.

    Raises:
        UnsupportedError: it has packages that come from conda alone.
    """
    top = load_yaml(conda_file)
    dependencies = top.get("dependencies")
    python, lines = "", []
    refused = []
    for item in dependencies.value if dependencies is not None and dependencies.is_list else ():
        if item.is_mapping:
            pip = item.get("pip")
            lines += [node.text for node in pip.value] if pip is not None and pip.is_list else []
            continue
        match = re.fullmatch(r"python\s*(?:=+\s*([\d.]+)(?:\.\*)?)?", item.text)
        if match:
            python = match[1] or ""
        elif not re.match(r"pip\b", item.text):
            refused.append(_from_conda(item))
    if refused:
        raise UnsupportedError(refused)
    return Packages(python, tuple(line for line in lines if not _AZURE_ONLY.match(line)))


def _from_conda(node: Node) -> Any:
    return node.mistake(
        f"found {node.text!r}, which conda would install; --isolated installs the pip part alone: put it below pip:", unsupported=True
    )


def find_uv(root: Path) -> str:
    """The uv that is there.

    Raises:
        UsageError: there is none.
    """
    found = shutil.which("uv") or next((str(path) for path in (root / ".tools" / "uv" / "bin" / "uv",) if path.is_file()), None)
    if found is None:
        raise UsageError("found no uv, which builds environments; install it: pip install uv")
    return found


def python_of(root: Path, packages: Packages, say: Callable[[str], None]) -> Path:
    """The Python of an environment, which is built if it is not there yet.

    Args:
        root: the folder that holds `.lockgate`.
        packages: what it needs.
        say: is told before something is built.

    Raises:
        RunError: it can't be built; with uv's last lines.
    """
    folder = root / ".lockgate" / "environments" / packages.key
    python = folder / "bin" / "python"
    if (folder / _DONE).exists():
        return python
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / f".{packages.key}.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if (folder / _DONE).exists():
            return python
        shutil.rmtree(folder, ignore_errors=True)
        say(f"building an environment with {len(packages.lines)} packages (once; kept in .lockgate/environments/{packages.key})")
        uv = find_uv(root)
        _uv([uv, "venv", "--quiet", "--python", _wanted(packages.python), str(folder)])
        if packages.lines:
            wanted = folder / "requirements.txt"
            wanted.write_text("\n".join(packages.lines) + "\n", encoding="utf-8")
            _uv([uv, "pip", "install", "--quiet", "--python", str(python), "--requirement", str(wanted)])
        (folder / _DONE).touch()
    return python


def _wanted(version: str) -> str:
    """The Python that runs here where it has the version, so that none is looked for or downloaded."""
    here = ".".join(map(str, sys.version_info[:3]))
    return version if version and not f"{here}.".startswith(f"{version}.") else sys.executable


def _uv(command: list[str]) -> None:
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode:
        last = "\n".join(f"  {line}" for line in done.stderr.strip().splitlines()[-_LINES:])
        raise RunError(f"an environment can't be built: {' '.join(command[1:3])} ended with {done.returncode}:\n{last}")


def in_it(python: Path, environment: Mapping[str, str]) -> dict[str, str]:
    """A process's environment with that Python first."""
    return {
        **{key: value for key, value in environment.items() if key not in ("PYTHONHOME", "PYTHONPATH")},
        "PATH": f"{python.parent}{os.pathsep}{environment.get('PATH', '')}",
        "VIRTUAL_ENV": str(python.parents[1]),
        "LOCKGATE_JOB_PYTHON": str(python),
    }
