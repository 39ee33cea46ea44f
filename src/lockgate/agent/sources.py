"""`checkout`: the working tree as it is, put where an agent puts it."""

from __future__ import annotations

import hashlib
import shutil
import threading
from pathlib import Path
from typing import Any

from lockgate.agent import own_repository
from lockgate.agent.git import commit_of
from lockgate.agent.snapshot import BYTES, INDEX, Snapshot, SnapshotStore, links_above
from lockgate.agent.work_trees import WorkTrees, mend, stamps_of


class Sources:
    """The repositories of a run, each taken as it is when it is first needed, so that all jobs of the run see the same.

    Args:
        folder: of this run's snapshots.
        repositories: alias → folder; `self` is the pipeline's own.
        kept: folder of what runs leave for later ones: the newest snapshot of each repository, and work trees that are free.
    """

    def __init__(self, folder: Path, repositories: dict[str, Path], kept: Path) -> None:
        self._folder = folder
        self._repositories = {alias.lower(): path for alias, path in repositories.items()}
        self._kept = kept
        self._lock = threading.Lock()
        self._written: dict[Path, tuple[WorkTrees, dict[str, list[Any]]]] = {}

    def folder_of(self, alias: str) -> Path | None:
        """Where a repository is on this machine; None if nobody said."""
        return self._repositories.get(alias.lower())

    def check_out(self, alias: str, target: Path) -> str:
        """Put a repository into a folder, with a git repository of its own that has the same commit.

        Returns:
            A sentence about what was done.
        """
        alias = alias.lower()
        origin = self._repositories[alias]
        kept = self._kept / hashlib.sha256(str(origin).encode()).hexdigest()[:16]
        index, content = self._files(alias)
        with self._lock:
            if not index.exists():
                self._folder.mkdir(parents=True, exist_ok=True)
                SnapshotStore(kept, origin).take(index, content)
        snapshot = Snapshot(index, content)
        earlier = self._files(alias, ".before.")
        commit = commit_of(origin)
        if earlier[0].exists() and target.is_dir() and any(target.iterdir()):
            changed = _bring_up_to_date(Snapshot(*earlier), snapshot, target)
            return f"the working tree of {origin.name} again: {changed} files have changed since"
        self._write(snapshot, target, WorkTrees(kept / "trees"))
        if commit.sha:
            if not (target / ".git").exists():
                own_repository.put(origin, commit.sha, target, kept / "git", snapshot.digest)
            return f"the working tree of {origin.name} at {commit.sha[:10]}, with its uncommitted changes"
        return f"the folder {origin.name}, which has no commit"

    def forget(self) -> None:
        """Look anew at the next checkout: the run goes on with the files as they are then."""
        for index in self._folder.glob(f"[!.]*.{INDEX}") if self._folder.is_dir() else ():
            alias = index.name.removesuffix(f".{INDEX}")
            for now, before in zip(self._files(alias), self._files(alias, ".before."), strict=True):
                now.replace(before)

    def give_back(self, workspace: Path) -> None:
        """Leave the trees of a job that has ended well to later ones."""
        with self._lock:  # Jobs run in threads.
            ours = {target: self._written.pop(target) for target in list(self._written) if target.is_relative_to(workspace)}
        for target, (trees, stamps) in ours.items():
            try:
                trees.give(target, stamps)
            except OSError:
                continue  # A step took it away, or closed it: then it stays where it is.

    def _files(self, alias: str, before: str = "") -> tuple[Path, Path]:
        start = f"{before}{alias}" if before else alias
        return self._folder / f"{start}.{INDEX}", self._folder / f"{start}.{BYTES}"

    def _write(self, snapshot: Snapshot, target: Path, trees: WorkTrees) -> None:
        # Into a folder of somebody's files nothing of another tree is put.
        stamps = None if target.exists() and any(target.iterdir()) else trees.take(target)
        names = list(snapshot.entries)
        alone = stamps is not None or not target.exists() or not any(target.iterdir())
        if stamps is not None:
            shutil.rmtree(target / ".git", ignore_errors=True)
            try:
                names = mend(target, stamps, snapshot)
            except OSError:  # A step closed a folder of it, say.
                shutil.rmtree(target, ignore_errors=True)
                names, stamps = list(snapshot.entries), None
        target.mkdir(parents=True, exist_ok=True)
        snapshot.write(names, target)
        if alone:
            found = stamps_of(target, snapshot, stamps or {}, set(names))
            with self._lock:
                self._written[target] = trees, found


def _bring_up_to_date(earlier: Snapshot, later: Snapshot, target: Path) -> int:
    """Put into a work folder what has changed in the repository since an earlier attempt of the run; what steps made of the rest stays.

    Returns:
        How many files have changed.
    """
    changed = [name for name, entry in later.entries.items() if entry.kind != "folder" and not entry.is_like(earlier.entries.get(name))]
    gone = [name for name, entry in earlier.entries.items() if entry.kind != "folder" and name not in later.entries]
    for name in gone:
        path = target / name
        if not links_above(target, name) and (path.is_symlink() or path.is_file()):
            path.unlink()
    for name in changed:
        for link in links_above(target, name):  # Of a step: what it leads to is not the repository's.
            link.unlink()
    later.write(changed, target)
    return len(changed) + len(gone)
