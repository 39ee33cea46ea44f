"""Runs a process of a step: its output line by line as it comes, ended as a whole group when it has to be."""

from __future__ import annotations

import codecs
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from lockgate.processes import signal_group

_POLL: Final = 0.05
_GRACE: Final = 5.0
"""Seconds between asking a process group to end and ending it."""
_DRAIN: Final = 0.3
"""Seconds that output is read after the process has ended, where something it started still has the pipe."""
_LONGEST: Final = 1_000_000
"""Characters after which a line is cut, so that output without line ends can't take all memory."""


class LineReader:
    """Turns bytes into lines, whatever pieces they come in."""

    def __init__(self, take: Callable[[str], None]) -> None:
        self._take = take
        self._decode = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._rest = ""

    def feed(self, data: bytes) -> None:
        """Take in a piece."""
        text = self._rest + self._decode.decode(data)
        *lines, self._rest = text.split("\n")
        for line in lines:
            self._take(line.rstrip("\r"))
        while len(self._rest) > _LONGEST:
            self._take(self._rest[:_LONGEST])
            self._rest = self._rest[_LONGEST:]

    def end(self) -> None:
        """Take a last line that has no end."""
        rest = self._rest + self._decode.decode(b"", final=True)
        self._rest = ""
        if rest:
            self._take(rest.rstrip("\r"))


def run_process(
    command: Sequence[str | Path],
    folder: Path,
    environment: Mapping[str, str],
    output: Callable[[str], None],
    errors: Callable[[str], None] | None,
    stop: Callable[[], float | None],
) -> int:
    """Run a process to its end.

    Args:
        command: the program and its arguments.
        folder: where it starts.
        environment: all of its variables.
        output: gets each line of stdout, and of stderr too if `errors` is None.
        errors: gets each line of stderr.
        stop: None while it may go on; then the seconds that it has to end by itself.

    Returns:
        Its exit code; negative if a signal ended it.

    Raises:
        OSError: it can't be started.
    """
    process = subprocess.Popen(
        [os.fspath(word) for word in command],
        cwd=folder,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT if errors is None else subprocess.PIPE,
        start_new_session=True,
    )
    streams = [(process.stdout, LineReader(output))]
    if errors is not None:
        streams.append((process.stderr, LineReader(errors)))
    asked: float | None = None
    grace = _GRACE
    ended: float | None = None
    with selectors.DefaultSelector() as selector:
        for stream, reader in streams:
            if stream is not None:
                os.set_blocking(stream.fileno(), False)
                selector.register(stream, selectors.EVENT_READ, reader)
        while True:
            for key, _ in selector.select(_POLL) if selector.get_map() else ():
                data = os.read(key.fd, 65_536)
                if data:
                    key.data.feed(data)
                else:
                    selector.unregister(key.fileobj)
            if ended is None and process.poll() is not None:
                ended = time.monotonic()
            if ended is not None and (not selector.get_map() or time.monotonic() - ended > _DRAIN):
                break
            if ended is None and not selector.get_map():
                try:
                    process.wait(_POLL)
                except subprocess.TimeoutExpired:
                    pass  # It has closed its output and goes on.
            wanted = stop()
            if asked is None and wanted is not None and ended is None:
                asked, grace = time.monotonic(), wanted
                signal_group(process.pid, signal.SIGTERM if grace else signal.SIGKILL)
            elif asked is not None and ended is None and (time.monotonic() - asked > grace or wanted == 0):
                signal_group(process.pid, signal.SIGKILL)
    for stream, reader in streams:
        reader.end()
        if stream is not None:
            stream.close()
    if asked is not None:
        signal_group(process.pid, signal.SIGKILL)
    return process.wait()
