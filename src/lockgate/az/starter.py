"""A process that has the modules of `az` loaded, and forks for each call: the start of a call is most of its time.

A call is a process of its own, as ever: with the folder, variables, streams and signals of whoever called, and its own exit code. The starter
belongs to one desk command, such as `lockgate run`, which holds the other end of its input: it ends with it, whatever ends that. If it is not
there, `client` starts az itself.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import os
import pkgutil
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NoReturn

VARIABLE: Final = "LOCKGATE_AZ_SOCKET"
"""`CLIENT:ADDRESS`: whose client may ask, and where."""
BEGUN: Final = b"+"
"""What a caller is told before its exit code: from here on a call must not be done once more."""
CLIENT: Final = Path(__file__).with_name("client.py")
_HEAD: Final = 10
_PATIENCE: Final = 10.0
"""Seconds in which a caller has to say what it wants."""
_LOADED: Final = ("jmespath", "yaml", "sqlite3")


class Starter:
    """The starter of this process; made once, ended with it."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="lockgate-"))
        self.address = str(self._folder / "az")
        # It listens before its process is there: a call that comes too early waits, and one that comes too late is refused at once.
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as door:
            door.bind(self.address)
            door.listen(64)
            self.process = subprocess.Popen(
                [sys.executable, "-m", "lockgate.az.starter", str(door.fileno()), str(self._folder)],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                pass_fds=[door.fileno()],
                start_new_session=True,
            )
        atexit.register(self.end)

    def end(self) -> None:
        """End it, once what it was asked for is done."""
        if self.process.stdin is not None:
            self.process.stdin.close()
        shutil.rmtree(self._folder, ignore_errors=True)


@dataclass
class _Call:
    process: int
    door: socket.socket


def serve(number: int, folder: str) -> None:
    """Fork for whoever asks, until the input ends."""
    for name in _LOADED:
        importlib.import_module(name)
    for package in ("lockgate.az", "lockgate.workspace"):
        for module in pkgutil.walk_packages(importlib.import_module(package).__path__, f"{package}."):
            if module.name.rpartition(".")[2] not in ("__main__", "client", "starter"):
                importlib.import_module(module.name)
    calls: dict[int, _Call] = {}
    waker, woken = socket.socketpair()
    for end in (waker, woken):
        end.setblocking(False)  # noqa: FBT003
    signal.set_wakeup_fd(woken.fileno(), warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    gc.collect()
    gc.freeze()
    with selectors.DefaultSelector() as selector, socket.socket(fileno=number) as door:
        selector.register(door, selectors.EVENT_READ)
        selector.register(waker, selectors.EVENT_READ)
        selector.register(0, selectors.EVENT_READ)
        wanted = True
        while wanted or calls:
            for key, _ in selector.select():
                if key.fileobj is waker:
                    with contextlib.suppress(BlockingIOError):
                        waker.recv(4096)
                elif key.fileobj == 0:
                    wanted = False
                    selector.unregister(0)
                    selector.unregister(door)
                    door.close()
                    shutil.rmtree(folder, ignore_errors=True)
                elif key.fileobj is door and wanted:
                    caller, _ = door.accept()
                    asked = _asked(caller)
                    if asked is None:
                        caller.close()
                        continue
                    with contextlib.suppress(OSError):  # If it has gone meanwhile, that is seen below.
                        caller.sendall(BEGUN)
                    process = os.fork()
                    if process == 0:
                        selector.close()
                        for other in (waker, woken, door, caller, *(call.door for call in calls.values())):
                            other.close()
                        signal.set_wakeup_fd(-1)
                        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                        _be(*asked)
                    for stream in asked[1]:
                        os.close(stream)
                    calls[process] = _Call(process, caller)
                    selector.register(caller, selectors.EVENT_READ, process)
                elif isinstance(key.data, int) and key.data in calls:
                    _pass_on(selector, calls[key.data])
            _bury(selector, calls)


def _pass_on(selector: selectors.BaseSelector, call: _Call) -> None:
    """A signal that the caller got; if the caller is gone, so is what it called."""
    try:
        told = call.door.recv(16)
    except OSError:
        told = b""
    with contextlib.suppress(ProcessLookupError):
        if not told:
            selector.unregister(call.door)
            os.kill(call.process, signal.SIGKILL)
        for number in told:
            os.kill(call.process, number)


def _bury(selector: selectors.BaseSelector, calls: dict[int, _Call]) -> None:
    while True:
        try:
            ended, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if not ended:
            return
        call = calls.pop(ended)
        with contextlib.suppress(KeyError, ValueError):
            selector.unregister(call.door)
        with contextlib.suppress(OSError):
            call.door.sendall(b"%d" % os.waitstatus_to_exitcode(status))
        call.door.close()


def _asked(caller: socket.socket) -> tuple[bytes, list[int]] | None:
    """What a call is to be, and its streams; None if the caller has gone."""
    caller.settimeout(_PATIENCE)
    try:
        head, streams, _, _ = socket.recv_fds(caller, _HEAD, 3)
        text = b""
        while head and len(text) < int(head):
            more = caller.recv(int(head) - len(text))
            if not more:
                break
            text += more
    except OSError:
        return None
    if len(streams) != 3 or len(text) != int(head):
        for stream in streams:
            os.close(stream)
        return None
    return text, list(streams)


def _be(text: bytes, streams: list[int]) -> NoReturn:
    """In the new process: be az, called so."""
    folder, umask, count, *parts = text.split(b"\0")
    words = [os.fsdecode(word) for word in parts[: int(count)]]
    os.environ.clear()
    for variable in parts[int(count) :]:
        name, _, value = variable.partition(b"=")
        os.environb[name] = value
    os.umask(int(umask))
    os.chdir(folder)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    sys.stdin, sys.stdout = open(0, encoding="utf-8", closefd=False), open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", encoding="utf-8", errors="backslashreplace", buffering=1, closefd=False)  # noqa: SIM115
    sys.argv = ["az", *words]
    from lockgate.az.main import main

    code: object = 1
    try:
        code = main(words)
    except SystemExit as ended:
        code = ended.code
    except BaseException:  # noqa: BLE001 - what Python does with it
        import traceback

        traceback.print_exc()
    # What Python does at its end, but for taking its modules apart.
    threading._shutdown()  # type: ignore[attr-defined]  # noqa: SLF001
    atexit._run_exitfuncs()  # noqa: SLF001
    try:
        sys.stdout.flush()
    except OSError:
        os._exit(120)
    sys.stderr.flush()
    os._exit(code if isinstance(code, int) else int(code is not None))


if __name__ == "__main__":
    serve(int(sys.argv[1]), sys.argv[2])
