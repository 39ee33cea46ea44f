"""The AutoML search: budget, leaderboard, seed, and what happens when a family fails."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine

from data_science.support import prep_arguments, step, write_csv
from tabular.families import Table, TrainingData
from tabular.metrics import METRICS, as_error
from tabular.project import Search
from tabular.search import baseline, leaderboard_table, search

ALL = ("lightgbm", "catboost", "xgboost", "extra_trees")


def training(load: Any = load_diabetes, metric: str = "rmse") -> TrainingData:
    x, y = load(return_X_y=True)
    order = np.random.default_rng(1).permutation(len(y))
    x, y = x[order].astype(np.float32), y[order].astype(np.float64)
    half = len(y) * 2 // 3
    classes = 0 if load is load_diabetes else len(set(y))
    kind: Any = "classification" if classes else "regression"
    return TrainingData(kind, classes, metric, Table(x[:half], y[:half]), Table(x[half:], y[half:]))


@pytest.mark.parametrize(("load", "metric"), [(load_diabetes, "rmse"), (load_breast_cancer, "roc_auc"), (load_wine, "log_loss")])
def test_the_search_keeps_its_budget_and_ranks_what_it_tried(load: Any, metric: str) -> None:
    data = training(load, metric)
    found = search(data, Search(metric=metric, seconds=3, families=ALL))
    assert found.seconds <= 3 + 1.5
    board = found.leaderboard
    assert {trial.family for trial in board} == set(ALL)
    errors = [as_error(metric, trial.score) for trial in board]
    assert errors == sorted(errors)
    assert board[0] == found.best
    assert sorted(trial.number for trial in board) == list(range(1, len(board) + 1))
    score = METRICS[metric](data.validation.target, found.model.predict(data.validation.features))
    assert score == pytest.approx(found.best.score)
    assert as_error(metric, score) < as_error(metric, baseline(data.task, data, metric))


def test_the_settings_tried_depend_on_the_seed_alone() -> None:
    data = training()

    def tried(seed: int) -> list[tuple[str, dict[str, Any]]]:
        found = search(data, Search(seconds=2, families=("extra_trees", "lightgbm"), seed=seed))
        return [(t.family, t.settings) for t in sorted(found.leaderboard, key=lambda t: t.number)]

    first, again, other = tried(1), tried(1), tried(2)
    assert first[:2] == again[:2] == other[:2]  # the defaults come first
    assert first[2] == again[2]
    assert min(len(first), len(other)) > 2
    assert first[2] != other[2]


def test_a_family_that_fails_is_on_the_leaderboard_with_its_reason_and_the_search_goes_on() -> None:
    data = training()
    features = data.train.features.copy()
    features[3, 2] = np.inf  # scikit-learn refuses infinity, LightGBM takes it
    strange = dataclasses.replace(data, train=Table(features, data.train.target))
    found = search(strange, Search(seconds=2, families=("extra_trees", "lightgbm")))
    failed = [t for t in found.leaderboard if t.family == "extra_trees"]
    assert len(failed) == 1  # it is not tried again while another family works
    assert math.isnan(failed[0].score)
    assert "infinity" in str(failed[0].failure)
    assert found.leaderboard[-1] == failed[0]
    assert found.best.family == "lightgbm"
    table = leaderboard_table(found.leaderboard, "rmse", "min")
    assert "lower is better" in table
    assert "failed: ValueError" in table.splitlines()[-1]
    assert table.splitlines()[2].startswith("★")


def test_if_every_family_fails_their_reasons_are_told() -> None:
    data = training()
    features = np.full_like(data.train.features, np.inf)
    with pytest.raises(Exception, match="no model family could be trained: extra_trees: ValueError"):
        search(dataclasses.replace(data, train=Table(features, data.train.target)), Search(seconds=2, families=("extra_trees",)))


def test_progress_is_told_before_each_trial_with_the_best_so_far() -> None:
    told: list[tuple[float, str, Any]] = []
    found = search(training(), Search(seconds=1.5, families=("extra_trees",)), progress=lambda *values: told.append(values))
    assert len(told) == len(found.leaderboard)
    assert told[0][2] is None
    assert [used for used, _, _ in told] == sorted(used for used, _, _ in told)
    best = [b.score for _, _, b in told[1:]]
    assert best == sorted(best, reverse=True)


def test_a_budget_below_a_trial_still_gives_a_model() -> None:
    found = search(training(), Search(seconds=0.05, families=("extra_trees", "lightgbm")))
    assert len(found.leaderboard) == 1
    assert found.model.size >= 1


PROJECT = """\
name: diabetes
task: regression
target: y
columns:
  age: {type: number}
  bmi: {type: number}
  y: {type: number, missing: false}
"""


@pytest.mark.parametrize("seconds", ["0", "-3", "nan", "1e9"])
def test_train_refuses_a_budget_out_of_range(tmp_path: Path, seconds: str) -> None:
    (tmp_path / "project.yml").write_text(PROJECT)
    sides = ["--train", "a", "--validation", "b", "--recipe", "c", "--model", "d"]
    result = step("train.py", *sides, "--project", "project.yml", f"--seconds={seconds}", cwd=tmp_path)
    assert result.returncode == 2
    assert result.stderr.startswith("error: --seconds: found ")
    assert not (tmp_path / "d").exists()


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--n-estimators", "0"], "--n-estimators: found 0; allowed: at least 1"),
        (["--max-features", "most"], "--max-features: found 'most'; allowed: sqrt, log2, or a share"),
        (["--max-features", "nan"], "--max-features: found 'nan'"),
        (["--class-weight", "balanced"], "--class-weight: found balanced; allowed: none"),
    ],
)
def test_train2_refuses_flags_out_of_range(tmp_path: Path, flags: list[str], words: str) -> None:
    (tmp_path / "project.yml").write_text(PROJECT)
    result = step(
        "train2.py", "--train", "a", "--validation", "b", "--recipe", "c", "--model", "d", "--project", "project.yml", *flags, cwd=tmp_path
    )
    assert result.returncode == 2
    assert result.stderr.startswith(f"error: {words}")


def test_trainers_on_a_folder_that_prep_did_not_write_say_so(tmp_path: Path) -> None:
    (tmp_path / "project.yml").write_text(PROJECT)
    for script in ("train.py", "train2.py"):
        result = step(
            script, "--train", "a", "--validation", "b", "--recipe", "c", "--model", "d", "--project", "project.yml", cwd=tmp_path
        )
        assert result.returncode == 2
        assert "c: has no contract.json; pass a folder that prep wrote" in result.stderr


def test_the_shortest_budget_gives_a_candidate_that_mlflow_could_load(tmp_path: Path) -> None:
    x, y = load_diabetes(return_X_y=True)
    raw = write_csv(tmp_path / "raw.csv", ["age", "bmi", "y"], [[a[0], a[2], b] for a, b in zip(x.tolist(), y.tolist(), strict=True)])
    (tmp_path / "project.yml").write_text(PROJECT)
    assert step("prep.py", *prep_arguments(raw, tmp_path / "project.yml", tmp_path), cwd=tmp_path).returncode == 0
    sides = ["--train", "train", "--validation", "validation", "--recipe", "recipe", "--model", "model", "--project", "project.yml"]
    result = step("train.py", *sides, "--seconds", "1", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert {"MLmodel", "candidate.json", "model.onnx", "contract.json"} <= {f.name for f in (tmp_path / "model").iterdir()}
    assert "not logged: no MLflow run" in result.stdout
