"""CatBoost: gradient boosting with oblivious trees (Prokhorenkova et al. 2018). Categories come encoded from the recipe."""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path
from typing import Any

import catboost
import numpy as np
from numpy.typing import NDArray

from ..trees import Trees
from . import Budget, TrainingData, two_columns

_PATIENCE = 60
_MOST_TREES = 3_000
_FILE = "catboost.cbm"


class CatBoost:
    """A trained model."""

    family = "catboost"

    def __init__(self, model: Any) -> None:
        self._model = model
        self.size = int(model.tree_count_)

    def _dump(self) -> dict[str, Any]:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.json"
            self._model.save_model(str(path), format="json")
            dump: dict[str, Any] = json.loads(path.read_text())
        return dump

    def predict(self, features: NDArray[np.float32]) -> NDArray[np.float64]:
        """See `Model.predict`."""
        raw = np.asarray(self._model.predict(features, prediction_type="RawFormulaVal", thread_count=1), dtype=np.float64)
        loss = self._model.get_all_params()["loss_function"]
        if loss == "Logloss":
            return two_columns(1 / (1 + np.exp(-raw)))
        if loss == "MultiClass":
            shifted = np.exp(raw - raw.max(axis=1, keepdims=True))
            return np.asarray(shifted / shifted.sum(axis=1, keepdims=True))
        return raw

    def trees(self) -> Trees:
        """See `Model.trees`."""
        dump = self._dump()
        scale, bias = dump["scale_and_bias"]
        base = np.asarray(bias, dtype=np.float64)
        loss = self._model.get_all_params()["loss_function"]
        transform: Any = {"Logloss": "sigmoid", "MultiClass": "softmax"}.get(loss, "identity")
        floats = dump["features_info"]["float_features"]
        index = {f["feature_index"]: f["flat_feature_index"] for f in floats}
        as_true = {f["feature_index"]: f["nan_value_treatment"] == "AsTrue" for f in floats}
        trees = Trees(max(index.values(), default=0) + 1, len(base), "BRANCH_GT", transform, base)
        for tree in dump["oblivious_trees"] or ():
            trees.begin_tree()
            _add(trees, tree, scale, len(base), index, as_true)
        return trees

    def save(self, folder: Path) -> None:
        """See `Model.save`."""
        self._model.save_model(str(folder / _FILE))


def _add(trees: Trees, tree: dict[str, Any], scale: float, outputs: int, index: dict[int, int], as_true: dict[int, bool]) -> None:
    """An oblivious tree as a full binary one: level i asks split i, and its answer is bit i of the leaf's number."""
    splits, values = tree["splits"] or [], tree["leaf_values"]
    depth = len(splits)
    for level in range(depth):
        split = splits[level]
        feature = split["float_feature_index"]
        for path in range(2**level):
            node = 2**level - 1 + path
            false, true = 2 ** (level + 1) - 1 + path, 2 ** (level + 1) - 1 + path + 2**level
            # Borders are float32 printed in decimal, so rounding to the nearest gives them back.
            border = float(np.float32(split["border"]))
            trees.add_split(node, index[feature], border, true, false, missing_true=as_true[feature])
    for leaf in range(2**depth):
        trees.add_leaf(2**depth - 1 + leaf, {k: scale * values[leaf * outputs + k] for k in range(outputs)})


def settings(random: np.random.Generator, metric: str, trial: int) -> dict[str, Any]:
    """Hyperparameters of a trial."""
    loss = {"loss_function": "MAE"} if metric in ("mae", "median_absolute_error") else {}
    if trial == 0:
        return {**loss, "learning_rate": 0.08, "depth": 6, "l2_leaf_reg": 3.0}
    return {
        **loss,
        "learning_rate": float(10 ** random.uniform(-1.6, -0.8)),
        "depth": int(random.integers(4, 9)),
        "l2_leaf_reg": float(10 ** random.uniform(0, 1.3)),
        "random_strength": float(10 ** random.uniform(-1, 0.7)),
        "rsm": float(random.uniform(0.4, 1)),
    }


class _Deadline:
    def __init__(self, deadline: float | None) -> None:
        self._deadline = deadline

    def after_iteration(self, _: Any) -> bool:
        """Whether to go on."""
        return self._deadline is None or time.monotonic() < self._deadline


def fit(data: TrainingData, settings: dict[str, Any], budget: Budget) -> CatBoost:
    """Train until the validation error stops falling or the deadline."""
    loss = "RMSE" if data.task == "regression" else "Logloss" if data.classes == 2 else "MultiClass"
    model = catboost.CatBoost(
        {
            "loss_function": loss,
            "iterations": _MOST_TREES,
            "od_type": "Iter",
            "od_wait": _PATIENCE,
            "use_best_model": True,
            "random_seed": budget.seed,
            "thread_count": budget.threads,
            "allow_writing_files": False,
            "logging_level": "Silent",
            **settings,
        }
    )
    watch = catboost.Pool(data.validation.features, data.validation.target)
    model.fit(catboost.Pool(data.train.features, data.train.target), eval_set=watch, callbacks=[_Deadline(budget.deadline)])
    return CatBoost(model)


def load(folder: Path) -> CatBoost:
    """What `CatBoost.save` wrote."""
    return CatBoost(catboost.CatBoost().load_model(str(folder / _FILE)))
