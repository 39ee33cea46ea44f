"""Values of expressions, and how Azure converts one kind into another.

| kind    | here                                                    |
|---------|---------------------------------------------------------|
| Boolean | bool                                                    |
| Null    | None                                                    |
| Number  | Decimal                                                 |
| String  | str                                                     |
| Version | Version                                                 |
| DateTime| datetime                                                |
| Array   | collections.abc.Sequence                                |
| Object  | collections.abc.Mapping                                 |

Source: "Type casting" in Microsoft's page on expressions; a right side is converted to the kind of the left side.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from decimal import ROUND_HALF_UP, Context, Decimal
from typing import Any, Final

from lockgate.expressions.errors import ExpressionError, UnknownValueError

_NUMBER: Final = re.compile(r"\s*[+-]?(?:[0-9][0-9,]*(?:\.[0-9]*)?|\.[0-9]+)\s*")
_VERSION: Final = re.compile(r"\s*([0-9]{1,10})\.([0-9]{1,10})(?:\.([0-9]{1,10}))?(?:\.([0-9]{1,10}))?\s*")
LARGEST: Final = Decimal(79228162514264337593543950335)
"""The largest Number: .NET's decimal has 96 bits."""
MAX_TEXT: Final = 2_000_000
"""Characters of a String, so that no expression can take all memory."""
_PRECISE: Final = Context(prec=60)
_LARGEST_PART: Final = 2_147_483_647
_SEVENTH: Final = Decimal("0.0000001")


class Leaf:
    """A value that knows where it comes from, such as a scalar of a file."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value


class Unknown(Leaf):
    """A value that can't be known yet; whoever asks for it gets an UnknownValueError."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__(None)


class Names(dict[str, Any]):
    """A mapping whose keys are found without regard to case, and kept as they were written first."""

    def __init__(self, values: Mapping[str, Any] | Iterable[tuple[str, Any]] = ()) -> None:
        super().__init__()
        self._written: dict[str, str] = {}
        for key, value in values.items() if isinstance(values, Mapping) else values:
            self[key] = value

    def __setitem__(self, key: str, value: Any) -> None:
        super().__setitem__(self._written.setdefault(key.lower(), key), value)

    def __getitem__(self, key: str) -> Any:
        return super().__getitem__(self._written.get(key.lower(), key))

    def __delitem__(self, key: str) -> None:
        super().__delitem__(self._written.pop(key.lower(), key))

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and key.lower() in self._written

    def get(self, key: str, default: Any = None) -> Any:
        """The value of a key; `default` if there is none."""
        return super().get(self._written.get(key.lower(), key), default)

    def written(self, key: str) -> str:
        """A key as it was written first."""
        return self._written.get(key.lower(), key)

    def merge(self, values: Mapping[str, Any]) -> Names:
        """Set several, and give back itself; `update` of a dict would go past the case."""
        for key, value in values.items():
            self[key] = value
        return self

    def copy(self) -> Names:
        """A copy that can be changed by itself."""
        return Names(self)


class Filtered(Sequence[Any]):
    """What `.*` gives: an index into it is an index into each of its items."""

    def __init__(self, items: Iterable[Any]) -> None:
        self._items = list(items)

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, index: Any) -> Any:
        return self._items[index]

    def __iter__(self) -> Iterator[Any]:
        return iter(self._items)


@dataclass(frozen=True, order=True)
class Version:
    """A version of two to four parts; a missing part is less than 0, as in .NET."""

    major: int
    minor: int
    build: int = -1
    revision: int = -1

    def __str__(self) -> str:
        return ".".join(str(part) for part in (self.major, self.minor, self.build, self.revision) if part >= 0)


def unwrap(value: Any) -> Any:
    """A value without the place that it comes from.

    Raises:
        UnknownValueError: it is not known yet.
    """
    if isinstance(value, Unknown):
        raise UnknownValueError
    return value.value if isinstance(value, Leaf) else value


def is_array(value: Any) -> bool:
    """Whether it is an Array."""
    return isinstance(value, Sequence) and not isinstance(value, str)


def is_object(value: Any) -> bool:
    """Whether it is an Object."""
    return isinstance(value, Mapping)


def kind_of(value: Any) -> str:
    """The kind's name, for messages."""
    if value is None:
        return "Null"
    for kind, name in ((bool, "Boolean"), (Decimal, "Number"), (str, "String"), (Version, "Version"), (datetime, "DateTime")):
        if isinstance(value, kind):
            return name
    return "Object" if is_object(value) else "Array"


def with_article(kind: str) -> str:
    """A kind's name with its article."""
    return f"{'an' if kind[0] in 'AO' else 'a'} {kind}"


