"""`canceled()`."""

from __future__ import annotations

from lockgate.expressions.function import Function, Host, Thunk
from lockgate.expressions.functions._status import status_of


def _call(host: Host, _thunks: list[Thunk]) -> bool:
    return status_of(host).canceled()


FUNCTION = Function("canceled", 0, 0, _call, "True if the run was cancelled.", ("canceled()", "False"), ("condition",))
