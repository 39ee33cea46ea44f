"""Errors by slice: the rows of one level, or of one range, of a column."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .contract import Contract
from .metrics import METRICS, as_error
from .project import Slice


@dataclass(frozen=True)
class SliceFigure:
    """One slice.

    Attributes:
        column, label: which rows, in words ("dep_delay", "30 to 120 min").
        rows: how many.
        value: the metric over them.
        ratio: its error relative to the error over all rows.
    """

    column: str
    label: str
    rows: int
    value: float
    ratio: float


def slice_figures(
    slices: tuple[Slice, ...],
    columns: dict[str, Any],
    contract: Contract,
    actual: NDArray[Any],
    predicted: NDArray[Any],
    metric: str,
) -> list[SliceFigure]:
    """The metric over every slice that has a row, in the order of project.yml."""
    overall = as_error(metric, METRICS[metric](actual, predicted))
    figures = []
    for item in slices:
        for label, mask in _masks(item, columns, contract):
            rows = int(mask.sum())
            if not rows:
                continue
            value = METRICS[metric](actual[mask], predicted[mask])
            error = as_error(metric, value)
            figures.append(SliceFigure(item.column, label, rows, value, error / overall if overall > 0 else 1.0))
    return figures


def _masks(item: Slice, columns: dict[str, Any], contract: Contract) -> list[tuple[str, NDArray[np.bool_]]]:
    column = contract.by_name.get(item.column)
    if column is None or item.column not in columns:
        return []  # project.yml has it, and the rows do not: a model made before it was added.
    values = columns[item.column]
    if column.type == "category":
        texts = np.array(["(missing)" if v is None else v for v in values], dtype=object)
        shown = column.level_set
        return [(shown.get(level, level), texts == level) for level in sorted(set(texts))]
    numbers = np.asarray(values, dtype=np.float64)
    if column.type == "boolean":
        return [("false", numbers == 0), ("true", numbers == 1), ("(missing)", np.isnan(numbers))]
    unit = f" {column.unit}" if column.unit else ""
    edges = [-np.inf, *item.edges, np.inf]
    found = []
    for low, high in pairwise(edges):
        if np.isinf(low):
            label = f"below {high:g}{unit}"
        elif np.isinf(high):
            label = f"{low:g}{unit} and more"
        else:
            label = f"{low:g} to {high:g}{unit}"
        found.append((label, (numbers >= low) & (numbers < high)))
    return [*found, ("(missing)", np.isnan(numbers))]
