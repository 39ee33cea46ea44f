"""`le(a, b)`."""

from __future__ import annotations

from typing import Any

from lockgate.expressions.function import Function, of_values
from lockgate.expressions.values import compare


def _le(left: Any, right: Any) -> bool:
    return compare(left, right) <= 0


FUNCTION = Function(
    "le", 2, 2, of_values(_le), "True if left is less than or equal to right, which is converted to left's kind.", ("le(5, 4)", "False")
)
