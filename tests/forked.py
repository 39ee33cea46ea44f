"""Processes that begin with their libraries loaded: a process that has imported them waits, and forks for each that a test asks for.

What a test asks for runs in a process of its own, with its own environment, folder, streams, signals and exit code, as `python -m lockgate …` or
`python step.py …` would; only the imports, which are most of the time of a short command, are done once. What is about the start of a process itself
(what it imports, how it is found, what kills it) does not belong here: see `subprocess`.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import io
import json
import os
import pkgutil
import runpy
import selectors
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).parents[1]
_AT_START: Final = ("LC_", "LANG", "OMP_", "OPENBLAS_", "MKL_", "POLARS_", "PYTHON", "COVERAGE_PROCESS", "LD_", "MALLOC_")
"""Beginnings of variables that count when Python or a library starts: with another value of one the process can't be forked."""
_DESK: Final = ("agent", "az", "bicep", "commands", "execution", "expressions", "pipelines", "serving", "tracking", "workspace")
_LEFT_OUT: Final = ("lockgate.serving.host", "lockgate.execution.parallel_worker")
_STEPS: Final = ("numpy", "polars", "narwhals", "sklearn.ensemble", "onnx", "onnxruntime", "jinja2")


def _load_desk() -> None:
    for package in _DESK:
        found = importlib.import_module(f"lockgate.{package}")
        for module in pkgutil.walk_packages(found.__path__, f"lockgate.{package}."):
            if not module.name.endswith("__main__") and module.name not in _LEFT_OUT:
                importlib.import_module(module.name)
    for name in ("lockgate.cli", "lockgate.doctor", "rich.live", "rich.console", "rich.text", "jmespath", "yaml"):
        importlib.import_module(name)


def _load_steps() -> None:
    import tabular
    from tabular.families import lightgbm

    for name in _STEPS:
        importlib.import_module(name)
    del lightgbm
    for module in pkgutil.walk_packages(tabular.__path__, "tabular."):
        importlib.import_module(module.name)


_LOADERS: Final = {"desk": _load_desk, "steps": _load_steps}


# The process that forks ------------------------------------------------------------------------------------------------------


