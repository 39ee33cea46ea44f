"""Expression → value."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
from typing import Any

from lockgate.expressions.ast import Call, Expression, Index, Literal, Named, Wildcard
from lockgate.expressions.errors import ExpressionError
from lockgate.expressions.function import Status
from lockgate.expressions.values import Filtered, Names, is_array, is_object, try_number, try_string, unwrap


def _no_counter(prefix: str, seed: int) -> int:  # noqa: ARG001 - the form of a counter
    raise ExpressionError("counter() has no value here: it is counted when a run begins")


@dataclass(slots=True)
class Scope:
    """What an expression can see.

    Attributes:
        names: `variables`, `parameters`, … found without regard to case.
        status: how what came before ended; only in conditions.
        count: the pipeline's counters; only when a run begins.
        others: what is said of a name that is not there but is elsewhere: name → sentence.
    """

    names: Names
    status: Status | None = None
    count: Callable[[str, int], int] = _no_counter
    others: Mapping[str, str] = field(default_factory=dict)


def evaluate(expression: Expression, scope: Scope) -> Any:
    """The value of an expression.

    Raises:
        ExpressionError: a name that is not there, or a value that can't be converted.
        UnknownValueError: it depends on what is not known yet.
    """
    return unwrap(_evaluate(expression, scope))


def _evaluate(expression: Expression, scope: Scope) -> Any:
    if isinstance(expression, Literal):
        return expression.value
    if isinstance(expression, Named):
        if expression.name not in scope.names:
            other = scope.others.get(expression.name.lower())
            allowed = ", ".join(sorted(scope.names)) or "nothing but functions and literals"
            raise ExpressionError(other or f"there is no {expression.name!r} here; allowed: {allowed}", expression.offset)
        return scope.names[expression.name]
    if isinstance(expression, Index):
        target = _evaluate(expression.target, scope)
        index = unwrap(_evaluate(expression.index, scope))
        try:
            return index_into(target, index)
        except ExpressionError as error:
            raise error.at(expression.offset) from None
    if isinstance(expression, Wildcard):
        return _all_of(_evaluate(expression.target, scope))
    return _called(expression, scope)


def _called(call: Call, scope: Scope) -> Any:
    try:
        return call.function.call(scope, [partial(evaluate, argument, scope) for argument in call.arguments])
    except ExpressionError as error:
        if error.offset is None:
            raise ExpressionError(f"{call.function.name}(): {error}", call.offset) from None
        raise


def index_into(target: Any, index: Any) -> Any:
    """The value at an index or property; Null where there is none."""
    if isinstance(target, Filtered):
        found = (index_into(item, index) for item in target)
        return Filtered(item for item in found if item is not None)
    target = unwrap(target)
    if is_object(target):
        key = try_string(index)
        return None if key is None else target.get(key)
    if is_array(target):
        number = try_number(index)
        if number is None or number < 0 or isinstance(index, bool):
            return None
        position = int(number.to_integral_value(rounding="ROUND_FLOOR")) if number < Decimal(len(target)) else len(target)
        return target[position] if position < len(target) else None
    return None


def _all_of(target: Any) -> Any:
    if isinstance(target, Filtered):
        return Filtered(inner for item in target for inner in _all_of(item))
    target = unwrap(target)
    if is_object(target):
        return Filtered(target.values())
    return Filtered(target if is_array(target) else ())
