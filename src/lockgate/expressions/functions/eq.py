"""`eq(a, b)`."""

from __future__ import annotations

from lockgate.expressions.function import Function, of_values
from lockgate.expressions.values import equals

FUNCTION = Function(
    "eq",
    2,
    2,
    of_values(equals),
    "True if both are equal; right is converted to left's kind, texts without regard to case.",
    ("eq('ABC', 'abc')", "True"),
)
