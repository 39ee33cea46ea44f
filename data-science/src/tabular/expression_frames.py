"""Expressions over data frames: the same trees as `expressions`, as narwhals expressions (polars, pandas, lazy or not)."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, Final

import narwhals as nw

from .contract import Contract
from .split import Frame

_TEMPORARY: Final = "__expression_"


def _finite(result: nw.Expr) -> nw.Expr:
    return nw.when(result.is_finite()).then(result)


def _lift(value: Any) -> nw.Expr:
    return value if isinstance(value, nw.Expr) else nw.lit(value)


def _both(a: Any, b: Any, result: nw.Expr) -> nw.Expr:
    """`result` where both operands are finite numbers; where one is missing, so is the test."""
    return nw.when(nw.all_horizontal(*(x.is_finite() for x in (a, b) if isinstance(x, nw.Expr)), ignore_nulls=False)).then(result)


def _same_text(a: Any, b: Any) -> nw.Expr:
    present = [~x.is_null() for x in (a, b) if isinstance(x, nw.Expr)]
    return nw.when(nw.all_horizontal(*present, ignore_nulls=False)).then((_lift(a) == _lift(b)).cast(nw.Float64))


def _where(condition: Any, then: Any, otherwise: Any) -> nw.Expr:
    chosen = nw.when(_lift(condition) != 0).then(_lift(then)).otherwise(_lift(otherwise))
    return nw.when(_lift(condition).is_finite()).then(chosen)


def _minimum(a: Any, b: Any) -> nw.Expr:
    return _both(a, b, nw.min_horizontal(_lift(a), _lift(b)))


def _maximum(a: Any, b: Any) -> nw.Expr:
    return _both(a, b, nw.max_horizontal(_lift(a), _lift(b)))


OPERATIONS: Final[dict[str, Callable[..., nw.Expr]]] = {
    "add": lambda a, b: a + b,
    "subtract": lambda a, b: a - b,
    "multiply": lambda a, b: a * b,
    "divide": lambda a, b: a / b,
    "floor": lambda a: a.floor(),
    "absolute": lambda a: a.abs(),
    "sqrt": lambda a: a.sqrt(),
    "log": lambda a: a.log(),
    "exp": lambda a: a.exp(),
    "sin": lambda a: a.sin(),
    "cos": lambda a: a.cos(),
    "minimum": _minimum,
    "maximum": _maximum,
    "less": lambda a, b: _both(a, b, (_lift(a) < _lift(b)).cast(nw.Float64)),
    "equal": lambda a, b: _both(a, b, (_lift(a) == _lift(b)).cast(nw.Float64)),
    "where": _where,
    "fill": lambda a, b: nw.when(a.is_finite()).then(a).otherwise(b),
    "same_text": _same_text,
    "concat": lambda a, b: nw.concat_str([_lift(a), _lift(b)]),
    "prefix": lambda a, length: a.str.slice(0, int(length)),
}
_MADE_FINITE: Final = ("divide", "sqrt", "log", "exp")
"""Operations whose result can be infinite or NaN, and is then missing."""
_READ_TWICE: Final = ("minimum", "maximum", "less", "equal", "where", "same_text", "fill")
"""Operations that read an operand more than once."""


def typed_column(name: str, contract: Contract) -> nw.Expr:
    """A column of a typed frame as the models see it: Float64, or String for a category."""
    kind = contract[name].type
    if kind == "category":
        return nw.col(name)
    if kind == "datetime":
        return nw.col(name).dt.timestamp("us").cast(nw.Float64) / 1_000_000
    return nw.col(name).cast(nw.Float64)


def _date_part(name: str, part: str) -> nw.Expr:
    result: nw.Expr = getattr(nw.col(name).dt, {"day_of_year": "ordinal_day"}.get(part, part))()
    return result.cast(nw.Float64)


def with_expressions(frame: Frame, trees: Sequence[Any], contract: Contract) -> tuple[Frame, list[nw.Expr]]:
    """Compute expressions over a typed frame.

    An operand that is read more than once becomes a column of its own first: as one nested expression it would be
    built, and by some libraries computed, once per reading, and once more per level of nesting.

    Args:
        frame: typed rows.
        trees: the JSON forms of expressions.
        contract: types of the frame's columns.

    Returns:
        The frame with temporary columns, and one expression over it per tree: Float64, null where missing or not
        finite; String for a category.
    """
    uses: Counter[str] = Counter()
    for tree in trees:
        _count(tree, uses, roots=True)
    builder = _Builder(contract, uses)
    results = [builder.build(tree, own=_is_operation(tree)) for tree in trees]
    for stage in builder.stages:
        frame = frame.with_columns(*stage)
    return frame, [_lift(result) for result, _ in results]


def _is_operation(tree: Any) -> bool:
    return isinstance(tree, list) and tree[0] not in ("column", "date_part")


def _count(tree: Any, uses: Counter[str], *, roots: bool = False) -> None:
    if not _is_operation(tree):
        return
    uses[json.dumps(tree)] += 1
    if uses[json.dumps(tree)] == 1 or roots:
        for argument in tree[1:]:
            _count(argument, uses)


class _Builder:
    """Builds expressions, and the stages of temporary columns they read."""

    def __init__(self, contract: Contract, uses: Counter[str]) -> None:
        self._contract = contract
        self._uses = uses
        self._columns: dict[str, tuple[nw.Expr, int]] = {}
        self.stages: list[list[nw.Expr]] = []

    def build(self, tree: Any, *, own: bool = False) -> tuple[Any, int]:
        """An expression, and after how many stages it can be read. With `own`, it becomes a column."""
        if not isinstance(tree, list):
            return tree, 0
        operation, *arguments = tree
        if operation == "column":
            return typed_column(arguments[0], self._contract), 0
        if operation == "date_part":
            return _date_part(arguments[0][1], arguments[1]), 0
        key = json.dumps(tree)
        if key in self._columns:
            return self._columns[key]
        twice = operation in _READ_TWICE
        parts = [self.build(argument, own=twice and _is_operation(argument)) for argument in arguments]
        stage = max((ready for _, ready in parts), default=0)
        result = self._is_missing(parts[0][0], arguments[0]) if operation == "is_missing" else OPERATIONS[operation](*(p for p, _ in parts))
        if operation in _MADE_FINITE:
            result, stage = self._column(key + "?", result, stage)
            result = _finite(result)
        if own or self._uses[key] > 1:
            self._columns[key] = self._column(key, result, stage)
            return self._columns[key]
        return result, stage

    def _is_missing(self, value: nw.Expr, tree: Any) -> nw.Expr:
        if self._is_category(tree):
            return value.is_null().cast(nw.Float64)
        return 1.0 - value.is_finite().cast(nw.Float64).fill_null(0.0)

    def _is_category(self, tree: Any) -> bool:
        if tree[0] == "column":
            return self._contract[tree[1]].type == "category"
        return tree[0] in ("concat", "prefix")

    def _column(self, key: str, result: nw.Expr, stage: int) -> tuple[nw.Expr, int]:
        if key in self._columns:
            return self._columns[key]
        name = f"{_TEMPORARY}{sum(len(made) for made in self.stages)}"
        while len(self.stages) <= stage:
            self.stages.append([])
        self.stages[stage].append(result.alias(name))
        self._columns[key] = nw.col(name), stage + 1
        return self._columns[key]
