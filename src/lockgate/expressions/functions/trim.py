"""`trim(text)`."""

from __future__ import annotations

from typing import Any

from lockgate.expressions.function import Function, of_values
from lockgate.expressions.values import to_string


def _trim(text: Any) -> str:
    return to_string(text).strip()


FUNCTION = Function("trim", 1, 1, of_values(_trim), "The text without space at its ends.", ("trim('  a b ')", "a b"))
