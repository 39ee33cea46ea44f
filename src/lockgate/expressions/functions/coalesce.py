"""`coalesce(a, b, …)`."""

from __future__ import annotations

from typing import Any

from lockgate.expressions.function import Function, Host, Thunk


def _call(_host: Host, thunks: list[Thunk]) -> Any:
    for thunk in thunks:
        value = thunk()
        if value is not None and value != "":
            return value
    return None


FUNCTION = Function("coalesce", 2, None, _call, "The first that is neither Null nor empty.", ("coalesce('', 'b', 'c')", "b"))
