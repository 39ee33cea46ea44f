"""The form of models without trees, a linear one or a small neural network, from which the ONNX graph is built.

A value is filled where missing, shifted and scaled, softly cut off (x / sqrt(1 + (x / 3)²), after Holzmüller et al. 2024); beside it
may stand how far it is through each of its bins, from 0 to 1 (the piecewise-linear encoding of Gorishniy et al. 2022). All of it goes
through dense layers with a rectifier between them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from .trees import Transform

_SOFT: Final = 3.0
LINEAR_BINS: Final = 1_000
"""Bins of all features that a linear model may have."""
NETWORK_BINS: Final = 320
"""The same of a network, whose first layer each of them makes wider."""
_EACH: Final = (16, 12, 8)
"""Bins of a feature: as many as all features can have; with fewer, which tell little, there are none."""
_BIN_VALUES: Final = 100_000_000
"""Values that the bins of all rows may have; 4 bytes each."""
_BLOCK: Final = 10_000
"""Rows that are encoded at once."""
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
        with np.errstate(over="ignore"):
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
class Bins:
    """Where values are in their feature's range, bin by bin: 0 below a bin, 1 above it, the share of it that is passed within.

    With them a layer can bend at each edge without having to find it.

    Attributes:
        fill: the lowest edge, which a missing value is taken for, shape (features,).
        columns: the feature of each bin; as the others, of shape (bins,).
        low: where each begins.
        scale: 1 / its width.
    """

    fill: Array
    columns: NDArray[np.int64]
    low: Array
    scale: Array

    def __call__(self, features: NDArray[np.float32]) -> Array:
        """Shape (rows, bins)."""
        filled = np.where(np.isnan(features), self.fill, features)
        with np.errstate(over="ignore"):
            return np.asarray(np.clip((filled[:, self.columns] - self.low) * self.scale, 0, 1), dtype=np.float32)


def batch_rows(rows: int) -> int:
    """Rows of a network's step: fewer of a small table, so that it takes enough steps."""
    return int(np.clip(2 ** round(np.log2(max(rows, 1) / 40)), 32, 256))


def fit_bins(features: NDArray[np.float32], most: int, rows: int) -> Bins | None:
    """Bins between quantiles of each column, or between all of its values if they are few; none for one of two values.

    Args:
        features: shape (n, features).
        most: bins of all columns; None is given if they had to be too wide.
        rows: of the whole table, if these are some of it: the model of a fold and that of all rows are to be of one kind.
    """
    columns = [np.unique(values[np.isfinite(values)]) for values in features.T]
    most = min(most, _BIN_VALUES // max(rows, 1))
    for each in _EACH:
        if sum(min(len(distinct) - 1, each) for distinct in columns if len(distinct) > 2) <= most:
            break
    else:
        return None
    fill = np.zeros(len(columns), dtype=np.float32)
    numbers: list[int] = []
    low: list[Array] = []
    scale: list[Array] = []
    for column, distinct in enumerate(columns):
        if len(distinct) < 3:
            continue
        edges = _edges(features[:, column], distinct, each)
        with np.errstate(over="ignore", divide="ignore"):
            inverse = np.clip(1 / np.diff(edges), 0, np.finfo(np.float32).max).astype(np.float32)
        told = inverse > 0  # Not a bin that is wider than any float32.
        fill[column] = edges[0]
        numbers += [column] * int(told.sum())
        low.append(edges[:-1][told])
        scale.append(inverse[told])
    return Bins(fill, np.array(numbers), np.concatenate(low), np.concatenate(scale)) if numbers else None


def _edges(values: NDArray[np.float32], distinct: NDArray[np.float32], each: int) -> Array:
    if len(distinct) <= each + 1:
        return distinct
    for of in (values[np.isfinite(values)], distinct):
        edges = np.unique(np.quantile(of.astype(np.float64), np.linspace(0, 1, each + 1)).astype(np.float32))
        if len(edges) > each // 2:  # Else most rows have one value, and the others are told apart by quantiles of their own.
            break
    return edges


def inputs(features: NDArray[np.float32], scaler: Scaler, bins: Bins | None) -> Array:
    """What the first layer sees: scaled features, then bins; shape (rows, features + bins)."""
    if bins is None:
        return scaler(features)
    found = np.empty((len(features), features.shape[1] + len(bins.columns)), dtype=np.float32)
    for start in range(0, len(features), _BLOCK):
        rows = slice(start, start + _BLOCK)
        found[rows, : features.shape[1]] = scaler(features[rows])
        found[rows, features.shape[1] :] = bins(features[rows])
    return found


@dataclass(frozen=True)
class Layers:
    """A scaler, perhaps bins, and dense layers.

    Attributes:
        weights: per layer (inputs, outputs) and (outputs,).
        transform: from the last layer's values to the prediction.
        limits: lowest and highest value of a regression: what training saw, so that a strange row gets no strange answer.
    """

    scaler: Scaler
    weights: tuple[tuple[Array, Array], ...]
    transform: Transform
    limits: tuple[float, float] | None = None
    bins: Bins | None = None

    @property
    def outputs(self) -> int:
        """Number of values of the last layer."""
        return len(self.weights[-1][1])

    def raw(self, features: NDArray[np.float32]) -> NDArray[np.float64]:
        """Values of the last layer, shape (n, outputs)."""
        values = inputs(features, self.scaler, self.bins)
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
            make("Div", [f"{name}_x", f"{name}_root"], [f"{name}_layer0" if self.bins is None else f"{name}_soft_cut"]),
        ]
        if self.bins is not None:
            constants.append(numpy_helper.from_array(self.bins.columns.astype(np.int64), f"{name}_columns"))
            nodes += [
                make("Where", [f"{name}_missing", constant("bins_fill", self.bins.fill), "features"], [f"{name}_known"]),
                make("Gather", [f"{name}_known", f"{name}_columns"], [f"{name}_each"], axis=1),
                make("Sub", [f"{name}_each", constant("bins_low", self.bins.low)], [f"{name}_above"]),
                make("Mul", [f"{name}_above", constant("bins_scale", self.bins.scale)], [f"{name}_passed"]),
                make("Clip", [f"{name}_passed", constant("none", 0.0), constant("all", 1.0)], [f"{name}_bins"]),
                make("Concat", [f"{name}_soft_cut", f"{name}_bins"], [f"{name}_layer0"], axis=1),
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
        bins = self.bins
        if bins is not None:
            scaler |= {"bins_fill": bins.fill, "columns": bins.columns, "low": bins.low, "inverse": bins.scale}
        limits = np.array(self.limits if self.limits is not None else (-np.inf, np.inf))
        np.savez(file, transform=np.array(self.transform), limits=limits, **scaler, **flat)


def load_layers(file: Any) -> Layers:
    """What `Layers.save` wrote."""
    with np.load(file, allow_pickle=False) as kept:
        count = sum(1 for name in kept.files if name.startswith("w"))
        bins = Bins(kept["bins_fill"], kept["columns"], kept["low"], kept["inverse"]) if "columns" in kept.files else None
        weights = tuple((kept[f"w{n}"], kept[f"b{n}"]) for n in range(count))
        transform: Any = str(kept["transform"])
        low, high = kept["limits"].tolist()
        limits = None if low == -np.inf else (low, high)
        return Layers(Scaler(kept["fill"], kept["shift"], kept["scale"]), weights, transform, limits, bins)
