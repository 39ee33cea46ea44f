"""The recipe over data frames: narwhals expressions, so it streams over polars for millions of rows."""

from __future__ import annotations

from collections.abc import Sequence

import narwhals as nw

from .contract import Contract
from .expression_frames import with_expressions
from .recipe import CategoryFeature, NumberFeature, Recipe
from .split import Frame

FoldTables = dict[str, list[dict[str, tuple[float, ...]]]]
"""First output of a target-encoded feature → per fold, level → values fitted without that fold."""


def apply_recipe(
    frame: Frame,
    recipe: Recipe,
    contract: Contract,
    *,
    folds: FoldTables | None = None,
    fold: nw.Expr | None = None,
    also: Sequence[nw.Expr] = (),
) -> Frame:
    """The features of typed rows: one Float32 column each, in the order and by the names of the recipe.

    Args:
        frame: typed rows, as a narwhals frame.
        recipe: what to apply.
        contract: types of the frame's columns.
        folds: for training rows alone: the out-of-fold tables of target encodings.
        fold: with `folds`: an integer expression with each row's fold.
        also: further columns to keep, after the features.
    """
    sources = [*(n.source for n in recipe.numbers), *(c.source for c in recipe.categories)]
    frame, expressions = with_expressions(frame, sources, contract)
    count = len(recipe.numbers)
    numbers = list(zip(recipe.numbers, expressions[:count], strict=True))
    categories = zip(recipe.categories, expressions[count:], strict=True)
    return frame.select(
        *(_number(number, source) for number, source in numbers),
        *(_present(n, source).is_null().cast(nw.Float32).alias(f"{n.name}__missing") for n, source in numbers if n.indicator),
        *(e for category, level in categories for e in _category(category, level, folds, fold)),
        *also,
    )


def _present(number: NumberFeature, source: nw.Expr) -> nw.Expr:
    """A number, null where it is missing or would not be finite as float32."""
    return nw.when(source.abs() <= number.most).then(source)


def _number(number: NumberFeature, source: nw.Expr) -> nw.Expr:
    expression = _present(number, source)
    if number.fill is not None:
        expression = expression.fill_null(number.fill)
    if number.lower is not None or number.upper is not None:
        expression = expression.clip(number.lower, number.upper)
    if number.shift != 0 or number.scale != 1:
        expression = (expression - number.shift) / number.scale
    expression = expression.cast(nw.Float32)
    return (expression if number.fill is not None else expression.fill_null(float("nan"))).alias(number.name)


def _category(category: CategoryFeature, level: nw.Expr, folds: FoldTables | None, fold: nw.Expr | None) -> list[nw.Expr]:
    if folds is not None and fold is not None and category.outputs[0] in folds:
        return _out_of_fold(category, level, folds[category.outputs[0]], fold)
    expressions = []
    for position, output in enumerate(category.outputs):
        levels = list(category.table)
        values = [category.table[name][position] for name in levels]
        unseen, missing = category.unseen[position], category.missing[position]
        if category.method == "one_hot":
            found = (level == levels[values.index(1.0)]).cast(nw.Float64).fill_null(missing)
        else:
            found = level.replace_strict(levels, values, default=unseen, return_dtype=nw.Float64)
            found = nw.when(level.is_null()).then(nw.lit(missing)).otherwise(found)
        expressions.append(found.cast(nw.Float32).alias(output))
    return expressions


def _out_of_fold(category: CategoryFeature, level: nw.Expr, tables: list[dict[str, tuple[float, ...]]], fold: nw.Expr) -> list[nw.Expr]:
    """Each training row's level, valued by the folds the row is not in."""
    names = ["", *(name for name in category.table if name)]
    known = level.replace_strict(names, list(range(len(names))), default=0, return_dtype=nw.Int64)
    cell = nw.when(level.is_null()).then(nw.lit(0)).otherwise(known) * len(tables) + fold.cast(nw.Int64)
    expressions = []
    for position, output in enumerate(category.outputs):
        values = [table[name][position] for name in names for table in tables]
        found = cell.replace_strict(list(range(len(values))), values, return_dtype=nw.Float64)
        expressions.append(found.cast(nw.Float32).alias(output))
    return expressions
