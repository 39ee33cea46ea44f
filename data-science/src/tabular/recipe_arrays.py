"""The recipe over NumPy: for requests, where a row must cost microseconds and the image must stay small."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .contract import Contract, Value
from .expressions import compile_arrays
from .recipe import Recipe


class ArrayRecipe:
    """A recipe compiled for repeated use on columns of typed values."""

    def __init__(self, recipe: Recipe, contract: Contract) -> None:
        numbers = recipe.numbers
        self.feature_names = recipe.feature_names
        self._texts = {c.name for c in contract.inputs if c.type == "category"}
        self._inputs = tuple(c.name for c in contract.inputs)
        self._numbers = [compile_arrays(n.source) for n in numbers]
        fills = np.array([np.nan if n.fill is None else n.fill for n in numbers])
        lower = np.array([-np.inf if n.lower is None else n.lower for n in numbers])
        upper = np.array([np.inf if n.upper is None else n.upper for n in numbers])
        self._fills, self._lower, self._upper = fills, lower, upper
        self._clips = bool(np.isfinite(lower).any() or np.isfinite(upper).any())
        self._most = np.array([n.most for n in numbers])
        self._shift = np.array([n.shift for n in numbers])
        self._scale = np.array([n.scale for n in numbers])
        self._scales = bool((self._shift != 0).any() or (self._scale != 1).any())
        self._indicators = np.array([i for i, n in enumerate(numbers) if n.indicator], dtype=np.intp)
        self._categories = [(compile_arrays(c.source), {**c.table, None: c.missing}, c.unseen, len(c.outputs)) for c in recipe.categories]

    def columns(self, rows: Sequence[Mapping[str, Value]]) -> dict[str, Any]:
        """Columns of typed rows: float64 arrays of shape (n,), NaN where missing; categories as lists."""
        columns: dict[str, Any] = {}
        for name in self._inputs:
            values = [row[name] for row in rows]
            columns[name] = values if name in self._texts else np.array(values, dtype=np.float64)
        return columns

    def apply(self, columns: Mapping[str, Any]) -> NDArray[np.float32]:
        """Features of typed columns.

        Args:
            columns: as `columns` gives them, for n rows.

        Returns:
            An array of shape (n, number of features), float32, C-contiguous.
        """
        length = len(columns[self._inputs[0]])
        features = np.empty((length, len(self.feature_names)), dtype=np.float32)
        count = len(self._numbers)
        if count:
            with np.errstate(all="ignore"):
                numbers = np.empty((length, count))
                for position, number in enumerate(self._numbers):
                    numbers[:, position] = number(columns)
                missing = ~(np.abs(numbers) <= self._most)
                if missing.any():
                    numbers = np.where(missing, self._fills, numbers)
                if self._clips:
                    numbers = np.minimum(np.maximum(numbers, self._lower), self._upper)
                if self._scales:
                    numbers = (numbers - self._shift) / self._scale
                features[:, :count] = numbers
                width = len(self._indicators)
                if width:
                    features[:, count : count + width] = missing[:, self._indicators]
                    count += width
        for level_of, table, unseen, width in self._categories:
            levels = level_of(columns)
            features[:, count : count + width] = [table.get(level, unseen) for level in levels]
            count += width
        return features
