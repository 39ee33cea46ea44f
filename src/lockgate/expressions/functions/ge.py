"""`ge(a, b)`."""

from __future__ import annotations

from typing import Any

from lockgate.expressions.function import Function, of_values
from lockgate.expressions.values import compare


def _ge(left: Any, right: Any) -> bool:
    return compare(left, right) >= 0


FUNCTION = Function(
    "ge", 2, 2, of_values(_ge), "True if left is greater than or equal to right, which is converted to left's kind.", ("ge(5, 4)", "True")
)
