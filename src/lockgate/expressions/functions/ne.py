"""`ne(a, b)`."""

from __future__ import annotations

from typing import Any

from lockgate.expressions.function import Function, of_values
from lockgate.expressions.values import equals


def _ne(left: Any, right: Any) -> bool:
    return not equals(left, right)


FUNCTION = Function(
    "ne", 2, 2, of_values(_ne), "True if they are not equal, also if right can't be converted to left's kind.", ("ne(1, 'x')", "True")
)
