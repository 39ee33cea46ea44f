"""CatBoost: gradient boosting with oblivious trees (Prokhorenkova et al. 2018). Categories come encoded from the recipe."""

from __future__ import annotations

import io
import json
import tempfile
import time
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ..imports import without
from ..trees import Transform, Tree, Trees
from . import MOST_TREES, PATIENCE, Budget, Table, TrainingData, transformed

with without("matplotlib", "plotly"):  # It predicts by pandas.
    import catboost

_FILE = "catboost.cbm"
_UNSEEN: Final = -10.0
"""Raw value of a class that had no row: with the others around 0, a chance of less than 1 in 20,000."""
_TRANSFORMS: dict[str, Transform] = {"Logloss": "sigmoid", "MultiClass": "softmax"}


class CatBoost:
    """A trained model."""

    family = "catboost"

    weights = 0

    def __init__(self, model: Any) -> None:
        self._model = model
        self.size = int(model.tree_count_)
        self.rounds = self.size
        self.leaves = int(sum(model.get_tree_leaf_counts()))
        self.transform: Transform = _TRANSFORMS.get(model.get_all_params()["loss_function"], "identity")

    def raw(self, features: NDArray[np.float32]) -> NDArray[np.float64]:
        """See `Model.raw`."""
        found = np.asarray(self._model.predict(features, prediction_type="RawFormulaVal", thread_count=1), dtype=np.float64)
        # CatBoost says minus infinity of a class that had no row.
        return np.where(np.isneginf(found), _UNSEEN, found) if found.ndim == 2 else found[:, None]

    def predict(self, features: NDArray[np.float32]) -> NDArray[np.float64]:
        """See `Model.predict`."""
        return transformed(self.raw(features), self.transform)

    def form(self) -> Trees:
        """See `Model.form`."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.json"
            self._model.save_model(str(path), format="json")
            dump: dict[str, Any] = json.loads(path.read_text())
        scale, bias = dump["scale_and_bias"]
        classes = dump["model_info"].get("class_params", {})
        outputs = max(len(bias), int(classes.get("classes_count", 0)))
        # The file knows the classes alone that had a row.
        present = [int(label) for label in classes["class_to_label"]] if outputs > len(bias) else list(range(outputs))
        base = np.full(outputs, _UNSEEN)
        base[present] = bias
        floats = dump["features_info"]["float_features"]
        flat = {f["feature_index"]: f["flat_feature_index"] for f in floats}
        as_true = {f["feature_index"]: f["nan_value_treatment"] == "AsTrue" for f in floats}
        trees = Trees(max(flat.values(), default=0) + 1, outputs, "BRANCH_GT", self.transform, base)
        for dumped in dump["oblivious_trees"] or ():
            tree = _tree(dumped, scale, len(bias), flat, as_true)
            if outputs > len(bias):
                values = np.zeros((len(tree.values), outputs))
                values[:, present] = tree.values
                tree.values = values
            trees.trees.append(tree)
        return trees

    def save(self, folder: Path) -> None:
        """See `Model.save`."""
        self._model.save_model(str(folder / _FILE))


def _tree(tree: dict[str, Any], scale: float, outputs: int, flat: dict[int, int], as_true: dict[int, bool]) -> Tree:
    """An oblivious tree as a full binary one: level i asks split i, and its answer is bit i of the leaf's number."""
    splits = tree["splits"] or []
    values = scale * np.asarray(tree["leaf_values"], dtype=np.float64)
    width = 2 ** np.arange(len(splits))
    indices = [split["float_feature_index"] for split in splits]
    # Borders are float32 printed in decimal, so rounding to the nearest gives them back.
    borders = np.array([split["border"] for split in splits], dtype=np.float32)
    path = np.arange(2 ** len(splits) - 1) - np.repeat(width - 1, width)
    below = np.repeat(2 * width - 1, width) + path
    false, true = below.copy(), below + np.repeat(width, width)
    if len(splits):
        last = slice(2 ** (len(splits) - 1) - 1, None)
        false[last], true[last] = -1 - path[last], -1 - (path[last] + width[-1])
    feature = np.repeat(np.array([flat[i] for i in indices], dtype=np.int64), width)
    missing = np.repeat(np.array([as_true[i] for i in indices], dtype=np.bool_), width)
    return Tree(feature, np.repeat(borders, width), true, false, missing, values.reshape(-1, outputs) if outputs > 1 else values)


class _Deadline:
    def __init__(self, deadline: float | None) -> None:
        self._deadline = deadline

    def after_iteration(self, _: Any) -> bool:
        """Whether to go on."""
        return self._deadline is None or time.monotonic() < self._deadline


def fit(data: TrainingData, settings: dict[str, Any], budget: Budget) -> CatBoost:
    """Train until the validation error stops falling, or the deadline, or the trees that the budget says."""
    loss = "RMSE" if data.task == "regression" else "Logloss" if data.classes == 2 else "MultiClass"
    if data.absolute:
        loss = "MAE"
    watched = budget.trees is None
    model = catboost.CatBoost(
        {
            "loss_function": loss,
            # Else there would be as many outputs as classes that have a row.
            **({"classes_count": data.classes} if data.classes > 2 else {}),
            "iterations": budget.trees or MOST_TREES,
            **({"od_type": "Iter", "od_wait": PATIENCE, "use_best_model": True} if watched else {}),
            "random_seed": budget.seed,
            "thread_count": budget.threads,
            "allow_writing_files": False,
            "logging_level": "Silent",
            "learning_rate": 0.08,
            **settings,
        }
    )
    train, watch = _pool(data.train), _pool(data.validation) if watched else None
    present = np.unique(data.train.target)
    lacking = data.classes > 2 and len(present) < data.classes
    if lacking and watched:  # It takes a class that it does not know for the first one that it does.
        watch = _pool(data.validation, np.isin(data.validation.target, present))
    # Its warning of such a class comes in the middle of a progress line.
    model.fit(train, eval_set=watch, callbacks=[_Deadline(budget.deadline)], log_cerr=io.StringIO() if lacking else None)
    return CatBoost(model)


def _pool(rows: Table, some: Any = slice(None)) -> Any:
    return catboost.Pool(rows.features[some], rows.target[some], weight=None if rows.weights is None else rows.weights[some])


def load(folder: Path) -> CatBoost:
    """What `CatBoost.save` wrote."""
    return CatBoost(catboost.CatBoost().load_model(str(folder / _FILE)))
