"""The environments of the desk, and their checks: `.lockgate/environments.yml`.

prod:
  approval:
    instructions: Look at the report first.
    timeoutMinutes: 1440      # 43200 (30 days) if it is not there
  exclusiveLock: true
  branches: [refs/heads/main] # the only ones that may deploy to it
"""

from __future__ import annotations

import fnmatch
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lockgate.errors import FileError, Mistake
from lockgate.pipelines.mistakes import suggestion
from lockgate.yaml_source import Node, load_yaml

FILE: Final = "environments.yml"
_CHECKS: Final = ("approval", "exclusiveLock", "branches")
_APPROVAL: Final = ("instructions", "timeoutMinutes")
_THIRTY_DAYS: Final = 43_200


@dataclass(frozen=True)
class Approval:
    """A person is asked."""

    instructions: str = ""
    timeout_minutes: float = _THIRTY_DAYS


@dataclass(frozen=True)
class Environment:
    """What has to hold before a stage deploys to it."""

    name: str
    approval: Approval | None = None
    exclusive_lock: bool = False
    branches: tuple[str, ...] = ()

    def allows(self, branch: str) -> bool:
        """Whether a branch may deploy to it."""
        return not self.branches or any(fnmatch.fnmatchcase(branch, pattern) for pattern in self.branches)


def load_environments(state: Path, shown: str) -> dict[str, Environment]:
    """The environments by name in small letters. One that is not in the file has no checks.

    Raises:
        FileError: the file is wrong.
    """
    path = state / FILE
    if not path.exists():
        return {}
    root = load_yaml(path, shown)
    mistakes: list[Mistake] = []
    if not root.is_mapping:
        raise FileError([root.mistake(f"found {root.describe()}; allowed: a mapping of environments to their checks")])
    found = {name.lower(): _environment(name, node, mistakes) for name, node in root.items()}
    if mistakes:
        raise FileError(mistakes)
    return found


def _keys(node: Node, allowed: tuple[str, ...], what: str, mistakes: list[Mistake]) -> None:
    for key, value in node.items():
        if key not in allowed:
            mistakes.append(value.mistake(f"unknown key {key!r} of {what}; {suggestion(key, allowed)}", at_key=True))


def _environment(name: str, node: Node, mistakes: list[Mistake]) -> Environment:
    if node.value is None:
        return Environment(name)
    if not node.is_mapping:
        mistakes.append(node.mistake(f"{name}: found {node.describe()}; allowed: a mapping with {', '.join(_CHECKS)}"))
        return Environment(name)
    _keys(node, _CHECKS, f"environment {name!r}", mistakes)
    approval = _approval(name, node.get("approval"), mistakes)
    lock = node.get("exclusiveLock")
    if lock is not None and not isinstance(lock.value, bool):
        mistakes.append(lock.mistake(f"exclusiveLock: found {lock.describe()}; allowed: true or false"))
    branches = node.get("branches")
    names: list[str] = []
    if branches is not None:
        if branches.is_list:
            names = [item.text if item.text.startswith("refs/") else f"refs/heads/{item.text}" for item in branches.value]
        else:
            mistakes.append(branches.mistake(f"branches: found {branches.describe()}; allowed: a list such as [refs/heads/main]"))
    return Environment(name, approval, bool(lock and lock.value is True), tuple(names))


def _approval(name: str, node: Node | None, mistakes: list[Mistake]) -> Approval | None:
    if node is None or node.value is False:
        return None
    if node.value is True or node.value is None:
        return Approval()
    if not node.is_mapping:
        mistakes.append(
            node.mistake(f"approval of {name!r}: found {node.describe()}; allowed: true, or a mapping with {', '.join(_APPROVAL)}")
        )
        return None
    _keys(node, _APPROVAL, f"the approval of {name!r}", mistakes)
    instructions, timeout = node.get("instructions"), node.get("timeoutMinutes")
    minutes = timeout.value if timeout is not None else _THIRTY_DAYS
    if isinstance(minutes, bool) or not isinstance(minutes, (int, float)) or not 0 < minutes <= _THIRTY_DAYS:
        mistakes.append((timeout or node).mistake(f"timeoutMinutes: found {minutes!r}; allowed: minutes up to {_THIRTY_DAYS:,}"))
        minutes = _THIRTY_DAYS
    return Approval(instructions.text if instructions else "", float(minutes))
