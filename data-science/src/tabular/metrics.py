"""Figures of a model, in NumPy alone. `*_error`-like ones fall, scores rise (`project.RISING` says which).

Regression: `actual` and `predicted` have shape (n,), in the target's unit. Classification: `actual` holds class
indices of shape (n,), `predicted` probabilities of shape (n, classes), in the order of the contract's classes. With two
classes, precision, recall, F1 and ROC-AUC are those of the positive one (the last); with more, the unweighted mean
over the classes (ROC-AUC: one against the rest), as in scikit-learn's `average="macro"`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from .calling import scaled
from .project import RISING

Array = NDArray[Any]
_TINY: Final = 1e-15
COUNTING: Final = frozenset({"accuracy", "precision", "recall", "f1"})
"""Metrics that count what rows are called, whatever the probabilities are."""


def mse(actual: Array, predicted: Array) -> float:
    """Mean squared error, in squared units."""
    return float(np.mean((actual - predicted) ** 2))


def rmse(actual: Array, predicted: Array) -> float:
    """Root of the mean squared error, in the target's unit."""
    return float(np.sqrt(mse(actual, predicted)))


def mae(actual: Array, predicted: Array) -> float:
    """Mean absolute error, in the target's unit."""
    return float(np.mean(np.abs(actual - predicted)))


def median_absolute_error(actual: Array, predicted: Array) -> float:
    """Median absolute error, in the target's unit."""
    return float(np.median(np.abs(actual - predicted)))


def r2(actual: Array, predicted: Array) -> float:
    """Share of the variance explained: 1 is perfect, 0 is no better than the mean, NaN for a constant target."""
    variance = float(np.mean((actual - actual.mean()) ** 2))
    return 1 - mse(actual, predicted) / variance if variance > 0 else float("nan")


def accuracy(actual: Array, predicted: Array) -> float:
    """Share of rows that are called by the right class (that of the largest probability, but see `as_counted`), 0 to 1."""
    return float(np.mean(predicted.argmax(axis=1) == actual))


def confusion(actual: Array, predicted: Array) -> NDArray[np.int64]:
    """Counts of shape (classes, classes): row is the actual class, column the predicted one."""
    classes = predicted.shape[1]
    cells = actual.astype(np.int64) * classes + predicted.argmax(axis=1)
    return np.bincount(cells, minlength=classes * classes).reshape(classes, classes)


def _per_class(actual: Array, predicted: Array) -> tuple[Array, Array, Array]:
    table = confusion(actual, predicted).astype(np.float64)
    hits = np.diag(table)
    called, real = table.sum(axis=0), table.sum(axis=1)
    # Nothing called a class, or no such row: 0, as scikit-learn's zero_division default.
    with np.errstate(invalid="ignore", divide="ignore"):
        precision_ = np.where(called > 0, hits / called, 0.0)
        recall_ = np.where(real > 0, hits / real, 0.0)
        f1_ = np.where(hits > 0, 2 * precision_ * recall_ / (precision_ + recall_), 0.0)
    return precision_, recall_, f1_


def _one_or_mean(values: Array) -> float:
    return float(values[-1] if len(values) == 2 else values.mean())


def precision(actual: Array, predicted: Array) -> float:
    """Of the rows called a class, the share that is of it, 0 to 1."""
    return _one_or_mean(_per_class(actual, predicted)[0])


def recall(actual: Array, predicted: Array) -> float:
    """Of the rows of a class, the share that is called so, 0 to 1."""
    return _one_or_mean(_per_class(actual, predicted)[1])


def f1(actual: Array, predicted: Array) -> float:
    """Harmonic mean of precision and recall, 0 to 1."""
    return _one_or_mean(_per_class(actual, predicted)[2])


def _auc(positive: Array, score: Array) -> float:
    of, others = np.sort(score[positive]), np.sort(score[~positive])
    if not len(of) or not len(others):
        return float("nan")
    few, many = (of, others) if len(of) <= len(others) else (others, of)
    # Twice the pairs in which one of the many is below one of the few, an equal pair counted once.
    below = int(np.searchsorted(many, few, side="left").sum()) + int(np.searchsorted(many, few, side="right").sum())
    pairs = 2 * len(of) * len(others)
    return (below if few is of else pairs - below) / pairs


def roc_auc(actual: Array, predicted: Array) -> float:
    """Probability that a row of the class scores above one that is not, 0 to 1; NaN if only one class is there."""
    if predicted.shape[1] == 2:
        return _auc(actual == 1, predicted[:, 1])
    return float(np.mean([_auc(actual == k, predicted[:, k]) for k in range(predicted.shape[1])]))


def log_loss(actual: Array, predicted: Array) -> float:
    """Mean negative logarithm of the probability given to the right class, in nats."""
    right = predicted[np.arange(len(actual)), actual.astype(np.int64)]
    return float(-np.mean(np.log(np.clip(right, _TINY, 1))))


def brier(actual: Array, predicted: Array) -> float:
    """Mean squared difference of probabilities and outcomes: of the positive class, or summed over more classes."""
    if predicted.shape[1] == 2:
        return float(np.mean((predicted[:, 1] - (actual == 1)) ** 2))
    outcome = np.eye(predicted.shape[1])[actual.astype(np.int64)]
    return float(np.mean(((predicted - outcome) ** 2).sum(axis=1)))


METRICS: Final[dict[str, Callable[[Array, Array], float]]] = {
    "mae": mae,
    "mse": mse,
    "rmse": rmse,
    "r2": r2,
    "median_absolute_error": median_absolute_error,
    "accuracy": accuracy,
    "precision": precision,
    "recall": recall,
    "f1": f1,
    "roc_auc": roc_auc,
    "log_loss": log_loss,
    "brier": brier,
}


def as_error(metric: str, value: float) -> float:
    """A metric as something to be made small: the value, or 1 - value if more of it is better."""
    return 1 - value if metric in RISING else value


def as_counted(metric: str, predicted: Array, factors: Sequence[float]) -> Array:
    """What a metric is to see of predictions of a model whose rows are called by these factors (see `calling`)."""
    return scaled(predicted, factors) if metric in COUNTING else predicted
