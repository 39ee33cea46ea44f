"""`checkout`: the working tree as it is, put where an agent puts it."""

from __future__ import annotations

import filecmp
import os
import shutil
import threading
from pathlib import Path

from lockgate.agent.git import commit_of, git, tracked_files
from lockgate.state import STATE_FOLDER


class Sources:
    """The repositories of a run, each copied once when it is first needed, so that all jobs of the run see the same.

    Args:
        folder: where the copies are kept.
        repositories: alias → folder; `self` is the pipeline's own.
    """

    def __init__(self, folder: Path, repositories: dict[str, Path]) -> None:
        self._folder = folder
        self._repositories = {alias.lower(): path for alias, path in repositories.items()}
        self._lock = threading.Lock()

    def folder_of(self, alias: str) -> Path | None:
        """Where a repository is on this machine; None if nobody said."""
        return self._repositories.get(alias.lower())

    def check_out(self, alias: str, target: Path) -> str:
        """Put a repository into a folder, with a git repository of its own that has the same commit.

        Returns:
            A sentence about what was done.
        """
        origin = self._repositories[alias.lower()]
        with self._lock:
            snapshot = self._folder / alias.lower()
            if not snapshot.exists():
                self._folder.mkdir(parents=True, exist_ok=True)
                beside = self._folder / f".{alias.lower()}.part"
                shutil.rmtree(beside, ignore_errors=True)
                beside.mkdir(parents=True)
                _copy_tree(origin, beside)
                beside.replace(snapshot)
        target.mkdir(parents=True, exist_ok=True)
        before = self._folder / f".{alias.lower()}.before"
        again = before.is_dir() and (target / ".git").exists()
        commit = commit_of(origin)
        if commit.sha and not (target / ".git").exists():
            _own_repository(origin, commit.sha, target)
        if again:
            changed = _bring_up_to_date(before, snapshot, target)
            return f"the working tree of {origin.name} again: {changed} files have changed since"
        shutil.copytree(snapshot, target, dirs_exist_ok=True, symlinks=True)
        if commit.sha:
            git(target, "read-tree", "HEAD")
            git(target, "update-index", "-q", "--refresh")
            return f"the working tree of {origin.name} at {commit.sha[:10]}, with its uncommitted changes"
        return f"the folder {origin.name}, which has no commit"

    def forget(self) -> None:
        """Copy anew at the next checkout: the run goes on with the files as they are then."""
        for snapshot in self._folder.glob("[!.]*") if self._folder.is_dir() else ():
            before = self._folder / f".{snapshot.name}.before"
            shutil.rmtree(before, ignore_errors=True)
            snapshot.rename(before)


def _bring_up_to_date(before: Path, now: Path, target: Path) -> int:
    """Put into a work folder what has changed in the repository since an earlier attempt of the run; what steps made of the rest stays.

    Returns:
        How many files have changed.
    """
    old = {path.relative_to(before) for path in before.rglob("*") if path.is_symlink() or path.is_file()}
    new = {path.relative_to(now) for path in now.rglob("*") if path.is_symlink() or path.is_file()}
    changed = [name for name in new if name not in old or not _same(before / name, now / name)]
    for name in changed:
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        (target / name).unlink(missing_ok=True)
        shutil.copy2(now / name, target / name, follow_symlinks=False)
    for name in old - new:
        (target / name).unlink(missing_ok=True)
    return len(changed) + len(old - new)


def _same(one: Path, other: Path) -> bool:
    if one.is_symlink() or other.is_symlink():
        return one.is_symlink() and other.is_symlink() and one.readlink() == other.readlink()
    return filecmp.cmp(one, other, shallow=False)


def _own_repository(origin: Path, sha: str, target: Path) -> None:
    """A git repository that borrows the objects of `origin`, its HEAD detached as on an agent: nothing a step does with it reaches origin."""
    git(target, "init", "--quiet")
    common = git(origin, "rev-parse", "--path-format=absolute", "--git-common-dir").stdout.strip()
    alternates = target / ".git" / "objects" / "info" / "alternates"
    alternates.parent.mkdir(parents=True, exist_ok=True)
    alternates.write_text(f"{common}/objects\n", encoding="utf-8")
    shallow = Path(common) / "shallow"
    if shallow.exists():
        shutil.copyfile(shallow, target / ".git" / "shallow")
    refs = git(origin, "for-each-ref", "--format=%(objectname) %(refname)", "refs/tags", "refs/heads").stdout
    # As after a fetch: tags, and the branches of origin.
    (target / ".git" / "packed-refs").write_text(refs.replace(" refs/heads/", " refs/remotes/origin/"), encoding="utf-8")
    git(target, "update-ref", "--no-deref", "HEAD", sha)
    git(target, "remote", "add", "origin", str(origin))


def _copy_tree(origin: Path, target: Path) -> None:
    names = tracked_files(origin)
    if names is None:
        shutil.copytree(
            origin, target, dirs_exist_ok=True, symlinks=True, ignore=lambda _folder, inside: {STATE_FOLDER, ".git"} & set(inside)
        )
        return
    made: set[Path] = set()
    for name in names:
        path, copy = origin / name, target / name
        if name.split("/", 1)[0] == STATE_FOLDER or not os.path.lexists(path) or (path.is_dir() and not path.is_symlink()):
            continue  # Deleted and not committed yet, or a submodule.
        if copy.parent not in made:
            copy.parent.mkdir(parents=True, exist_ok=True)
            made.add(copy.parent)
        shutil.copy2(path, copy, follow_symlinks=False)
