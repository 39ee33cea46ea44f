"""MLflow's REST API, as far as a step logs and registers, for a tracking server on this machine whose artifacts lie on this machine too.

Such a server needs no MLflow client: the client takes 1 to 2 s to import, in each step, and does for such a server what is done here.
For every other store, Azure Machine Learning's first of all, `tracking.py` uses MLflow's own client.

Source: https://mlflow.org/docs/latest/api_reference/rest-api.html
"""

from __future__ import annotations

import http.client
import json
import os
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlencode, urlsplit

from .errors import UserError

_HERE: Final = ("127.0.0.1", "localhost", "::1")
_OWN_SETTINGS: Final = ("MLFLOW_TRACKING_TOKEN", "MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_AUTH", "MLFLOW_WORKSPACE")
"""With one of them a request is more than its body; MLflow's client knows how."""
_PATIENCE: Final = 2.0
"""Seconds that a server which is being started anew has to take a connection."""
_LONGEST: Final = 60.0
"""Seconds that an answer may take."""
_AT_ONCE: Final = 100
"""Parameters or tags in one request, at most, as MLflow allows."""


class RefusedError(Exception):
    """The server refused a request.

    Attributes:
        code: MLflow's, such as RESOURCE_ALREADY_EXISTS.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def is_on_this_machine(uri: str) -> bool:
    """Whether a tracking URI is that of a server on this machine that wants no more than a request."""
    address = urlsplit(uri)
    return address.scheme == "http" and address.hostname in _HERE and not any(os.environ.get(name) for name in _OWN_SETTINGS)


class TrackingServer:
    """A run of a tracking server.

    Args:
        uri: of the server.
    """

    def __init__(self, uri: str) -> None:
        self._uri = uri
        address = urlsplit(uri)
        self._host, self._port = str(address.hostname), address.port or 80
        self._base = address.path.rstrip("/") + "/api/2.0/mlflow/"
        self._gone = ""

    def artifacts_of(self, run: str) -> Path | None:
        """The folder of a run's artifacts; None if it is not on this machine.

        Raises:
            RefusedError: there is no such run.
        """
        address = str(self._ask("GET", "runs/get", {"run_id": run})["run"]["info"]["artifact_uri"])
        if address.startswith("file:"):
            return Path(unquote(urlsplit(address).path))
        return Path(address) if address.startswith("/") else None

    def new_run(self, experiment: str) -> str:
        """Begin a run; its id."""
        try:
            identifier = self._ask("GET", "experiments/get-by-name", {"experiment_name": experiment})["experiment"]["experiment_id"]
        except RefusedError as refused:
            if refused.code != "RESOURCE_DOES_NOT_EXIST":
                raise
            identifier = self._ask("POST", "experiments/create", {"name": experiment})["experiment_id"]
        made = self._ask("POST", "runs/create", {"experiment_id": identifier, "start_time": _now()})
        return str(made["run"]["info"]["run_id"])

    def end(self, run: str) -> None:
        """End a run that went well."""
        self._ask("POST", "runs/update", {"run_id": run, "status": "FINISHED", "end_time": _now()})

    def log(self, run: str, parameters: Mapping[str, str], metrics: Mapping[str, float], tags: Mapping[str, str], files: list[str]) -> None:
        """Log to a run: files and folders by their name."""
        now = _now()
        rows: dict[str, list[dict[str, Any]]] = {
            "metrics": [{"key": key, "value": value, "timestamp": now, "step": 0} for key, value in metrics.items()],
            "params": [{"key": key, "value": value} for key, value in parameters.items()],
            "tags": [{"key": key, "value": value} for key, value in tags.items()],
        }
        for kind, all_of_kind in rows.items():
            for first in range(0, len(all_of_kind), _AT_ONCE):
                self._ask("POST", "runs/log-batch", {"run_id": run, kind: all_of_kind[first : first + _AT_ONCE]})
        for file in files:
            self._copy(run, Path(file), Path(file).name)

    def register(self, run: str, folder: str, name: str, tags: Mapping[str, str], description: str) -> dict[str, str]:
        """Copy a folder to the run's artifacts and make it a version of a registered model.

        Returns:
            name, version, source and run_id.
        """
        source = f"{self._copy(run, Path(folder), 'model')}"
        try:
            self._ask("POST", "registered-models/create", {"name": name})
        except RefusedError as refused:
            if refused.code != "RESOURCE_ALREADY_EXISTS":
                raise
        pairs = [{"key": key, "value": value} for key, value in tags.items()]
        asked = {"name": name, "source": source, "run_id": run, "tags": pairs, "description": description}
        made = self._ask("POST", "model-versions/create", asked)["model_version"]
        return {"name": name, "version": str(made["version"]), "source": source, "run_id": run}

    def _copy(self, run: str, source: Path, name: str) -> Path:
        artifacts = self.artifacts_of(run)
        if artifacts is None:
            raise RefusedError("INVALID_STATE", f"the artifacts of run {run} are not on this machine")
        artifacts.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, artifacts / name, dirs_exist_ok=True)
        else:
            shutil.copyfile(source, artifacts / name)
        return artifacts / name

    def _ask(self, method: str, path: str, asked: Mapping[str, Any]) -> dict[str, Any]:
        query = f"?{urlencode(asked)}" if method == "GET" else ""
        body = None if method == "GET" else json.dumps(asked)
        connection = self._connected()
        try:
            connection.request(method, f"{self._base}{path}{query}", body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            text = answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise self._silent(error) from None
        finally:
            connection.close()
        try:
            found = json.loads(text or b"{}")
        except ValueError:
            found = {"message": text.decode(errors="replace")}
        if answer.status != http.client.OK:
            raise RefusedError(
                str(found.get("error_code", "")), str(found.get("message") or f"{method} {path}: {answer.status} {answer.reason}")
            )
        return dict(found)

    def _connected(self) -> http.client.HTTPConnection:
        if self._gone:  # Whoever has waited for it in vain doesn't do so again.
            raise UserError(self._gone)
        deadline = time.monotonic() + _PATIENCE
        while True:
            connection = http.client.HTTPConnection(self._host, self._port, timeout=_LONGEST)
            try:
                connection.connect()
            except OSError as error:
                connection.close()
                # Only the connection is tried again: what was sent may have been done.
                if time.monotonic() > deadline:
                    raise self._silent(error) from None
                time.sleep(0.1)
            else:
                return connection

    def _silent(self, error: Exception) -> UserError:
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error) or type(error).__name__
        self._gone = (
            f"MLflow: the tracking server {self._uri} does not answer ({why.lower()}); this step's results are not logged: run it again"
        )
        return UserError(self._gone)


def _now() -> int:
    """Milliseconds since 1970."""
    return time.time_ns() // 1_000_000
