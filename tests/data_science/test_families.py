"""Every family: its ONNX is its native model, what it saves is what it was, and a budget in trees is kept."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.neural_network import _multilayer_perceptron

from tabular import families
from tabular.candidate import single
from tabular.families import Budget, Table, TrainingData
from tabular.onnx_session import open_session, run_session
from tabular.portfolio import Configuration, neighbour, portfolio

pytestmark = pytest.mark.spread

TASKS = {"regression": load_diabetes, "binary": load_breast_cancer, "three classes": load_iris}
CLASSES = {"regression": 0, "binary": 2, "three classes": 3}
FOREST = {"n_estimators": 30, "max_depth": 6, "max_features": "sqrt", "min_samples_leaf": 2}


CODE = 5
"""Column of a category's codes in every table here."""


def training(task: str) -> TrainingData:
    """A real table with missing values, one of whose columns becomes the code of a category that goes with the target in no order."""
    x, y = TASKS[task](return_X_y=True)
    random = np.random.default_rng(1)
    order = random.permutation(len(y))
    x, y = x[order][:, :12].astype(np.float32), y[order].astype(np.float64)
    x[random.random(x.shape) < 0.08] = np.nan
    code = (
        random.permutation(40)[
            np.clip(40 * (np.argsort(np.argsort(y + random.normal(size=len(y)) * y.std() / 3)) / len(y)), 0, 39).astype(int)
        ]
        + 1
    )
    code[random.random(len(y)) < 0.05] = -1
    x = np.column_stack([x[:, :CODE], code, x[:, CODE:]]).astype(np.float32)
    half = len(y) * 2 // 3
    classes = 0 if task == "regression" else len(set(y))
    metric = "log_loss" if classes else "rmse"
    kind: Any = "classification" if classes else "regression"
    return TrainingData(kind, classes, metric, Table(x[:half], y[:half]), Table(x[half:], y[half:]), (min(CODE, x.shape[1] - 1),))


def settings(family: str, trial: int, task: str = "binary") -> dict[str, Any]:
    """The portfolio's first configuration of a family, or a neighbour of it."""
    if family == "random_forest":
        return dict(FOREST)
    first = next(c for c in portfolio((family,), classes=CLASSES[task], log=False))
    chosen = first if trial == 0 else neighbour(first, np.random.default_rng(trial))
    return dict(chosen.settings)


def budget(family: str, seed: int = 0) -> Budget:
    """Without a deadline; a network, which would go on for hundreds of epochs until it gets no better, has thirty."""
    return Budget(None, seed=seed, trees=30 if family == "neural" else None)


def fitted(family: str, task: str, trial: int = 0) -> tuple[Any, TrainingData]:
    data = training(task)
    return families.module(family).fit(data, settings(family, trial, task), budget(family, trial)), data


def test_every_epoch_of_a_network_has_its_rows_in_another_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """scikit-learn begins anew with the same random numbers at every `partial_fit`, if it is given a number: bikeshare lost 5 % by that."""
    orders: list[list[int]] = []
    usual = _multilayer_perceptron.shuffle

    def seen(rows: Any, random_state: Any) -> Any:
        orders.append(usual(rows, random_state=random_state).tolist())
        return np.array(orders[-1])

    monkeypatch.setattr(_multilayer_perceptron, "shuffle", seen)
    families.module("neural").fit(training("regression"), {}, Budget(None, trees=4))
    assert len({tuple(order) for order in orders}) == 4


def onnx(model: Any, folder: Path, features: int) -> Any:
    path = folder / "model.onnx"
    path.write_bytes(single(model, features).SerializeToString())
    return open_session(path)


