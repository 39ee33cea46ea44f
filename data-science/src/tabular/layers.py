"""The form of models without trees, a linear one or a small neural network, from which the ONNX graph is built.

A value is filled where missing, shifted and scaled, softly cut off (x / sqrt(1 + (x / 3)²), after Holzmüller et al. 2024), and goes through
dense layers with a rectifier between them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from .trees import Transform

_SOFT: Final = 3.0
Array = NDArray[np.float32]


@dataclass(frozen=True)
class Scaler:
    """What is done with the features first; every array has shape (features,)."""

    fill: Array
    shift: Array
    scale: Array

    def __call__(self, features: NDArray[np.float32]) -> Array:
        """Scaled features, of the same shape."""
        # Infinity has no place in a product: it is the largest float32, which the soft cut brings to 3.
        filled = np.nan_to_num(np.where(np.isnan(features), self.fill, features))
        scaled = np.clip((filled - self.shift) * self.scale, -1e6, 1e6)
        return np.asarray(scaled / np.sqrt(1 + (scaled / np.float32(_SOFT)) ** 2), dtype=np.float32)


def fit_scaler(features: NDArray[np.float32]) -> Scaler:
    """Median and quartiles of the columns; a column with less than two values between them is scaled by its range."""
    finite = np.where(np.isfinite(features), features, np.nan)
    empty = np.isnan(finite).all(axis=0)
    finite[:, empty] = 0
    low, middle, high = (np.asarray(q, dtype=np.float32) for q in np.nanquantile(finite, [0.25, 0.5, 0.75], axis=0))
    spread = (high - low) / np.float32(1.349)
    width = np.nanmax(finite, axis=0) - np.nanmin(finite, axis=0)
    spread = np.where(spread > 0, spread, width / 2)
    with np.errstate(divide="ignore"):
        scale = np.where(spread > 0, 1 / spread, 0).astype(np.float32)
    return Scaler(middle, middle, np.nan_to_num(scale))


@dataclass(frozen=True)
class Layers:
    """A scaler and dense layers.

    Attributes:
        weights: per layer (inputs, outputs) and (outputs,).
        transform: from the last layer's values to the prediction.
        limits: lowest and highest value of a regression: what training saw, so that a strange row gets no strange answer.
    """

    scaler: Scaler
    weights: tuple[tuple[Array, Array], ...]
    transform: Transform
    limits: tuple[float, float] | None = None

    @property
    def outputs(self) -> int:
        """Number of values of the last layer."""
        return len(self.weights[-1][1])

    def raw(self, features: NDArray[np.float32]) -> NDArray[np.float64]:
        """Values of the last layer, shape (n, outputs)."""
        values = self.scaler(features)
        for number, (weight, bias) in enumerate(self.weights):
            values = values @ weight + bias
            if number < len(self.weights) - 1:
                values = np.maximum(values, 0)
        return np.asarray(values if self.limits is None else np.clip(values, *self.limits), dtype=np.float64)

    def nodes(self, name: str) -> tuple[list[Any], list[Any]]:
        """Operators that give `name`, and their constants."""
        from onnx import helper, numpy_helper

        constants: list[Any] = []

        def constant(suffix: str, values: Any) -> str:
            constants.append(numpy_helper.from_array(np.asarray(values, dtype=np.float32), f"{name}_{suffix}"))
            return f"{name}_{suffix}"

        largest = float(np.finfo(np.float32).max)
        make = helper.make_node
        nodes = [
            make("IsNaN", ["features"], [f"{name}_missing"]),
            make("Where", [f"{name}_missing", constant("fill", self.scaler.fill), "features"], [f"{name}_filled"]),
            make("Clip", [f"{name}_filled", constant("lowest", -largest), constant("largest", largest)], [f"{name}_finite"]),
            make("Sub", [f"{name}_finite", constant("shift", self.scaler.shift)], [f"{name}_shifted"]),
            make("Mul", [f"{name}_shifted", constant("scale", self.scaler.scale)], [f"{name}_scaled"]),
            make("Clip", [f"{name}_scaled", constant("low", -1e6), constant("high", 1e6)], [f"{name}_x"]),
            make("Div", [f"{name}_x", constant("soft", _SOFT)], [f"{name}_part"]),
            make("Mul", [f"{name}_part", f"{name}_part"], [f"{name}_square"]),
            make("Add", [f"{name}_square", constant("one", 1.0)], [f"{name}_more"]),
            make("Sqrt", [f"{name}_more"], [f"{name}_root"]),
            make("Div", [f"{name}_x", f"{name}_root"], [f"{name}_layer0"]),
        ]
        last = len(self.weights) - 1
        for number, (weight, bias) in enumerate(self.weights):
            words = [f"{name}_layer{number}", constant(f"weight{number}", weight), constant(f"bias{number}", bias)]
            nodes.append(make("Gemm", words, [f"{name}_sums{number}"]))
            if number < last:
                nodes.append(make("Relu", [f"{name}_sums{number}"], [f"{name}_layer{number + 1}"]))
        low, high = self.limits or (-largest, largest)
        nodes.append(make("Clip", [f"{name}_sums{last}", constant("least", low), constant("most", high)], [name]))
        return nodes, constants

    def save(self, file: Any) -> None:
        """Write as NumPy's own archive, which is no pickle."""
        flat: dict[str, Any] = {
            f"{kind}{number}": values for number, pair in enumerate(self.weights) for kind, values in zip("wb", pair, strict=True)
        }
        scaler: dict[str, Any] = {"fill": self.scaler.fill, "shift": self.scaler.shift, "scale": self.scaler.scale}
        limits = np.array(self.limits if self.limits is not None else (-np.inf, np.inf))
        np.savez(file, transform=np.array(self.transform), limits=limits, **scaler, **flat)


def load_layers(file: Any) -> Layers:
    """What `Layers.save` wrote."""
    with np.load(file, allow_pickle=False) as kept:
        count = sum(1 for name in kept.files if name.startswith("w"))
        weights = tuple((kept[f"w{n}"], kept[f"b{n}"]) for n in range(count))
        transform: Any = str(kept["transform"])
        low, high = kept["limits"].tolist()
        limits = None if low == -np.inf else (low, high)
        return Layers(Scaler(kept["fill"], kept["shift"], kept["scale"]), weights, transform, limits)
