"""Extremely randomized trees (Geurts et al. 2006), by scikit-learn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor

from . import Budget, TrainingData, forests

_TREES = 200


def settings(random: np.random.Generator, metric: str, trial: int) -> dict[str, Any]:  # noqa: ARG001 - the family's signature
    """Hyperparameters of a trial."""
    if trial == 0:
        return {"min_samples_leaf": 5, "max_features": 0.6}
    return {"min_samples_leaf": int(2 ** random.uniform(1, 5)), "max_features": float(random.uniform(0.3, 1))}


def fit(data: TrainingData, settings: dict[str, Any], budget: Budget) -> forests.Forest:
    """Train until the forest is full or the deadline."""
    kind = ExtraTreesRegressor if data.task == "regression" else ExtraTreesClassifier
    return forests.Forest(forests.grow(kind(**settings), data, _TREES, budget), "extra_trees")


def load(folder: Path) -> forests.Forest:
    """What `Forest.save` wrote."""
    return forests.load(folder, "extra_trees")
