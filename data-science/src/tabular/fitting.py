"""Fits a recipe, and the profile that later data are compared with, on the training rows and on nothing else."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final

import narwhals as nw
import numpy as np
from numpy.typing import NDArray

from .contract import Contract, normalise
from .errors import ProjectError
from .expression_frames import with_expressions
from .expressions import Expression, column
from .profile import ColumnProfile, category_profile, number_profile
from .project import Project
from .recipe import CODE, LARGEST, MAX_CODES, CategoryFeature, NumberFeature, Recipe
from .recipe_frames import FoldTables

MAX_LEVELS: Final = 10_000
"""Levels of a category that get a value of their own; rarer ones count as unseen."""
Table = dict[str, tuple[float, ...]]
_TOGETHER: Final = 4
"""Columns of training rows held in memory at once."""


@dataclass
class Fitted:
    """What fitting gives.

    Attributes:
        recipe: for every row.
        folds: out-of-fold tables, for the training rows alone; never stored.
        profile: column → how its training values were distributed.
        dropped: feature → why it was left out (constant, or all missing).
    """

    recipe: Recipe
    folds: FoldTables
    profile: dict[str, ColumnProfile]
    dropped: dict[str, str] = field(default_factory=dict)


def fit(train: nw.LazyFrame[Any], project: Project, derived: dict[str, Expression], *, fold: nw.Expr, rows: int, sha256: str) -> Fitted:
    """Fit the recipe.

    Args:
        train: typed training rows, the target included; nothing else may be in it.
        project: what to do.
        derived: column → expression, from `recording.record`.
        fold: integer expression with each row's fold, 0 … folds - 1.
        rows: number of training rows.
        sha256: of the raw data, for the record.
    """
    contract = project.contract
    kinds: dict[str, Any] = {"category": "category", "datetime": "datetime"}
    sources = {c.name: column(c.name, kinds.get(c.type, "number")) for c in contract.inputs}
    sources |= derived
    profile: dict[str, ColumnProfile] = {}
    dropped: dict[str, str] = {}
    numbers: list[NumberFeature] = []
    plain = {n: e for n, e in sources.items() if e.kind == "number"}
    names = list(plain)
    for start in range(0, len(names), _TOGETHER):
        block = names[start : start + _TOGETHER]
        sources_frame, expressions = with_expressions(train, [plain[n].to_json() for n in block], contract)
        frame = sources_frame.select(*(e.alias(n) for e, n in zip(expressions, block, strict=True))).collect()
        for name in block:
            values = frame[name].to_numpy().astype(np.float64, copy=False)
            values = values[np.isfinite(values)]
            if name in contract.by_name:
                profile[name] = number_profile(values, rows)
            number = _fit_number(name, plain[name], values[np.abs(values) <= LARGEST], rows, project)
            if isinstance(number, str):
                dropped[name] = number
            else:
                numbers.append(number)
    categories: list[CategoryFeature] = []
    folds: FoldTables = {}
    scores = _scores(contract)
    for name, expression in sources.items():
        if expression.kind != "category":
            continue
        levels_frame, (level,) = with_expressions(train, [expression.to_json()], contract)
        counts = _count_levels(levels_frame, level, fold, scores, project.encodings.folds)
        if name in contract.by_name:
            profile[name] = category_profile({k: float(v[:, 0].sum()) for k, v in counts.items() if k is not None}, rows)
        known = [k for k in counts if k is not None]
        if not known:
            dropped[name] = "all values are missing"
            continue
        if len(known) == 1 and None not in counts:
            dropped[name] = f"only one level, {known[0]!r}"
            continue
        for method in _methods(name, len(known), project):
            category, tables = _fit_category(name, expression, counts, project, method)
            categories.append(category)
            if tables:
                folds[category.outputs[0]] = tables
    recipe = Recipe(tuple(numbers), tuple(categories), rows, sha256)
    twice = [name for name, count in Counter(recipe.feature_names).items() if count > 1]
    if twice:
        raise ProjectError(
            [
                f"project.yml: the feature {', '.join(map(repr, twice))} would be there twice, of a column and of an encoding; rename the column"
            ]
        )
    return Fitted(recipe, folds, profile, dropped)


def _fit_number(name: str, source: Expression, values: NDArray[np.float64], rows: int, project: Project) -> NumberFeature | str:
    cleaning = project.cleaning
    if not len(values):
        return "all values are missing"
    missing = rows - len(values)
    low, high = float(np.min(values)), float(np.max(values))
    if low == high and not missing:
        return f"only one value, {low:g}"
    lower = float(np.quantile(values, cleaning.outlier_lower)) if cleaning.outlier_lower > 0 else None
    upper = float(np.quantile(values, cleaning.outlier_upper)) if cleaning.outlier_upper < 1 else None
    if lower is not None and upper is not None and lower == upper:
        lower = upper = None  # Nearly constant: clipping would make it constant.
    clipped = values if lower is None and upper is None else np.clip(values, lower, upper)
    fill = _fill(clipped, cleaning.missing_numbers)
    shift, scale = 0.0, 1.0
    if project.scaling == "standard":
        shift, scale = float(clipped.mean()), float(clipped.std())
    elif project.scaling == "robust":
        quartiles = np.quantile(clipped, [0.25, 0.5, 0.75])
        shift, scale = float(quartiles[1]), float(quartiles[2] - quartiles[0])
    elif project.scaling == "minmax":
        shift, scale = float(np.min(clipped)), float(np.ptp(clipped))
    return NumberFeature(
        name,
        source.to_json(),
        fill,
        lower,
        upper,
        shift,
        scale if scale > 0 else 1.0,
        indicator=cleaning.indicators and missing > 0,
    )


def _fill(values: NDArray[np.float64], method: str) -> float | None:
    if method == "median":
        return float(np.median(values))
    if method == "mean":
        return float(np.mean(values))
    return 0.0 if method == "zero" else None


def _scores(contract: Contract) -> list[nw.Expr]:
    """What a target encoding averages: the target, or 0/1 for each class (of two classes, for the positive one)."""
    target = nw.col(contract.target).cast(nw.Float64)
    if contract.task == "regression":
        return [target]
    indices = [1] if len(contract.classes) == 2 else range(len(contract.classes))
    return [(target == index).cast(nw.Float64) for index in indices]


def _count_levels(
    train: nw.LazyFrame[Any], level: nw.Expr, fold: nw.Expr, scores: list[nw.Expr], folds: int
) -> dict[str | None, NDArray[np.float64]]:
    """Level → array of shape (folds, 1 + scores): rows, then the sum of each score. Most frequent level first."""
    frame = (
        train.select(level.alias("level"), fold.alias("fold"), *(s.alias(f"score{i}") for i, s in enumerate(scores)))
        .group_by("level", "fold")
        .agg(nw.len().alias("rows"), *(nw.col(f"score{i}").sum() for i in range(len(scores))))
        .collect()
    )
    found: dict[str | None, NDArray[np.float64]] = {}
    for name, fold_number, *sums in frame.sort("level", "fold").iter_rows():
        table = found.setdefault(name, np.zeros((folds, 1 + len(scores))))
        table[fold_number] += sums
    return dict(sorted(found.items(), key=lambda item: (-item[1][:, 0].sum(), item[0] or "")))


def _methods(name: str, levels: int, project: Project) -> tuple[str, ...]:
    """How a category is encoded: by the mean of the target *and* by a code where that is left to us and its levels are not too many.

    The mean alone puts levels in the order of what goes with them (the clearest diamonds are the smallest); a code lets trees that know
    categories part the levels as they need.
    """
    encodings = project.encodings
    method = encodings.columns.get(name, encodings.default)
    if method != "auto":
        return (method,)
    if levels <= encodings.one_hot_max_levels:
        return ("one_hot",)
    return ("target", "ordinal") if levels <= MAX_CODES else ("target",)


def _in_order(name: str, levels: list[str], contract: Contract) -> list[str]:
    """As project.yml lists them, where it does; else by name, numbers in it by their size: "5-9" comes before "10-19"."""
    declared = contract.by_name[name].levels if name in contract.by_name else ()
    place = {level: number for number, level in enumerate(map(normalise, declared or ()))}
    return sorted(levels, key=lambda level: (place.get(level, len(place)), _natural(level)))


def _natural(level: str) -> list[tuple[bool, int, str]]:
    parts = re.split(r"([0-9]+)", level)
    return [(part.isdecimal(), int(part) if part.isdecimal() else 0, part) for part in parts if part]


def _fit_category(
    name: str, source: Expression, counts: dict[str | None, NDArray[np.float64]], project: Project, method: str
) -> tuple[CategoryFeature, list[dict[str, tuple[float, ...]]]]:
    encodings = project.encodings
    levels = [level for level in counts if level is not None][:MAX_LEVELS]
    json = source.to_json()
    total = sum(float(c[:, 0].sum()) for c in counts.values())
    nothing = np.zeros_like(next(iter(counts.values())))
    absent = counts.get(None, nothing)
    if method == "one_hot":
        table: Table = {level: tuple(float(level == other) for other in levels) for level in levels}
        zeros = (0.0,) * len(levels)
        return CategoryFeature(json, method, tuple(f"{name}={level}" for level in levels), table, zeros, zeros), []
    if method == "frequency":
        shares: Table = {level: (float(counts[level][:, 0].sum()) / total,) for level in levels}
        none = (float(absent[:, 0].sum()) / total,)
        return CategoryFeature(json, method, (f"{name}__frequency",), shares, (0.0,), none), []
    if method == "ordinal":
        codes: Table = {level: (float(i),) for i, level in enumerate(_in_order(name, levels, project.contract), 1)}
        return CategoryFeature(json, method, (name + CODE,), codes, (-1.0,), (-1.0,)), []

    def encode(keep: NDArray[np.bool_]) -> tuple[dict[str, tuple[float, ...]], tuple[float, ...], tuple[float, ...]]:
        overall = np.sum([c[keep].sum(axis=0) for c in counts.values()], axis=0)
        prior = overall[1:] / max(overall[0], 1)
        smoothing = encodings.smoothing

        def value(cells: NDArray[np.float64]) -> tuple[float, ...]:
            sums = cells[keep].sum(axis=0)
            weight = sums[0] + smoothing
            return tuple(float(v) for v in ((sums[1:] + smoothing * prior) / weight if weight > 0 else prior))

        return {level: value(counts[level]) for level in levels}, tuple(float(v) for v in prior), value(absent)

    folds = next(iter(counts.values())).shape[0]
    full, prior, missing = encode(np.ones(folds, dtype=bool))
    width = len(prior)
    classes = project.contract.classes
    suffixes = [""] if width == 1 else [f"={label}" for label in classes]
    outputs = tuple(f"{name}__target{suffix}" for suffix in suffixes)
    tables = []
    for fold in range(folds):
        table, fold_prior, fold_missing = encode(np.arange(folds) != fold)
        # "" stands for a missing level, and for one too rare to have a value: neither can be a level's name.
        tables.append({**table, "": fold_missing if None in counts else fold_prior})
    return CategoryFeature(json, "target", outputs, full, prior, missing), tables
