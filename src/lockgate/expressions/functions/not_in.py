"""`notIn(a, b, …)`."""

from __future__ import annotations

from lockgate.expressions.function import Function, Host, Thunk
from lockgate.expressions.functions.in_ import is_in


def _call(host: Host, thunks: list[Thunk]) -> bool:
    return not is_in(host, thunks)


FUNCTION = Function("notIn", 2, None, _call, "True if the first equals none of the others.", ("notIn('D', 'A', 'B')", "True"))
