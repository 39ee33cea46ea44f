"""What extra trees and random forests share: scikit-learn's trees, kept as NumPy's own archive, which is no pickle."""

from __future__ import annotations

import time
import zipfile
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ..imports import without
from ..trees import Transform, Tree, Trees, floor32
from . import Budget, TrainingData

with without("pandas"):
    from sklearn.tree._tree import NODE_DTYPE
    from sklearn.tree._tree import Tree as NativeTree

_FILE = "forest.npz"
_BATCH = 20
"""Trees grown between two looks at the clock."""
_KEPT: Final = ("left_child", "right_child", "feature", "threshold", "missing_go_to_left")
"""Of scikit-learn's nodes: what a prediction reads."""


class Forest:
    """A trained forest, predicted by scikit-learn's trees themselves.

    Args:
        trees: at least one.
        classes: 0 for a regression.
        features: number of input columns.
    """

    weights = 0

    def __init__(self, trees: list[Any], classes: int, features: int, family: str) -> None:
        self._trees, self._classes, self._features = trees, classes, features
        self.family = family
        self.size = len(trees)
        self.rounds = self.size
        self.leaves = sum(int(tree.n_leaves) for tree in trees)

    @property
    def transform(self) -> Transform:
        """See `Model.transform`."""
        return "probability" if self._classes else "identity"

    def raw(self, features: NDArray[np.float32]) -> NDArray[np.float64]:
        """See `Model.raw`."""
        features = np.ascontiguousarray(features, dtype=np.float32)
        total = np.zeros((len(features), max(self._classes, 1)))
        for tree in self._trees:
            total += tree.predict(features)
        return total / self.size

    def predict(self, features: NDArray[np.float32]) -> NDArray[np.float64]:
        """See `Model.predict`."""
        found = self.raw(features)
        return found if self._classes else found[:, 0]

    def form(self) -> Trees:
        """See `Model.form`."""
        outputs = max(1, self._classes)
        trees = Trees(self._features, outputs, "BRANCH_LEQ", self.transform, np.zeros(outputs))
        trees.trees = [_tree(tree, self._classes, self.size) for tree in self._trees]
        return trees

    def save(self, folder: Path) -> None:
        """See `Model.save`."""
        nodes = [tree.__getstate__()["nodes"] for tree in self._trees]
        arrays = {name: np.concatenate([of_tree[name] for of_tree in nodes]) for name in _KEPT}
        for name in ("left_child", "right_child", "feature"):
            arrays[name] = arrays[name].astype(np.int32)
        arrays["values"] = np.concatenate([tree.value[:, 0, :] for tree in self._trees])
        arrays["counts"] = np.array([tree.node_count for tree in self._trees])
        arrays["depths"] = np.array([tree.max_depth for tree in self._trees])
        arrays["shape"] = np.array([self._features, self._classes])
        # numpy's own way of compressing takes ten times as long for a tenth of the size.
        with zipfile.ZipFile(folder / _FILE, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            for name, array in arrays.items():
                with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
                    np.lib.format.write_array(file, array, allow_pickle=False)


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
    """What `Forest.save` wrote.

    Raises:
        ValueError: a node leads out of its tree or back, or looks at a feature that there is not; reading it would read other memory.
    """
    with np.load(folder / _FILE, allow_pickle=False) as kept:
        arrays = {name: kept[name] for name in kept.files}
    features, classes = (int(number) for number in arrays["shape"])
    width = max(classes, 1)
    trees: list[Any] = []
    start = 0
    for count, depth in zip(arrays["counts"].tolist(), arrays["depths"].tolist(), strict=True):
        part = slice(start, start + count)
        start += count
        nodes = np.zeros(count, dtype=NODE_DTYPE)
        for name in _KEPT:
            nodes[name] = arrays[name][part]
        values = np.ascontiguousarray(arrays["values"][part].reshape(count, 1, width))
        _check(nodes, features)
        trees.append(_native(features, nodes, values, depth))
    return Forest(trees, classes, features, family)


def _check(nodes: Any, features: int) -> None:
    """Children come after their parents, so that every way ends, and within the tree."""
    here = np.arange(len(nodes))
    leaf = nodes["left_child"] == -1
    inside = np.ones(len(nodes), dtype=np.bool_)
    for side in ("left_child", "right_child"):
        inside &= (nodes[side] > here) & (nodes[side] < len(nodes))
    known = (nodes["feature"] >= 0) & (nodes["feature"] < features)
    if not len(nodes) or not (leaf | (inside & known)).all():
        raise ValueError(f"{_FILE} holds a tree that leads out of itself; it is not loaded")


def grow(model: Any, data: TrainingData, trees: int, budget: Budget, family: str) -> Forest:
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
    native = [
        _of_all_classes(estimator.tree_, model.classes_, data.classes) if data.classes else estimator.tree_
        for estimator in model.estimators_
    ]
    return Forest(native, data.classes, int(model.n_features_in_), family)


def _of_all_classes(tree: Any, present: NDArray[np.int64], classes: int) -> Any:
    """The tree with a share for every class, 0 for those without a row."""
    if len(present) == classes:
        return tree
    values = np.zeros((tree.node_count, 1, classes))
    values[:, :, present] = tree.value
    return _native(tree.n_features, tree.__getstate__()["nodes"], values, tree.max_depth)


def _native(features: int, nodes: Any, values: NDArray[np.float64], depth: int) -> Any:
    """scikit-learn's tree of these nodes and of values of shape (nodes, 1, outputs)."""
    tree = NativeTree(features, np.array([values.shape[2]], dtype=np.intp), 1)
    tree.__setstate__({"max_depth": depth, "node_count": len(nodes), "nodes": nodes, "values": values})
    return tree
