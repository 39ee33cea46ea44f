"""Uncertainty of a figure, and of the difference of two models on the same rows, by the bootstrap (Efron 1979)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from .metrics import METRICS, as_counted, as_error

RESAMPLES: Final = 1_000
_CELLS: Final = 20_000_000
"""Rows times resamples from which a table gets fewer resamples (its figures vary less), down to `_LEAST`."""
_LEAST: Final = 100


@dataclass(frozen=True)
class Interval:
    """A figure with its 95 % bootstrap interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Comparison:
    """Candidate against champion on the same rows.

    Attributes:
        metric: whose error is compared.
        rows: how many.
        candidate, champion: the metric of each.
        change: relative change of the error, candidate against champion; negative is better.
        upper: of that change, at the one-sided confidence.
        low, high: two-sided interval of the change at the same confidence.
        confidence: 0 to 1.
    """

    metric: str
    rows: int
    candidate: float
    champion: float
    change: float
    upper: float
    low: float
    high: float
    confidence: float


def _draws(rows: int, count: int, seed: int) -> Iterator[NDArray[np.int64]]:
    """Resampled row numbers, one draw at a time: of large tables, all of them would not fit into memory."""
    random = np.random.default_rng(seed)
    for _ in range(max(_LEAST, min(count, _CELLS // max(rows, 1)))):
        yield random.integers(0, rows, size=rows)


def intervals(
    actual: NDArray[Any], predicted: NDArray[Any], names: list[str], seed: int = 0, factors: Sequence[float] = ()
) -> dict[str, Interval]:
    """Each metric with its 95 % interval.

    Args:
        actual: shape (n,).
        predicted: shape (n,) or (n, classes).
        names: of `METRICS`.
        seed: of the resampling.
        factors: by which rows are called; see `calling`.
    """
    seen = {name: as_counted(name, predicted, factors) for name in names}
    sampled: dict[str, list[float]] = {name: [] for name in names}
    for draw in _draws(len(actual), RESAMPLES // 4, seed):
        for name in names:
            sampled[name].append(METRICS[name](actual[draw], seen[name][draw]))
    found = {}
    for name in names:
        values = np.asarray(sampled[name])
        values = values[np.isfinite(values)]
        value = METRICS[name](actual, seen[name])
        low, high = np.quantile(values, [0.025, 0.975]) if len(values) else (np.nan, np.nan)
        found[name] = Interval(value, float(low), float(high))
    return found


def compare(
    actual: NDArray[Any], candidate: NDArray[Any], champion: NDArray[Any], metric: str, confidence: float, seed: int = 0
) -> Comparison:
    """Paired bootstrap: both models are judged on the same resampled rows, so what is hard for both cancels out."""
    function: Callable[[Any, Any], float] = METRICS[metric]

    def change(a: Any, x: Any, y: Any) -> float:
        ours, theirs = as_error(metric, function(a, x)), as_error(metric, function(a, y))
        if theirs == 0:
            return 0.0 if ours == 0 else float("inf")
        return (ours - theirs) / theirs

    changes = np.array([change(actual[d], candidate[d], champion[d]) for d in _draws(len(actual), RESAMPLES, seed)])
    changes = changes[~np.isnan(changes)]
    outside = (1 - confidence) / 2
    return Comparison(
        metric=metric,
        rows=len(actual),
        candidate=function(actual, candidate),
        champion=function(actual, champion),
        change=change(actual, candidate, champion),
        # Values that came up, not ones in between: a champion without an error makes some of them infinite.
        upper=float(np.quantile(changes, confidence, method="higher")),
        low=float(np.quantile(changes, outside, method="lower")),
        high=float(np.quantile(changes, 1 - outside, method="higher")),
        confidence=confidence,
    )
