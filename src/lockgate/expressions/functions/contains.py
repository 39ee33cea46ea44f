"""`contains(text, part)`."""

from __future__ import annotations

from typing import Any

from lockgate.expressions.function import Function, of_values
from lockgate.expressions.values import fold, to_string


def _contains(text: Any, part: Any) -> bool:
    return fold(to_string(part)) in fold(to_string(text))


FUNCTION = Function(
    "contains",
    2,
    2,
    of_values(_contains),
    "True if the text has the part in it, without regard to case.",
    ("contains('ABCDE', 'bcd')", "True"),
)
