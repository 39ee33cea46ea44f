"""`succeeded(name, …)`."""

from __future__ import annotations

from lockgate.expressions.function import Function, Host, Thunk
from lockgate.expressions.functions._status import names, status_of


def _call(host: Host, thunks: list[Thunk]) -> bool:
    return status_of(host).succeeded(names(thunks))


FUNCTION = Function(
    "succeeded",
    0,
    None,
    _call,
    "True if all before succeeded, also with issues; with names: if all of those did.",
    ("succeeded()", "True"),
    ("condition",),
)
