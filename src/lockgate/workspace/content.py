"""Content hashes of files and folders, remembered by size and time of change, so that a second look costs nothing."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Final

_BLOCK: Final = 1 << 20
_ALWAYS_LEFT_OUT: Final = ("__pycache__/", ".git/", ".amlignore")
_NEVER_ENTERED: Final = ("__pycache__", ".git", ".lockgate")


class Hasher:
    """Hashes content; `save` keeps what it learnt for the next process."""

    def __init__(self, memory: Path) -> None:
        self._path = memory
        try:
            self._known: dict[str, list[object]] = json.loads(memory.read_text())
        except (OSError, ValueError):
            self._known = {}  # A cache: without it, files are read again.
        self._changed = False

    def file(self, path: Path) -> str:
        """SHA-256 of a file's bytes."""
        stat = path.stat()
        stamp = [stat.st_size, stat.st_mtime_ns, stat.st_ino]
        known = self._known.get(str(path))
        if known is not None and known[:3] == stamp:
            return str(known[3])
        digest = hashlib.sha256()
        with path.open("rb") as stream:
            while block := stream.read(_BLOCK):
                digest.update(block)
        self._known[str(path)] = [*stamp, digest.hexdigest()]
        self._changed = True
        return digest.hexdigest()

    def tree(self, path: Path, ignore: tuple[str, ...] = ()) -> str:
        """SHA-256 of a file, or of a folder's names and contents."""
        if path.is_file():
            return self.file(path)
        digest = hashlib.sha256()
        for file in list_files(path, ignore):
            digest.update(f"{file.relative_to(path)}\0{self.file(file)}\n".encode())
        return digest.hexdigest()

    def save(self) -> None:
        """Keep the hashes, by an atomic rename."""
        if self._changed:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            temporary = self._path.with_suffix(f".{os.getpid()}.tmp")
            temporary.write_text(json.dumps(self._known))
            temporary.replace(self._path)
            self._changed = False


def ignore_patterns(code: Path) -> tuple[str, ...]:
    """The patterns of a code folder's `.amlignore` (else `.gitignore`), as Azure ML reads them."""
    for name in (".amlignore", ".gitignore"):
        path = code / name
        if path.exists():
            return tuple(path.read_text().splitlines())
    return ()


def list_files(folder: Path, ignore: tuple[str, ...] = ()) -> list[Path]:
    """The files of a folder in a stable order, without ignored ones.

    Links are followed; one that leads nowhere (an editor's lock) has no content, and is none of them.
    """
    from pathspec import GitIgnoreSpec

    ignored = GitIgnoreSpec.from_lines([*ignore, *_ALWAYS_LEFT_OUT])
    found: list[Path] = []
    for directory, names, files in os.walk(folder, followlinks=True):
        base = Path(directory)
        names[:] = sorted(n for n in names if n not in _NEVER_ENTERED)
        found += [base / f for f in files if not ignored.match_file(str((base / f).relative_to(folder)))]
    return sorted(file for file in found if file.exists())
