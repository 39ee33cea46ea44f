"""`always()`."""

from __future__ import annotations

from lockgate.expressions.function import Function, Host, Thunk


def _call(_host: Host, _thunks: list[Thunk]) -> bool:
    return True


FUNCTION = Function("always", 0, 0, _call, "True, also when the run is cancelled.", ("always()", "True"), ("condition",))
