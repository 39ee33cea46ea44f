"""`not(a)`."""

from __future__ import annotations

from lockgate.expressions.function import Function, of_values
from lockgate.expressions.values import to_boolean


def _not(value: object) -> bool:
    return not to_boolean(value)


FUNCTION = Function("not", 1, 1, of_values(_not), "True if it is false.", ("not(eq(1, 2))", "True"))
