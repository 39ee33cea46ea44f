"""Derived columns as expressions: recorded once from `features.py`, stored in the recipe, evaluated without user code.

An `Expression` is a small tree. `Row` hands the user one expression per column of the contract; the operators build
larger ones; `to_json` writes them. This module evaluates them over NumPy arrays (requests); `expression_frames`
over data frames. Both follow the same rules:

- numbers are float64; a missing value is NaN here and null there;
- an operation with a missing operand gives a missing value (`is_missing` and `fill` are there to deal with it);
- a value that is not finite (x / 0, log of a negative, an overflow) counts as missing;
- a comparison gives 1.0 or 0.0.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

Kind = Literal["number", "category", "datetime"]
Array = NDArray[Any]
MAX_NODES: Final = 2_000


@dataclass(frozen=True, eq=False)
class Expression:
    """A node: an operation of `OPERATIONS` over expressions and constants. `kind` is the type of its result."""

    operation: str
    arguments: tuple[Expression | float | str, ...]
    kind: Kind = "number"

    def label(self) -> str:
        """The expression as a short text, for messages."""
        if self.operation == "column":
            return str(self.arguments[0])
        shown = (a.label() if isinstance(a, Expression) else repr(a) for a in self.arguments)
        return f"{self.operation}({', '.join(shown)})"

    def columns(self) -> set[str]:
        """Names of the columns it reads."""
        if self.operation == "column":
            return {str(self.arguments[0])}
        return set().union(*(a.columns() for a in self.arguments if isinstance(a, Expression)))

    def to_json(self) -> list[Any]:
        """`[operation, argument, …]`, with expressions as lists in turn."""
        return [self.operation, *(a.to_json() if isinstance(a, Expression) else a for a in self.arguments)]

    # The operators below are what features.py is written with.
    def __add__(self, other: Operand) -> Expression:
        return _text("concat", self, other) if self.kind == "category" else _numeric("add", self, other)

    def __radd__(self, other: Operand) -> Expression:
        return _text("concat", other, self) if self.kind == "category" else _numeric("add", other, self)

    def __sub__(self, other: Operand) -> Expression:
        return _numeric("subtract", self, other)

    def __rsub__(self, other: Operand) -> Expression:
        return _numeric("subtract", other, self)

    def __mul__(self, other: Operand) -> Expression:
        return _numeric("multiply", self, other)

    __rmul__ = __mul__

    def __truediv__(self, other: Operand) -> Expression:
        return _numeric("divide", self, other)

    def __rtruediv__(self, other: Operand) -> Expression:
        return _numeric("divide", other, self)

    def __floordiv__(self, other: Operand) -> Expression:
        return _numeric("floor", _numeric("divide", self, other))

    def __mod__(self, other: Operand) -> Expression:
        return self - (self // other) * other

    def __neg__(self) -> Expression:
        return _numeric("multiply", self, -1.0)

    def __abs__(self) -> Expression:
        return _numeric("absolute", self)

    def __lt__(self, other: Operand) -> Expression:
        return _numeric("less", self, other)

    def __gt__(self, other: Operand) -> Expression:
        return _numeric("less", other, self)

    def __le__(self, other: Operand) -> Expression:
        return 1.0 - (self > other)

    def __ge__(self, other: Operand) -> Expression:
        return 1.0 - (self < other)

    def __eq__(self, other: object) -> Expression:  # type: ignore[override]
        if not isinstance(other, Expression | float | int | str):
            raise TypeError(f"a column can be compared with a column, a number or a text, not {type(other).__name__}")
        if self.kind == "category":
            right = other if isinstance(other, Expression) else str(other).strip().lower()
            if isinstance(right, Expression) and right.kind != "category":
                raise TypeError("a category can only be compared with a category or a text")
            return Expression("same_text", (self, right))
        if isinstance(other, str):
            raise TypeError(f"{self.label()} is a number; compare it with a number, not the text {other!r}")
        return _numeric("equal", self, other)

    def __ne__(self, other: object) -> Expression:  # type: ignore[override]
        return 1.0 - (self == other)

    __hash__ = None  # type: ignore[assignment]

    def __and__(self, other: Operand) -> Expression:
        return self * other

    def __or__(self, other: Operand) -> Expression:
        return self + other - self * other

    def __invert__(self) -> Expression:
        return 1.0 - self

    def __bool__(self) -> bool:
        raise TypeError("a column has no truth of its own while it is recorded; use where(condition, a, b), &, | and ~")

    def __float__(self) -> float:
        raise TypeError("a column is recorded, not computed here; use its operators and the functions of tabular.expressions")

    def floor(self) -> Expression:
        """Largest whole number not above the value."""
        return _numeric("floor", self)

    def sqrt(self) -> Expression:
        """Square root; missing for negatives."""
        return _numeric("sqrt", self)

    def log(self) -> Expression:
        """Natural logarithm; missing for zero and below."""
        return _numeric("log", self)

    def exp(self) -> Expression:
        """E to the power of the value."""
        return _numeric("exp", self)

    def sin(self) -> Expression:
        """Sine of an angle in radians."""
        return _numeric("sin", self)

    def cos(self) -> Expression:
        """Cosine of an angle in radians."""
        return _numeric("cos", self)

    def is_missing(self) -> Expression:
        """1.0 where the value is missing, else 0.0."""
        return Expression("is_missing", (self,))

    def fill(self, value: float) -> Expression:
        """The value, or `value` where it is missing."""
        return _numeric("fill", self, value)

    def prefix(self, length: int) -> Expression:
        """The first `length` characters of a category."""
        if self.kind != "category":
            raise TypeError("prefix() is for categories")
        return Expression("prefix", (self, float(length)), "category")

    def part(self, name: str) -> Expression:
        """A part of a datetime (UTC): year, month, day, weekday (Monday 1 to Sunday 7), day_of_year, hour, minute."""
        if self.kind != "datetime" or name not in DATE_PARTS:
            raise TypeError(f"part() is for datetimes and one of {', '.join(DATE_PARTS)}")
        return Expression("date_part", (self, name))


Operand = Expression | float | int


def _numeric(operation: str, *arguments: Operand) -> Expression:
    checked: list[Expression | float] = []
    for argument in arguments:
        if isinstance(argument, Expression):
            if argument.kind == "category":
                raise TypeError(f"{operation} needs numbers; {argument.label()} is a category")
            checked.append(argument)
        elif isinstance(argument, int | float) and math.isfinite(argument):
            checked.append(float(argument))
        else:
            raise TypeError(f"{operation} needs columns or finite numbers, not {argument!r}")
    if not any(isinstance(argument, Expression) for argument in checked):
        raise TypeError(f"{operation} needs a column; found constants only")
    return Expression(operation, tuple(checked))


def _text(operation: str, *arguments: Any) -> Expression:
    for argument in arguments:
        if not isinstance(argument, str) and not (isinstance(argument, Expression) and argument.kind == "category"):
            raise TypeError("a category can only be joined with a category or a text")
    return Expression(operation, tuple(a.lower() if isinstance(a, str) else a for a in arguments), "category")


def where(condition: Operand, then: Operand, otherwise: Operand) -> Expression:
    """`then` where the condition holds (is not 0), else `otherwise`; missing where the condition is missing."""
    return _numeric("where", condition, then, otherwise)


def minimum(left: Operand, right: Operand) -> Expression:
    """The smaller of two values."""
    return _numeric("minimum", left, right)


def maximum(left: Operand, right: Operand) -> Expression:
    """The larger of two values."""
    return _numeric("maximum", left, right)


def great_circle_km(lat1: Operand, lon1: Operand, lat2: Operand, lon2: Operand) -> Expression:
    """Great-circle distance in kilometres between two points in degrees, on a sphere of radius 6,371.0088 km.

    Haversine formula; the arcsine is Abramowitz and Stegun 4.4.46 (absolute error 2e-8 rad, so under 0.3 m), since
    not every data frame library has an arcsine and both back-ends must agree.
    """
    radian = math.pi / 180
    half_lat, half_lon = (lat2 - lat1) * (radian / 2), (lon2 - lon1) * (radian / 2)
    sin_lat, sin_lon = _constant_or("sin", half_lat), _constant_or("sin", half_lon)
    cosines = _constant_or("cos", lat1 * radian) * _constant_or("cos", lat2 * radian)
    h = _needs_column("great_circle_km", sin_lat * sin_lat + cosines * sin_lon * sin_lon)
    x = minimum(maximum(h, 0.0).sqrt(), 1.0)
    polynomial: Operand = -0.0012624911
    for coefficient in (
        0.0066700901, -0.0170881256, 0.0308918810, -0.0501743046, 0.0889789874, -0.2145988016, 1.5707963050
    ):  # fmt: skip
        polynomial = x * polynomial + coefficient
    return 2 * 6371.0088 * (math.pi / 2 - (1 - x).sqrt() * polynomial)


def _constant_or(operation: Literal["sin", "cos"], value: Operand) -> Operand:
    if isinstance(value, Expression):
        return _numeric(operation, value)
    return math.sin(value) if operation == "sin" else math.cos(value)


def _needs_column(what: str, value: Operand) -> Expression:
    if not isinstance(value, Expression):
        raise TypeError(f"{what} needs a column; found constants only")
    return value


DATE_PARTS: Final = ("year", "month", "day", "weekday", "day_of_year", "hour", "minute")


def _compare(test: Callable[[Array, Array], Array]) -> Callable[[Array, Array], Array]:
    def apply(a: Array, b: Array) -> Array:
        result: Array = test(a, b).astype(np.float64)
        result[~(np.isfinite(a) & np.isfinite(b))] = np.nan
        return result

    return apply


def _finite(result: Array) -> Array:
    bad = ~np.isfinite(result)
    if bad.any():
        result[bad] = np.nan
    return result


def _where(condition: Array, then: Array, otherwise: Array) -> Array:
    return np.where(np.isfinite(condition), np.where(condition != 0, then, otherwise), np.nan)


def _date_part(seconds: Array, part: str) -> Array:
    missing = ~np.isfinite(seconds)
    whole = np.where(missing, 0, np.floor(seconds)).astype(np.int64)
    days = whole // 86_400
    if part == "hour":
        result = whole // 3600 % 24
    elif part == "minute":
        result = whole // 60 % 60
    elif part == "weekday":
        result = (days + 3) % 7 + 1
    else:
        day = days.astype("datetime64[D]")
        if part == "year":
            result = day.astype("datetime64[Y]").astype(np.int64) + 1970
        elif part == "month":
            result = day.astype("datetime64[M]").astype(np.int64) % 12 + 1
        elif part == "day":
            result = (day - day.astype("datetime64[M]").astype("datetime64[D]")).astype(np.int64) + 1
        else:
            result = (day - day.astype("datetime64[Y]").astype("datetime64[D]")).astype(np.int64) + 1
    return np.where(missing, np.nan, result)


def _texts(*columns: Any) -> list[tuple[Any, ...]]:
    length = max(len(c) for c in columns if not isinstance(c, str))
    return list(zip(*([c] * length if isinstance(c, str) else c for c in columns), strict=True))


def _same_text(a: Any, b: Any) -> Array:
    return np.array([np.nan if x is None or y is None else float(x == y) for x, y in _texts(a, b)], dtype=np.float64)


def _concat(a: Any, b: Any) -> list[str | None]:
    return [None if x is None or y is None else x + y for x, y in _texts(a, b)]


def _is_missing(a: Any) -> Array:
    if isinstance(a, list):
        return np.array([float(x is None) for x in a], dtype=np.float64)
    missing: Array = (~np.isfinite(a)).astype(np.float64)
    return missing


OPERATIONS: Final[dict[str, Callable[..., Any]]] = {
    "add": lambda a, b: a + b,
    "subtract": lambda a, b: a - b,
    "multiply": lambda a, b: a * b,
    "divide": lambda a, b: _finite(np.asarray(a / b)),
    "floor": np.floor,
    "absolute": np.abs,
    "sqrt": lambda a: _finite(np.sqrt(a)),
    "log": lambda a: _finite(np.log(a)),
    "exp": lambda a: _finite(np.exp(a)),
    "sin": np.sin,
    "cos": np.cos,
    "minimum": lambda a, b: np.where(np.isfinite(a) & np.isfinite(b), np.minimum(a, b), np.nan),
    "maximum": lambda a, b: np.where(np.isfinite(a) & np.isfinite(b), np.maximum(a, b), np.nan),
    "less": _compare(np.less),
    "equal": _compare(np.equal),
    "where": _where,
    "fill": lambda a, b: np.where(np.isfinite(a), a, b),
    "is_missing": _is_missing,
    "date_part": _date_part,
    "same_text": _same_text,
    "concat": _concat,
    "prefix": lambda a, length: [None if x is None else x[: int(length)] for x in a],
}
"""Operation → its meaning over NumPy arrays of shape (n,), float64; categories are lists of text or None."""


def column(name: str, kind: Kind) -> Expression:
    """The expression that reads a column."""
    return Expression("column", (name,), kind)


Evaluator = Callable[[Mapping[str, Any]], Any]


def compile_arrays(tree: Any) -> Evaluator:
    """A function that evaluates the JSON form of an expression over NumPy columns.

    Args:
        tree: what `Expression.to_json` gave; a number or text stands for itself.

    Returns:
        A function of a mapping from column name to its values: float64 arrays of shape (n,), lists of text or None
        for categories. Its result has the same form.

    Raises:
        KeyError: an operation this version does not know.
    """
    if not isinstance(tree, list):
        return lambda _: tree
    operation, *arguments = tree
    if operation == "column":
        name = arguments[0]
        return lambda columns: columns[name]
    function = OPERATIONS[operation]
    if operation in ("date_part", "prefix"):
        inner, constant = compile_arrays(arguments[0]), arguments[1]
        return lambda columns: function(inner(columns), constant)
    parts = [compile_arrays(argument) for argument in arguments]
    if len(parts) == 1:
        only = parts[0]
        return lambda columns: function(only(columns))
    if len(parts) == 2:
        left, right = parts
        return lambda columns: function(left(columns), right(columns))
    return lambda columns: function(*(part(columns) for part in parts))
