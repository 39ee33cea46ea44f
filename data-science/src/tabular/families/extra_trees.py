"""Extremely randomized trees (Geurts et al. 2006), by scikit-learn."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from . import Budget, TrainingData, forest_trees, forests

_MOST_LEAVES = 12_000
"""Rows per leaf are at least the table's by this, so that a large one makes no gigabyte of trees."""
_CLASSES = 20
"""With more of them there are fewer leaves, each of which has a number for every class."""


def fit(data: TrainingData, settings: dict[str, Any], budget: Budget) -> forests.Forest:
    """Train until the forest is full or the deadline."""
    from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor

    kind = ExtraTreesRegressor if data.task == "regression" else ExtraTreesClassifier
    most = _MOST_LEAVES / max(1.0, data.classes / _CLASSES)
    least = max(int(settings.get("min_samples_leaf", 3)), math.ceil(len(data.train.target) / most))
    model = kind(**{**settings, "min_samples_leaf": least})
    return forests.grow(model, data, budget.trees or forest_trees(len(data.train.target)), budget, "extra_trees")


def load(folder: Path) -> forests.Forest:
    """What `Forest.save` wrote."""
    return forests.load(folder, "extra_trees")
