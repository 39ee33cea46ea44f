"""`endsWith(text, part)`."""

from __future__ import annotations

from typing import Any

from lockgate.expressions.function import Function, of_values
from lockgate.expressions.values import fold, to_string


def _ends_with(text: Any, part: Any) -> bool:
    return fold(to_string(text)).endswith(fold(to_string(part)))


FUNCTION = Function(
    "endsWith",
    2,
    2,
    of_values(_ends_with),
    "True if the text ends with the part, without regard to case.",
    ("endsWith('ABCDE', 'de')", "True"),
)
