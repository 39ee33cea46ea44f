"""`join(separator, array)`."""

from __future__ import annotations

from typing import Any

from lockgate.expressions.function import Function, of_values
from lockgate.expressions.values import is_array, to_string, try_string, unwrap


def _join(separator: Any, collection: Any) -> str:
    if is_array(collection):
        return to_string(separator).join(try_string(unwrap(item)) or "" for item in collection)
    return try_string(collection) or ""


FUNCTION = Function(
    "join",
    2,
    2,
    of_values(_join),
    "The array's items with the separator between them; arrays and objects in it are left empty.",
    ("join(';', split('a,b', ','))", "a;b"),
)
