"""A run through MLflow's own client, for every store that MLflow and its plugins know.

Only what works on every MLflow server from 2.x on, Azure Machine Learning's included, is used: parameters, metrics,
tags, artifacts, registered models and their versions.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .imports import without


class MlflowClient:
    """What a step asks of MLflow. The first one imports it, which takes 1 to 2 s."""

    def __init__(self) -> None:
        with without("pandas", "polars", "pyarrow"):
            from mlflow.tracking import MlflowClient as Client
        self._client: Any = Client()

    def open(self, run: str, experiment: str) -> None:
        """Have the store opened, which takes a while the first time.

        Args:
            run: id of the run, empty if there is none yet.
            experiment: its name.

        Raises:
            mlflow.exceptions.MlflowException: the store can't be opened, or has no such run.
        """
        if run:
            self._client.get_run(run)
        else:
            self._client.get_experiment_by_name(experiment)

    def new_run(self, experiment: str) -> str:
        """Begin a run; its id."""
        found = self._client.get_experiment_by_name(experiment)
        identifier = found.experiment_id if found else self._client.create_experiment(experiment)
        return str(self._client.create_run(identifier).info.run_id)

    def end(self, run: str) -> None:
        """End a run that went well."""
        self._client.set_terminated(run)

    def log(self, run: str, parameters: Mapping[str, str], metrics: Mapping[str, float], tags: Mapping[str, str], files: list[str]) -> None:
        """Log to a run: files and folders by their name."""
        from mlflow.entities import Metric, Param, RunTag
        from mlflow.utils.time import get_current_time_millis

        now = get_current_time_millis()
        self._client.log_batch(
            run,
            [Metric(name, value, now, 0) for name, value in metrics.items()],
            [Param(name, value) for name, value in parameters.items()],
            [RunTag(name, value) for name, value in tags.items()],
        )
        for file in files:
            if Path(file).is_dir():
                self._client.log_artifacts(run, file, Path(file).name)
            else:
                self._client.log_artifact(run, file)

    def register(self, run: str, folder: str, name: str, tags: Mapping[str, str], description: str) -> dict[str, str]:
        """Upload a folder to the run's artifacts and make it a version of a registered model.

        Returns:
            name, version, source and run_id.
        """
        from mlflow.exceptions import MlflowException

        self._client.log_artifacts(run, folder, "model")
        try:
            self._client.create_registered_model(name)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
        source = f"{self._client.get_run(run).info.artifact_uri}/model"
        version = self._client.create_model_version(name, source, run, tags=dict(tags), description=description)
        return {"name": name, "version": str(version.version), "source": source, "run_id": run}
