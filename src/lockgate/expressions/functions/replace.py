"""`replace(text, part, by)`."""

from __future__ import annotations

from typing import Any

from lockgate.expressions.function import Function, of_values
from lockgate.expressions.values import check_length, to_string


def _replace(text: Any, part: Any, by: Any) -> str:
    found = to_string(part)
    whole, new = to_string(text), to_string(by)
    if not found:
        return whole
    check_length(len(whole) + whole.count(found) * (len(new) - len(found)))
    return whole.replace(found, new)


FUNCTION = Function(
    "replace", 3, 3, of_values(_replace), "The text with every such part replaced; case matters.", ("replace('a-b-c', '-', '.')", "a.b.c")
)
