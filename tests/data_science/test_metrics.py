"""Every metric equals scikit-learn's."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as theirs
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine
from sklearn.linear_model import LinearRegression
from sklearn.naive_bayes import GaussianNB

from tabular import metrics as ours
from tabular.project import METRICS, RISING

SEEDED = settings(max_examples=60, deadline=None, database=None, derandomize=True)


def binary() -> tuple[Any, Any]:
    x, y = load_breast_cancer(return_X_y=True)
    return y.astype(float), GaussianNB().fit(x[:100], y[:100]).predict_proba(x)


def multiclass() -> tuple[Any, Any]:
    x, y = load_wine(return_X_y=True)
    return y.astype(float), GaussianNB().fit(x[:, :2], y).predict_proba(x[:, :2])


def test_the_two_lists_of_metrics_agree() -> None:
    assert sorted(ours.METRICS) == sorted(METRICS["regression"] + METRICS["classification"])
    assert set(ours.METRICS) >= RISING


def test_regression_metrics_equal_scikit_learns_on_diabetes() -> None:
    x, y = load_diabetes(return_X_y=True)
    p = LinearRegression().fit(x[:200], y[:200]).predict(x)
    assert ours.mse(y, p) == pytest.approx(theirs.mean_squared_error(y, p))
    assert ours.rmse(y, p) == pytest.approx(theirs.root_mean_squared_error(y, p))
    assert ours.mae(y, p) == pytest.approx(theirs.mean_absolute_error(y, p))
    assert ours.median_absolute_error(y, p) == pytest.approx(theirs.median_absolute_error(y, p))
    assert ours.r2(y, p) == pytest.approx(theirs.r2_score(y, p))


@SEEDED
@given(st.lists(st.tuples(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6)), min_size=2, max_size=30))
def test_regression_metrics_equal_scikit_learns_on_any_numbers(pairs: list[tuple[float, float]]) -> None:
    y, p = np.array(pairs).T
    assert ours.mse(y, p) == pytest.approx(theirs.mean_squared_error(y, p))
    assert ours.mae(y, p) == pytest.approx(theirs.mean_absolute_error(y, p))
    assert ours.median_absolute_error(y, p) == pytest.approx(theirs.median_absolute_error(y, p))
    if np.ptp(y) > 1e-3:
        assert ours.r2(y, p) == pytest.approx(theirs.r2_score(y, p), rel=1e-6)


def test_r2_of_a_constant_target_is_not_a_number() -> None:
    assert math.isnan(ours.r2(np.ones(4), np.array([1.0, 1, 2, 1])))


@pytest.mark.parametrize("data", [binary, multiclass], ids=["binary", "three classes"])
def test_classification_metrics_equal_scikit_learns(data: Any) -> None:
    y, p = data()
    two = p.shape[1] == 2
    label, average = p.argmax(axis=1), "binary" if two else "macro"
    assert ours.accuracy(y, p) == pytest.approx(theirs.accuracy_score(y, label))
    assert ours.precision(y, p) == pytest.approx(theirs.precision_score(y, label, average=average))
    assert ours.recall(y, p) == pytest.approx(theirs.recall_score(y, label, average=average))
    assert ours.f1(y, p) == pytest.approx(theirs.f1_score(y, label, average=average))
    assert ours.roc_auc(y, p) == pytest.approx(theirs.roc_auc_score(y, p[:, 1] if two else p, multi_class="ovr"))
    assert ours.log_loss(y, p) == pytest.approx(theirs.log_loss(y, np.clip(p, 1e-15, 1)), rel=1e-6)
    assert ours.brier(y, p) == pytest.approx(theirs.brier_score_loss(y, p[:, 1] if two else p, labels=np.unique(y)))
    assert (ours.confusion(y, p) == theirs.confusion_matrix(y, label)).all()


@SEEDED
@given(st.integers(2, 4), st.integers(0, 2**31), st.integers(5, 60))
def test_class_figures_equal_scikit_learns_also_when_a_class_is_never_called(classes: int, seed: int, rows: int) -> None:
    random = np.random.default_rng(seed)
    y = random.integers(0, classes, rows).astype(float)
    p = random.dirichlet(np.ones(classes) * 0.3, rows)
    label = p.argmax(axis=1)
    chosen: dict[str, Any] = {"average": "binary"} if classes == 2 else {"average": "macro", "labels": range(classes)}
    for name in ("precision", "recall", "f1"):
        expected = getattr(theirs, f"{name}_score")(y, label, zero_division=0, **chosen)
        assert ours.METRICS[name](y, p) == pytest.approx(expected)
    assert (ours.confusion(y, p) == theirs.confusion_matrix(y, label, labels=range(classes))).all()


@SEEDED
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 4)), min_size=2, max_size=40))
def test_roc_auc_counts_ties_as_half(rows: list[tuple[bool, int]]) -> None:
    y = np.array([float(a) for a, _ in rows])
    score = np.array([b / 4 for _, b in rows])
    p = np.column_stack([1 - score, score])
    if len(set(y)) == 1:
        assert math.isnan(ours.roc_auc(y, p))
    else:
        assert ours.roc_auc(y, p) == pytest.approx(theirs.roc_auc_score(y, score))


def test_a_certain_mistake_has_a_finite_log_loss() -> None:
    assert 30 < ours.log_loss(np.array([0.0]), np.array([[0.0, 1.0]])) < 40


@pytest.mark.parametrize("metric", sorted(ours.METRICS))
def test_as_an_error_the_better_of_two_models_is_smaller(metric: str) -> None:
    if metric in METRICS["regression"]:
        y = np.arange(20.0)
        good, bad = y + 0.1, y[::-1].copy()
    else:
        y, good = binary()
        bad = good[:, ::-1].copy()
    value = ours.METRICS[metric]
    assert ours.as_error(metric, value(y, good)) < ours.as_error(metric, value(y, bad))
