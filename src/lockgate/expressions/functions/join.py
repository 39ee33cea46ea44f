"""`join(separator, array)`."""

from __future__ import annotations

from typing import Any

from lockgate.expressions.function import Function, of_values
from lockgate.expressions.values import check_length, is_array, to_string, try_string, unwrap


def _join(separator: Any, collection: Any) -> str:
    if is_array(collection):
        texts = [try_string(unwrap(item)) or "" for item in collection]
        check_length(sum(map(len, texts)) + len(texts) * len(to_string(separator)))
        return to_string(separator).join(texts)
    return try_string(collection) or ""


FUNCTION = Function(
    "join",
    2,
    2,
    of_values(_join),
    "The array's items with the separator between them; arrays and objects in it are left empty.",
    ("join(';', split('a,b', ','))", "a;b"),
)
