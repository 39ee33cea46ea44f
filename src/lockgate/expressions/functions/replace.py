"""`replace(text, part, by)`."""

from __future__ import annotations

from typing import Any

from lockgate.expressions.function import Function, of_values
from lockgate.expressions.values import to_string


def _replace(text: Any, part: Any, by: Any) -> str:
    found = to_string(part)
    return to_string(text).replace(found, to_string(by)) if found else to_string(text)


FUNCTION = Function(
    "replace", 3, 3, of_values(_replace), "The text with every such part replaced; case matters.", ("replace('a-b-c', '-', '.')", "a.b.c")
)