def strange(data: TrainingData) -> Any:
    """Rows beside the training ones: missing everywhere, very large and small, zeros, values on and around thresholds."""
    x = data.train.features
    width = x.shape[1]
    edges: list[Any] = [np.nextafter(x[:50], np.float32(side)) for side in (-np.inf, np.inf)]
    for edge in edges:
        edge[:, data.categorical] = x[:50, data.categorical]  # A code is a whole number.
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
    assert files
    for file in files:
        assert file.suffix not in (".pkl", ".pickle", ".joblib")
        assert file.read_bytes()[:2] not in (b"\x80\x03", b"\x80\x04", b"\x80\x05")


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("family", families.NAMES)
def test_a_family_learns_more_than_the_mean_and_the_same_each_time(family: str, task: str) -> None:
    from tabular.leaderboard import baseline
    from tabular.metrics import METRICS

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
    if family == "catboost":  # refuses; the search then puts its words on the leaderboard
        with pytest.raises(Exception, match="All train targets are equal"):
            module.fit(flat, settings(family, 0), Budget(None))
        return
    model = module.fit(flat, settings(family, 0), budget(family))
    served = run_session(onnx(model, tmp_path, data.train.features.shape[1]), data.validation.features)
    np.testing.assert_allclose(served[:, 0], 3, atol=1e-4)


# A linear model has no iterations, and the random forest's trees are its setting.
@pytest.mark.parametrize("family", [name for name in families.NAMES if name not in ("linear", "random_forest")])
def test_a_budget_in_trees_is_kept_exactly_and_watches_nobody(family: str) -> None:
    data = training("three classes")
    nobody = TrainingData(data.task, data.classes, data.metric, data.train, Table(data.train.features[:0], data.train.target[:0]))
    assert families.module(family).fit(nobody, settings(family, 0), Budget(None, trees=7)).rounds == 7


@pytest.mark.parametrize("family", families.NAMES)
def test_rows_that_weigh_more_count_more(family: str) -> None:
    """Two groups with the same features and other targets: the prediction goes with the weights."""
    x = np.zeros((200, 2), dtype=np.float32)
    x[:, 1] = np.arange(200) % 5
    y = (np.arange(200) % 2).astype(np.float64)

    def said(weight: float) -> float:
        table = Table(x, y, np.where(y == 1, weight, 1.0))
        model = families.module(family).fit(TrainingData("classification", 2, "log_loss", table, table), settings(family, 0), Budget(None))
        return float(model.predict(x)[:, 1].mean())

    assert said(9.0) > 0.8
    assert said(1.0) < 0.6


@pytest.mark.parametrize("link", ["identity", "log"])
def test_a_neighbour_has_the_same_keys_in_range(link: Any) -> None:
    random = np.random.default_rng(0)
    for first in portfolio(families.NAMES, classes=0, log=link == "log"):
        now = first
        for _ in range(30):
            now = neighbour(now, random)
            assert (now.family, now.link) == (first.family, first.link)
            assert set(first.settings) <= set(now.settings)
            for name in ("feature_fraction", "bagging_fraction", "subsample", "colsample_bytree", "rsm"):
                assert 0 < now.settings.get(name, 0.5) <= 1
    assert any(neighbour(Configuration("linear", {"strength": 1.0}), random).settings["strength"] != 1.0 for _ in range(3))


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("family", ["lightgbm", "xgboost"])
def test_boosting_parts_the_levels_of_a_category_and_its_graph_does_so(tmp_path: Path, family: str, task: str) -> None:
    """Codes in no order, above and below 32 (where the runtime looks a set up in another way), beside levels that training had not."""
    random = np.random.default_rng(0)
    code = random.integers(1, 61, 3000)
    code[::40] = -1
    effect = random.normal(size=61)[code] + 0.1 * random.normal(size=3000)
    classes = CLASSES[task]
    target = np.digitize(effect, np.quantile(effect, np.arange(1, classes) / classes)).astype(float) if classes else effect
    x = np.column_stack([code, random.normal(size=3000)]).astype(np.float32)
    kind: Any = "classification" if classes else "regression"
    as_numbers = TrainingData(kind, classes, "rmse", Table(x[:2000], target[:2000]), Table(x[2000:], target[2000:]))
    as_levels = dataclasses.replace(as_numbers, categorical=(0,))

    def error(data: TrainingData) -> tuple[float, Any]:
        small = {"num_leaves": 4} if family == "lightgbm" else {"max_depth": 2}
        model = families.module(family).fit(data, {**small, "learning_rate": 0.1}, Budget(None, trees=20))
        said, actual = model.predict(x[2000:]), target[2000:]
        return float(np.mean((said - actual) ** 2) if not classes else -np.mean(np.log(said[range(1000), actual.astype(int)]))), model

    levels, model = error(as_levels)
    assert levels < 0.9 * error(as_numbers)[0]
    strangers = np.column_stack([[-1, -2, 61, 1e6, np.nan, np.inf, -np.inf, 0, 33], np.zeros(9)]).astype(np.float32)
    rows = np.vstack([x, strangers])
    native = model.predict(rows)
    np.testing.assert_allclose(run_session(onnx(model, tmp_path, 2), rows).reshape(native.shape), native, atol=1e-5)


