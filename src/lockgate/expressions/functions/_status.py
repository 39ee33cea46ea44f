"""What the status functions share."""

from __future__ import annotations

from lockgate.expressions.errors import ExpressionError
from lockgate.expressions.function import Host, Status, Thunk
from lockgate.expressions.values import to_string


def status_of(host: Host) -> Status:
    """How what came before ended.

    Raises:
        ExpressionError: the expression stands where nothing came before.
    """
    if host.status is None:
        raise ExpressionError("nothing has run yet where this stands")
    return host.status


def names(thunks: list[Thunk]) -> list[str]:
    """The names that the call has."""
    return [to_string(thunk()) for thunk in thunks]
