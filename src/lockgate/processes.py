"""Ending processes that others have started, whole trees of them; what jobs of both worlds need."""

from __future__ import annotations

import os
import re
import signal
import sys
from pathlib import Path
from typing import Final

_TAIL: Final = 1_000_000
"""Bytes of a log that are looked at for its last lines."""
_CONTROL: Final = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[@-_]|[\x00-\x08\x0b-\x1f\x7f\x80-\x9f]")


def signal_group(leader: int, number: int) -> None:
    """Send a signal to all of a process group; nothing if it has ended."""
    try:
        os.killpg(leader, number)
    except ProcessLookupError:
        pass  # All of the group has ended.


def end_marked(mark: str) -> None:
    """Linux: end every process whose environment has `mark` (`NAME=value`), as a daemon has that a command started."""
    wanted = mark.encode()
    for folder in Path("/proc").glob("[0-9]*") if sys.platform == "linux" else ():
        try:
            if wanted in (folder / "environ").read_bytes().split(b"\0"):
                os.kill(int(folder.name), signal.SIGKILL)
        except (OSError, ValueError):
            continue  # It has ended, or is not ours.


def is_used(folder: Path) -> bool:
    """Whether a process works in a folder, has a file of it open, or was told of it. Where nobody can say, as without Linux's /proc, it is."""
    if sys.platform != "linux":
        return True
    wanted = os.fsencode(folder)
    # Twice: a process that forks and ends between the list and the look has a new number.
    return _is_used(wanted) or _is_used(wanted)


def _is_used(wanted: bytes) -> bool:
    for process in Path("/proc").glob("[0-9]*"):
        if process.name == str(os.getpid()):
            continue
        try:
            said = b"".join((process / name).read_bytes() for name in ("cmdline", "environ"))
            links = [process / "cwd", *(process / "fd").iterdir()]
            if wanted in said or any(_leads_into(link, wanted) for link in links):
                return True
        except OSError:
            continue  # It has ended, or is another user's, who can't be in here.
    return False


def _leads_into(link: Path, folder: bytes) -> bool:
    try:
        return os.fsencode(link.readlink()).startswith(folder)
    except OSError:
        return False


def tail(log: Path, count: int) -> list[str]:
    """The last lines of a log that are not empty, without a terminal's control codes; of the last MB. Nothing if it can't be read."""
    try:
        with log.open("rb") as stream:
            stream.seek(0, os.SEEK_END)
            stream.seek(max(0, stream.tell() - _TAIL))
            data = stream.read()
    except OSError:
        return []
    text = without_control(data.decode(errors="replace").replace("\r", "\n"))
    return [line.rstrip() for line in text.split("\n") if line.strip()][-count:]


def without_control(text: str) -> str:
    """A text without a terminal's control codes."""
    return _CONTROL.sub("", text)
