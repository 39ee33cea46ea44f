"""MLflow, kept out of the way of a step.

A tracking server on this machine is spoken to in a thread (`tracking_server.py`). Every other store, such as Azure Machine Learning's, has
MLflow's own client (`mlflow_client.py`): it takes seconds to import, so it lives in a process of its own, begun early.
"""

from __future__ import annotations

import atexit
import logging
import os
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import Executor, Future, ThreadPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar

from .errors import UserError
from .tracking_server import TrackingServer, is_on_this_machine

if TYPE_CHECKING:
    from .mlflow_client import MlflowClient

T = TypeVar("T")
_LONGEST = 480
"""Characters of a parameter or tag that every server takes."""
_ENDED: Final = "MLflow: its process was ended from outside, as when memory runs out; what this step did is not logged: run it again"


_OWN_FAULTS: Final = (TypeError, AttributeError, NameError, LookupError, AssertionError)
_PATIENCE: Final = 5.0
"""Seconds that a step which failed waits for what it was logging."""


def _guarded(function: Callable[..., T], *given: Any) -> T:
    """Call a function in MLflow's process; what a store refuses comes back as a sentence, since not every library's exceptions can be sent.

    Raises:
        UserError: MLflow refused, or could not be reached.
    """
    try:
        return function(*given)
    except (*_OWN_FAULTS, UserError):
        raise
    except Exception as error:  # noqa: BLE001 - MLflow, and for Azure Machine Learning its plugin, raise what their libraries do
        lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
        raise UserError(f"MLflow: {' '.join(lines[:3])}; look at MLFLOW_TRACKING_URI and MLFLOW_RUN_ID") from None


class _Chosen:
    """Who speaks to the store, in the thread or process that does."""

    backend: TrackingServer | MlflowClient
    refusal: Exception | None = None
    """Why there is no backend: said by whatever needs one."""


def _backend() -> TrackingServer | MlflowClient:
    if _Chosen.refusal is not None:
        raise _Chosen.refusal
    return _Chosen.backend


def _leave() -> None:
    """End the process: taking all of MLflow's modules apart would take a second."""
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def _begin(open_store: Callable[[str, str], None], run: str, experiment: str) -> None:
    _Chosen.refusal = None
    try:
        open_store(run, experiment)
    except Exception as error:
        _Chosen.refusal = error
        raise


def _open_server(run: str, experiment: str) -> None:
    server = _Chosen.backend = TrackingServer(os.environ["MLFLOW_TRACKING_URI"])
    if run and server.artifacts_of(run) is None:
        _begin_with_client(run, experiment)


def _open_in_process(run: str, experiment: str) -> None:
    atexit.register(_leave)  # What is registered later, as by MLflow, comes before.
    _begin_with_client(run, experiment)


def _begin_with_client(run: str, experiment: str) -> None:
    from .mlflow_client import MlflowClient

    client = _Chosen.backend = MlflowClient()
    client.open(run, experiment)


def _log(run: str, parameters: dict[str, str], metrics: dict[str, float], tags: dict[str, str], files: list[str]) -> None:
    _backend().log(run, parameters, metrics, tags, files)


def _register(run: str, folder: str, name: str, tags: dict[str, str], description: str) -> dict[str, str]:
    return _backend().register(run, folder, name, tags, description)


def _new_run(experiment: str) -> str:
    return _backend().new_run(experiment)


def _end(run: str) -> None:
    _backend().end(run)


class Tracking:
    """The MLflow run of this step: the one that Azure ML or the desk made for it, else a new one.

    Use as a context manager. Without `MLFLOW_RUN_ID` and `MLFLOW_TRACKING_URI` nothing is logged, and said so; a
    registration then makes a run in MLflow's default place.
    """

    def __init__(self, experiment: str, *, need: bool = False) -> None:
        self.run = os.environ.get("MLFLOW_RUN_ID", "")
        self._own = not self.run
        self._experiment = experiment
        self._on = bool(need or self.run or os.environ.get("MLFLOW_TRACKING_URI"))
        self._pool: Executor | None = None
        self._pending: list[Future[None]] = []

    def __enter__(self) -> Self:
        if self._on:
            if self._own:
                self.run = ""
            # Now, so that it is ready when it is needed; what goes wrong is said by what needs it.
            if is_on_this_machine(os.environ.get("MLFLOW_TRACKING_URI", "")):
                self._pool = ThreadPoolExecutor(1)
                self._ask(_begin, _open_server, self.run, self._experiment)
            else:
                import multiprocessing
                from concurrent.futures import ProcessPoolExecutor

                self._pool = ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"))
                self._ask(_begin, _open_in_process, self.run, self._experiment)
        else:
            print("not logged: no MLflow run (set MLFLOW_TRACKING_URI to log)")
        return self

    def __exit__(self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None) -> None:
        if self._pool is None:
            return
        try:
            if kind is None:
                for pending in self._pending:
                    self._answer(pending)
                if self._own and self.run:
                    self._answer(self._ask(_end, self.run))
            else:
                wait(self._pending, _PATIENCE)
                if not isinstance(self._pool, ThreadPoolExecutor):
                    import multiprocessing

                    # A store that can't be reached is asked again for minutes.
                    for child in multiprocessing.active_children():
                        child.terminate()
        finally:
            self._pool.shutdown(cancel_futures=kind is not None)

    def _ask(self, function: Callable[..., T], *given: Any) -> Future[T]:
        if self._pool is None:
            raise RuntimeError("Tracking was not entered with need=True")
        try:
            return self._pool.submit(_guarded, function, *given)
        except BrokenProcessPool:
            raise UserError(_ENDED) from None

    def _answer(self, pending: Future[T]) -> T:
        try:
            return pending.result()
        except BrokenProcessPool:
            raise UserError(_ENDED) from None

    def _run(self) -> str:
        if not self.run:
            self.run = self._answer(self._ask(_new_run, self._experiment))
        return self.run

    def log(
        self,
        *,
        parameters: Mapping[str, object] | None = None,
        metrics: Mapping[str, float] | None = None,
        tags: Mapping[str, str] | None = None,
        files: list[Path] | None = None,
    ) -> None:
        """Log to the run, in the background; a failure is raised when the step ends."""
        if self._pool is None:
            return
        finite = {k: float(v) for k, v in (metrics or {}).items() if v == v and abs(v) != float("inf")}
        self._pending.append(
            self._ask(
                _log,
                self._run(),
                {k: str(v)[:_LONGEST] for k, v in (parameters or {}).items()},
                finite,
                {k: v[:_LONGEST] for k, v in (tags or {}).items()},
                [str(f) for f in files or ()],
            )
        )

    def register(self, folder: Path, name: str, *, tags: Mapping[str, str], description: str) -> dict[str, str]:
        """Upload a folder and make it a version of a registered model.

        Returns:
            name, version, source and run_id.
        """
        return self._answer(self._ask(_register, self._run(), str(folder), name, dict(tags), description))
