"""`and(a, b, …)`."""

from __future__ import annotations

from lockgate.expressions.function import Function, Host, Thunk
from lockgate.expressions.values import to_boolean


def _call(_host: Host, thunks: list[Thunk]) -> bool:
    return all(to_boolean(thunk()) for thunk in thunks)


FUNCTION = Function("and", 2, None, _call, "True if all are true; stops at the first that is not.", ("and(true, 1, 'x')", "True"))
