"""What extra trees and random forests share: scikit-learn's forests, saved by skops without a pickle."""

from __future__ import annotations

import time
import zipfile
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ..trees import Transform, Tree, Trees, floor32
from . import Budget, TrainingData

_FILE = "forest.skops"
_BATCH = 20
"""Trees grown between two looks at the clock."""


class Forest:
    """A trained forest."""

    def __init__(self, model: Any, family: str) -> None:
        self._model = model
        self.family = family
        self.size = len(model.estimators_)
        self.rounds = self.size
        self.leaves = sum(int(estimator.tree_.n_leaves) for estimator in model.estimators_)

    @property
    def transform(self) -> Transform:
        """See `Model.transform`."""
        return "probability" if hasattr(self._model, "classes_") else "identity"

    def raw(self, features: NDArray[np.float32]) -> NDArray[np.float64]:
        """See `Model.raw`."""
        found = self.predict(features)
        return found if found.ndim == 2 else found[:, None]

    def predict(self, features: NDArray[np.float32]) -> NDArray[np.float64]:
        """See `Model.predict`."""
        predict = getattr(self._model, "predict_proba", self._model.predict)
        return np.asarray(predict(features), dtype=np.float64)

    def form(self) -> Trees:
        """See `Model.form`."""
        classes = len(getattr(self._model, "classes_", ()))
        outputs = max(1, classes)
        trees = Trees(self._model.n_features_in_, outputs, "BRANCH_LEQ", self.transform, np.zeros(outputs))
        trees.trees = [_tree(estimator.tree_, classes, self.size) for estimator in self._model.estimators_]
        return trees

    def save(self, folder: Path) -> None:
        """See `Model.save`."""
        import skops.io

        # Compressed, it is a fifth of the size, and written in less time.
        skops.io.dump(self._model, folder / _FILE, compression=zipfile.ZIP_DEFLATED, compresslevel=1)


def _tree(tree: Any, classes: int, size: int) -> Tree:
    values = tree.value.reshape(tree.node_count, -1)
    values = (values / values.sum(axis=1, keepdims=True) if classes else values) / size
    leaf = tree.children_left == -1
    inner = ~leaf
    # Inner nodes and leaves are numbered together there, and apart in `Tree`.
    number = np.where(leaf, -np.cumsum(leaf), np.cumsum(inner) - 1)
    true, false = number[tree.children_left[inner]], number[tree.children_right[inner]]
    missing = tree.missing_go_to_left[inner].astype(np.bool_)
    leaves = values[leaf] if classes else values[leaf, 0]
    return Tree(tree.feature[inner].astype(np.int64), floor32(tree.threshold[inner]), true, false, missing, leaves)


def load(folder: Path, family: str) -> Forest:
    """What `Forest.save` wrote. Only scikit-learn's own types are loaded."""
    import skops.io

    path = folder / _FILE
    strange = [t for t in skops.io.get_untrusted_types(file=path) if not t.startswith(_Trusted.prefixes)]
    if strange:
        raise ValueError(f"{path.name} holds types that no forest needs: {', '.join(strange)}; it is not loaded")
    return Forest(skops.io.load(path, trusted=skops.io.get_untrusted_types(file=path)), family)


class _Trusted:
    prefixes: ClassVar[tuple[str, ...]] = ("sklearn.tree.", "sklearn.ensemble.")


def grow(model: Any, data: TrainingData, trees: int, budget: Budget) -> Any:
    """Fit a forest in batches, so that it can stop at the deadline with the trees it has (at least one)."""
    model.set_params(warm_start=True, n_jobs=budget.threads, random_state=budget.seed)
    target = data.train.target if data.task == "regression" else data.train.target.astype(np.int64)
    begun, count = time.monotonic(), 0
    while count < trees:
        now = time.monotonic()
        step = _BATCH
        if budget.deadline is not None:
            # The first tree tells how many more there is time for.
            left = (budget.deadline - now) * count / (now - begun) if count else 1.0
            if count and left < 1:
                break
            step = max(1, min(_BATCH, int(left)))
        count = min(count + step, trees)
        model.set_params(n_estimators=count)
        model.fit(data.train.features, target, sample_weight=data.train.weights)
    model.set_params(warm_start=False, n_jobs=1, n_estimators=len(model.estimators_))
    return model