@pytest.mark.parametrize("family", families.NAMES)
def test_a_class_without_a_row_has_a_small_chance_in_model_graph_and_file(tmp_path: Path, family: str) -> None:
    """project.yml may list a class that the first months of data lack: three families refused, or left its column out."""
    data = training("three classes")
    for absent in (0, 1, 2):
        train = data.train.target != absent
        there = dataclasses.replace(data, train=Table(data.train.features[train], data.train.target[train]))
        model = families.module(family).fit(there, settings(family, 0, "three classes"), Budget(None, trees=20))
        native = model.predict(data.validation.features)
        assert native.shape == (len(data.validation.target), 3)
        assert native[:, absent].max() < 0.05
        np.testing.assert_allclose(
            run_session(onnx(model, tmp_path, data.train.features.shape[1]), data.validation.features), native, atol=1e-5
        )
        families.save(model, tmp_path / f"{absent}")
        np.testing.assert_array_equal(families.load(tmp_path / f"{absent}").predict(data.validation.features), native)
        known = data.validation.target != absent
        assert (native.argmax(axis=1) == data.validation.target)[known].mean() > 0.8


def test_a_class_that_only_the_watched_rows_have_does_not_stop_catboost() -> None:
    """It took their class for the first one that it knew, and stopped by how well it said that."""
    data = training("three classes")
    train, watched = (side.target != 0 for side in (data.train, data.validation))
    there = dataclasses.replace(data, train=Table(data.train.features[train], data.train.target[train]))
    without = dataclasses.replace(there, validation=Table(data.validation.features[watched], data.validation.target[watched]))
    both = [families.module("catboost").fit(some, settings("catboost", 0), Budget(None)) for some in (there, without)]
    assert both[0].rounds == both[1].rounds > 5


def test_an_unknown_family_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="no model family 'forest'; there are lightgbm"):
        families.module("forest")


@pytest.mark.parametrize(("field", "value"), [("left_child", 0), ("right_child", 10_000_000), ("feature", 999)])
def test_a_forest_whose_file_leads_out_of_a_tree_is_not_loaded(tmp_path: Path, field: str, value: int) -> None:
    model, _ = fitted("extra_trees", "regression")
    families.save(model, tmp_path)
    with np.load(tmp_path / "forest.npz") as kept:
        arrays = {name: kept[name] for name in kept.files}
    arrays[field][0] = value
    np.savez(tmp_path / "forest.npz", **arrays)
    with pytest.raises(ValueError, match="leads out of itself"):
        families.load(tmp_path)


@pytest.mark.parametrize("task", TASKS)
def test_a_forest_says_what_scikit_learn_says(task: str) -> None:
    from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

    model, data = fitted("random_forest", task)
    kind = RandomForestClassifier if data.classes else RandomForestRegressor
    own = kind(**FOREST, random_state=0).fit(data.train.features, data.train.target)
    predicted = own.predict_proba(data.validation.features) if data.classes else own.predict(data.validation.features)
    np.testing.assert_array_equal(model.predict(data.validation.features), predicted)
