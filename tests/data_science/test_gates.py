"""The gate: each check with figure, limit and sentence."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from data_science.support import project_of
from tabular.comparison import Comparison, Interval
from tabular.gates import check_champion, check_drift, check_servable, check_single_row, check_slices, check_thresholds
from tabular.metrics import rmse
from tabular.predictions import Judged
from tabular.profile import category_profile, number_profile, stability
from tabular.project import Bound, Gates
from tabular.slices import SliceFigure, slice_figures


def interval(value: float) -> Interval:
    return Interval(value, value, value)


@pytest.mark.parametrize(
    ("bound", "value", "passed"),
    [
        (Bound(maximum=25), 25.0, True),
        (Bound(maximum=25), 25.0001, False),
        (Bound(minimum=0.7), 0.7, True),
        (Bound(minimum=0.7), 0.69, False),
        (Bound(maximum=25), math.nan, False),
        (Bound(minimum=0.7), math.nan, False),
        (Bound(maximum=25), math.inf, False),
    ],
)
def test_a_threshold_is_inclusive_and_what_is_no_number_never_passes(bound: Bound, value: float, passed: bool) -> None:
    (check,) = check_thresholds(Gates(thresholds={"rmse": bound}), {"rmse": interval(value)}, "min")
    assert check.passed is passed
    assert check.sentence.startswith("rmse is ")
    assert check.sentence.endswith(" min is asked")


def test_a_threshold_with_two_bounds_is_two_checks() -> None:
    checks = check_thresholds(Gates(thresholds={"r2": Bound(0.5, 0.9)}), {"r2": interval(0.95)}, "min")
    assert [(c.passed, c.limit) for c in checks] == [(True, 0.5), (False, 0.9)]
    assert "min is asked" not in checks[0].sentence  # r2 has no unit


def comparison(upper: float, change: float = 0.0) -> Comparison:
    return Comparison("rmse", 1000, 20.0, 20.0, change, upper, -upper, upper, 0.95)


@pytest.mark.parametrize(
    ("require", "upper", "passed"),
    [
        ("not_worse", 0.01, True),
        ("not_worse", 0.0101, False),
        ("not_worse", -0.2, True),
        ("better", -0.0001, True),
        ("better", 0.0, False),
        ("better", 0.005, False),
        ("not_worse", math.inf, False),
        ("not_worse", math.nan, False),
        ("better", math.nan, False),
    ],
)
def test_the_champion_check_obeys_its_requirement(require: Any, upper: float, passed: bool) -> None:
    check = check_champion(Gates(require=require, tolerance=0.01), comparison(upper))
    assert check.passed is passed
    assert "20 against the champion's 20 on the same 1,000 rows" in check.sentence
    assert require in check.sentence


def test_without_a_champion_the_thresholds_decide() -> None:
    check = check_champion(Gates(require="better"), None)
    assert (check.passed, check.subject) == (True, "none")


def figure(label: str, rows: int, ratio: float) -> SliceFigure:
    return SliceFigure("origin", label, rows, 20 * ratio, ratio)


def test_slices_with_too_few_rows_are_not_judged_and_the_worst_of_the_others_is_told() -> None:
    gates = Gates(slice_ratio=2, slice_rows=100)
    (check,) = check_slices(gates, [figure("JFK", 100, 2.0), figure("EWR", 500, 0.8), figure("LGA", 99, 9.0)], "rmse")
    assert (check.passed, check.subject, check.value) == (True, "origin: JFK", 2.0)
    checks = check_slices(gates, [figure("JFK", 100, 2.01), figure("EWR", 500, 3.0), figure("LGA", 99, 9.0)], "rmse")
    assert [(c.subject, c.passed) for c in checks] == [("origin: JFK", False), ("origin: EWR", False)]
    assert "rmse is 60 over 500 rows, 3.00 times the overall error; at most 2 times is asked" in checks[1].sentence


def test_no_slice_to_judge_is_no_check() -> None:
    assert check_slices(Gates(slice_ratio=2, slice_rows=100), [figure("LGA", 99, 9.0)], "rmse") == []
    assert check_slices(Gates(slice_ratio=None), [figure("LGA", 999, 9.0)], "rmse") == []


def test_a_slice_without_a_figure_does_not_hide_the_worst_one() -> None:
    (check,) = check_slices(Gates(slice_ratio=2, slice_rows=1), [figure("JFK", 9, math.nan), figure("EWR", 9, 1.5)], "roc_auc")
    assert check.subject == "origin: EWR"


def test_the_other_checks_compare_with_their_limits() -> None:
    judged = Judged("m", "lightgbm", 10, servable=False, reason="no ONNX", single_row_ms=5.0)
    assert check_servable(judged).passed is False
    assert check_servable(judged).sentence == "no ONNX"
    assert check_single_row(Gates(single_row_ms=5), judged)[0].passed is True
    assert check_single_row(Gates(single_row_ms=4.9), judged)[0].passed is False
    assert check_single_row(Gates(), judged) == []
    assert check_drift(Gates(drift=0.2), {}) == []
    (drift,) = check_drift(Gates(drift=0.2), {"temp": 0.3, "dest": 0.1})
    assert (drift.passed, drift.subject, drift.value) == (False, "temp", 0.3)
    assert check_drift(Gates(drift=0.3), {"temp": 0.3})[0].passed is True


SLICED = """\
name: sliced
task: regression
target: y
columns:
  city: {type: category, levels: [Rome, Oslo]}
  ok: {type: boolean}
  size: {type: number, unit: m}
  y: {type: number}
