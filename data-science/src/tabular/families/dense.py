"""What linear and neural models share: layers, saved without a pickle."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..layers import Layers, load_layers
from ..trees import Transform
from . import transformed

_FILE = "layers.npz"


class Dense:
    """A trained model of layers."""

    def __init__(self, layers: Layers, family: str, size: int, rounds: int | None = None) -> None:
        self._layers = layers
        self.family = family
        self.size = size
        self.leaves = 0
        self.weights = sum(weight.size for weight, _ in layers.weights)
        self.rounds = self.size if rounds is None else rounds
        self.transform: Transform = layers.transform

    def raw(self, features: NDArray[np.float32]) -> NDArray[np.float64]:
        """See `Model.raw`."""
        return self._layers.raw(features)

    def predict(self, features: NDArray[np.float32]) -> NDArray[np.float64]:
        """See `Model.predict`."""
        return transformed(self.raw(features), self.transform)

    def form(self) -> Layers:
        """See `Model.form`."""
        return self._layers

    def save(self, folder: Path) -> None:
        """See `Model.save`."""
        self._layers.save(folder / _FILE)
        (folder / "size.txt").write_text(f"{self.size}\n")


def load(folder: Path, family: str) -> Dense:
    """What `Dense.save` wrote."""
    return Dense(load_layers(folder / _FILE), family, int((folder / "size.txt").read_text()))
