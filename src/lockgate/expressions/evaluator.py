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
from lockgate.expressions.parser import Parsed
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


def evaluate(expression: Parsed, scope: Scope) -> Any:
    """The value of an expression.

    Raises:
        ExpressionError: a name that is not there, or a value that can't be converted.
        UnknownValueError: it depends on what is not known yet.
    """
    for named in expression.names:
        if named.name not in scope.names:
            other = scope.others.get(named.name.lower())
            allowed = ", ".join(sorted(scope.names)) or "nothing but functions and literals"
            raise ExpressionError(other or f"there is no {named.name!r} here; allowed: {allowed}", named.offset)
    return unwrap(_evaluate(expression.root, scope))


def _evaluate(expression: Expression, scope: Scope) -> Any:
    # A chain of indexes can be long, so it is followed from its beginning without a call for each.
    links: list[Index | Wildcard] = []
    while isinstance(expression, (Index, Wildcard)):
        links.append(expression)
        expression = expression.target
    if isinstance(expression, Literal):
        value = expression.value
    elif isinstance(expression, Named):
        value = scope.names[expression.name]
    else:
        value = _called(expression, scope)
    for link in reversed(links):
        if isinstance(link, Wildcard):
            value = _all_of(value)
            continue
        index = unwrap(_evaluate(link.index, scope))
        try:
            value = index_into(value, index)
        except ExpressionError as error:
            raise error.at(link.offset) from None
    return value


def _value(expression: Expression, scope: Scope) -> Any:
    return unwrap(_evaluate(expression, scope))


def _called(call: Call, scope: Scope) -> Any:
    try:
        return call.function.call(scope, [partial(_value, argument, scope) for argument in call.arguments])
    except ExpressionError as error:
        if error.offset is None:
            raise ExpressionError(f"{call.function.name}(): {error}", call.offset) from None
        raise


def index_into(target: Any, index: Any) -> Any:
    """The value at an index or property; Null where there is none."""
    if isinstance(target, Filtered):
        return Filtered(value for item in target for there, value in [_found(unwrap(item), index)] if there)
    return _found(unwrap(target), index)[1]


def _found(target: Any, index: Any) -> tuple[bool, Any]:
    """Whether there is something at an index or property, and what."""
    if is_object(target):
        key = try_string(index)
        return (False, None) if key is None else (key in target, target.get(key))
    number = try_number(index) if is_array(target) else None
    if number is None or number < 0 or number >= Decimal(len(target)):
        return False, None
    return True, target[int(number)]


def _all_of(target: Any) -> Any:
    if isinstance(target, Filtered):
        return Filtered(inner for item in target for inner in _all_of(item))
    target = unwrap(target)
    if is_object(target):
        return Filtered(target.values())
    return Filtered(target if is_array(target) else ())
