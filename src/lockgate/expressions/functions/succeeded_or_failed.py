"""`succeededOrFailed(name, …)`."""

from __future__ import annotations

from lockgate.expressions.function import Function, Host, Thunk
from lockgate.expressions.functions._status import names, status_of


def _call(host: Host, thunks: list[Thunk]) -> bool:
    return status_of(host).succeeded_or_failed(names(thunks))


FUNCTION = Function(
    "succeededOrFailed",
    0,
    None,
    _call,
    "True unless the run was cancelled or all before was skipped; with names: if any of those succeeded or failed.",
    ("succeededOrFailed()", "True"),
    ("condition",),
)
