"""How a column's values are distributed in training, and how far other data have moved from that."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

BINS: Final = 10
TOP_LEVELS: Final = 30
_FLOOR: Final = 1e-4
"""Smallest share of a bin, so that an empty one gives a large index and not an infinite one."""


@dataclass(frozen=True)
class ColumnProfile:
    """Distribution of one column over the training rows.

    Attributes:
        rows: how many rows there were.
        missing: share of them without a value, 0 to 1.
        edges: of a number: inner edges of the bins, rising, in the column's unit.
        shares: share of the rows with a value per bin; of a category: per level, `levels` in the same order.
        levels: of a category: its most frequent levels; the rest are pooled in a last share.
        statistics: of a number: min, mean, std, median, max.
    """

    rows: int
    missing: float
    edges: tuple[float, ...] = ()
    shares: tuple[float, ...] = ()
    levels: tuple[str, ...] = ()
    statistics: dict[str, float] = field(default_factory=dict)


def number_profile(values: NDArray[np.float64], rows: int) -> ColumnProfile:
    """Profile of a number's present values, of shape (present,)."""
    missing = 1 - len(values) / rows if rows else 0.0
    if not len(values):
        return ColumnProfile(rows, missing)
    edges = np.unique(np.quantile(values, np.linspace(0, 1, BINS + 1)[1:-1]))
    shares = _bin_shares(values, edges)
    statistics = {
        "min": np.min(values),
        "mean": values.mean(),
        "std": values.std(),
        "median": np.median(values),
        "max": np.max(values),
    }
    return ColumnProfile(
        rows,
        missing,
        tuple(float(e) for e in edges),
        tuple(float(s) for s in shares),
        statistics={k: float(v) for k, v in statistics.items()},
    )


def _bin_shares(values: NDArray[np.float64], edges: NDArray[np.float64]) -> NDArray[np.float64]:
    counts = np.bincount(np.searchsorted(edges, values, side="left"), minlength=len(edges) + 1)
    return np.asarray(counts / max(len(values), 1))


def category_profile(counts: Mapping[str, float], rows: int) -> ColumnProfile:
    """Profile of a category from its level counts, most frequent first."""
    present = sum(counts.values())
    levels = tuple(list(counts)[:TOP_LEVELS])
    shares = [counts[level] / present for level in levels] if present else []
    rest = 1 - sum(shares) if present else 0.0
    return ColumnProfile(rows, 1 - present / rows if rows else 0.0, shares=(*shares, max(rest, 0.0)), levels=levels)


def stability(reference: ColumnProfile, current: ColumnProfile | NDArray[np.float64] | Mapping[str, float], rows: int) -> float:
    """Population stability index of a column against training; 0 is no change, over 0.25 is commonly called a shift.

    Args:
        reference: of the training rows.
        current: present values of a number, or level counts of a category.
        rows: number of current rows, missing ones included.

    Returns:
        Sum over bins of (p - q) ln(p / q), missing values being a bin of their own. Never negative.
    """
    if isinstance(current, Mapping):
        present = sum(current.values())
        shares = [current.get(level, 0) / present if present else 0.0 for level in reference.levels]
        shares.append(max(0.0, 1 - sum(shares)) if present else 0.0)
    elif isinstance(current, ColumnProfile):
        present, shares = current.rows * (1 - current.missing), list(current.shares)
    else:
        present = len(current)
        shares = list(_bin_shares(current, np.asarray(reference.edges))) if reference.shares else []
    now_missing = 1 - present / rows if rows else 0.0
    p = np.array([*(s * (1 - reference.missing) for s in reference.shares), reference.missing])
    q = np.array([*(s * (1 - now_missing) for s in shares), now_missing])
    p, q = np.maximum(p, _FLOOR), np.maximum(q, _FLOOR)
    return float(((p - q) * np.log(p / q)).sum())


def write_profile(profile: Mapping[str, ColumnProfile], path: Path) -> None:
    """Write a profile as JSON."""
    path.write_text(json.dumps({name: asdict(p) for name, p in profile.items()}, indent=1, allow_nan=False) + "\n")


def read_profile(path: Path) -> dict[str, ColumnProfile]:
    """The profile that `write_profile` wrote."""
    data: dict[str, dict[str, Any]] = json.loads(path.read_text())
    lists = ("edges", "shares", "levels")
    return {n: ColumnProfile(**{**p, **{key: tuple(p[key]) for key in lists}}) for n, p in data.items()}
