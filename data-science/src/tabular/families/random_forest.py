"""Random forest (Breiman 2001), by scikit-learn, with hand-set hyperparameters: what `train2.py` trains."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from . import Budget, TrainingData, forests


def fit(data: TrainingData, settings: dict[str, Any], budget: Budget) -> forests.Forest:
    """Train the whole forest. `settings` are scikit-learn's parameters."""
    from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

    kind = RandomForestRegressor if data.task == "regression" else RandomForestClassifier
    trees = int(settings.pop("n_estimators"))
    model = kind(**settings)
    return forests.grow(model, data, trees, budget, "random_forest")


def load(folder: Path) -> forests.Forest:
    """What `Forest.save` wrote."""
    return forests.load(folder, "random_forest")
