"""The gate: what a model must hold to be registered. Every check is a figure, a limit and a sentence."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from .comparison import Comparison, Interval
from .predictions import Judged
from .project import RISING, Gates
from .slices import SliceFigure


@dataclass(frozen=True)
class Check:
    """One check.

    Attributes:
        name: threshold, champion, slice, servable, contract, single_row or drift.
        subject: what it is about: a metric, a slice, a column.
        passed: the outcome.
        value, limit: the figures compared, if it has some.
        sentence: both in words.
    """

    name: str
    subject: str
    passed: bool
    value: float | None
    limit: float | None
    sentence: str

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form."""
        return asdict(self)


def check_thresholds(gates: Gates, metrics: Mapping[str, Interval], unit: str) -> list[Check]:
    """Absolute bounds on the test rows."""
    checks = []
    for metric, bound in gates.thresholds.items():
        value = metrics[metric].value
        shown = f" {unit}" if unit and metric in ("rmse", "mae", "median_absolute_error") else ""
        for limit, at_least in ((bound.minimum, True), (bound.maximum, False)):
            if limit is not None:
                passed = value >= limit if at_least else value <= limit
                word = "at least" if at_least else "at most"
                sentence = f"{metric} is {value:.4g}{shown}; {word} {limit:g}{shown} is asked"
                checks.append(Check("threshold", metric, passed, value, limit, sentence))
    return checks


def check_champion(gates: Gates, comparison: Comparison | None) -> Check:
    """The paired comparison with the champion."""
    if comparison is None:
        return Check("champion", "none", passed=True, value=None, limit=None,
                     sentence="there is no champion yet, so the thresholds decide alone")  # fmt: skip
    c = comparison
    better = gates.require == "better"
    limit = 0.0 if better else gates.tolerance
    passed = c.upper < limit if better else c.upper <= limit
    figures = f"{c.metric} {c.candidate:.4g} against the champion's {c.champion:.4g} on the same {c.rows:,} rows"
    bound = f"error changes by {c.change:+.2%}, with {c.confidence:.0%} confidence by no more than {c.upper:+.2%}"
    asked = "less than 0 % is asked (require: better)" if better else f"at most {limit:+.1%} is asked (require: not_worse)"
    return Check("champion", c.metric, passed, c.upper, limit, f"{figures}: {bound}; {asked}")


def check_slices(gates: Gates, figures: Sequence[SliceFigure], metric: str) -> list[Check]:
    """A failed check per slice over the limit, or one passed check of the worst.

    Slices with few rows are not judged, nor are those in which the metric is not defined (ROC-AUC with one class).
    """
    if gates.slice_ratio is None:
        return []
    judged = [f for f in figures if f.rows >= gates.slice_rows and math.isfinite(f.ratio)]
    if not judged:
        return []
    limit = gates.slice_ratio
    worst = max(judged, key=lambda f: f.ratio)
    failing = [f for f in judged if f.ratio > limit]
    checks = [
        Check(
            "slice", f"{f.column}: {f.label}", passed=False, value=f.ratio, limit=limit,
            sentence=f"{f.column} {f.label}: {metric} is {f.value:.4g} over {f.rows:,} rows, {f.ratio:.2f} times the overall error; at most {limit:g} times is asked",
        )
        for f in failing
    ]  # fmt: skip
    if checks:
        return checks
    text = f"the worst of {len(judged)} slices is {worst.column} {worst.label}, {worst.ratio:.2f} times the overall error; at most {limit:g} times is asked"
    return [Check("slice", f"{worst.column}: {worst.label}", passed=True, value=worst.ratio, limit=limit, sentence=text)]


def check_servable(judged: Judged) -> Check:
    """Whether the model can be served without its training library, and answers the same."""
    return Check("servable", "onnx", judged.servable, judged.largest_difference, None, judged.reason)


def check_contract(judged: Judged) -> list[Check]:
    """Whether a package refuses what breaks its request contract, and says where."""
    if not judged.contract_tried:
        return []
    broken = judged.contract_problems
    held = f"the request contract holds in {judged.contract_tried} requests: fields by name in any order, and each broken one is refused with row and field"
    failed = f"the request contract is broken in {len(broken)} of {judged.contract_tried} requests: {'; '.join(broken[:3])}"
    return [Check("contract", "requests", not broken, float(len(broken)), 0.0, failed if broken else held)]


def check_single_row(gates: Gates, judged: Judged) -> list[Check]:
    """The time of one row."""
    if gates.single_row_ms is None or judged.single_row_ms is None:
        return []
    value, limit = judged.single_row_ms, gates.single_row_ms
    text = f"one row takes {value:.3f} ms (median, recipe included); at most {limit:g} ms is asked"
    return [Check("single_row", "latency", value <= limit, value, limit, text)]


def check_drift(gates: Gates, stability: Mapping[str, float]) -> list[Check]:
    """The column of new data that has moved most from training."""
    if gates.drift is None or not stability:
        return []
    column, value = max(stability.items(), key=lambda item: item[1])
    text = f"the column that moved most is {column}: population stability index {value:.3f}; at most {gates.drift:g} is asked"
    return [Check("drift", column, value <= gates.drift, value, gates.drift, text)]


def direction(metric: str) -> str:
    """For people."""
    return "higher is better" if metric in RISING else "lower is better"
