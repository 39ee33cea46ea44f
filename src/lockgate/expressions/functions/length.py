"""`length(value)`."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from lockgate.expressions.function import Function, of_values
from lockgate.expressions.values import is_array, is_object, to_string


def _length(value: Any) -> Decimal:
    return Decimal(len(value if is_array(value) or is_object(value) else to_string(value)))


FUNCTION = Function("length", 1, 1, of_values(_length), "How many characters, items or properties.", ("length('fabrikam')", "8"))
