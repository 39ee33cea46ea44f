"""`containsValue(collection, value)`."""

from __future__ import annotations

from typing import Any

from lockgate.expressions.function import Function, of_values
from lockgate.expressions.values import equals, is_array, is_object, unwrap


def _contains_value(collection: Any, value: Any) -> bool:
    items = collection.values() if is_object(collection) else collection if is_array(collection) else ()
    # Each item is converted to the kind of the value, so the value stands on the left.
    return any(equals(value, unwrap(item)) for item in items)


FUNCTION = Function(
    "containsValue",
    2,
    2,
    of_values(_contains_value),
    "True if an item of the array, or a property of the object, equals the value.",
    ("containsValue(split('a,b', ','), 'B')", "True"),
)
