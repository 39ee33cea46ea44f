"""Finds the tracking server of a desk, starts it, ends it.

The server is found by a lock that it holds, never by a process id: a lock goes with its process, whatever ends it. Whoever starts the server
takes the lock and opens the port first and hands both on, so two can't start it at once, and nobody waits until it listens.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

from lockgate.errors import StateError

HOST: Final = "127.0.0.1"
LOCK: Final = ".serving"
ADDRESS: Final = "server.json"
LOG: Final = "server.txt"
_KEPT: Final = ("PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TMPDIR", "USER", "LOGNAME", "TZ", "LD_LIBRARY_PATH", "PYTHONPATH")
_PATIENCE: Final = 10.0
"""Seconds that a server has to end, and that somebody who starts one has to hand it its port."""
_BACKLOG: Final = 128
_POLL: Final = 0.01


def ensure(folder: Path) -> str:
    """Start the server if it does not run.

    Args:
        folder: of MLflow's store.

    Returns:
        Its address, which is the tracking URI of every step. Whoever connects at once is answered when the server is ready.

    Raises:
        StateError: it can't be started.
    """
    folder.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        with (folder / LOCK).open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                port = _port(folder)
                if port:
                    return _address(port)
            else:
                return _start(folder, lock.fileno())
        time.sleep(_POLL)
    raise StateError(
        f"{folder}: the lock of the tracking server is held, and no port is written; end what holds it (lockgate down), and try again"
    )


def _start(folder: Path, lock: int) -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as door:
        door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # The port of before, so that steps which are running find the new server where the old one was.
        for port in dict.fromkeys((_port(folder), 0)):
            try:
                door.bind((HOST, port))
                break
            except OSError as error:
                if port == 0:
                    raise StateError(f"the tracking server gets no port of {HOST}: {error.strerror}") from None
        door.listen(_BACKLOG)
        port = door.getsockname()[1]
        (folder / LOCK).write_text("", encoding="utf-8")  # The process of before is not this one's.
        beside = folder / f".{ADDRESS}.{os.getpid()}"
        beside.write_text(json.dumps({"port": port}), encoding="utf-8")
        beside.replace(folder / ADDRESS)
        with (folder / LOG).open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "lockgate.tracking.server", str(folder), str(lock), str(door.fileno())],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, pass_fds=(lock, door.fileno()),
                env={name: os.environ[name] for name in _KEPT if name in os.environ}, cwd=folder,
            )  # fmt: skip
    process.returncode = 0  # It outlives whoever started it, and nobody waits for it.
    return _address(port)


def wake(folder: Path) -> None:
    """Start the server, and have it bring in MLflow, without waiting for that."""
    ensure(folder)
    try:
        with socket.create_connection((HOST, _port(folder)), timeout=1):
            pass
    except OSError:
        pass  # Whoever needs it says what is wrong.


def settle(folder: Path, patience: float = 60.0) -> str:
    """Wait until the server has taken in all that was said.

    Returns:
        Its address.

    Raises:
        StateError: it does not answer.
    """
    import http.client

    address = ensure(folder)
    connection = http.client.HTTPConnection(HOST, _port(folder), timeout=patience)
    try:
        connection.request("GET", "/health")
        connection.getresponse().read()
    except OSError as error:
        raise StateError(f"the tracking server at {address} does not answer ({error}); its log is {folder / LOG}") from None
    finally:
        connection.close()
    return address


def is_running(folder: Path) -> bool:
    """Whether the server runs."""
    try:
        with (folder / LOCK).open() as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def stop(folder: Path) -> bool:
    """End the server.

    Returns:
        Whether there was one.
    """
    there = is_running(folder)
    deadline = time.monotonic() + _PATIENCE
    number = signal.SIGTERM
    while is_running(folder):
        # Only while the lock is held is the number in it that of its holder.
        text = (folder / LOCK).read_text(encoding="utf-8")
        try:
            if text:
                os.kill(int(text), number)
        except ProcessLookupError:
            pass  # It has just ended.
        if time.monotonic() > deadline:
            number = signal.SIGKILL
        time.sleep(0.05)
    return there


def _port(folder: Path) -> int:
    try:
        return int(json.loads((folder / ADDRESS).read_text(encoding="utf-8"))["port"])
    except (OSError, ValueError, KeyError, TypeError):
        return 0


def _address(port: int) -> str:
    return f"http://{HOST}:{port}"
