"""The tracking server of a desk: `python -m lockgate.tracking.server FOLDER LOCK DOOR`, started by `service.ensure`.

It gets a lock that is held and a port that is open. Until somebody connects it sleeps, a process of a few MB without MLflow: a job whose steps
log nothing never pays for MLflow's start. Then it serves MLflow's own application, with all its routes, over MLflow's own store.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import sys
from pathlib import Path
from typing import Any, Final

from lockgate.tracking import journal
from lockgate.tracking.service import HOST, LOCK
from lockgate.tracking.versions import DATABASE

_LOOK: Final = 0.2
"""Seconds between two looks at whether something was said, whether to end, and whether the folder is still there."""
_LOOK_ASLEEP: Final = 2.0
"""The same while nobody has connected; what connects or ends it wakes it at once."""


class _Life:
    """Whether the server is to go on: not after SIGTERM, and not once its folder is gone or another one's."""

    def __init__(self, folder: Path, lock: int) -> None:
        self._lock_file = folder / LOCK
        self._lock = os.fstat(lock).st_ino
        self._asked = False
        self.asleep = True
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._ask)

    def _ask(self, *_: object) -> None:
        if self.asleep:
            os._exit(0)
        self._asked = True

    @property
    def over(self) -> bool:
        """Whether to end."""
        try:
            return self._asked or self._lock_file.stat().st_ino != self._lock
        except OSError:
            return True


class _Intake:
    """Takes what the desk said into MLflow's store."""

    def __init__(self, folder: Path, store: Any) -> None:
        import threading

        self._folder = folder
        self._store = store
        self._one = threading.Lock()

    def take(self) -> None:
        """Take in all that has been said."""
        import json

        if not journal.words(self._folder):
            return
        with self._one:  # Requests come in threads.
            for path in journal.words(self._folder):
                try:
                    word = json.loads(path.read_text(encoding="utf-8"))
                    self._begin(word) if "begin" in word else self._end(word)
                except Exception as error:  # noqa: BLE001 - one word that MLflow refuses must not keep back those after it
                    print(f"{path.name}: not taken in: {type(error).__name__}: {error}", flush=True)
                    path.replace(path.with_suffix(".refused"))
                else:
                    path.unlink(missing_ok=True)

    def _begin(self, word: dict[str, Any]) -> None:
        from mlflow.entities import LifecycleStage, RunStatus, SourceType
        from mlflow.store.tracking.dbmodels.models import SqlRun, SqlTag

        experiment = self._store.get_experiment_by_name(word["experiment"])
        if experiment is None:
            experiment = self._store.get_experiment(self._store.create_experiment(word["experiment"]))
        elif experiment.lifecycle_stage != LifecycleStage.ACTIVE:
            self._store.restore_experiment(experiment.experiment_id)
        run = word["begin"]
        # MLflow's store makes the id itself; ours is known to the step already.
        with self._store.ManagedSessionMaker(read_only=False) as session:
            if session.get(SqlRun, run) is not None:
                return
            session.add(
                SqlRun(
                    run_uuid=run, name=word["name"], experiment_id=experiment.experiment_id, user_id="", start_time=word["time"],
                    artifact_uri=f"{experiment.artifact_location}/{run}/artifacts", status=RunStatus.to_string(RunStatus.RUNNING),
                    lifecycle_stage=LifecycleStage.ACTIVE, source_type=SourceType.to_string(SourceType.UNKNOWN), source_name="",
                    entry_point_name="", source_version="", tags=[SqlTag(key=key, value=value) for key, value in word["tags"].items()],
                )
            )  # fmt: skip

    def _end(self, word: dict[str, Any]) -> None:
        from mlflow.entities import RunStatus

        self._store.update_run_info(word["end"], RunStatus.from_string(word["status"]), word["time"], None)


def _sleep(door: socket.socket, life: _Life) -> bool:
    """Wait until somebody connects; False if the end comes first."""
    while not life.over:
        if select.select([door], [], [], _LOOK_ASLEEP)[0]:
            life.asleep = False
            return True
    return False


def _serve(folder: Path, door: socket.socket, life: _Life) -> None:
    os.environ |= {
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_LOGGING_LEVEL": "WARNING",
        "_MLFLOW_SERVER_FILE_STORE": f"sqlite:///{folder / DATABASE}",
        "_MLFLOW_SERVER_ARTIFACT_ROOT": (folder / "artifacts").as_uri(),
    }
    for name in ("pandas", "polars", "pyarrow", "scipy", "sklearn"):
        sys.modules.setdefault(name, None)  # type: ignore[arg-type]  # MLflow looks for them, and works without.
    from mlflow.server import app, handlers
    from werkzeug.serving import ThreadedWSGIServer, WSGIRequestHandler

    intake = _Intake(folder, handlers._get_tracking_store())  # noqa: SLF001 - the one that the application uses
    handlers._get_model_registry_store()  # noqa: SLF001 - threads that are first at once would make it twice

    class Quiet(WSGIRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
            """Say nothing: a line for each metric would fill the log."""

    class Server(ThreadedWSGIServer):
        daemon_threads = True

        def service_actions(self) -> None:
            intake.take()
            if life.over:
                sys.stdout.flush()
                os._exit(0)  # What was answered is in the store; the rest of MLflow takes a second to be taken apart.

    def application(environ: Any, start_response: Any) -> Any:
        intake.take()
        return app(environ, start_response)

    Server(HOST, door.getsockname()[1], application, Quiet, fd=door.fileno()).serve_forever(_LOOK)


def main() -> None:
    """Sleep, then serve."""
    folder, lock, door = Path(sys.argv[1]), int(sys.argv[2]), socket.socket(fileno=int(sys.argv[3]))
    (folder / LOCK).write_text(str(os.getpid()), encoding="utf-8")
    life = _Life(folder, lock)
    if _sleep(door, life):
        _serve(folder, door, life)


if __name__ == "__main__":
    main()
