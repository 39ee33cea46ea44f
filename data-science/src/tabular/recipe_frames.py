"""The recipe over data frames: narwhals expressions, so it streams over polars for millions of rows."""

from __future__ import annotations

from typing import Any

import narwhals as nw

from .contract import Contract
from .expression_frames import frame_expression
from .recipe import CategoryFeature, NumberFeature, Recipe

FoldTables = dict[str, list[dict[str, tuple[float, ...]]]]
"""First output of a target-encoded feature → per fold, level → values fitted without that fold."""


def feature_expressions(
    recipe: Recipe, contract: Contract, *, folds: FoldTables | None = None, fold: nw.Expr | None = None
) -> list[nw.Expr]:
    """One Float32 expression per feature over a typed frame, in the order and by the names of the recipe.

    Args:
        recipe: what to apply.
        contract: types of the frame's columns.
        folds: for training rows alone: the out-of-fold tables of target encodings.
        fold: with `folds`: an integer expression with each row's fold.
    """
    numbers = [_number(n, contract) for n in recipe.numbers]
    indicators = [_source(n, contract).is_null().cast(nw.Float32).alias(f"{n.name}__missing") for n in recipe.numbers if n.indicator]
    categories = [e for c in recipe.categories for e in _category(c, contract, folds, fold)]
    return [*numbers, *indicators, *categories]


def source_expression(source: Any, contract: Contract) -> nw.Expr:
    """A feature's source as Float64 that is null where it is missing or not finite; a category as String."""
    expression: nw.Expr = frame_expression(source, contract)
    return expression


def _source(number: NumberFeature, contract: Contract) -> nw.Expr:
    expression = source_expression(number.source, contract)
    if number.source[0] == "column":
        return expression
    return nw.when(expression.is_finite()).then(expression)


def _number(number: NumberFeature, contract: Contract) -> nw.Expr:
    expression = _source(number, contract)
    if number.fill is not None:
        expression = expression.fill_null(number.fill)
    if number.lower is not None or number.upper is not None:
        expression = expression.clip(number.lower, number.upper)
    if number.shift != 0 or number.scale != 1:
        expression = (expression - number.shift) / number.scale
    expression = expression.cast(nw.Float32)
    return (expression if number.fill is not None else expression.fill_null(float("nan"))).alias(number.name)


def _category(category: CategoryFeature, contract: Contract, folds: FoldTables | None, fold: nw.Expr | None) -> list[nw.Expr]:
    level = source_expression(category.source, contract)
    if folds is not None and fold is not None and category.outputs[0] in folds:
        return _out_of_fold(category, level, folds[category.outputs[0]], fold)
    expressions = []
    for position, output in enumerate(category.outputs):
        levels = list(category.table)
        values = [category.table[name][position] for name in levels]
        unseen, missing = category.unseen[position], category.missing[position]
        if category.method == "one_hot":
            chosen = levels[values.index(1.0)] if 1.0 in values else None
            found = (level == chosen).cast(nw.Float64).fill_null(missing)
        elif levels:
            found = level.replace_strict(levels, values, default=unseen, return_dtype=nw.Float64)
            found = nw.when(level.is_null()).then(nw.lit(missing)).otherwise(found)
        else:
            found = nw.when(level.is_null()).then(nw.lit(missing)).otherwise(nw.lit(unseen))
        expressions.append(found.cast(nw.Float32).alias(output))
    return expressions


def _out_of_fold(category: CategoryFeature, level: nw.Expr, tables: list[dict[str, tuple[float, ...]]], fold: nw.Expr) -> list[nw.Expr]:
    """Each training row's level, valued by the folds the row is not in."""
    names = ["", *(name for name in category.table if name)]
    position_of = (
        nw.when(level.is_null())
        .then(nw.lit(0))
        .otherwise(level.replace_strict(names, list(range(len(names))), default=0, return_dtype=nw.Int64))
    )
    cell = position_of * len(tables) + fold.cast(nw.Int64)
    expressions = []
    for position, output in enumerate(category.outputs):
        values = [tables[f][name][position] for name in names for f in range(len(tables))]
        found = cell.replace_strict(list(range(len(values))), values, return_dtype=nw.Float64)
        expressions.append(found.cast(nw.Float32).alias(output))
    return expressions
