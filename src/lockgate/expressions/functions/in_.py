"""`in(a, b, …)`."""

from __future__ import annotations

from lockgate.expressions.function import Function, Host, Thunk
from lockgate.expressions.values import equals


def is_in(_host: Host, thunks: list[Thunk]) -> bool:
    """Whether the first equals any of the others; stops at the first that does."""
    value = thunks[0]()
    return any(equals(value, thunk()) for thunk in thunks[1:])


FUNCTION = Function("in", 2, None, is_in, "True if the first equals any of the others.", ("in('B', 'A', 'b')", "True"))
