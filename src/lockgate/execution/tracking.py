"""MLflow on the desk: one SQLite store, a run per node under one parent, and the versions that a job registered.

MLflow takes seconds to import, so nothing here does so before it is used.
"""

from __future__ import annotations

import fcntl
import os
import sys
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

from lockgate.state import STATE_FOLDER


class MlflowStore:
    """The store of a desk; what is missing of its tables is made.

    Args:
        folder: where its database and its artifacts are.
    """

    def __init__(self, folder: Path) -> None:
        for name in ("pandas", "polars", "pyarrow"):
            # MLflow imports them, where present, for data sets that the desk does not use: half of its start-up time.
            sys.modules.setdefault(name, None)  # type: ignore[arg-type]
        os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
        os.environ["MLFLOW_LOGGING_LEVEL"] = "WARNING"
        from mlflow.tracking import MlflowClient

        folder.mkdir(parents=True, exist_ok=True)
        self._artifacts = folder / "artifacts"
        uri = f"sqlite:///{folder / 'mlflow.db'}"
        # Two that make the tables at once get into each other's way.
        with (folder / ".lock").open("a") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)
            self._client: Any = MlflowClient(uri, uri)

    def begin_run(self, experiment: str, name: str, parent: str | None, tags: dict[str, str]) -> str:
        """Make a run.

        Returns:
            Its id.
        """
        found = self._client.get_experiment_by_name(experiment)
        if found is None:
            location = (self._artifacts / experiment).as_uri()
            identifier = self._client.create_experiment(experiment, artifact_location=location)
        else:
            identifier = found.experiment_id
        all_tags = {**tags, "mlflow.runName": name, **({"mlflow.parentRunId": parent} if parent else {})}
        return str(self._client.create_run(identifier, tags=all_tags, run_name=name).info.run_id)

    def end_run(self, run: str, *, status: str) -> None:
        """End a run with MLflow's status: FINISHED, FAILED or KILLED."""
        self._client.set_terminated(run, status)

    def versions_of_run(self, run: str) -> list[dict[str, Any]]:
        """The model versions that a run registered: name, version, folder, tags, description."""
        found = []
        for version in self._client.search_model_versions(f"run_id = '{run}'"):
            source = urlparse(version.source)
            folder = Path(unquote(source.path)) if source.scheme == "file" else Path(version.source)
            found.append(
                {
                    "name": version.name,
                    "version": str(version.version),
                    "folder": folder,
                    "tags": dict(version.tags),
                    "description": version.description or "",
                }
            )
        return found


if __name__ == "__main__":  # The tables take a second: `lockgate up` makes them beside other work.
    MlflowStore(Path(sys.argv[1]) / STATE_FOLDER / "mlflow")
