"""The same search on Azure Machine Learning's own AutoML: `train.py --engine azure`.

Builds the job from project.yml with azure-ai-ml, submits it, waits, and downloads the best model. azure-ai-ml is
not needed for anything else: pip install "lockgate[azure]".
"""

from __future__ import annotations

import logging
import math
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from .contract import Contract
from .errors import UserError
from .project import Search

_METRICS: Final[dict[str, dict[str, str]]] = {
    "regression": {
        "rmse": "normalized_root_mean_squared_error",
        "mse": "normalized_root_mean_squared_error",
        "mae": "normalized_mean_absolute_error",
        "r2": "r2_score",
    },
    "classification": {
        "accuracy": "accuracy",
        "precision": "precision_score_weighted",
        "recall": "norm_macro_recall",
        "roc_auc": "AUC_weighted",
    },
}
"""Metric of project.yml → primary metric of Azure AutoML. The root orders models as the square does."""
_FAMILIES: Final = {
    "regression": {"lightgbm": "LightGBM", "xgboost": "XGBoostRegressor", "extra_trees": "ExtremeRandomTrees"},
    "classification": {"lightgbm": "LightGBM", "xgboost": "XGBoostClassifier", "extra_trees": "ExtremeRandomTrees"},
}
_LEAST_MINUTES: Final = 15
"""Azure's smallest time for an AutoML job."""
_TRIALS: Final = 1000
_BEST: Final = "automl_best_child_run_id"
"""Tag in which an AutoML job names the child that trained its best model."""


@dataclass(frozen=True)
class Place:
    """Where the job runs."""

    subscription: str | None
    resource_group: str | None
    workspace: str | None
    compute: str

    def checked(self) -> Place:
        """The place with nothing missing.

        Raises:
            UserError: names what is missing.
        """
        subscription = self.subscription or os.environ.get("AZURE_SUBSCRIPTION_ID")
        found = {
            "--subscription (or AZURE_SUBSCRIPTION_ID)": subscription,
            "--resource-group": self.resource_group,
            "--workspace": self.workspace,
        }
        missing = [name for name, value in found.items() if not value]
        if missing:
            raise UserError(f"--engine azure: missing {', '.join(missing)}; say where the job is to run")
        return Place(subscription, self.resource_group, self.workspace, self.compute)


def _library() -> Any:
    try:
        import azure.ai.ml
        import azure.ai.ml.automl
    except ImportError:
        raise UserError('--engine azure: azure-ai-ml is not installed; install it with: pip install "lockgate[azure]"') from None
    return azure.ai.ml


def build_job(contract: Contract, options: Search, compute: str, train: str, validation: str) -> Any:
    """The AutoML job of a project.

    Args:
        contract: task and target.
        options: metric, families and time.
        compute: name of the compute cluster.
        train, validation: paths of MLTable folders, local or `azureml:`.

    Returns:
        An azure-ai-ml AutoML job.

    Raises:
        UserError: project.yml asks for what Azure AutoML has not got.
    """
    ml = _library()
    metrics = _METRICS[contract.task]
    if options.metric not in metrics:
        raise UserError(f"search.metric: Azure AutoML can't optimise {options.metric}; allowed with --engine azure: {', '.join(metrics)}")
    families = _FAMILIES[contract.task]
    algorithms = [families[name] for name in options.families if name in families]
    if not algorithms:
        raise UserError(
            f"search.families: Azure AutoML has none of {', '.join(options.families)}; allowed with --engine azure: {', '.join(families)}"
        )
    if options.class_weight != "none":
        raise UserError(f"search.class_weight: found {options.class_weight}; allowed with --engine azure: none")
    if options.budget_trials is not None:
        raise UserError(f"search.budget_trials: found {options.budget_trials}; with --engine azure time alone is a budget: leave it out")
    make = ml.automl.regression if contract.task == "regression" else ml.automl.classification
    job = make(
        compute=compute,
        experiment_name=contract.name,
        display_name=f"{contract.name}-azure-automl",
        training_data=ml.Input(type="mltable", path=train),
        validation_data=ml.Input(type="mltable", path=validation),
        target_column_name=contract.target,
        primary_metric=metrics[options.metric],
    )
    minutes = max(_LEAST_MINUTES, math.ceil(options.seconds / 60))
    job.set_limits(
        timeout_minutes=minutes,
        trial_timeout_minutes=max(5, minutes // 3),
        max_trials=_TRIALS,
        max_concurrent_trials=4,
        enable_early_termination=True,
    )
    # The recipe has made the features; Azure is not to make them again.
    job.set_featurization(mode="off")
    job.set_training(
        allowed_training_algorithms=algorithms,
        enable_stack_ensemble=False,
        enable_vote_ensemble=True,
        enable_onnx_compatible_models=True,
    )
    return job


def train_on_azure(contract: Contract, options: Search, place: Place, train: Path, validation: Path, output: Path) -> None:
    """Submit the job, wait for its end, and put its best model into `output`.

    Raises:
        UserError: no credentials, no such workspace, or the job failed; one sentence each.
    """
    place = place.checked()
    ml = _library()
    from azure.core.exceptions import AzureError, ClientAuthenticationError
    from azure.identity import CredentialUnavailableError, DefaultAzureCredential

    left_out = [name for name in options.families if name not in _FAMILIES[contract.task]]
    if left_out:
        print(f"left out, since Azure AutoML has none: {', '.join(left_out)}")
    job = build_job(contract, options, place.compute, str(train), str(validation))
    # Azure's libraries log what they tried at length; the user gets one sentence.
    logging.getLogger("azure").setLevel(logging.CRITICAL)
    credential = DefaultAzureCredential()
    try:
        credential.get_token("https://management.azure.com/.default")
    except (CredentialUnavailableError, ClientAuthenticationError):
        raise UserError("--engine azure: no Azure credentials; run az login, or give the job an identity") from None
    client = ml.MLClient(credential, place.subscription, place.resource_group, place.workspace)
    try:
        submitted = client.jobs.create_or_update(job)
        print(f"submitted {submitted.name}: {submitted.studio_url}", flush=True)
        client.jobs.stream(submitted.name)
        ended = client.jobs.get(submitted.name)
        if ended.status != "Completed":
            raise UserError(f"--engine azure: job {submitted.name} ended as {ended.status}; see {submitted.studio_url}")
        best = (ended.tags or {}).get(_BEST) or (ended.properties or {}).get(_BEST)
        if not best:
            raise UserError(f"--engine azure: job {submitted.name} names no best model; see {submitted.studio_url}")
        output.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=output.parent) as folder:
            client.jobs.download(best, download_path=folder, all=True)
            found = next(Path(folder).rglob("MLmodel"), None)
            if found is None:
                raise UserError(f"--engine azure: child job {best} left no MLflow model; see {submitted.studio_url}")
            shutil.copytree(found.parent, output, dirs_exist_ok=True)
    except AzureError as error:
        first = str(error).strip().splitlines()
        raise UserError(f"--engine azure: {first[0] if first else type(error).__name__}") from None
    print(f"downloaded the best model of {submitted.name}")
