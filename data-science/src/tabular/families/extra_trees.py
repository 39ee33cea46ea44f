"""Extremely randomized trees (Geurts et al. 2006), by scikit-learn."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor

from . import Budget, TrainingData, forests

_TREES = (60, 150)
"""Fewest and most of one model, an ensemble has as many models as folds; more where there are few rows, and a tree tells little."""
_TREE_ROWS = 150_000
"""Rows of all trees, as far as that."""
_MOST_LEAVES = 12_000
"""Rows per leaf are at least the table's by this, so that a large one makes no gigabyte of trees."""


def fit(data: TrainingData, settings: dict[str, Any], budget: Budget) -> forests.Forest:
    """Train until the forest is full or the deadline."""
    kind = ExtraTreesRegressor if data.task == "regression" else ExtraTreesClassifier
    least = max(int(settings.get("min_samples_leaf", 3)), math.ceil(len(data.train.target) / _MOST_LEAVES))
    model = kind(**{**settings, "min_samples_leaf": least})
    fewest, most = _TREES
    trees = min(max(_TREE_ROWS // len(data.train.target), fewest), most)
    return forests.Forest(forests.grow(model, data, budget.trees or trees, budget), "extra_trees")


def load(folder: Path) -> forests.Forest:
    """What `Forest.save` wrote."""
    return forests.load(folder, "extra_trees")
