"""`lower(text)`."""

from __future__ import annotations

from typing import Any

from lockgate.expressions.function import Function, of_values
from lockgate.expressions.values import lower, to_string


def _lower(text: Any) -> str:
    return lower(to_string(text))


FUNCTION = Function("lower", 1, 1, of_values(_lower), "The text in small letters.", ("lower('AbC')", "abc"))
