"""Bins of a linear model and of a network: where they are, what they make of strange values, and that the graph says the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine

from tabular import families
from tabular.candidate import single
from tabular.families import Budget, Table, TrainingData
from tabular.layers import LINEAR_BINS, NETWORK_BINS, fit_bins, inputs
from tabular.onnx_session import open_session, run_session


def test_a_bin_says_how_much_of_it_is_passed() -> None:
    column = np.repeat(np.array([0, 1, 3, 7], dtype=np.float32), 25)[:, None]
    bins = fit_bins(column, NETWORK_BINS, 100)
    assert bins is not None
    found = bins(np.array([[-5], [0], [0.5], [2], [7], [9], [np.inf], [-np.inf], [np.nan]], dtype=np.float32))
    np.testing.assert_allclose(
        found, [[0, 0, 0], [0, 0, 0], [0.5, 0, 0], [1, 0.5, 0], [1, 1, 1], [1, 1, 1], [1, 1, 1], [0, 0, 0], [0, 0, 0]]
    )


def test_bins_hold_alike_many_rows_and_two_values_have_none() -> None:
    random = np.random.default_rng(0)
    features = np.column_stack([random.lognormal(size=4000), random.integers(2, size=4000), np.full(4000, 3.0)]).astype(np.float32)
    bins = fit_bins(features, NETWORK_BINS, len(features))
    assert bins is not None
    assert bins.columns.tolist() == [0] * 16
    counts = np.histogram(features[:, 0], bins=[*bins.low.tolist(), np.inf])[0]
    assert counts.min() > 200
    assert fit_bins(features[:, 1:], NETWORK_BINS, 4000) is None


@pytest.mark.parametrize(("columns", "each"), [(20, 16), (26, 12), (40, 8), (41, 0)])
def test_many_columns_have_fewer_bins_and_at_last_none(columns: int, each: int) -> None:
    features = np.random.default_rng(0).random((500, columns)).astype(np.float32)
    bins = fit_bins(features, NETWORK_BINS, len(features))
    assert (0 if bins is None else len(bins.columns)) == columns * each


def test_millions_of_rows_have_no_gigabytes_of_bins() -> None:
    features = np.random.default_rng(0).random((500, 40)).astype(np.float32)
    assert fit_bins(features, LINEAR_BINS, 100_000) is not None
    assert fit_bins(features, LINEAR_BINS, 1_000_000) is None


def test_rows_are_encoded_the_same_in_blocks() -> None:
    from tabular.layers import fit_scaler

    features = np.random.default_rng(0).random((25_001, 3)).astype(np.float32)
    bins, scaler = fit_bins(features, NETWORK_BINS, len(features)), fit_scaler(features)
    assert bins is not None
    np.testing.assert_array_equal(inputs(features, scaler, bins), np.hstack([scaler(features), bins(features)]))


@pytest.mark.parametrize("load", [load_diabetes, load_breast_cancer, load_wine])
@pytest.mark.parametrize("family", ["linear", "neural"])
def test_the_graph_of_bins_is_the_model_also_for_strange_values(tmp_path: Path, family: str, load: Any) -> None:
    """Each strange value alone in each column of real rows, so that no limit of the answer hides what it does."""
    x, y = load(return_X_y=True)
    x, y = x[:, :10].astype(np.float32), y.astype(np.float64)
    x[:, 3] = 1e20 * (x[:, 3] - x[:, 3].mean())
    x[:, 4] *= 1e-20
    x[::7, 2] = np.nan
    order = np.random.default_rng(0).permutation(len(y))
    x, y = x[order], y[order]
    classes = 0 if load is load_diabetes else len(set(y))
    kind: Any = "classification" if classes else "regression"
    half = len(y) * 2 // 3
    data = TrainingData(kind, classes, "rmse", Table(x[:half], y[:half]), Table(x[half:], y[half:]))
    model = families.module(family).fit(data, {}, Budget(None))
    assert model.form().bins is not None
    largest = np.finfo(np.float32).max
    rows = [x]
    for column in range(10):
        for value in (np.nan, np.inf, -np.inf, largest, -largest, 1e-45, 0.0):
            odd = x[:5].copy()
            odd[:, column] = value
            rows.append(odd)
    every = np.vstack(rows)
    path = tmp_path / "model.onnx"
    path.write_bytes(single(model, 10).SerializeToString())
    native = model.predict(every)
    served = run_session(open_session(path), every).reshape(native.shape)
    assert np.isfinite(served).all()
    assert np.abs(served - native).max() / (1.0 if classes else y.std()) < 1e-5
    assert np.abs(native[len(x) :] - np.tile(native[:5].T, 70).T).max() > 0.01, "no strange value does anything"


def test_a_column_that_is_nearly_always_zero_has_bins_where_it_is_not() -> None:
    random = np.random.default_rng(0)
    column = np.where(random.random(5000) < 0.97, 0, random.lognormal(5, 1, 5000)).astype(np.float32)[:, None]
    bins = fit_bins(column, NETWORK_BINS, 5000)
    assert bins is not None
    assert len(bins.columns) == 16


def test_no_bin_is_wider_than_numbers_are() -> None:
    column = np.array([[-3e38], [3e38], [3.1e38]], dtype=np.float32)
    bins = fit_bins(column, NETWORK_BINS, 3)
    assert bins is not None
    assert np.isfinite(bins(np.array([[np.inf], [-np.inf], [np.nan], [3.05e38]], dtype=np.float32))).all()


def test_the_model_of_all_rows_has_the_bins_that_those_of_folds_have() -> None:
    """A limit by rows used to be that of the rows fitted, which a refit has more of."""
    x = np.random.default_rng(0).random((300, 40)).astype(np.float32)
    fold = Budget(None).rows(TrainingData("regression", 0, "rmse", Table(x[:200], x[:200, 0]), Table(x[200:], x[200:, 0])))
    whole = Budget(None, trees=1).rows(TrainingData("regression", 0, "rmse", Table(x, x[:, 0]), Table(x[200:], x[200:, 0])))
    assert fold == whole == 300


def test_a_linear_model_of_bins_follows_a_curve() -> None:
    random = np.random.default_rng(0)
    x = random.uniform(-3, 3, (2000, 2)).astype(np.float32)
    y = x[:, 0] ** 2 + np.abs(x[:, 1]).astype(np.float64)
    data = TrainingData("regression", 0, "rmse", Table(x[:1500], y[:1500]), Table(x[1500:], y[1500:]))
    model = families.module("linear").fit(data, {"strength": 1.0}, Budget(None))
    assert np.std(model.predict(x[1500:]) - y[1500:]) < 0.05 * y.std()
