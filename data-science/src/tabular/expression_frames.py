"""Expressions over data frames: the same trees as `expressions`, as narwhals expressions (polars, pandas, lazy or not)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import narwhals as nw

from .contract import Contract


def _finite(result: nw.Expr) -> nw.Expr:
    return nw.when(result.is_finite()).then(result)


def _both(a: Any, b: Any, result: nw.Expr) -> nw.Expr:
    """`result` where neither operand is missing."""
    present = [x.is_null() for x in (a, b) if isinstance(x, nw.Expr)]
    missing = present[0] if len(present) == 1 else present[0] | present[1]
    return nw.when(~missing).then(result)


def _lift(value: Any) -> nw.Expr:
    return value if isinstance(value, nw.Expr) else nw.lit(value)


def _where(condition: Any, then: Any, otherwise: Any) -> nw.Expr:
    chosen = nw.when(_lift(condition) != 0).then(_lift(then)).otherwise(_lift(otherwise))
    return nw.when(~_lift(condition).is_null()).then(chosen)


def _date_part(value: nw.Expr, part: str) -> nw.Expr:
    names = {"day_of_year": "ordinal_day"}
    result: nw.Expr = getattr(value.dt, names.get(part, part))()
    return result.cast(nw.Float64)


def _minimum(a: Any, b: Any) -> nw.Expr:
    return _both(a, b, nw.min_horizontal(_lift(a), _lift(b)))


def _maximum(a: Any, b: Any) -> nw.Expr:
    return _both(a, b, nw.max_horizontal(_lift(a), _lift(b)))


OPERATIONS: Final[dict[str, Callable[..., nw.Expr]]] = {
    "add": lambda a, b: a + b,
    "subtract": lambda a, b: a - b,
    "multiply": lambda a, b: a * b,
    "divide": lambda a, b: _finite(a / b),
    "floor": lambda a: a.floor(),
    "absolute": lambda a: a.abs(),
    "sqrt": lambda a: _finite(a.sqrt()),
    "log": lambda a: _finite(a.log()),
    "exp": lambda a: _finite(a.exp()),
    "sin": lambda a: a.sin(),
    "cos": lambda a: a.cos(),
    "minimum": _minimum,
    "maximum": _maximum,
    "less": lambda a, b: _both(a, b, (_lift(a) < _lift(b)).cast(nw.Float64)),
    "equal": lambda a, b: _both(a, b, (_lift(a) == _lift(b)).cast(nw.Float64)),
    "where": _where,
    "fill": lambda a, b: a.fill_null(b),
    "is_missing": lambda a: a.is_null().cast(nw.Float64),
    "date_part": _date_part,
    "same_text": lambda a, b: _both(a, b, (_lift(a) == _lift(b)).cast(nw.Float64)),
    "concat": lambda a, b: nw.concat_str([_lift(a), _lift(b)]),
    "prefix": lambda a, length: a.str.slice(0, int(length)),
}


def frame_expression(tree: Any, contract: Contract) -> Any:
    """The narwhals expression of the JSON form of an expression.

    Numbers come out as Float64 (null where missing), categories as String. A datetime column used as a number is
    seconds since 1970 UTC; a boolean is 0 or 1.
    """
    if not isinstance(tree, list):
        return tree
    operation, *arguments = tree
    if operation == "column":
        return typed_column(arguments[0], contract)
    if operation == "date_part":
        return _date_part(nw.col(arguments[0][1]), arguments[1])
    return OPERATIONS[operation](*(frame_expression(argument, contract) for argument in arguments))


def typed_column(name: str, contract: Contract) -> nw.Expr:
    """A column of a typed frame as the models see it: Float64, or String for a category."""
    kind = contract[name].type
    if kind == "category":
        return nw.col(name)
    if kind == "datetime":
        return nw.col(name).dt.timestamp("us").cast(nw.Float64) / 1_000_000
    return nw.col(name).cast(nw.Float64)
