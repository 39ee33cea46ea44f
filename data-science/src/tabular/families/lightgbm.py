"""LightGBM: gradient boosting with leaf-wise trees (Ke et al. 2017)."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..imports import without
from ..trees import Transform, Tree, Trees, floor32
from . import MOST_TREES, PATIENCE, Budget, TrainingData, transformed

with without("sklearn", "pandas", "pyarrow", "dask", "matplotlib", "graphviz"):
    import lightgbm

_TRANSFORMS: dict[str, Transform] = {"binary": "sigmoid", "multiclass": "softmax"}
_CATEGORICAL, _DEFAULT_LEFT, _MISSING_NAN = 1, 2, 8  # Bits of `decision_type`.


class LightGBM:
    """A trained booster."""

    family = "lightgbm"

    weights = 0

    def __init__(self, booster: lightgbm.Booster) -> None:
        self._booster = booster
        self.size = booster.num_trees()
        self.rounds = self.size // booster.num_model_per_iteration()
        self._text = booster.model_to_string()
        self.leaves = sum(int(line[11:]) for line in self._text.splitlines() if line.startswith("num_leaves="))
        objective = next((line for line in self._text.splitlines() if line.startswith("objective=")), "objective=regression")
        self.transform: Transform = _TRANSFORMS.get(objective.split("=", 1)[1].split()[0], "identity")

    def raw(self, features: NDArray[np.float32]) -> NDArray[np.float64]:
        """See `Model.raw`."""
        found = np.asarray(self._booster.predict(features, num_threads=1, raw_score=True), dtype=np.float64)
        return found if found.ndim == 2 else found[:, None]

    def predict(self, features: NDArray[np.float32]) -> NDArray[np.float64]:
        """See `Model.predict`."""
        return transformed(self.raw(features), self.transform)

    def form(self) -> Trees:
        """See `Model.form`."""
        head, *parts = self._text.split("\nTree=")
        facts = dict(line.split("=", 1) for line in head.splitlines() if "=" in line)
        outputs = int(facts["num_tree_per_iteration"])
        trees = Trees(int(facts["max_feature_idx"]) + 1, outputs, "BRANCH_LEQ", self.transform, np.zeros(outputs))
        for position, part in enumerate(parts):
            trees.trees.append(_tree(part, position % outputs))
        return trees

    def save(self, folder: Path) -> None:
        """See `Model.save`."""
        (folder / "lightgbm.txt").write_text(self._text)


def _tree(text: str, output: int) -> Tree:
    """A tree of the model's text. A child below 0 is a leaf there, as in `Tree`."""
    lines = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)

    def numbers(name: str, kind: Any) -> NDArray[Any]:
        return np.array(lines.get(name, "").split(), dtype=np.float64).astype(kind)

    threshold, decision = numbers("threshold", np.float64), numbers("decision_type", np.int64)
    # Where training saw no missing value, one counts as 0.
    left = np.where(decision & 12 == _MISSING_NAN, decision & _DEFAULT_LEFT > 0, threshold >= 0)
    true, false = numbers("left_child", np.int64), numbers("right_child", np.int64)
    # A missing or negative number is in no set.
    sets = np.flatnonzero(decision & _CATEGORICAL)
    left[sets] = False
    levels = {}
    if len(sets):
        words, starts = numbers("cat_threshold", np.uint32), numbers("cat_boundaries", np.int64)
        for node in sets:
            which = int(threshold[node])
            bits = words[starts[which] : starts[which + 1]].tolist()
            levels[int(node)] = [32 * word + bit for word, mask in enumerate(bits) for bit in range(32) if mask >> bit & 1]
    split, value = numbers("split_feature", np.int64), numbers("leaf_value", np.float64)
    return Tree(split, floor32(threshold), true, false, left, value, output, levels)


def fit(data: TrainingData, settings: dict[str, Any], budget: Budget) -> LightGBM:
    """Train until the validation error stops falling, or the deadline, or the trees that the budget says."""
    objective = {"regression": "regression"}.get(data.task, "binary" if data.classes == 2 else "multiclass")
    if data.absolute:
        objective = "regression_l1"
    parameters = {
        "objective": objective,
        "verbosity": -1,
        "num_threads": budget.threads,
        "seed": budget.seed,
        "deterministic": True,
        "force_row_wise": True,
        "learning_rate": 0.05,
        "min_data_in_leaf": 20,
        **({"num_class": data.classes} if data.classes > 2 else {}),
        **settings,
    }
    # A table smaller than the default minimum could not be split at all.
    parameters["min_data_in_leaf"] = min(parameters["min_data_in_leaf"], max(1, len(data.train.target) // 20))
    train = lightgbm.Dataset(
        data.train.features, data.train.target, weight=data.train.weights, categorical_feature=list(data.categorical), free_raw_data=True
    )
    watched = data.validation if budget.trees is None else None
    best, best_at = float("inf"), 0

    def stop(env: Any) -> None:
        nonlocal best, best_at
        if watched is None:
            best_at = env.iteration
        else:
            error = float(env.evaluation_result_list[0][2])
            if error < best:
                best, best_at = error, env.iteration
        late = budget.deadline is not None and time.monotonic() > budget.deadline
        if late or env.iteration - best_at >= PATIENCE:
            raise lightgbm.callback.EarlyStopException(best_at, env.evaluation_result_list)

    sets = []
    if watched is not None:
        sets = [lightgbm.Dataset(watched.features, watched.target, weight=watched.weights, reference=train)]
    booster = lightgbm.train(parameters, train, budget.trees or MOST_TREES, valid_sets=sets, callbacks=[stop])
    text = booster.model_to_string(num_iteration=best_at + 1)
    return LightGBM(lightgbm.Booster(model_str=text))


def load(folder: Path) -> LightGBM:
    """What `LightGBM.save` wrote."""
    return LightGBM(lightgbm.Booster(model_file=str(folder / "lightgbm.txt")))