def serve(kind: str, control: int) -> None:
    """Fork for whoever asks, until nobody is left who could."""
    _LOADERS[kind]()
    door = socket.socket(fileno=control)
    waker, woken = socket.socketpair()
    for end in (waker, woken):
        end.setblocking(False)
    signal.set_wakeup_fd(woken.fileno(), warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    running: dict[int, int] = {}
    gc.collect()
    gc.freeze()
    with selectors.DefaultSelector() as selector:
        selector.register(door, selectors.EVENT_READ)
        selector.register(waker, selectors.EVENT_READ)
        door.sendall(b"+")
        while True:
            for key, _ in selector.select():
                if key.fileobj is waker:
                    with contextlib.suppress(BlockingIOError):
                        waker.recv(4096)
                    continue
                data, descriptors, _, _ = socket.recv_fds(door, 1 << 20, 5)
                if not data:
                    return
                *streams, asked_by, told_to = descriptors
                with os.fdopen(asked_by, "rb") as stream:
                    asked = json.loads(stream.read())
                process = os.fork()
                if process == 0:
                    selector.close()
                    for end in (waker, woken, door):
                        end.close()
                    os.close(told_to)
                    signal.set_wakeup_fd(-1)
                    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                    _become(asked, streams)
                for stream in streams:
                    os.close(stream)
                running[process] = told_to
                os.write(told_to, f"{process}\n".encode())
            while True:
                try:
                    ended, status = os.waitpid(-1, os.WNOHANG)
                except ChildProcessError:
                    break
                if not ended:
                    break
                told = running.pop(ended)
                with contextlib.suppress(OSError):
                    os.write(told, f"{os.waitstatus_to_exitcode(status)}\n".encode())
                os.close(told)


def _become(asked: dict[str, Any], streams: list[int]) -> None:
    """In the new process: be what was asked for."""
    os.environ.clear()
    os.environ.update(asked["environment"])
    os.chdir(asked["folder"])
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    sys.stdin = io.TextIOWrapper(io.BufferedReader(io.FileIO(0, closefd=False)), encoding="utf-8")
    sys.stdout = io.TextIOWrapper(io.BufferedWriter(io.FileIO(1, "w", closefd=False)), encoding="utf-8")
    sys.stderr = io.TextIOWrapper(io.FileIO(2, "w", closefd=False), encoding="utf-8", errors="backslashreplace", write_through=True)  # type: ignore[arg-type]
    sys.__stdin__, sys.__stdout__, sys.__stderr__ = sys.stdin, sys.stdout, sys.stderr
    first, *rest = asked["words"]
    code: object = 0
    try:
        if first == "-m":
            sys.argv = rest
            sys.path[0] = asked["folder"]
            runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
        else:
            sys.argv = [first, *rest]
            sys.path[0] = str(Path(first).parent)
            runpy.run_path(first, run_name="__main__")
    except SystemExit as ended:
        code = ended.code
    except BaseException:  # noqa: BLE001 - what Python does with it
        traceback.print_exc()
        code = 1
    # What Python does at its end, but for taking hundreds of modules apart.
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    if isinstance(code, str):
        print(code, file=sys.stderr)
    try:
        sys.stdout.flush()
    except OSError:
        os._exit(120)
    os._exit(code if isinstance(code, int) else int(code is not None))


# The tests' side -------------------------------------------------------------------------------------------------------------


class _Forker:
    """A process that forks."""

    def __init__(self, kind: str, environment: Mapping[str, str]) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        code = f"from forked import serve; serve({kind!r}, {theirs.fileno()})"
        path = os.pathsep.join([str(ROOT / "tests"), environment.get("PYTHONPATH", "")]).rstrip(os.pathsep)
        self._process = subprocess.Popen(
            [sys.executable, "-c", code],
            env={**environment, "PYTHONPATH": path},
            pass_fds=[theirs.fileno()],
            cwd=ROOT,
            start_new_session=True,
        )
        theirs.close()
        if ours.recv(1) != b"+":
            raise RuntimeError(f"the process that forks {kind} ended at its start")
        self._ours = ours
        atexit.register(self._end)

    def _end(self) -> None:
        self._ours.close()
        self._process.wait()

    def run(
        self, words: Sequence[str], folder: str, environment: Mapping[str, str], given: bytes | None, patience: float
    ) -> tuple[int, bytes, bytes]:
        """Run to the end: exit code, stdout, stderr."""
        import tempfile

        asked = json.dumps({"words": list(words), "folder": folder, "environment": dict(environment)}).encode()
        with (
            tempfile.TemporaryFile() as out,
            tempfile.TemporaryFile() as err,
            tempfile.TemporaryFile() as into,
            tempfile.TemporaryFile() as request,
        ):
            into.write(given or b"")
            into.seek(0)
            request.write(asked)
            request.seek(0)
            told, tell = os.pipe()
            socket.send_fds(self._ours, [b"."], [into.fileno(), out.fileno(), err.fileno(), request.fileno(), tell])
            os.close(tell)
            with os.fdopen(told, "rb", buffering=0) as answers:
                code = _wait(answers, words, patience)
            out.seek(0)
            err.seek(0)
            return code, out.read(), err.read()


def _wait(answers: io.FileIO, words: Sequence[str], patience: float) -> int:
    deadline = time.monotonic() + patience
    text = b""
    with selectors.DefaultSelector() as selector:
        selector.register(answers, selectors.EVENT_READ)
        while text.count(b"\n") < 2:
            if not selector.select(max(0.0, deadline - time.monotonic())):
                os.kill(int(text.split()[0]), signal.SIGKILL)
                raise subprocess.TimeoutExpired(list(words), patience)
            more = answers.read(64)
            if not more:
                raise RuntimeError("the process that forks has ended")
            text += more
    return int(text.split()[1])


_FORKERS: dict[str, tuple[dict[str, str], _Forker]] = {}


def _at_start(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: text for name, text in environment.items() if name.startswith(_AT_START) and name != "PYTHONUNBUFFERED"}


def run(
    kind: str, words: Sequence[object], *, cwd: Path, env: Mapping[str, str], given: str | None = None, timeout: float = 120
) -> subprocess.CompletedProcess[str]:
    """As `subprocess.run([sys.executable, *words], …, capture_output=True, text=True)`.

    Args:
        kind: what is loaded: `desk` or `steps`.
        words: `-m MODULE …`, or a script and its arguments.
        cwd: the folder.
        env: all variables.
        given: what it reads; nothing by default.
        timeout: seconds after which it is ended.
    """
    texts = [str(word) for word in words]
    started = _FORKERS.get(kind)
    if started is None:
        started = _FORKERS[kind] = (_at_start(env), _Forker(kind, env))
    if _at_start(env) != started[0]:
        return subprocess.run(
            [sys.executable, *texts], cwd=cwd, env=dict(env), input=given, stdin=subprocess.DEVNULL if given is None else None, capture_output=True, text=True,
            timeout=timeout, check=False,
        )  # fmt: skip
    code, out, err = started[1].run(texts, str(cwd), env, given.encode() if given is not None else None, timeout)
    return subprocess.CompletedProcess([sys.executable, *texts], code, _text(out), _text(err))


def _text(data: bytes) -> str:
    return data.decode("utf-8").replace("\r\n", "\n").replace("\r", "\n")
