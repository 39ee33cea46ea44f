"""The bootstrap: intervals cover, and the paired comparison tells a better model from a worse one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tabular.comparison import compare, intervals
from tabular.gates import check_champion
from tabular.metrics import METRICS
from tabular.project import Gates


def errors(seed: int, rows: int, noise: float) -> tuple[Any, Any]:
    random = np.random.default_rng(seed)
    actual = random.normal(0, 10, rows)
    return actual, actual + random.normal(0, noise, rows)


def test_intervals_cover_the_true_figure_about_as_often_as_they_say() -> None:
    covered = 0
    for seed in range(80):
        actual, predicted = errors(seed, 300, 4.0)
        figure = intervals(actual, predicted, ["rmse"], seed=seed)["rmse"]
        assert figure.low < figure.value < figure.high
        covered += figure.low <= 4.0 <= figure.high
    assert 68 <= covered <= 80  # of 80 at 95 %; the binomial says 70 or more with 99.7 %


def test_the_interval_is_as_wide_as_theory_says() -> None:
    actual, predicted = errors(1, 2000, 4.0)
    figure = intervals(actual, predicted, ["rmse"])["rmse"]
    assert figure.high - figure.low == pytest.approx(2 * 1.96 * 4.0 / np.sqrt(2 * 2000), rel=0.25)


def test_intervals_are_the_same_each_time_and_hold_every_metric() -> None:
    random = np.random.default_rng(0)
    actual = random.integers(0, 3, 200).astype(float)
    predicted = random.dirichlet(np.ones(3), 200)
    names = ["accuracy", "precision", "recall", "f1", "roc_auc", "log_loss", "brier"]
    first, again = (intervals(actual, predicted, names) for _ in range(2))
    assert first == again
    for name in names:
        assert first[name].low <= METRICS[name](actual, predicted) <= first[name].high


def test_a_metric_that_is_undefined_on_all_resamples_has_no_interval() -> None:
    figure = intervals(np.zeros(20), np.tile([0.7, 0.3], (20, 1)), ["roc_auc"])["roc_auc"]
    assert np.isnan([figure.value, figure.low, figure.high]).all()


def pair(seed: int, ours: float, theirs: float, rows: int = 2000) -> Any:
    random = np.random.default_rng(seed)
    actual, shared = random.normal(0, 10, rows), random.normal(0, 3, rows)
    candidate = actual + shared + random.normal(0, ours, rows)
    champion = actual + shared + random.normal(0, theirs, rows)
    return compare(actual, candidate, champion, "rmse", 0.95)


def verdicts(result: Any) -> tuple[bool, bool]:
    not_worse = check_champion(Gates(tolerance=0.01, require="not_worse"), result).passed
    return not_worse, check_champion(Gates(tolerance=0.01, require="better"), result).passed


def test_a_clearly_better_candidate_passes_both_requirements() -> None:
    result = pair(1, 0.5, 2.0)
    assert result.change < -0.1
    assert result.low < result.change < result.high <= 0
    assert verdicts(result) == (True, True)


def test_a_clearly_worse_candidate_fails_both() -> None:
    assert verdicts(pair(2, 2.0, 0.5)) == (False, False)


def test_equal_predictions_are_not_worse_and_not_better() -> None:
    actual, predicted = errors(3, 500, 2.0)
    result = compare(actual, predicted, predicted, "rmse", 0.95)
    assert (result.change, result.upper, result.low) == (0, 0, 0)
    assert verdicts(result) == (True, False)


def test_too_few_rows_prove_nothing() -> None:
    assert verdicts(pair(4, 1.9, 2.0, rows=30))[1] is False


def test_require_better_is_seldom_fooled_by_two_models_of_equal_quality() -> None:
    fooled = sum(verdicts(pair(seed, 1.0, 1.0, rows=400))[1] for seed in range(60))
    assert fooled <= 9  # 3 are expected at 95 % confidence


def test_pairing_finds_a_difference_that_separate_intervals_would_miss() -> None:
    random = np.random.default_rng(5)
    actual, shared = random.normal(0, 10, 1000), random.normal(0, 5, 1000)
    candidate, champion = actual + shared, actual + shared * 1.03
    a, b = (intervals(actual, p, ["rmse"])["rmse"] for p in (candidate, champion))
    assert a.high > b.low  # the two intervals overlap
    assert verdicts(compare(actual, candidate, champion, "rmse", 0.95)) == (True, True)


@pytest.mark.parametrize("metric", ["accuracy", "roc_auc", "log_loss", "f1"])
def test_for_classes_a_better_model_has_a_negative_change_whatever_the_direction_of_the_metric(metric: str) -> None:
    random = np.random.default_rng(6)
    actual = random.integers(0, 2, 800).astype(float)

    def model(strength: float) -> Any:
        p = 1 / (1 + np.exp(-(strength * (2 * actual - 1) + random.normal(0, 1, 800))))
        return np.column_stack([1 - p, p])

    good, poor = model(2.0), model(0.3)
    assert compare(actual, good, poor, metric, 0.95).upper < 0
    assert compare(actual, poor, good, metric, 0.95).low > 0


def test_a_champion_without_error_can_only_be_equalled() -> None:
    actual, predicted = errors(7, 100, 1.0)
    assert compare(actual, actual, actual, "rmse", 0.95).upper == 0
    worse = compare(actual, predicted, actual, "rmse", 0.95)
    assert worse.upper == np.inf
    assert verdicts(worse) == (False, False)


def test_more_confidence_asks_for_more() -> None:
    actual, predicted = errors(8, 500, 2.0)
    _, other = errors(8, 500, 2.05)
    upper = [compare(actual, predicted, other, "rmse", confidence).upper for confidence in (0.5, 0.9, 0.99)]
    assert upper == sorted(upper)
