"""What has changed in a tree since a revision, by lines."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Change:
    """A file that has changed."""

    path: str
    """Where it is, or was if it is no more."""
    before: str = ""
    """Where it was before; empty if it is new."""
    text: str = ""
    lines: frozenset[int] = frozenset()
    """Numbers of the lines of `text` that are new or different."""
    text_before: str = ""
    lines_before: frozenset[int] = frozenset()
    """Numbers of the lines of `text_before` that are gone or different."""


def changes_since(root: Path, base: str) -> list[Change]:
    """Everything that differs from a revision, committed or not, and what git does not know yet.

    Raises:
        subprocess.CalledProcessError: there is no such revision, or no repository.
    """
    found = []
    words = _git(root, "diff", "--name-status", "--find-renames", "-z", base, "--").split("\0")
    while len(words) > 1:
        status = words.pop(0)
        before = words.pop(0)
        path = words.pop(0) if status[0] in "RC" else before
        found.append(_change(root, base, path, "" if status[0] == "A" else before, gone=status[0] == "D"))
    unknown = _git(root, "ls-files", "--others", "--exclude-standard", "-z").split("\0")
    found += [_change(root, base, path, "", gone=False) for path in unknown if path]
    return sorted(found, key=lambda change: change.path)


def _change(root: Path, base: str, path: str, before: str, *, gone: bool) -> Change:
    if not path.endswith(".py"):
        return Change(path, before)
    text = "" if gone or not (root / path).exists() else (root / path).read_text(encoding="utf-8", errors="replace")
    text_before = _git(root, "show", f"{base}:{before}") if before else ""
    if not text or not text_before:
        return Change(path, before, text, _all(text), text_before, _all(text_before))
    given = [before, path] if before != path else [path]
    lines, lines_before = _hunks(_git(root, "diff", "--unified=0", "--find-renames", base, "--", *given).splitlines())
    return Change(path, before, text, lines, text_before, lines_before)


def _all(text: str) -> frozenset[int]:
    return frozenset(range(1, text.count("\n") + 2))


def _hunks(diff: Iterable[str]) -> tuple[frozenset[int], frozenset[int]]:
    """The numbers of the lines that are new, and of those that are gone."""
    new: set[int] = set()
    gone: set[int] = set()
    for line in diff:
        match = re.match(r"@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@", line)
        if match:
            for into, first, count in ((gone, match[1], match[2]), (new, match[3], match[4])):
                into.update(range(int(first), int(first) + int(count or 1)))
    return frozenset(new), frozenset(gone)


def _git(root: Path, *words: str) -> str:
    command = ["git", "-C", str(root), *words]
    return subprocess.run(command, capture_output=True, encoding="utf-8", errors="replace", check=True).stdout
