"""The model families of the search, one file each. Each is imported only when it is used.

A family is a module with

- `fit(data, settings, budget) -> Model`: train on `data.train`, watch `data.validation`, stop at the deadline;
- `load(folder) -> Model`: what `Model.save` wrote.
"""

from __future__ import annotations

import importlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from ..contract import Task
from ..layers import Layers
from ..trees import Transform, Trees

NAMES: Final = ("lightgbm", "catboost", "xgboost", "extra_trees", "random_forest", "linear", "neural")
PATIENCE: Final = 60
"""Iterations of boosting without a smaller error on the watched rows after which it ends."""
MOST_TREES: Final = 3_000
PASSES: Final = 200
"""Passes over the rows that a logistic regression makes at most."""


@dataclass(frozen=True)
class Table:
    """Features of shape (n, features) float32 and target of shape (n,): the number, or the class index."""

    features: NDArray[np.float32]
    target: NDArray[np.float64]
    weights: NDArray[np.float64] | None = None
    """Of the rows, shape (n,); None: all alike."""


@dataclass(frozen=True)
class TrainingData:
    """What a family trains on.

    Attributes:
        classes: number of classes; 0 for a regression.
        metric: of the project. Early stopping watches the absolute error if that is what is asked for, else the squared error or log loss.
        categorical: columns of the features that are the number of a category's level; the families that know categories part them freely.
    """

    task: Task
    classes: int
    metric: str
    train: Table
    validation: Table
    categorical: tuple[int, ...] = ()

    @property
    def absolute(self) -> bool:
        """Whether the absolute error is what is made small."""
        return self.metric in ("mae", "median_absolute_error")


@dataclass(frozen=True)
class Budget:
    """How long and how wide a fit may be.

    Attributes:
        deadline: a `time.monotonic()` value; None for no limit.
        trees: exactly so many (or epochs), with nobody watching the validation rows; None: until these say enough.
    """

    deadline: float | None
    threads: int = 1
    seed: int = 0
    trees: int | None = None

    def rows(self, data: TrainingData) -> int:
        """Of the table: those of a fold and those that watch, or all of them in a fit that nobody watches."""
        return len(data.train.target) + (len(data.validation.target) if self.trees is None else 0)


class Model(Protocol):
    """A fitted native model."""

    family: str
    size: int
    """Number of trees (or epochs)."""
    leaves: int
    """Of all trees; 0 for a model of layers."""
    weights: int
    """Of all layers; 0 for trees."""
    rounds: int
    """What `Budget.trees` has to be for a model of this size: iterations of boosting, trees of a forest, epochs; passes of a linear model, all if it was not cut off."""
    transform: Transform
    """From `raw` to `predict`."""

    def raw(self, features: NDArray[np.float32]) -> NDArray[np.float64]:
        """What the model sums up, of shape (n, outputs): the value, the log odds, or a score per class."""
        ...

    def predict(self, features: NDArray[np.float32]) -> NDArray[np.float64]:
        """Predictions of shape (n,), or class probabilities of shape (n, classes)."""
        ...

    def form(self) -> Trees | Layers:
        """The model for ONNX: its trees, or the layers of one that has none."""
        ...

    def save(self, folder: Path) -> None:
        """Write the native model; no pickle."""
        ...


def module(name: str) -> Any:
    """The module of a family."""
    if name not in NAMES:
        raise ValueError(f"there is no model family {name!r}; there are {', '.join(NAMES)}")
    return importlib.import_module(f"{__name__}.{name}")


def load(folder: Path) -> Model:
    """The native model of a folder that a trainer wrote."""
    facts = json.loads((folder / "native.json").read_text())
    model: Model = module(facts["family"]).load(folder)
    return model


def save(model: Model, folder: Path) -> None:
    """Write a native model and what is needed to load it again."""
    folder.mkdir(parents=True, exist_ok=True)
    model.save(folder)
    (folder / "native.json").write_text(json.dumps({"family": model.family, "trees": model.size}) + "\n")


def forest_trees(rows: int) -> int:
    """Trees of one forest of several: more where there are few rows, and a tree tells little."""
    return min(max(150_000 // max(rows, 1), 60), 150)


def linear_seconds(rows: int, inputs: int, classes: int) -> float:
    """What a linear model takes at most, roughly: all passes for every class, many of which go faster together; a regression takes the inputs' products."""
    if not classes:
        return rows * inputs**2 / 1e10
    return rows * inputs * PASSES * classes / max(3e9, 1.3e10 * classes / (classes + 20))


def transformed(raw: NDArray[np.float64], transform: Transform) -> NDArray[np.float64]:
    """Predictions of raw values of shape (n, outputs): (n,) of a regression, else (n, classes) probabilities."""
    if transform == "identity":
        return raw[:, 0]
    if transform == "sigmoid":
        with np.errstate(over="ignore"):  # exp of a large number is infinity, and 1 over it the right 0.
            positive = 1 / (1 + np.exp(-raw[:, 0]))
        return np.column_stack([1 - positive, positive])
    if transform == "softmax":
        shifted = np.exp(raw - raw.max(axis=1, keepdims=True))
        return np.asarray(shifted / shifted.sum(axis=1, keepdims=True))
    return raw
