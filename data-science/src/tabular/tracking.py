"""MLflow, kept out of the way: it takes seconds to import, so it lives in a process of its own, begun early.

Only what works on every MLflow server from 2.x on, Azure Machine Learning's included, is used: parameters, metrics,
tags, artifacts, registered models and their versions.
"""

from __future__ import annotations

import atexit
import logging
import multiprocessing
import os
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, TypeVar

from .errors import UserError
from .imports import without

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
    except _OWN_FAULTS:
        raise
    except Exception as error:  # noqa: BLE001 - MLflow, and for Azure Machine Learning its plugin, raise what their libraries do
        lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
        raise UserError(f"MLflow: {' '.join(lines[:3])}; look at MLFLOW_TRACKING_URI and MLFLOW_RUN_ID") from None


def _leave() -> None:
    """End the process: taking all of MLflow's modules apart would take a second."""
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def _begin(run: str, experiment: str) -> None:
    """Import MLflow in the process that will use it, and open the store, which takes a while the first time. A failure comes back when it is used."""
    atexit.register(_leave)  # What is registered later, as by MLflow, comes before.
    with without("pandas", "polars", "pyarrow"):
        import mlflow.tracking  # noqa: F401
    if run:
        _client().get_run(run)
    else:
        _client().get_experiment_by_name(experiment)


def _client() -> Any:
    from mlflow.tracking import MlflowClient

    return MlflowClient()


def _log(run: str, parameters: dict[str, str], metrics: dict[str, float], tags: dict[str, str], files: list[str]) -> None:
    from mlflow.entities import Metric, Param, RunTag
    from mlflow.utils.time import get_current_time_millis

    client = _client()
    now = get_current_time_millis()
    client.log_batch(
        run,
        [Metric(name, value, now, 0) for name, value in metrics.items()],
        [Param(name, value) for name, value in parameters.items()],
        [RunTag(name, value) for name, value in tags.items()],
    )
    for file in files:
        if Path(file).is_dir():
            client.log_artifacts(run, file, Path(file).name)
        else:
            client.log_artifact(run, file)


def _register(run: str, folder: str, name: str, tags: dict[str, str], description: str) -> dict[str, str]:
    from mlflow.exceptions import MlflowException

    client = _client()
    client.log_artifacts(run, folder, "model")
    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    source = f"{client.get_run(run).info.artifact_uri}/model"
    version = client.create_model_version(name, source, run, tags=tags, description=description)
    return {"name": name, "version": str(version.version), "source": source, "run_id": run}


def _new_run(experiment: str) -> str:
    client = _client()
    found = client.get_experiment_by_name(experiment)
    identifier = found.experiment_id if found else client.create_experiment(experiment)
    return str(client.create_run(identifier).info.run_id)


def _end(run: str) -> None:
    _client().set_terminated(run)


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
        self._pool: ProcessPoolExecutor | None = None
        self._pending: list[Future[None]] = []

    def __enter__(self) -> Self:
        if self._on:
            self._pool = ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"))
            if self._own:
                self.run = ""
            self._ask(_begin, self.run, self._experiment)  # Now, so that it is ready when it is needed.
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
