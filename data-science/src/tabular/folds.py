"""What a search is judged by: all rows as one table, the folds, the rows judged and the metric that they allow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from .contract import Task
from .errors import DataError
from .families import Table, TrainingData
from .graph import Link
from .metrics import METRICS
from .project import Search

HOLDOUT_ROWS: Final = 250_000
"""Beyond so many rows the validation rows alone judge."""
_FOLDS: Final = ((5_000, 8), (30_000, 5), (HOLDOUT_ROWS, 4))
"""Up to so many rows, so many folds."""
_SKEWED: Final = 1.0
"""Skewness (third standardised moment) above which a target is tried on a log scale."""
Fold = tuple[NDArray[np.int64], NDArray[np.int64]]
"""Rows to fit, and rows to predict."""


@dataclass(frozen=True)
class Problem:
    """What is to be learned, and how it is judged.

    Attributes:
        data: training and validation rows as they came.
        pool: both as one table.
        folds: of the pool's rows.
        judged: rows of the pool that some fold predicts.
        truth: their target.
        metric: the one asked for, or another where that one is no number on these rows.
    """

    data: TrainingData
    pool: Table
    folds: list[Fold]
    judged: NDArray[np.int64]
    truth: NDArray[np.float64]
    metric: str

    @property
    def classes(self) -> int:
        """Number of classes; 0 for a regression."""
        return self.data.classes

    def target(self, link: Link) -> tuple[NDArray[np.float64], float, float]:
        """The target as models see it, and how theirs becomes the project's: of mean 0 and deviation 1 for a regression."""
        target = self.pool.target
        if self.data.task != "regression":
            return target, 0.0, 1.0
        values = np.log1p(target) if link == "log" else target
        shift, scale = float(values.mean()), float(values.std())
        return (values - shift) / scale, shift, scale

    def rows(self, rows: NDArray[np.int64] | None, target: NDArray[np.float64]) -> Table:
        """Some rows of the pool, or all, with the target that is given."""
        pool = self.pool
        if rows is None:
            return Table(pool.features, target, pool.weights)
        return Table(pool.features[rows], target[rows], None if pool.weights is None else pool.weights[rows])


def problem_of(data: TrainingData, options: Search, most: int, *, holdout: bool) -> Problem:
    """The problem with up to `most` folds; with `holdout`, or many rows, judged by the validation rows alone.

    Raises:
        DataError: the target has one value only, or no class two rows.
    """
    pool = pooled(data, balanced=options.class_weight == "balanced")
    check_target(pool.target, data.task)
    folds, judged = folds_of(data, pool.target, options.seed, most, holdout=holdout)
    truth = pool.target[judged]
    return Problem(data, pool, folds, judged, truth, selectable(options.metric, data, truth))


def most_folds(rows: int) -> tuple[int, int]:
    """The number of folds for a table, and the least where there is no time for so many."""
    if rows > HOLDOUT_ROWS:
        return 1, 1
    # Of a small table a fold takes rows that are missed more than the time.
    return next(folds for most, folds in _FOLDS if rows <= most), 5 if rows <= _FOLDS[0][0] else 3


def is_long_tailed(data: TrainingData, target: NDArray[np.float64]) -> bool:
    """Whether a regression's target is never negative and less skewed on a log scale."""
    if data.task != "regression" or np.min(target) < 0:
        return False
    skew, log_skew = _skewness(target), _skewness(np.log1p(target))
    return skew > _SKEWED and abs(log_skew) < skew


def pooled(data: TrainingData, *, balanced: bool) -> Table:
    """Training and validation rows as one table, in that order."""
    features = np.concatenate([data.train.features, data.validation.features])
    target = np.concatenate([data.train.target, data.validation.target])
    if not balanced or not data.classes:
        return Table(features, target)
    counts = np.bincount(target.astype(np.int64), minlength=data.classes)
    weights = len(target) / (np.maximum(counts, 1) * max(1, int((counts > 0).sum())))
    return Table(features, target, weights[target.astype(np.int64)])


def check_target(target: NDArray[np.float64], task: Task) -> None:
    """Raise a DataError for a target with one value only."""
    if len(np.unique(target[:1000])) == 1 and np.all(target == target[0]):
        what = f"the value {target[0]:g}" if task == "regression" else "one class"
        raise DataError(
            f"the target has {what} in all {len(target):,} rows that can be trained on, so there is nothing to learn; look at the data"
        )


def folds_of(
    data: TrainingData, target: NDArray[np.float64], seed: int, most: int, *, holdout: bool
) -> tuple[list[Fold], NDArray[np.int64]]:
    """Rows to fit and rows to predict of every fold, and the rows that are judged.

    Raises:
        DataError: no class has two rows.
    """
    rows, known = len(target), len(data.train.target)
    everything = np.arange(rows)
    if holdout or rows > HOLDOUT_ROWS:
        return [(everything[:known], everything[known:])], everything[known:]
    count = min(most, rows)
    if data.classes:
        # At least two classes have a row in every fold.
        count = max(2, min(count, int(np.sort(np.bincount(target.astype(np.int64), minlength=data.classes))[-2])))
    random = np.random.default_rng(seed)
    # Neighbours in the target's order go to different folds: every fold has its share of each class and of the long tail.
    order = np.lexsort((random.permutation(rows), target))
    fold = np.empty(rows, dtype=np.int64)
    for start in range(0, rows, count):
        block = order[start : start + count]
        fold[block] = random.permutation(count)[: len(block)]
    if data.classes:
        for label in range(data.classes):
            mine = target == label
            if len(np.unique(fold[mine])) == 1:  # All of its rows in one fold, which would be predicted by models that do not know it.
                fold[mine] = -1  # Always trained on, never judged.
    folds = [(np.flatnonzero(fold != k), np.flatnonzero(fold == k)) for k in range(count)]
    folds = [pair for pair in folds if len(pair[1])]
    if not folds:
        raise DataError(f"no class has two rows among the {rows:,} that can be trained on, so nothing can be judged; look at the data")
    return folds, np.flatnonzero(fold >= 0)


def selectable(metric: str, data: TrainingData, truth: NDArray[np.float64]) -> str:
    """The metric, or the task's usual one if it is no number on these rows, as ROC-AUC where a class is absent or R² of a constant."""
    random = np.random.default_rng(0)
    any_answer = random.dirichlet(np.ones(data.classes), len(truth)) if data.classes else random.normal(size=len(truth))
    return metric if np.isfinite(METRICS[metric](truth, any_answer)) else "log_loss" if data.classes else "rmse"


def _skewness(values: NDArray[np.float64]) -> float:
    deviation = values.std()
    return float(np.mean(((values - values.mean()) / deviation) ** 3)) if deviation > 0 else 0.0
