"""`upper(text)`."""

from __future__ import annotations

from typing import Any

from lockgate.expressions.function import Function, of_values
from lockgate.expressions.values import to_string, upper


def _upper(text: Any) -> str:
    return upper(to_string(text))


FUNCTION = Function("upper", 1, 1, of_values(_upper), "The text in capitals.", ("upper('AbC')", "ABC"))
