"""Dates in .NET's custom format strings, the ones that `format` and a pipeline's `name` use."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Final

_PIECE: Final = re.compile(r"'[^']*'|\\.|y+|M+|d+|H+|h+|m+|s+|f+|t+|z+|K|.", re.DOTALL)


def date_pieces(pattern: str) -> list[str]:
    """A pattern cut into runs of one letter, escaped signs and single signs."""
    return _PIECE.findall(pattern)


def format_date(moment: datetime, pattern: str) -> str:
    """A moment in a .NET pattern such as `yyyyMMdd`."""
    return "".join(_piece(moment, piece) for piece in date_pieces(pattern))


def _piece(moment: datetime, piece: str) -> str:
    letter, length = piece[0], len(piece)
    if letter == "'":
        return piece[1:-1]
    if letter == "\\":
        return piece[1:]
    numbers = {"M": moment.month, "d": moment.day, "H": moment.hour, "h": moment.hour % 12 or 12, "m": moment.minute, "s": moment.second}
    if letter == "y":
        return f"{moment.year % 100:0{length}d}" if length <= 2 else f"{moment.year:0{length}d}"
    if letter in "Md" and length >= 3:
        return moment.strftime({"M": "%b", "d": "%a"}[letter] if length == 3 else {"M": "%B", "d": "%A"}[letter])
    if letter in numbers:
        return f"{numbers[letter]:0{min(length, 2)}d}"
    if letter == "f":
        return f"{moment.microsecond:06d}".ljust(7, "0")[:length]
    if letter == "t":
        return moment.strftime("%p")[: 1 if length == 1 else 2]
    if letter in "zK":
        zone = moment.strftime("%z") or "+0000"
        whole = f"{zone[:3]}:{zone[3:5]}"
        return whole if letter == "K" else {1: f"{zone[0]}{int(zone[1:3])}", 2: zone[:3]}.get(length, whole)
    return piece
