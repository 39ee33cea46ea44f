"""`convertToJson(value)`."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

from lockgate.expressions.function import Function, of_values
from lockgate.expressions.values import is_array, is_object, to_string, unwrap


def _convert_to_json(value: Any) -> str:
    return json.dumps(_plain(value), indent=2, ensure_ascii=False)


def _plain(value: Any) -> Any:
    value = unwrap(value)
    if is_object(value):
        return {key: _plain(item) for key, item in value.items()}
    if is_array(value):
        return [_plain(item) for item in value]
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    return value if value is None or isinstance(value, (str, bool)) else to_string(value)


FUNCTION = Function("convertToJson", 1, 1, of_values(_convert_to_json), "The value as JSON.", ("convertToJson('a')", '"a"'))
