"""Factors of the classes (see `calling`), chosen where they make the metric better on rows that models were not trained on.

For two classes that is the decision threshold, as scikit-learn's TunedThresholdClassifierCV chooses one. Precision or recall of one class
alone have no best threshold but "never" or "always", and accuracy has none that is better than the largest of calibrated probabilities.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from .metrics import METRICS, as_counted

_GRID: Final = np.geomspace(1 / 200, 200, 65)
"""Factors of a class that are tried, relative to those of the others: for two classes thresholds from 0.005 to 0.995."""
_PASSES: Final = 2
"""Over the classes, each of which is tuned with the others as they are."""
_CHANCES: Final = 400_000
"""At most so many probabilities choose the factors, but at least 2,000 rows."""
_OF_A_CLASS: Final = 5
"""Rows of a class below which it keeps its factor."""
_MOST_CLASSES: Final = 50
"""Beyond these a factor for each takes seconds for every member, and has few rows to go by."""
_GAIN: Final = 0.001
"""Of the metric, on rows that the factors were not chosen on."""
Array = NDArray[np.float64]


def is_tuned(metric: str, classes: int) -> bool:
    """Whether the class of the largest probability is not what is best by a metric: F1, and the mean recall of several classes, but not of very many."""
    return classes <= _MOST_CLASSES and (metric == "f1" or (metric == "recall" and classes > 2))


def fit_factors(metric: str, target: Array, chances: Array) -> tuple[float, ...]:
    """A factor for each class, with the first one's 1; empty if there is nothing to gain.

    Each half of the rows chooses for the other one: the metric must be better by a thousandth in the mean, and better in both.

    Args:
        metric: that is to be good.
        target: class indices, shape (n,).
        chances: shape (n, classes), of models that were not trained on these rows.
    """
    classes = chances.shape[1] if chances.ndim == 2 else 0
    if not is_tuned(metric, classes):
        return ()
    random = np.random.default_rng(0)
    order = random.permutation(len(target))[: max(2_000, _CHANCES // classes)]
    order = order[np.argsort(target[order], kind="stable")]  # Each half has half of a rare class.
    chances, target = chances[order], target[order]
    half = np.arange(len(target)) % 2 == 0
    score = METRICS[metric]
    before = [score(target[rows], chances[rows]) for rows in (half, ~half)]
    after = [score(target[rows], chances[rows] * _tuned(metric, target[~rows], chances[~rows])) for rows in (half, ~half)]
    gains = np.subtract(after, before)
    if not (np.mean(gains) > _GAIN and np.min(gains) > 0):
        return ()
    factors = _tuned(metric, target, chances)
    return () if np.all(factors == 1) else tuple(float(f"{factor:.6g}") for factor in factors)


def score_called(metric: str, target: Array, predicted: Array) -> float:
    """A metric of predictions, with rows called as `fit_factors` says."""
    return METRICS[metric](target, as_counted(metric, predicted, fit_factors(metric, target, predicted)))


def attainable(metric: str, target: Array, predicted: Array) -> float:
    """A metric with the best threshold there is, for F1 of two classes; of other metrics, and more classes, as it is."""
    if metric != "f1" or predicted.shape[1] != 2:
        return METRICS[metric](target, predicted)
    return float(np.max(_by_factor(metric, target, predicted, 1)))


def _tuned(metric: str, target: Array, chances: Array) -> Array:
    classes = chances.shape[1]
    factors = np.ones(classes)
    # A class without a row here costs the metric whenever it is called, which says nothing of it.
    known = np.flatnonzero(np.bincount(target.astype(np.int64), minlength=classes) >= _OF_A_CLASS)
    for _ in range(1 if classes == 2 else _PASSES):
        for label in known[known > 0] if classes == 2 else known:
            scores = _by_factor(metric, target, chances * factors, label)
            # A peak that its neighbours have not is luck.
            smooth = np.convolve(np.pad(scores, 1, mode="edge"), [0.25, 0.5, 0.25], mode="valid")
            best = int(np.lexsort((np.abs(np.log(_GRID)), -smooth))[0])
            factors[label] *= _GRID[best]
    return np.asarray(factors / factors[0])


def _by_factor(metric: str, target: Array, products: Array, label: int) -> Array:
    """F1 or recall for each factor of the grid that the products of one class are multiplied by: of the last of two classes, or the mean."""
    rows, classes = products.shape
    others = products.copy()
    others[:, label] = -1.0
    rival = others.argmax(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        needed = others[np.arange(rows), rival] / products[:, label]
    needed = np.where(np.isfinite(needed), needed, np.inf)
    # From which factor of the grid on a row is called by the label; beyond all of them if its chance is nothing. Of equals the first class is called.
    first = np.where(rival > label, np.searchsorted(_GRID, needed, side="left"), np.searchsorted(_GRID, needed, side="right"))
    actual = target.astype(np.int64)
    real = np.bincount(actual, minlength=classes)

    def from_there_on(chosen: NDArray[np.bool_] | slice) -> NDArray[np.int64]:
        """Rows of each rival that are called by the label instead, shape (factors, classes)."""
        cells = first[chosen] * classes + rival[chosen]
        return np.bincount(cells, minlength=(len(_GRID) + 1) * classes).reshape(-1, classes)[: len(_GRID)].cumsum(axis=0)

    taken = from_there_on(slice(None))
    calls = np.bincount(rival, minlength=classes) - taken
    calls[:, label] = taken.sum(axis=1)
    right = rival == actual
    hits = np.bincount(rival[right], minlength=classes) - from_there_on(right)
    hits[:, label] = from_there_on(actual == label).sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        values = hits / real if metric == "recall" else 2 * hits / (calls + real)
    values = np.where(hits > 0, values, 0.0)
    return np.asarray(values[:, -1] if classes == 2 else values.mean(axis=1))