def to_boolean(value: Any) -> bool:
    """As Azure does: only False, 0, the empty String and Null are false."""
    if isinstance(value, bool):
        return value
    if value is None:
        return False
    if isinstance(value, Decimal):
        return value != 0
    return bool(value) if isinstance(value, str) else True


def try_number(value: Any) -> Decimal | None:
    """The Number that a value converts to; None if it does not."""
    if isinstance(value, bool):
        return Decimal(int(value))
    if isinstance(value, Decimal):
        return value
    if value is None or value == "":
        return Decimal(0)
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        found = Decimal(value.strip().replace(",", ""))
        return found if -LARGEST <= found <= LARGEST else None
    return None


def try_version(value: Any) -> Version | None:
    """The Version that a value converts to; None if it does not."""
    if isinstance(value, Version):
        return value
    if isinstance(value, bool) or not isinstance(value, (Decimal, str)):
        return None
    match = _VERSION.fullmatch(value if isinstance(value, str) else number_text(value))
    parts = [int(part) for part in match.groups() if part is not None] if match else []
    return Version(*parts) if parts and max(parts) <= _LARGEST_PART else None


def try_datetime(value: Any) -> datetime | None:
    """The DateTime that a value converts to, in UTC if it names no zone; None if it does not."""
    if isinstance(value, datetime):
        return value
    if not isinstance(value, str):
        return None
    try:
        found = datetime.fromisoformat(value.strip())
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=timezone.utc)


def try_string(value: Any) -> str | None:
    """The String that a value converts to; None for an Array or Object."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return str(value)
    if value is None:
        return ""
    if isinstance(value, Decimal):
        return number_text(value)
    if isinstance(value, datetime):
        zone = value.strftime("%z") or "+0000"
        return f"{value:%Y-%m-%d %H:%M:%S}{zone[:3]}:{zone[3:5]}"
    return str(value) if isinstance(value, Version) else None


def number_text(value: Decimal) -> str:
    """A Number with at most seven decimals, no separators and no exponent."""
    if value != value.to_integral_value():
        value = value.quantize(_SEVENTH, ROUND_HALF_UP, context=_PRECISE)
    text = f"{value:f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text in ("-0", "") else text


def _needed(found: Any, value: Any, wanted: str) -> Any:
    if found is None:
        shown = f" {value!r}" if isinstance(value, str) else ""
        raise ExpressionError(f"found {with_article(kind_of(value))}{shown} that can't be converted to {wanted}")
    return found


def to_number(value: Any) -> Decimal:
    """A Number.

    Raises:
        ExpressionError: it can't be converted.
    """
    found: Decimal = _needed(try_number(value), value, "Number")
    return found


def to_string(value: Any) -> str:
    """A String.

    Raises:
        ExpressionError: it is an Array or Object.
    """
    found: str = _needed(try_string(value), value, "String")
    return found


def upper(text: str) -> str:
    """A text in capitals, sign by sign as .NET does it: one without a single capital stays."""
    return text.upper() if text.isascii() else "".join(c.upper() if len(c.upper()) == 1 else c for c in text)


def lower(text: str) -> str:
    """A text in small letters, sign by sign as .NET does it."""
    return text.lower() if text.isascii() else "".join(c.lower() if len(c.lower()) == 1 else c for c in text)


def check_length(characters: int) -> None:
    """Raise an ExpressionError for a text that would be too long, before it is made."""
    if characters > MAX_TEXT:
        raise ExpressionError(f"the text comes to more than {MAX_TEXT:,} characters; Azure refuses so much")


def fold(text: str) -> str:
    """A text for comparisons without regard to case, as .NET's OrdinalIgnoreCase does."""
    return upper(text)


def equals(left: Any, right: Any) -> bool:
    """Whether two values are equal, the right one converted to the kind of the left one."""
    if isinstance(left, bool):
        return left == to_boolean(right)
    if isinstance(left, Decimal):
        return left == try_number(right)
    if isinstance(left, str):
        text = try_string(right)
        return text is not None and fold(left) == fold(text)
    if isinstance(left, Version):
        return left == try_version(right)
    if left is None:
        return right is None or right == ""
    if isinstance(left, datetime):
        return left == try_datetime(right)
    return left is right


def compare(left: Any, right: Any) -> int:
    """-1, 0 or 1 as left is less than, equal to or greater than right, converted to the kind of left.

    Raises:
        ExpressionError: right can't be converted.
    """
    a: Any
    b: Any
    if isinstance(left, bool):
        a, b = left, to_boolean(right)
    elif isinstance(left, str):
        a, b = fold(left), fold(to_string(right))
    elif isinstance(left, Version):
        a, b = left, _needed(try_version(right), right, "Version")
    elif isinstance(left, datetime):
        a, b = left, _needed(try_datetime(right), right, "DateTime")
    else:
        a, b = to_number(left), to_number(right)
    return int(a > b) - int(a < b)
