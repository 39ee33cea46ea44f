"""The model families of the search, one file each. Each is imported only when it is used.

A family is a module with

- `fit(data, settings, budget) -> Model`: train on `data.train`, watch `data.validation`, stop at the deadline;
- `settings(random, metric, trial) -> dict`: the trial-th set of hyperparameters; trial 0 is a good default;
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
from ..trees import Trees

NAMES: Final = ("lightgbm", "catboost", "xgboost", "extra_trees", "random_forest")


@dataclass(frozen=True)
class Table:
    """Features of shape (n, features) float32 and target of shape (n,): the number, or the class index."""

    features: NDArray[np.float32]
    target: NDArray[np.float64]


@dataclass(frozen=True)
class TrainingData:
    """What a family trains on.

    Attributes:
        classes: number of classes; 0 for a regression.
        metric: of the project, that early stopping watches as closely as the family can.
    """

    task: Task
    classes: int
    metric: str
    train: Table
    validation: Table


@dataclass(frozen=True)
class Budget:
    """How long and how wide a fit may be. `deadline` is a `time.monotonic()` value; None for no limit."""

    deadline: float | None
    threads: int = 1
    seed: int = 0


class Model(Protocol):
    """A fitted native model."""

    family: str
    size: int
    """Number of trees."""

    def predict(self, features: NDArray[np.float32]) -> NDArray[np.float64]:
        """Predictions of shape (n,), or class probabilities of shape (n, classes)."""
        ...

    def trees(self) -> Trees:
        """The model's trees, for ONNX."""
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


def two_columns(positive: NDArray[Any]) -> NDArray[np.float64]:
    """Probabilities of both classes from those of the positive one."""
    p = np.asarray(positive, dtype=np.float64)
    return np.column_stack([1 - p, p])
