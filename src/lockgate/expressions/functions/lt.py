"""`lt(a, b)`."""

from __future__ import annotations

from typing import Any

from lockgate.expressions.function import Function, of_values
from lockgate.expressions.values import compare


def _lt(left: Any, right: Any) -> bool:
    return compare(left, right) < 0


FUNCTION = Function(
    "lt", 2, 2, of_values(_lt), "True if left is less than right, which is converted to left's kind.", ("lt(5, 4)", "False")
)
