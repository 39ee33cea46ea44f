"""Every family: its ONNX is its native model, and what it saves is what it was."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris

from tabular import families
from tabular.families import Budget, Table, TrainingData
from tabular.onnx_session import open_session, run_session

TASKS = {"regression": load_diabetes, "binary": load_breast_cancer, "three classes": load_iris}
FOREST = {"n_estimators": 30, "max_depth": 6, "max_features": "sqrt", "min_samples_leaf": 2}


def training(task: str) -> TrainingData:
    x, y = TASKS[task](return_X_y=True)
    random = np.random.default_rng(1)
    order = random.permutation(len(y))
    x, y = x[order][:, :12].astype(np.float32), y[order].astype(np.float64)
    x[random.random(x.shape) < 0.08] = np.nan
    half = len(y) * 2 // 3
    classes = 0 if task == "regression" else len(set(y))
    metric = "log_loss" if classes else "rmse"
    kind: Any = "classification" if classes else "regression"
    return TrainingData(kind, classes, metric, Table(x[:half], y[:half]), Table(x[half:], y[half:]))


def fitted(family: str, task: str, trial: int = 0) -> tuple[Any, TrainingData]:
    data = training(task)
    module = families.module(family)
    settings = dict(FOREST) if family == "random_forest" else module.settings(np.random.default_rng(trial), data.metric, trial)
    return module.fit(data, settings, Budget(None, seed=trial)), data


def onnx(model: Any, folder: Path, features: int) -> Any:
    trees = model.trees()
    trees.features = features
    path = folder / "model.onnx"
    path.write_bytes(trees.to_onnx().SerializeToString())
    return open_session(path)


def strange(data: TrainingData) -> Any:
    """Rows beside the training ones: missing everywhere, very large and small, zeros, values on and around thresholds."""
    x = data.train.features
    width = x.shape[1]
    edges = [np.nextafter(x[:50], np.float32(side)) for side in (-np.inf, np.inf)]
    fixed = [np.full((1, width), value, dtype=np.float32) for value in (np.nan, 0.0, -0.0, 1e30, -1e30)]
    return np.ascontiguousarray(np.vstack([x, data.validation.features, *edges, *fixed]))


@pytest.mark.parametrize("trial", [0, 1])
@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("family", families.NAMES)
def test_onnx_gives_what_the_native_model_gives(tmp_path: Path, family: str, task: str, trial: int) -> None:
    model, data = fitted(family, task, trial)
    rows = strange(data)
    native = model.predict(rows)
    served = run_session(onnx(model, tmp_path, rows.shape[1]), rows)
    scale = 1.0 if data.classes else data.train.target.std()
    assert native.shape == ((len(rows), data.classes) if data.classes else (len(rows),))
    assert np.abs(served.reshape(native.shape) - native).max() / scale < 1e-4
    if data.classes:
        np.testing.assert_allclose(native.sum(axis=1), 1, atol=1e-6)
        assert (native >= 0).all()


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("family", families.NAMES)
def test_a_saved_model_predicts_what_it_did_and_is_no_pickle(tmp_path: Path, family: str, task: str) -> None:
    model, data = fitted(family, task)
    families.save(model, tmp_path / "native")
    again = families.load(tmp_path / "native")
    assert (again.family, again.size) == (model.family, model.size)
    np.testing.assert_array_equal(again.predict(data.validation.features), model.predict(data.validation.features))
    files = sorted(f for f in (tmp_path / "native").rglob("*") if f.is_file())
    assert len(files) == 2
    for file in files:
        assert file.suffix not in (".pkl", ".pickle", ".joblib")
        assert file.read_bytes()[:2] not in (b"\x80\x03", b"\x80\x04", b"\x80\x05")


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("family", families.NAMES)
def test_a_family_learns_more_than_the_mean_and_the_same_each_time(family: str, task: str) -> None:
    from tabular.metrics import METRICS
    from tabular.search import baseline

    model, data = fitted(family, task)
    again, _ = fitted(family, task)
    predicted = model.predict(data.validation.features)
    np.testing.assert_array_equal(again.predict(data.validation.features), predicted)
    error = METRICS[data.metric](data.validation.target, predicted)
    assert error < 0.9 * baseline(data.task, data, data.metric)


@pytest.mark.parametrize("family", families.NAMES)
def test_a_constant_target_still_exports(tmp_path: Path, family: str) -> None:
    data = training("regression")
    flat = TrainingData(
        "regression",
        0,
        "rmse",
        Table(data.train.features, data.train.target * 0 + 3),
        Table(data.validation.features, data.validation.target * 0 + 3),
    )
    module = families.module(family)
    settings = dict(FOREST) if family == "random_forest" else module.settings(np.random.default_rng(0), "rmse", 0)
    if family == "catboost":  # refuses; the search then puts its words on the leaderboard
        with pytest.raises(Exception, match="All train targets are equal"):
            module.fit(flat, settings, Budget(None))
        return
    model = module.fit(flat, settings, Budget(None))
    served = run_session(onnx(model, tmp_path, data.train.features.shape[1]), data.validation.features)
    np.testing.assert_allclose(served[:, 0], 3, atol=1e-4)


def test_an_unknown_family_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="no model family 'forest'; there are lightgbm"):
        families.module("forest")
