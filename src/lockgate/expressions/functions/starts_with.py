"""`startsWith(text, part)`."""

from __future__ import annotations

from typing import Any

from lockgate.expressions.function import Function, of_values
from lockgate.expressions.values import fold, to_string


def _starts_with(text: Any, part: Any) -> bool:
    return fold(to_string(text)).startswith(fold(to_string(part)))


FUNCTION = Function(
    "startsWith",
    2,
    2,
    of_values(_starts_with),
    "True if the text begins with the part, without regard to case.",
    ("startsWith('ABCDE', 'ab')", "True"),
)
