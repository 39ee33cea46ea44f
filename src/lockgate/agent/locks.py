"""Exclusive locks between runs: whoever came first goes first; with runLatest, only the newest of those that wait goes on."""

from __future__ import annotations

import fcntl
import os
import re
from pathlib import Path
from typing import TextIO


class LockTicket:
    """A place in the queue for a lock. It is held by a lock on the ticket's file, so it ends with the process, however that ends.

    Args:
        folder: where locks are kept.
        name: what is locked.
        run: the run that waits.
    """

    def __init__(self, folder: Path, name: str, run: int) -> None:
        self.name = name
        self._folder = folder / re.sub(r"[^A-Za-z0-9_.-]", "_", name)
        self._folder.mkdir(parents=True, exist_ok=True)
        with self._gate():
            number = max((ticket for ticket, _ in self._tickets()), default=0) + 1
            self._number = number
            self._path = self._folder / f"{number:09d}-{run}"
            self._stream: TextIO | None = self._path.open("w")
            fcntl.flock(self._stream, fcntl.LOCK_EX)

    def _gate(self) -> _Gate:
        return _Gate(self._folder / ".gate")

    def _tickets(self) -> list[tuple[int, Path]]:
        found = []
        for path in self._folder.iterdir():
            number = path.name.split("-")[0]
            if number.isdigit():
                found.append((int(number), path))
        return sorted(found)

    def _others(self) -> list[int]:
        """The tickets of runs that are alive; those of dead ones are cleared away."""
        alive = []
        for number, path in self._tickets():
            if number == self._number:
                continue
            try:
                with path.open("a") as stream:
                    fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    path.unlink(missing_ok=True)
            except BlockingIOError:
                alive.append(number)
            except FileNotFoundError:
                continue
        return alive

    def holder(self) -> str:
        """The run that is first in the queue, as people know it."""
        tickets = self._tickets()
        return tickets[0][1].name.split("-")[1] if tickets else ""

    def is_mine(self) -> bool:
        """Whether it is this run's turn."""
        with self._gate():
            return all(number > self._number for number in self._others())

    def is_overtaken(self) -> bool:
        """Whether a newer run waits too."""
        with self._gate():
            return any(number > self._number for number in self._others())

    def release(self) -> None:
        """Let the next one go on."""
        if self._stream is not None:
            with self._gate():
                self._path.unlink(missing_ok=True)
                self._stream.close()
                self._stream = None


class _Gate:
    """Held for the moment in which the queue is looked at or changed."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_CREAT | os.O_RDWR, 0o644)

    def __enter__(self) -> None:
        fcntl.flock(self._descriptor, fcntl.LOCK_EX)

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)
