"""What models cost in an ONNX graph: milliseconds of one row, megabytes, and seconds of making it; put right by what is measured."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

from .families import Model

_TREE_US: Final = {"lightgbm": 0.08, "xgboost": 0.08, "catboost": 0.08, "extra_trees": 0.3}
"""Microseconds of a tree for one row, until it is measured. A tree that adds to every class takes `_WIDE_US`."""
_WIDE_US: Final = 0.25
_LEAF_US: Final = 7e-5
"""More of it for each of a tree's leaves: the further apart they lie, the less of them is in the processor's caches."""
_CACHED_MB: Final = 25.0
"""A graph of so many megabytes takes twice the time for each tree that a tiny one does, since the processor's caches do not hold it."""
_LAYERS_MS: Final = 0.015
"""Milliseconds of one row through a model of layers, and of each of its weights."""
_WEIGHT_MS: Final = 1e-7
_BASE_MS: Final = 0.01
"""Milliseconds of one row through a graph of nothing."""
_BASE_S: Final = 0.05
"""Seconds that making and measuring such a graph takes."""
_TREE_S: Final = 0.00015
"""Seconds that a tree takes to be exported and measured, until that is measured; a leaf takes more, and in a forest, which is written leaf by
leaf, most."""
_LEAF_S: Final = 1.2e-6
"""Seconds of a leaf of boosted trees."""
_FOREST_LEAF_S: Final = 3e-6
"""The same of a forest."""


class Costs:
    """Estimates for a machine that is not known until the first graph was made on it.

    Args:
        classes: of the problem; 0 for a regression.
    """

    def __init__(self, classes: int) -> None:
        self._classes = classes
        self._row = 1.0  # What this machine takes of the milliseconds that are expected,
        self._export = 1.0  # and of the seconds.

    @property
    def state(self) -> float:
        """Changes when estimates of milliseconds do."""
        return self._row

    def trees_ms(self, models: Sequence[Model]) -> float:
        """Milliseconds of one row through models of one family, if they were alone."""
        family = models[0].family
        if family not in _TREE_US:
            return (_LAYERS_MS * len(models) + _WEIGHT_MS * sum(m.weights for m in models)) * self._row
        each = _WIDE_US if family == "catboost" and self._classes > 2 else _TREE_US[family]
        return sum(m.size * each + m.leaves * _LEAF_US for m in models) / 1000 * self._row

    def megabytes(self, models: Sequence[Model]) -> float:
        """A leaf with its node takes 28 bytes, and 4 more for each class that it has a value of; a weight takes 4."""
        wide = 4 * self._classes if models[0].family in ("catboost", "extra_trees") and self._classes else 0
        return (sum(m.leaves for m in models) * (28 + wide) + 4 * sum(m.weights for m in models)) / 1e6

    def export_seconds(self, models: Sequence[Model]) -> float:
        """Of putting models, of any families, into a graph and measuring it."""
        expected = sum(m.size * _TREE_S + m.leaves * (_FOREST_LEAF_S if m.family == "extra_trees" else _LEAF_S) for m in models)
        return expected * self._export

    def learn(self, members: Collection[Sequence[Model]], row_ms: float, seconds: float) -> None:
        """Take what a graph of these took for what the next will take of what is expected, within reason."""
        expected = row_cost(sum(self.trees_ms(m) for m in members), sum(self.megabytes(m) for m in members))
        if expected > 3 * _BASE_MS:  # Else there is next to nothing in it.
            self._row *= min(max((row_ms - _BASE_MS) / (expected - _BASE_MS), 0.7), 2.0)
        export = self.export_seconds([model for some in members for model in some])
        self._export *= min(max(seconds / (_BASE_S + export), 0.7), 2.0)

    def raise_row(self, factor: float) -> None:
        """Rows take so many times longer than was expected."""
        self._row *= factor


def row_cost(milliseconds: float, megabytes: float) -> float:
    """Milliseconds of one row through a graph whose trees would take so many if they were alone."""
    return _BASE_MS + milliseconds * (1 + megabytes / _CACHED_MB)
