"""A small neural network by scikit-learn: two hidden layers, Adam with a falling rate, early stopping.

Scaling and the soft cut of the features are those that Holzmüller et al. 2024 found to matter most; unless there are many features, each
also comes as its bins (Gorishniy et al. 2022), which took 3 to 19 % of a single network's error on tables whose features do not act evenly.
"""

from __future__ import annotations

import time
import warnings
from pathlib import Path
from typing import Any, Final

import numpy as np

from ..imports import without
from ..layers import NETWORK_BINS, Layers, batch_rows, fit_bins, fit_scaler, inputs
from ..trees import Transform
from . import Budget, TrainingData, dense, transformed

_EPOCHS: Final = 60
_PATIENCE: Final = 12


def fit(data: TrainingData, settings: dict[str, Any], budget: Budget) -> dense.Dense:
    """Train for `epochs`, the rate falling to nothing as a cosine; the epoch with the smallest error on the watched rows stays."""
    with without("pandas"):  # To train alone: what predicts needs NumPy.
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.neural_network import MLPClassifier, MLPRegressor
    scaler = fit_scaler(data.train.features)
    bins = fit_bins(data.train.features, NETWORK_BINS, budget.rows(data))
    x = inputs(data.train.features, scaler, bins)
    rows = len(x)
    epochs = int(settings.get("epochs", _EPOCHS))
    batch = min(rows, batch_rows(rows))
    rate = float(settings.get("learning_rate", 0.006)) * min(1.0, batch / 128) ** 0.5  # Small steps are noisier.
    kind = MLPRegressor if data.task == "regression" else MLPClassifier
    model = kind(
        hidden_layer_sizes=tuple(settings.get("hidden", (128, 64))), alpha=float(settings.get("alpha", 1e-2)), batch_size=batch,
        learning_rate_init=rate,
        # Not the number itself: with that every partial_fit begins anew, and each epoch has the same rows in the same batches.
        random_state=np.random.RandomState(budget.seed),
    )  # fmt: skip
    target = data.train.target.astype(np.float32) if data.task == "regression" else data.train.target.astype(np.int64)
    more = {} if data.task == "regression" else {"classes": np.arange(data.classes)}
    transform: Transform = "identity" if data.task == "regression" else "sigmoid" if data.classes == 2 else "softmax"
    watched = inputs(data.validation.features, scaler, bins) if budget.trees is None else None
    best, best_at, kept = np.inf, 0, None
    begun = time.monotonic()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        for epoch in range(budget.trees or epochs):
            model.partial_fit(x, target, sample_weight=data.train.weights, **more)
            used = (epoch + 1) / (budget.trees or epochs)
            if budget.deadline is not None:
                # The rate falls with the time, too, so that a short fit is a whole one.
                each = (time.monotonic() - begun) / (epoch + 1)
                used = max(used, (time.monotonic() + each - begun) / max(budget.deadline - begun, 1e-9))
            # partial_fit makes the optimizer at its first call and keeps it; there is no public way to its rate.
            model._optimizer.learning_rate_init = rate * 0.5 * (1 + np.cos(np.pi * min(used, 1.0))) + 1e-5  # noqa: SLF001
            if watched is not None:
                error = _error(model, watched, data, transform)
                if error < best:
                    best, best_at = error, epoch
                    kept = [(w.copy(), b.copy()) for w, b in zip(model.coefs_, model.intercepts_, strict=True)]
                if epoch - best_at >= _PATIENCE:
                    break
            if used >= 1:
                break
    pairs = kept or list(zip(model.coefs_, model.intercepts_, strict=True))
    weights = tuple((w.astype(np.float32), b.astype(np.float32)) for w, b in pairs)
    limits = (float(np.min(target)), float(np.max(target))) if data.task == "regression" else None
    return dense.Dense(Layers(scaler, weights, transform, limits, bins), "neural", (best_at if watched is not None else epoch) + 1)


def _error(model: Any, watched: Any, data: TrainingData, transform: Transform) -> float:
    """Squared or absolute error, or log loss; infinity for what is not finite."""
    values = watched
    for number, (weight, bias) in enumerate(zip(model.coefs_, model.intercepts_, strict=True)):
        values = values @ weight + bias
        if number < len(model.coefs_) - 1:
            values = np.maximum(values, 0)
    target, weights = data.validation.target, data.validation.weights
    if not np.isfinite(values).all():
        return float("inf")
    if transform == "identity":
        gap = values[:, 0] - target
        return float(np.average(np.abs(gap) if data.absolute else gap**2, weights=weights))
    chances = transformed(values.astype(np.float64), transform)
    right = np.clip(chances[np.arange(len(target)), target.astype(np.int64)], 1e-15, 1)
    return float(-np.average(np.log(right), weights=weights))


def load(folder: Path) -> dense.Dense:
    """What `Dense.save` wrote."""
    return dense.load(folder, "neural")
