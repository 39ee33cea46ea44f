"""Files by patterns, as Azure's tasks match them: minimatch with `**`, `!` to take back, later patterns on top of earlier ones."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path


def matches(name: str, pattern: str, *, dot: bool = True, base: bool = False) -> bool:
    """Whether a path, relative and with /, matches a pattern.

    Args:
        name: the path.
        pattern: with `*`, `**`, `?`, `[…]`, `{a,b}` and `+(…)`.
        dot: whether a star stands for names with a dot in front too.
        base: whether a pattern without / matches at every depth.
    """
    from wcmatch import glob

    flags = glob.GLOBSTAR | glob.EXTGLOB | glob.BRACE | (glob.DOTGLOB if dot else 0) | (glob.MATCHBASE if base else 0)
    return bool(glob.globmatch(name, pattern, flags=flags))


def patterns_of(text: str) -> list[str]:
    """The patterns of an input: a line each, without comments."""
    return [line.strip() for line in text.splitlines() if line.strip() and not line.strip().startswith("#")]


def all_below(root: Path, *, folders: bool = False) -> Iterator[Path]:
    """All files below a folder, and its folders too if asked; links are followed as files."""
    for here, inside, files in os.walk(root):
        for name in sorted([*files, *(inside if folders else [])]):
            yield Path(here) / name


def matching(root: Path, patterns: Iterable[str], *, folders: bool = False) -> list[Path]:
    """What of a folder the patterns choose, sorted. A pattern is relative to it, or absolute."""
    below = {path.relative_to(root).as_posix(): path for path in all_below(root, folders=folders)}
    chosen: dict[str, Path] = {}
    for written in patterns:
        pattern, negated = written, False
        while pattern.startswith("!") and not pattern.startswith("!("):
            pattern, negated = pattern[1:], not negated
        if pattern.startswith("/"):
            try:
                pattern = Path(pattern).relative_to(root).as_posix()
            except ValueError:
                continue  # It speaks of another folder.
        pattern = pattern.removeprefix("./")
        for name, path in below.items():
            if matches(name, pattern):
                if negated:
                    chosen.pop(name, None)
                else:
                    chosen[name] = path
    return [chosen[name] for name in sorted(chosen)]
