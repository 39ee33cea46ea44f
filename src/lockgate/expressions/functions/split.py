"""`split(text, separator)`."""

from __future__ import annotations

from typing import Any

from lockgate.expressions.function import Function, of_values
from lockgate.expressions.values import to_string


def _split(text: Any, separator: Any) -> list[str]:
    sign = to_string(separator)
    return to_string(text).split(sign) if sign else [to_string(text)]


FUNCTION = Function(
    "split",
    2,
    2,
    of_values(_split),
    "The text cut at each such separator, which is one text, not a set of characters.",
    ("join('|', split('a, b;c', ', '))", "a|b;c"),
)
