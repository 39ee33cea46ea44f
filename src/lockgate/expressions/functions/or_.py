"""`or(a, b, …)`."""

from __future__ import annotations

from lockgate.expressions.function import Function, Host, Thunk
from lockgate.expressions.values import to_boolean


def _call(_host: Host, thunks: list[Thunk]) -> bool:
    return any(to_boolean(thunk()) for thunk in thunks)


FUNCTION = Function("or", 2, None, _call, "True if any is true; stops at the first that is.", ("or(false, 0, 'x')", "True"))
