"""`format(pattern, a, b, …)`."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any, Final

from lockgate.expressions.dates import format_date
from lockgate.expressions.errors import ExpressionError
from lockgate.expressions.function import Function, of_values
from lockgate.expressions.values import kind_of, to_string

_PIECE: Final = re.compile(r"\{\{|\}\}|\{(?P<number>\d{1,3})(?::(?P<pattern>(?:[^{}]|\{\{|\}\})*))?\}|(?P<stray>[{}])")


def _format(pattern: Any, *values: Any) -> str:
    def piece(match: re.Match[str]) -> str:
        if match["stray"]:
            raise ExpressionError(f"found a single {match[0]} in the pattern; double it to have it written, or close it as {{0}}")
        if match["number"] is None:
            return match[0][0]
        number = int(match["number"])
        if number >= len(values):
            raise ExpressionError(f"the pattern has {{{number}}}, and there are {len(values)} values after it")
        return _written(values[number], match["pattern"])

    return _PIECE.sub(piece, to_string(pattern))


def _written(value: Any, pattern: str | None) -> str:
    if not pattern:
        return to_string(value)
    if isinstance(value, datetime):
        return format_date(value, pattern)
    raise ExpressionError(f"the pattern :{pattern} is for dates; found a {kind_of(value)}")


FUNCTION = Function(
    "format",
    1,
    None,
    of_values(_format),
    "The pattern with {0}, {1}, … replaced by the values; {{ and }} stand for braces.",
    ("format('{0}-{1}', 'a', 2)", "a-2"),
)
