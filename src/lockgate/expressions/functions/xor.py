"""`xor(a, b)`."""

from __future__ import annotations

from lockgate.expressions.function import Function, of_values
from lockgate.expressions.values import to_boolean


def _xor(left: object, right: object) -> bool:
    return to_boolean(left) != to_boolean(right)


FUNCTION = Function("xor", 2, 2, of_values(_xor), "True if exactly one is true.", ("xor(true, false)", "True"))
