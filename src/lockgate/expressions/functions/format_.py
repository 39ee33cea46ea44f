"""`format(pattern, a, b, …)`."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any, Final

from lockgate.expressions.dates import date_pieces, format_date
from lockgate.expressions.errors import ExpressionError
from lockgate.expressions.function import Function, Host, Thunk
from lockgate.expressions.values import check_length, kind_of, to_string, with_article

_PIECE: Final = re.compile(r"\{\{|\}\}|\{(?P<number>\d{1,3})(?::(?P<pattern>(?:[^{}]|\{\{|\}\})*))?\}|(?P<stray>[{}])")
_DATE: Final = frozenset(
    ("yyyy", "yy", "MM", "M", "dd", "d", "HH", "H", "mm", "m", "ss", "s", *("f" * n for n in range(1, 8)), "zzz", "K", " ")
)
"""What Azure takes; .NET itself takes more."""


def _format(_host: Host, thunks: list[Thunk]) -> str:
    pattern, values = thunks[0](), thunks[1:]
    length = [len(to_string(pattern))]

    def piece(match: re.Match[str]) -> str:
        if match["stray"]:
            raise ExpressionError(f"found a single {match[0]} in the pattern; double it to have it written, or close it as {{0}}")
        if match["number"] is None:
            return match[0][0]
        number = int(match["number"])
        if number >= len(values):
            raise ExpressionError(f"the pattern has {{{number}}}; values after it: {len(values)}, counted from 0")
        text = _written(values[number](), match["pattern"])
        length[0] += len(text)
        check_length(length[0])
        return text

    return _PIECE.sub(piece, to_string(pattern))


def _written(value: Any, pattern: str | None) -> str:
    if not pattern:
        return to_string(value)
    if not isinstance(value, datetime):
        raise ExpressionError(f"the pattern :{pattern} is for dates; found {with_article(kind_of(value))}")
    if not all(piece in _DATE or piece.startswith("\\") for piece in date_pieces(pattern)):
        raise ExpressionError(
            f"the pattern :{pattern} is not one for dates; allowed: yyyy yy MM M dd d HH H mm m ss s f zzz K, spaces, and \\ before other signs"
        )
    return format_date(value, pattern)


FUNCTION = Function(
    "format",
    1,
    None,
    _format,
    "The pattern with {0}, {1}, … replaced by the values; {{ and }} stand for braces.",
    ("format('{0}-{1}', 'a', 2)", "a-2"),
)
