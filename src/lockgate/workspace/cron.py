"""Cron expressions as Azure Machine Learning's schedules take them: minutes, hours, days, months, weekdays; in UTC unless said otherwise."""

from __future__ import annotations

import re
from typing import Final

_FIELDS: Final = (("minute", 0, 59), ("hour", 0, 23), ("day", 1, 31), ("month", 1, 12), ("weekday", 0, 6))
_PART: Final = re.compile(r"(\*|\d+(?:-\d+)?)(?:/(\d+))?")


def refuse(text: str) -> str:
    """What is wrong with an expression; empty if nothing is. Names of days and months are not taken, as in Azure."""
    fields = text.split()
    if len(fields) != len(_FIELDS):
        return f"found {text!r}; allowed: five fields, minute hour day month weekday"
    for field, (name, low, high) in zip(fields, _FIELDS, strict=True):
        for part in field.split(","):
            match = _PART.fullmatch(part)
            numbers = [int(number) for number in match[1].split("-")] if match and match[1] != "*" else []
            if match is None or any(not low <= number <= high for number in numbers) or numbers != sorted(numbers) or match[2] == "0":
                return f"found {part!r} as {name}; allowed: * or {low} to {high}, ranges a-b, steps /n, lists with commas"
    return ""
