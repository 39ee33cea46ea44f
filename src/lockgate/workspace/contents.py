"""The bytes of assets: each content once, under its hash, read-only; assets are folders of links to it."""

from __future__ import annotations

import fcntl
import os
import shutil
import sys
from pathlib import Path
from typing import Final

from lockgate.workspace.content import Hasher, list_files
from lockgate.workspace.store import Store

_FICLONE: Final = 0x40049409


def keep(store: Store, hasher: Hasher, source: Path, target: Path, ignore: tuple[str, ...] = ()) -> str:
    """Make `target` the content of a file or folder. Nothing half made is ever seen there.

    Args:
        store: the workspace, for where contents are kept.
        hasher: remembers hashes.
        source: a file or folder.
        target: where it goes; replaced if it is there.
        ignore: patterns of what is left out.

    Returns:
        Its hash.
    """
    sha256 = hasher.tree(source, ignore)
    kept = store.state / "content" / sha256
    if not kept.exists():
        beside = kept.with_name(f".{sha256}.{os.getpid()}")
        shutil.rmtree(beside, ignore_errors=True)
        beside.mkdir(parents=True)
        files = [source] if source.is_file() else list_files(source, ignore)
        base = source.parent if source.is_file() else source
        for file in files:
            _copy(file, beside / file.relative_to(base))
        try:
            beside.rename(kept)
        except OSError:
            shutil.rmtree(beside)  # Another process kept the same content meanwhile.
    _link(kept, target)
    return sha256


def _copy(source: Path, target: Path) -> None:
    """Copy a file without its bytes where the file system can share them."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with source.open("rb") as read, target.open("wb") as write:
        shared = False
        if sys.platform == "linux":
            try:
                fcntl.ioctl(write.fileno(), _FICLONE, read.fileno())
                shared = True
            except OSError:
                shared = False  # Most file systems can't.
        if not shared:
            shutil.copyfileobj(read, write, 1 << 20)
    target.chmod(0o444)


def _link(kept: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    beside = target.with_name(f".{target.name}.{os.getpid()}")
    shutil.rmtree(beside, ignore_errors=True)
    shutil.copytree(kept, beside, copy_function=_hard_link)
    shutil.rmtree(target, ignore_errors=True)
    beside.rename(target)


def _hard_link(source: str, target: str) -> str:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)  # Too many links, or a file system without them.
    return target
