"""`checkout`: the working tree as it is, put where an agent puts it."""

from __future__ import annotations

import io
import os
import shutil
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

from lockgate.agent.git import commit_of, git, tracked_files
from lockgate.state import STATE_FOLDER

_BLOCK: Final = 1 << 20
"""Bytes read at once."""


class Sources:
    """The repositories of a run, each packed once when it is first needed, so that all jobs of the run see the same.

    One archive takes a small part of the time that a second copy of thousands of files would.

    Args:
        folder: where the archives are kept.
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
            snapshot = self._folder / f"{alias.lower()}.tar"
            if not snapshot.exists():
                self._folder.mkdir(parents=True, exist_ok=True)
                beside = self._folder / f".{alias.lower()}.part"
                _pack(origin, beside)
                beside.replace(snapshot)
        target.mkdir(parents=True, exist_ok=True)
        before = self._folder / f".{alias.lower()}.before.tar"
        again = before.exists() and (target / ".git").exists()
        commit = commit_of(origin)
        if commit.sha and not (target / ".git").exists():
            _own_repository(origin, commit.sha, target)
        if again:
            changed = _bring_up_to_date(before, snapshot, target)
            return f"the working tree of {origin.name} again: {changed} files have changed since"
        _unpack(snapshot, target)
        if commit.sha:
            git(target, "read-tree", "HEAD")
            git(target, "update-index", "-q", "--refresh")
            return f"the working tree of {origin.name} at {commit.sha[:10]}, with its uncommitted changes"
        return f"the folder {origin.name}, which has no commit"

    def forget(self) -> None:
        """Pack anew at the next checkout: the run goes on with the files as they are then."""
        for snapshot in self._folder.glob("[!.]*.tar") if self._folder.is_dir() else ():
            snapshot.replace(self._folder / f".{snapshot.stem}.before.tar")


def _bring_up_to_date(before: Path, now: Path, target: Path) -> int:
    """Put into a work folder what has changed in the repository since an earlier attempt of the run; what steps made of the rest stays.

    Returns:
        How many files have changed.
    """
    with tarfile.open(before) as old, tarfile.open(now) as new:
        earlier = {info.name: info for info in old if not info.isdir()}
        later = {info.name: info for info in new if not info.isdir()}
        changed = [name for name, info in later.items() if name not in earlier or not _same(old, earlier[name], new, info)]
        gone = earlier.keys() - later.keys()
        for name in gone:
            path = target / name
            if not _links_above(target, name) and (path.is_symlink() or path.is_file()):
                path.unlink()
        for name in changed:
            for link in _links_above(target, name):  # Of a step: what it leads to is not the repository's.
                link.unlink()
            _put(new, later[name], target)
    return len(changed) + len(gone)


def _same(old: tarfile.TarFile, earlier: tarfile.TarInfo, new: tarfile.TarFile, later: tarfile.TarInfo) -> bool:
    if earlier.issym() or later.issym():
        return earlier.issym() and later.issym() and earlier.linkname == later.linkname
    if (earlier.size, earlier.mode) != (later.size, later.mode):
        return False
    one, other = old.extractfile(earlier), new.extractfile(later)
    while one and other and (block := one.read(_BLOCK)):
        if block != other.read(_BLOCK):
            return False
    return True


def _unpack(snapshot: Path, target: Path) -> None:
    with tarfile.open(snapshot) as archive:
        folders = []
        for info in archive:
            _put(archive, info, target)
            if info.isdir():
                folders.append(info)
    for info in folders:  # Last, since one may be closed to writing.
        (target / info.name).chmod(info.mode)


def _put(archive: tarfile.TarFile, info: tarfile.TarInfo, target: Path) -> None:
    """Write a member as it was; the owner is whoever does this, as with any copy. What stood in its place goes, whatever it is a link to."""
    path = target / info.name
    if info.isdir():
        path.mkdir(parents=True, exist_ok=True)
        return
    try:  # Nearly always the folder is there, and nothing in the file's place: thousands of files, and each look at one is dear.
        _write(archive, info, path)
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
        _write(archive, info, path)
    except FileExistsError:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
        _write(archive, info, path)


def _write(archive: tarfile.TarFile, info: tarfile.TarInfo, path: Path) -> None:
    if info.issym():
        path.symlink_to(info.linkname)
        return
    content = archive.extractfile(info)
    with path.open("xb") as file:
        if content:
            shutil.copyfileobj(content, file, _BLOCK)
    path.chmod(info.mode)
    os.utime(path, (info.mtime, info.mtime))


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


def _pack(origin: Path, target: Path) -> None:
    """Write the files of a repository, as they are now, into an archive."""
    with tarfile.open(target, "w") as archive:
        for name in _names(origin):
            path = origin / name
            info = archive.gettarinfo(path, name)
            info.type = tarfile.REGTYPE if info.islnk() else info.type  # A file of two names: each job has a file for each.
            if not info.isreg():
                archive.addfile(info)
                continue
            with path.open("rb") as file:
                # Somebody may be writing it: as long as it is now, and what it has got shorter by since is filled with zeros, as tar does.
                info.size = os.fstat(file.fileno()).st_size
                archive.addfile(info, _Padded(file, info.size))


class _Padded(io.RawIOBase):
    """Bytes of a file, and zeros behind its end."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file, self._left = file, size

    def read(self, size: int = -1) -> bytes:
        """As of any file."""
        wanted = self._left if size < 0 else min(size, self._left)
        found = self._file.read(wanted)
        self._left -= wanted
        return found + bytes(wanted - len(found))


def _links_above(root: Path, name: str) -> list[Path]:
    """Folders on the way to a file that are links, the uppermost first."""
    return [root / folder for folder in reversed(list(Path(name).parents)[:-1]) if (root / folder).is_symlink()]


def _names(origin: Path) -> Iterator[str]:
    """What belongs to a repository: what git knows or would add; of a folder that is no repository everything but the desk's own."""
    names = tracked_files(origin)
    if names is not None:
        linked: dict[str, bool] = {}
        for name in names:
            path, folder = origin / name, name.rpartition("/")[0]
            if folder not in linked:
                linked[folder] = bool(_links_above(origin, name))
            # Not what is deleted and not committed yet, no submodule, and nothing in a folder that has become a link, which git lists still.
            if name.split("/", 1)[0] != STATE_FOLDER and not linked[folder] and (path.is_symlink() or path.is_file()):
                yield name
        return
    for at, inside, files in os.walk(origin, onerror=_fail):
        inside[:] = [name for name in inside if name not in (STATE_FOLDER, ".git")]
        for name in (*inside, *files):
            path = Path(at, name)
            if name != ".git" and (path.is_symlink() or path.is_file() or path.is_dir()):
                yield str(path.relative_to(origin))


def _fail(error: OSError) -> None:
    raise error
