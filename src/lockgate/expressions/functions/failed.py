"""`failed(name, …)`."""

from __future__ import annotations

from lockgate.expressions.function import Function, Host, Thunk
from lockgate.expressions.functions._status import names, status_of


def _call(host: Host, thunks: list[Thunk]) -> bool:
    return status_of(host).failed(names(thunks))


FUNCTION = Function(
    "failed", 0, None, _call, "True if something before failed; with names: if any of those did.", ("failed()", "False"), ("condition",)
)