slices: [city, ok, {column: size, edges: [10, 20]}]
"""


def test_slices_divide_all_rows_and_carry_their_own_error(tmp_path: Path) -> None:
    project = project_of(SLICED, tmp_path)
    columns: dict[str, Any] = {
        "city": ["rome", "oslo", None, "rome", "oslo", "rome"],
        "ok": np.array([1.0, 0.0, np.nan, 1.0, 1.0, 0.0]),
        "size": np.array([9.99, 10.0, 19.99, 20.0, np.nan, 5.0]),
    }
    actual, predicted = np.arange(6.0), np.array([0.0, 3.0, 2.0, 5.0, 4.0, 1.0])
    figures = slice_figures(project.slices, columns, project.contract, actual, predicted, "rmse")
    rows = {(f.column, f.label): f.rows for f in figures}
    assert rows == {
        ("city", "(missing)"): 1,
        ("city", "Oslo"): 2,
        ("city", "Rome"): 3,
        ("ok", "false"): 2,
        ("ok", "true"): 3,
        ("ok", "(missing)"): 1,
        ("size", "below 10 m"): 2,
        ("size", "10 to 20 m"): 2,
        ("size", "20 m and more"): 1,
        ("size", "(missing)"): 1,
    }
    oslo = next(f for f in figures if f.label == "Oslo")
    assert oslo.value == pytest.approx(rmse(actual[[1, 4]], predicted[[1, 4]]))
    assert oslo.ratio == pytest.approx(oslo.value / rmse(actual, predicted))


def test_the_stability_index_is_zero_for_the_same_rows_and_by_hand_for_others() -> None:
    values = np.random.default_rng(1).normal(size=5000)
    profile = number_profile(values, 5000)
    assert stability(profile, values, 5000) == pytest.approx(0, abs=1e-9)
    assert stability(profile, values + 1, 5000) > 0.25
    assert stability(profile, values[:4000], 5000) == pytest.approx(
        (0 - 1e-4) * 0 + (1e-4 - 0.2) * math.log(1e-4 / 0.2) + (1 - 0.8) * math.log(1 / 0.8), rel=0.02
    )
    levels = category_profile({"a": 60.0, "b": 40.0}, 100)
    expected = (0.6 - 0.4) * math.log(0.6 / 0.4) + (0.4 - 0.6) * math.log(0.4 / 0.6)
    assert stability(levels, {"a": 40.0, "b": 60.0}, 100) == pytest.approx(expected)
    assert stability(levels, {"new": 100.0}, 100) > 5
