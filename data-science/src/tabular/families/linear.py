"""Linear and logistic regression with an L2 penalty, by scikit-learn; with bins (see `layers.Bins`) a sum of a curve for each feature."""

from __future__ import annotations

import time
import warnings
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ..imports import without
from ..layers import LINEAR_BINS, Layers, fit_bins, fit_scaler, inputs
from ..trees import Transform
from . import PASSES, Budget, TrainingData, dense, linear_seconds

_TRIED: Final = 5
"""Passes that tell how long one takes."""


def fit(data: TrainingData, settings: dict[str, Any], budget: Budget) -> dense.Dense:
    """Train. A regression has no stopping half-way: whoever begins it knows that there is time."""
    with without("pandas"):  # To train alone: what predicts needs NumPy.
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.linear_model import LogisticRegression, Ridge
    passes = 1
    scaler = fit_scaler(data.train.features)
    bins = fit_bins(data.train.features, LINEAR_BINS, budget.rows(data))
    x = inputs(data.train.features, scaler, bins)
    strength = float(settings.get("strength", 1.0))
    transform: Transform = "identity"
    if data.task == "regression":
        with warnings.catch_warnings():
            warnings.filterwarnings(
                "ignore", "(?i).*ill-conditioned"
            )  # Bins of columns that go together; the penalty decides between them.
            model: Any = Ridge(alpha=strength).fit(x, data.train.target, sample_weight=data.train.weights)
        weight, bias = model.coef_.reshape(-1, 1), np.atleast_1d(model.intercept_)
    else:
        target = data.train.target.astype(np.int64)
        model = LogisticRegression(C=1 / strength, max_iter=PASSES)
        slow = linear_seconds(len(x), x.shape[1], data.classes)
        begun = time.monotonic()
        tried = 0
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # Good enough for a member, and judged as it is.
            if budget.deadline is not None and slow > budget.deadline - begun:
                # A few passes tell how many there is time for. The others begin where these end.
                model.set_params(max_iter=_TRIED, warm_start=True).fit(x, target, sample_weight=data.train.weights)
                each = (time.monotonic() - begun) / _TRIED
                tried = _TRIED
                model.set_params(max_iter=int(min(max((budget.deadline - time.monotonic()) / each, 1), PASSES)))
            model.fit(x, target, sample_weight=data.train.weights)
        # One that is done counts as all passes, so that one which was cut off is told apart from one that needed few.
        passes = PASSES if int(model.n_iter_.max()) < model.max_iter else tried + model.max_iter
        weight, bias = _of_all_classes(model, data.classes, len(x))
        transform = "sigmoid" if data.classes == 2 else "softmax"
    limits = (float(np.min(data.train.target)), float(np.max(data.train.target))) if data.task == "regression" else None
    layers = Layers(scaler, ((weight.astype(np.float32), bias.astype(np.float32)),), transform, limits, bins)
    return dense.Dense(layers, "linear", 1, passes)


def _of_all_classes(model: Any, classes: int, rows: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Weights of shape (inputs, outputs) and biases; a class without a row is as likely as if there were one row more, and that were it."""
    weight, bias = model.coef_.T, model.intercept_
    if len(model.classes_) == classes:
        return weight, bias
    if weight.shape[1] == 1:  # Two classes have one output.
        weight, bias = np.column_stack([np.zeros(len(weight)), weight]), np.array([0.0, bias[0]])
    every = np.zeros((len(weight), classes))
    every[:, model.classes_] = weight
    biases = np.full(classes, bias.min() - np.log(rows + 1))
    biases[model.classes_] = bias
    return every, biases


def load(folder: Path) -> dense.Dense:
    """What `Dense.save` wrote."""
    return dense.load(folder, "linear")
