"""`counter(prefix, seed)`."""

from __future__ import annotations

from decimal import Decimal

from lockgate.expressions.errors import ExpressionError
from lockgate.expressions.function import Function, Host, Thunk
from lockgate.expressions.values import to_number, to_string


def _call(host: Host, thunks: list[Thunk]) -> Decimal:
    prefix = to_string(thunks[0]()) if thunks else ""
    seed = to_number(thunks[1]()) if len(thunks) > 1 else Decimal(0)
    if seed != seed.to_integral_value():
        raise ExpressionError(f"found the seed {seed}; allowed: a whole number")
    return Decimal(host.count(prefix, int(seed)))


FUNCTION = Function(
    "counter",
    1,
    2,
    _call,
    "A number that grows by one with each run of the pipeline, for each prefix by itself; the seed is the first.",
    ("counter('1.0', 100)", "100"),
    ("variable",),
)
