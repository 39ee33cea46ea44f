"""`length(value)`."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from lockgate.expressions.function import Function, of_values
from lockgate.expressions.values import is_array, is_object, to_string


def _length(value: Any) -> Decimal:
    if is_array(value) or is_object(value):
        return Decimal(len(value))
    return Decimal(len(to_string(value).encode("utf-16-le")) // 2)  # .NET counts UTF-16 units


FUNCTION = Function("length", 1, 1, of_values(_length), "How many characters, items or properties.", ("length('fabrikam')", "8"))
