"""Bicep's functions that need nothing but their arguments. Each takes evaluated values; what is wrong with them is a ValueError's text."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import uuid
from collections.abc import Callable
from typing import Any, Final

_GUIDS: Final = uuid.UUID("11fb06fb-712d-4ddd-98c7-e71bbd588830")
"""Namespace of the ids that Azure's guid() makes."""
_LETTERS: Final = "abcdefghijklmnopqrstuvwxyz234567"


def text(value: Any) -> str:
    """A value as string() and interpolation write it."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    return json.dumps(value, separators=(",", ":"))


def unique_string(*parts: Any) -> str:
    """Thirteen letters and digits that stand for the arguments. Azure's own are others: its hash is not published."""
    digest = hashlib.sha256("-".join(map(text, parts)).encode()).digest()
    number = int.from_bytes(digest[:9], "big")
    return "".join(_LETTERS[(number >> (5 * place)) & 31] for place in range(13))


def _contains(container: Any, item: Any) -> bool:
    if isinstance(container, dict):
        return str(item).lower() in {key.lower() for key in container}
    return item in container


def _union(*values: Any) -> Any:
    if all(isinstance(value, dict) for value in values):
        found: dict[str, Any] = {}
        for value in values:
            for key, inner in value.items():
                both = isinstance(inner, dict) and isinstance(found.get(key), dict)
                found[key] = _union(found[key], inner) if both else inner
        return found
    every = [item for value in values for item in value]
    return [item for place, item in enumerate(every) if item not in every[:place]]


def _intersection(*values: Any) -> Any:
    first, *rest = values
    if isinstance(first, dict):
        return {key: value for key, value in first.items() if all(other.get(key) == value for other in rest)}
    return [item for item in first if all(item in other for other in rest)]


def _concat(*values: Any) -> Any:
    return [item for value in values for item in value] if isinstance(values[0], list) else "".join(map(text, values))


def _format(pattern: str, *values: Any) -> str:
    def value(match: re.Match[str]) -> str:
        if match[0] in ("{{", "}}"):
            return match[0][0]
        if not match[1].isdigit() or int(match[1]) >= len(values):
            raise ValueError(f"format: found {match[0]}; allowed on the desk: {{0}} to {{{len(values) - 1}}}, without a format of numbers")
        return text(values[int(match[1])])

    return re.sub(r"\{\{|\}\}|\{([^{}]*)\}", value, pattern)


def _first(value: Any) -> Any:
    return value[0] if value else ("" if isinstance(value, str) else None)


def _last(value: Any) -> Any:
    return value[-1] if value else ("" if isinstance(value, str) else None)


def _take(value: Any, count: int) -> Any:
    return value[: max(0, count)]


def _skip(value: Any, count: int) -> Any:
    return value[max(0, count) :]


def _split(value: str, by: Any) -> list[str]:
    found = [value]
    for sign in by if isinstance(by, list) else [by]:
        found = [part for piece in found for part in piece.split(sign)]
    return found


def _substring(value: str, start: int, length: int | None = None) -> str:
    if not 0 <= start <= len(value) or (length is not None and start + length > len(value)):
        raise ValueError(f"substring: start {start} and length {length} lie outside of {value!r} ({len(value)} characters)")
    return value[start:] if length is None else value[start : start + length]


def _bool(value: Any) -> bool:
    if isinstance(value, (bool, int)):
        return bool(value)
    if str(value).lower() in ("true", "1", "false", "0"):
        return str(value).lower() in ("true", "1")
    raise ValueError(f"bool: found {value!r}; allowed: true, false, 1, 0")


def _int(value: Any) -> int:
    try:
        return int(value)
    except (TypeError, ValueError):
        raise ValueError(f"int: found {value!r}; allowed: a whole number") from None


def _json(value: str) -> Any:
    try:
        return json.loads(value)
    except ValueError as error:
        raise ValueError(f"json: {error}") from None


def _max(*values: Any) -> Any:
    return max(values[0] if len(values) == 1 and isinstance(values[0], list) else values)


def _min(*values: Any) -> Any:
    return min(values[0] if len(values) == 1 and isinstance(values[0], list) else values)


def _fail(message: str) -> Any:
    raise ValueError(message)


FUNCTIONS: Final[dict[str, Callable[..., Any]]] = {
    "any": lambda value: value,
    "array": lambda value: value if isinstance(value, list) else [value],
    "base64": lambda value: base64.b64encode(value.encode()).decode(),
    "bool": _bool,
    "concat": _concat,
    "contains": _contains,
    "empty": lambda value: value is None or len(value) == 0,
    "endsWith": lambda value, end: value.lower().endswith(end.lower()),
    "fail": _fail,
    "first": _first,
    "flatten": lambda value: [item for inner in value for item in inner],
    "format": _format,
    "guid": lambda *parts: str(uuid.uuid5(_GUIDS, "-".join(map(text, parts)))),
    "indexOf": lambda value, part: (
        value.lower().find(part.lower()) if isinstance(value, str) else (value.index(part) if part in value else -1)
    ),
    "int": _int,
    "intersection": _intersection,
    "items": lambda value: [{"key": key, "value": value[key]} for key in sorted(value)],
    "join": lambda value, sign: sign.join(map(text, value)),
    "json": _json,
    "last": _last,
    "length": len,
    "max": _max,
    "min": _min,
    "objectKeys": sorted,
    "padLeft": lambda value, length, sign=" ": text(value).rjust(length, sign),
    "range": lambda start, count: list(range(start, start + count)),
    "replace": lambda value, old, new: value.replace(old, new),
    "skip": _skip,
    "split": _split,
    "startsWith": lambda value, start: value.lower().startswith(start.lower()),
    "string": text,
    "substring": _substring,
    "take": _take,
    "toLower": lambda value: value.lower(),
    "toUpper": lambda value: value.upper(),
    "trim": lambda value: value.strip(),
    "union": _union,
    "uniqueString": unique_string,
}
"""Name → function, by Bicep's spelling."""
