"""`gt(a, b)`."""

from __future__ import annotations

from typing import Any

from lockgate.expressions.function import Function, of_values
from lockgate.expressions.values import compare


def _gt(left: Any, right: Any) -> bool:
    return compare(left, right) > 0


FUNCTION = Function(
    "gt", 2, 2, of_values(_gt), "True if left is greater than right, which is converted to left's kind.", ("gt(5, 4)", "True")
)
