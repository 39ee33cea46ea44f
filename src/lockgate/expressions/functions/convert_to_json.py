"""`convertToJson(value)`."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

from lockgate.expressions.function import Function, of_values
from lockgate.expressions.values import is_array, is_object, number_text, to_string, unwrap


def _written(value: Any, indent: str = "") -> str:
    """JSON as Azure writes it: two spaces a level, numbers as expressions print them."""
    value = unwrap(value)
    inner = indent + "  "
    if is_object(value):
        lines = [f"{inner}{json.dumps(key, ensure_ascii=False)}: {_written(item, inner)}" for key, item in value.items()]
        return "{\n" + ",\n".join(lines) + f"\n{indent}}}" if lines else "{}"
    if is_array(value):
        lines = [inner + _written(item, inner) for item in value]
        return "[\n" + ",\n".join(lines) + f"\n{indent}]" if lines else "[]"
    if isinstance(value, Decimal):
        return number_text(value)
    return json.dumps(value if value is None or isinstance(value, (str, bool)) else to_string(value), ensure_ascii=False)


FUNCTION = Function("convertToJson", 1, 1, of_values(_written), "The value as JSON.", ("convertToJson('a')", '"a"'))
