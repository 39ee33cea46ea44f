"""`train.py --engine azure`: the job it would submit, and what it says when it can't."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tabular.errors import UserError
from tabular.project import load_project

ROOT = Path(__file__).parents[1]
PROJECT = load_project(ROOT / "data-science" / "project.yml")

pytestmark = pytest.mark.filterwarnings("ignore")  # azure-ai-ml's own; nothing of ours warns here


def body(**changes: object) -> dict[str, object]:
    from tabular.azure_automl import build_job

    options = dataclasses.replace(PROJECT.search, **changes)
    job = build_job(PROJECT.contract, options, "cpu-cluster", "azureml:train:1", "azureml:validation:1")
    return job._to_rest_object().as_dict()


def test_the_compiled_job_is_the_one_that_azure_ai_ml_makes_of_the_yaml_file() -> None:
    golden = json.loads((ROOT / "tests/cases/azure/flight-delay-automl.json").read_text())
    made = json.loads(json.dumps(body()))
    # A reference loses its scheme when azure-ai-ml reads it from YAML; as an Input it is handed on whole.
    for side in ("trainingData", "validationData"):
        reference = made["properties"]["taskDetails"][side]
        reference["uri"] = reference["uri"].removeprefix("azureml:")
    assert made == golden


def test_the_golden_file_is_what_azure_ai_ml_compiles_today() -> None:
    from azure.ai.ml import load_job

    golden = json.loads((ROOT / "tests/cases/azure/flight-delay-automl.json").read_text())
    loaded = load_job(ROOT / "tests/cases/azure/flight-delay-automl.yml")._to_rest_object().as_dict()
    assert json.loads(json.dumps(loaded)) == golden


def test_metric_and_time_follow_project_yml() -> None:
    details = body(metric="r2", seconds=3600.0)["properties"]["taskDetails"]  # type: ignore[index]
    assert details["primaryMetric"] == "R2Score"
    assert details["limitSettings"]["timeout"] == "PT1H"


def test_a_metric_that_azure_has_not_is_refused_with_those_it_has() -> None:
    with pytest.raises(UserError, match=r"median_absolute_error; allowed with --engine azure: rmse, mse, mae, r2"):
        body(metric="median_absolute_error")


def test_families_that_azure_has_not_are_refused_if_no_other_is_left() -> None:
    with pytest.raises(UserError, match="has none of catboost; allowed with --engine azure: lightgbm, xgboost, extra_trees"):
        body(families=("catboost",))


def test_settings_that_azure_has_not_are_refused_by_name() -> None:
    with pytest.raises(UserError, match=r"search\.class_weight: found balanced; allowed with --engine azure: none"):
        body(class_weight="balanced")
    with pytest.raises(UserError, match=r"search\.budget_trials: found 5; with --engine azure time alone is a budget"):
        body(budget_trials=5)


def run_train(tmp_path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    recipe = tmp_path / "recipe"
    recipe.mkdir()
    (recipe / "contract.json").write_text(json.dumps(PROJECT.contract.to_dict()))
    (recipe / "recipe.json").write_text(json.dumps({"format": 1, "numbers": [], "categories": [], "fitted_rows": 0, "fitted_sha256": ""}))
    folders = [f"--{name}={tmp_path / name}" for name in ("train", "validation", "recipe", "model")]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AZURE_")}
    environment |= {"AZURE_CONFIG_DIR": str(tmp_path / "azure"), "HOME": str(tmp_path)}
    return subprocess.run(
        [sys.executable, str(ROOT / "data-science/src/train.py"), "--engine", "azure", *folders, *arguments],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
        timeout=120,
    )


def test_without_a_place_one_sentence_says_what_is_missing(tmp_path: Path) -> None:
    done = run_train(tmp_path, "--workspace", "w")
    assert done.returncode == 2
    assert done.stderr == (
        "error: --engine azure: missing --subscription (or AZURE_SUBSCRIPTION_ID), --resource-group; say where the job is to run\n"
    )


def test_without_credentials_one_sentence_says_how_to_log_in(tmp_path: Path) -> None:
    done = run_train(tmp_path, "--subscription", "s", "--resource-group", "g", "--workspace", "w")
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == "error: --engine azure: no Azure credentials; run az login, or give the job an identity"
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "model").exists()
