"""LightGBM: gradient boosting with leaf-wise trees (Ke et al. 2017)."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..imports import without
from ..trees import Trees, floor32
from . import Budget, TrainingData, two_columns

with without("sklearn", "pandas", "pyarrow", "dask", "matplotlib", "graphviz"):
    import lightgbm

_PATIENCE = 60
_MOST_TREES = 3_000


class LightGBM:
    """A trained booster."""

    family = "lightgbm"

    def __init__(self, booster: lightgbm.Booster) -> None:
        self._booster = booster
        self.size = booster.num_trees()

    def predict(self, features: NDArray[np.float32]) -> NDArray[np.float64]:
        """See `Model.predict`."""
        result = np.asarray(self._booster.predict(features, num_threads=1))
        return two_columns(result) if self._objective() == "binary" else result

    def _objective(self) -> str:
        return str(self._booster.dump_model(num_iteration=1)["objective"]).split()[0]

    def trees(self) -> Trees:
        """See `Model.trees`."""
        dump = self._booster.dump_model()
        outputs = int(dump["num_tree_per_iteration"])
        transform: Any = {"binary": "sigmoid", "multiclass": "softmax"}.get(self._objective(), "identity")
        trees = Trees(int(dump["max_feature_idx"]) + 1, outputs, "BRANCH_LEQ", transform, np.zeros(outputs))
        for position, info in enumerate(dump["tree_info"]):
            trees.begin_tree()
            _add(trees, info["tree_structure"], position % outputs)
        return trees

    def save(self, folder: Path) -> None:
        """See `Model.save`."""
        self._booster.save_model(str(folder / "lightgbm.txt"))


def _add(trees: Trees, root: dict[str, Any], output: int) -> None:
    """Walk a dumped tree without recursion: leaf-wise trees can be deep."""
    waiting, following = [(0, root)], 1
    while waiting:
        number, node = waiting.pop()
        if "leaf_value" in node:
            trees.add_leaf(number, {output: node["leaf_value"]})
            continue
        left, right = following, following + 1
        following += 2
        threshold = float(node["threshold"])
        missing_left = node["default_left"] if node["missing_type"] == "NaN" else threshold >= 0
        trees.add_split(number, node["split_feature"], floor32(threshold), left, right, missing_true=missing_left)
        waiting += [(left, node["left_child"]), (right, node["right_child"])]


def settings(random: np.random.Generator, metric: str, trial: int) -> dict[str, Any]:
    """Hyperparameters of a trial."""
    objective = {"objective": "regression_l1"} if metric in ("mae", "median_absolute_error") else {}
    if trial == 0:
        return {**objective, "learning_rate": 0.05, "num_leaves": 31, "min_data_in_leaf": 20, "feature_fraction": 0.8,
                "bagging_fraction": 0.8, "bagging_freq": 1, "lambda_l2": 1.0}  # fmt: skip
    return {
        **objective,
        "learning_rate": float(10 ** random.uniform(-1.7, -0.9)),
        "num_leaves": int(2 ** random.uniform(3, 7)),
        "min_data_in_leaf": int(2 ** random.uniform(2, 7)),
        "feature_fraction": float(random.uniform(0.4, 1)),
        "bagging_fraction": float(random.uniform(0.6, 1)),
        "bagging_freq": 1,
        "lambda_l2": float(10 ** random.uniform(-2, 1.5)),
        "extra_trees": bool(random.random() < 0.25),
    }


def fit(data: TrainingData, settings: dict[str, Any], budget: Budget) -> LightGBM:
    """Train until the validation error stops falling or the deadline."""
    objective = {"regression": "regression"}.get(data.task, "binary" if data.classes == 2 else "multiclass")
    parameters = {
        "objective": objective,
        "verbosity": -1,
        "num_threads": budget.threads,
        "seed": budget.seed,
        "deterministic": True,
        "force_row_wise": True,
        **({"num_class": data.classes} if data.classes > 2 else {}),
        **settings,
    }
    # A table smaller than the default minimum could not be split at all.
    parameters["min_data_in_leaf"] = min(parameters["min_data_in_leaf"], max(1, len(data.train.target) // 20))
    train = lightgbm.Dataset(data.train.features, data.train.target, free_raw_data=True)
    watch = lightgbm.Dataset(data.validation.features, data.validation.target, reference=train)
    best, best_at = float("inf"), 0

    def stop(env: Any) -> None:
        nonlocal best, best_at
        error = float(env.evaluation_result_list[0][2])
        if error < best:
            best, best_at = error, env.iteration
        late = budget.deadline is not None and time.monotonic() > budget.deadline
        if late or env.iteration - best_at >= _PATIENCE:
            raise lightgbm.callback.EarlyStopException(best_at, env.evaluation_result_list)

    booster = lightgbm.train(parameters, train, _MOST_TREES, valid_sets=[watch], callbacks=[stop])
    text = booster.model_to_string(num_iteration=best_at + 1)
    return LightGBM(lightgbm.Booster(model_str=text))


def load(folder: Path) -> LightGBM:
    """What `LightGBM.save` wrote."""
    return LightGBM(lightgbm.Booster(model_file=str(folder / "lightgbm.txt")))
