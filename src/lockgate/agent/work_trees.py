"""Trees of files that jobs have done with: the next checkout takes one and mends what is different, in place of writing thousands of files.

A tree is only ever one job's: it is moved into the job's work folder, and moved back once the job has ended well and nothing uses it. What a step
did to it is found by the files' time stamps: every change of a file, of its permissions or of its names sets the time of its last change (ctime),
which no program can choose.
"""

from __future__ import annotations

import json
import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from lockgate.agent.snapshot import Snapshot
from lockgate.processes import is_used

_MOST: Final = 4
"""Trees that are kept of a repository."""
_OWN: Final = ".git"


class WorkTrees:
    """The trees of a repository that are free.

    Args:
        folder: where they are kept.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def take(self, target: Path) -> dict[str, list[Any]] | None:
        """Move a tree to where a job wants its files.

        Returns:
            Each file's stamp and content when it was written; None if no tree is free.
        """
        for one in self._all():
            claimed = target.with_name(f".{target.name}.{one.name}")
            try:
                one.rename(claimed)  # Of two that want it, one gets it.
            except OSError:
                continue
            try:
                stamps: dict[str, list[Any]] = json.loads((claimed / "stamps.json").read_text(encoding="utf-8"))
                if target.exists():
                    target.rmdir()
                (claimed / "tree").rename(target)
            except (OSError, ValueError):
                return None  # Half made, or something is in the job's way: written anew.
            finally:
                shutil.rmtree(claimed, ignore_errors=True)
            return stamps
        return None

    def give(self, tree: Path, stamps: dict[str, list[Any]]) -> None:
        """Take a tree back from a job that has ended, unless there are enough, or a process uses it still."""
        if len(self._all()) >= _MOST or is_used(tree):
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        number = f"{os.getpid()}-{tree.stat().st_ino}"
        made = self._folder / f".{number}"
        made.mkdir(exist_ok=True)
        (made / "stamps.json").write_text(json.dumps(stamps), encoding="utf-8")
        tree.rename(made / "tree")
        made.rename(self._folder / number)

    def _all(self) -> list[Path]:
        try:
            return sorted(path for path in self._folder.iterdir() if not path.name.startswith("."))
        except FileNotFoundError:
            return []


def mend(tree: Path, stamps: dict[str, list[Any]], snapshot: Snapshot) -> list[str]:
    """Take out of a tree what does not belong to a snapshot, or is not as it was written.

    Args:
        tree: its folder; `.git` in it is left alone.
        stamps: what `stamps_of` said when it was written.
        snapshot: what it is to be.

    Returns:
        The names that are to be written.
    """
    folders = {str(folder) for name in snapshot.entries for folder in Path(name).parents}
    folders |= {name for name, entry in snapshot.entries.items() if entry.kind == "folder"}
    good: set[str] = set()
    usual = stat.S_IMODE(tree.parent.stat().st_mode)  # Of a folder that was made just so.
    gone: set[str] = set()
    for name, found in list(_walk(tree)):
        path = tree / name
        if name.rpartition("/")[0] in gone:
            gone.add(name)
            continue
        entry = snapshot.entries.get(name)
        if stat.S_ISDIR(found.st_mode):
            if name not in folders:
                shutil.rmtree(path)
                gone.add(name)
            elif entry is None and stat.S_IMODE(found.st_mode) != usual:
                path.chmod(usual)
            continue
        known = stamps.get(name)
        if entry is not None and known == [_stamp(found), entry.kind, entry.mode, entry.content] and entry.modified == known[0][1]:
            good.add(name)
        elif name in folders or entry is None:
            path.unlink()
    return [name for name in snapshot.entries if name not in good]


def stamps_of(tree: Path, snapshot: Snapshot, before: dict[str, list[Any]], written: set[str]) -> dict[str, list[Any]]:
    """Each file's stamp and content, after `written` were written; the others are as before."""
    found: dict[str, list[Any]] = {}
    for name, entry in snapshot.entries.items():
        if entry.kind == "folder":
            continue
        if name in written:
            found[name] = [_stamp(os.lstat(tree / name)), entry.kind, entry.mode, entry.content]
        else:
            found[name] = before[name]
    return found


def _stamp(found: os.stat_result) -> list[int]:
    return [found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino, found.st_mode]


def _walk(tree: Path) -> Iterator[tuple[str, os.stat_result]]:
    """Everything in a tree with its status, folders before what is in them; links are not followed."""
    waiting = [""]
    while waiting:
        base = waiting.pop()
        for one in os.scandir(tree / base if base else tree):
            name = f"{base}/{one.name}" if base else one.name
            if name == _OWN:
                continue
            found = one.stat(follow_symlinks=False)
            if stat.S_ISDIR(found.st_mode):
                waiting.append(name)
            yield name, found
