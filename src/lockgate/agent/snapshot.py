"""A repository's files as they are at one moment: an index, and their bytes in one file."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from lockgate.agent.git import tracked_files
from lockgate.state import STATE_FOLDER

INDEX: Final = "index.json"
BYTES: Final = "bytes"
_FORMAT: Final = 1
_RACY: Final = 1_000_000_000
"""Nanoseconds: what changed so shortly before a look may change again without another time stamp."""


@dataclass(frozen=True)
class Entry:
    """A file, link or empty folder of a snapshot.

    Attributes:
        kind: `file`, `link` or `folder`.
        mode: permissions.
        modified: nanoseconds since 1970.
        size: bytes.
        at: where its bytes begin.
        content: SHA-256 of its bytes; of a link, where it leads.
    """

    kind: str
    mode: int
    modified: int
    size: int
    at: int
    content: str

    def is_like(self, other: Entry | None) -> bool:
        """Whether the other has the same kind, permissions and bytes."""
        return other is not None and (self.kind, self.mode, self.content) == (other.kind, other.mode, other.content)


class Snapshot:
    """A snapshot on disk.

    Args:
        index, content: its two files.
    """

    def __init__(self, index: Path, content: Path) -> None:
        self._content = content
        found = json.loads(index.read_text(encoding="utf-8"))
        self.digest: str = found["digest"]
        self.entries = {name: Entry(*values) for name, values in found["entries"].items()}

    def write(self, names: Sequence[str], target: Path) -> None:
        """Write some of the files below a folder. What stood in their place goes, whatever it is a link to."""
        folders = []
        with self._content.open("rb") as stream:
            for name in names:
                entry = self.entries[name]
                path = target / name
                if entry.kind == "folder":
                    path.mkdir(parents=True, exist_ok=True)
                    folders.append((path, entry.mode))
                    continue
                try:  # Nearly always the folder is there, and nothing in the file's place: thousands of files, and each look at one is dear.
                    self._write(stream.fileno(), entry, path)
                except FileNotFoundError:
                    path.parent.mkdir(parents=True, exist_ok=True)
                    self._write(stream.fileno(), entry, path)
                except FileExistsError:
                    if path.is_dir() and not path.is_symlink():
                        shutil.rmtree(path)
                    else:
                        path.unlink()
                    self._write(stream.fileno(), entry, path)
        for path, mode in folders:  # Last, since one may be closed to writing.
            path.chmod(mode)

    @staticmethod
    def _write(source: int, entry: Entry, path: Path) -> None:
        if entry.kind == "link":
            path.symlink_to(entry.content)
            return
        made = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            at, left = entry.at, entry.size
            while left:
                block = os.pread(source, min(left, 1 << 20), at)
                if not block:
                    raise OSError(0, "the snapshot is shorter than its index says", str(path))
                os.write(made, block) if len(block) < 1 << 16 else _write_all(made, block)
                at, left = at + len(block), left - len(block)
            os.fchmod(made, entry.mode)
            os.utime(made, ns=(entry.modified, entry.modified))
        finally:
            os.close(made)


def _write_all(file: int, block: bytes) -> None:
    view = memoryview(block)
    while view:
        view = view[os.write(file, view) :]


class SnapshotStore:
    """The newest snapshot of a repository; as long as none of its files changes, a look at their time stamps is all that it takes.

    Args:
        folder: where it is kept.
        origin: the repository.
    """

    def __init__(self, folder: Path, origin: Path) -> None:
        self._folder = folder
        self._origin = origin

    def take(self, index: Path, content: Path) -> None:
        """Put a snapshot of the repository, as it is now, into two files that nobody changes afterwards."""
        self._folder.mkdir(parents=True, exist_ok=True)
        with self._locked():
            stamps = _stamps(self._origin)
            if not self._is_new(stamps):
                self._pack(stamps)
            for ours, theirs in ((self._folder / BYTES, content), (self._folder / INDEX, index)):
                beside = theirs.with_name(f".{theirs.name}.{os.getpid()}")
                beside.unlink(missing_ok=True)
                try:
                    beside.hardlink_to(ours)
                except OSError:  # A file system without further names for a file.
                    shutil.copyfile(ours, beside)
                beside.replace(theirs)

    def _is_new(self, stamps: dict[str, list[Any]]) -> bool:
        try:
            kept = json.loads((self._folder / "stamps.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return False  # A cache: without it, files are read again.
        there = (self._folder / INDEX).exists() and (self._folder / BYTES).exists()
        return bool(there and kept["format"] == _FORMAT and kept["origin"] == str(self._origin) and kept["stamps"] == stamps)

    def _pack(self, stamps: dict[str, list[Any]]) -> None:
        entries: dict[str, list[Any]] = {}
        beside = {name: self._folder / f".{name}.{os.getpid()}" for name in (BYTES, INDEX, "stamps.json")}
        (self._folder / "stamps.json").unlink(missing_ok=True)
        newest = 0
        at = 0
        with beside[BYTES].open("wb") as stream:
            for name in stamps:
                path = self._origin / name
                found = path.lstat()
                newest = max(newest, found.st_mtime_ns, found.st_ctime_ns)
                mode = stat.S_IMODE(found.st_mode)
                if stat.S_ISLNK(found.st_mode):
                    entries[name] = ["link", mode, found.st_mtime_ns, 0, 0, str(path.readlink())]
                elif stat.S_ISDIR(found.st_mode):
                    entries[name] = ["folder", mode, found.st_mtime_ns, 0, 0, ""]
                else:
                    digest = hashlib.sha256()
                    size = 0
                    with path.open("rb") as file:
                        while block := file.read(1 << 20):
                            stream.write(block)
                            digest.update(block)
                            size += len(block)
                    entries[name] = ["file", mode, found.st_mtime_ns, size, at, digest.hexdigest()]
                    at += size
        listed = json.dumps({name: [*values[:3], values[5]] for name, values in entries.items()})
        digest_of_all = hashlib.sha256(listed.encode()).hexdigest()
        beside[INDEX].write_text(json.dumps({"digest": digest_of_all, "entries": entries}), encoding="utf-8")
        beside[BYTES].replace(self._folder / BYTES)
        beside[INDEX].replace(self._folder / INDEX)
        # What somebody is writing just now is looked at again the next time, and so is what changed while it was read.
        if newest + _RACY < _clock(self._folder) and _stamps(self._origin) == stamps:
            text = json.dumps({"format": _FORMAT, "origin": str(self._origin), "stamps": stamps})
            beside["stamps.json"].write_text(text, encoding="utf-8")
            beside["stamps.json"].replace(self._folder / "stamps.json")

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with (self._folder / ".lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _clock(folder: Path) -> int:
    """The time as the file system counts it."""
    probe = folder / f".clock.{os.getpid()}"
    probe.touch()
    now = probe.stat().st_mtime_ns
    probe.unlink()
    return now


def _stamps(origin: Path) -> dict[str, list[Any]]:
    """Of each name of a repository what changes whenever the file does."""
    found: dict[str, list[Any]] = {}
    for name in _names(origin):
        try:
            at = os.lstat(origin / name)
        except FileNotFoundError:
            continue  # Gone since it was listed.
        found[name] = [at.st_mode, at.st_size, at.st_mtime_ns, at.st_ctime_ns, at.st_ino]
    return found


def links_above(root: Path, name: str) -> list[Path]:
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
                linked[folder] = bool(links_above(origin, name))
            # Not what is deleted and not committed yet, no submodule, and nothing in a folder that has become a link, which git lists still.
            if name.split("/", 1)[0] != STATE_FOLDER and not linked[folder] and _is_link_or_file(path):
                yield name
        return
    for at, inside, files in os.walk(origin, onerror=_fail):
        inside[:] = [name for name in inside if name not in (STATE_FOLDER, ".git")]
        for name in (*inside, *files):
            path = Path(at, name)
            if name != ".git" and (path.is_symlink() or path.is_file() or path.is_dir()):
                yield str(path.relative_to(origin))


def _is_link_or_file(path: Path) -> bool:
    try:
        mode = os.lstat(path).st_mode
    except OSError:
        return False
    return stat.S_ISLNK(mode) or stat.S_ISREG(mode)


def _fail(error: OSError) -> None:
    raise error
