"""Text → tokens."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from lockgate.expressions.errors import ExpressionError
from lockgate.expressions.values import LARGEST, try_version

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_NUMBER: Final = re.compile(r"-?[0-9.][0-9.]*|-")
_STRING: Final = re.compile(r"'((?:[^']|'')*)'(?!')")
_PUNCTUATION: Final = "()[],.*"
_DIGITS: Final = "0123456789"


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of an expression. `kind` is a sign of punctuation, `name`, `literal` or `end`."""

    kind: str
    value: Any
    offset: int
    text: str


def tokens(text: str) -> list[Token]:
    """All tokens, an `end` last.

    Raises:
        ExpressionError: something is no token.
    """
    found: list[Token] = []
    at = 0
    while at < len(text):
        sign = text[at]
        if sign.isspace():
            at += 1
            continue
        if (
            sign == "."
            and text[at + 1 : at + 2] in tuple(_DIGITS)
            and (not found or found[-1].kind not in ("name", "literal", ")", "]", "*", "."))
        ):
            token = _number(text, at)  # .5, since nothing stands before it that could have a property
        elif sign in _PUNCTUATION:
            token = Token(sign, sign, at, sign)
        elif sign == "'":
            match = _STRING.match(text, at)
            if match is None:
                raise ExpressionError("a text that begins with ' has no end; close it with '", at)
            token = Token("literal", match[1].replace("''", "'"), at, match[0])
        elif sign == "-" and found and found[-1].kind == "name":
            raise ExpressionError(f"found '-' after {found[-1].text!r}; a name with such a sign is written ['like-this']", at)
        elif sign in _DIGITS or sign == "-":
            token = _number(text, at)
        else:
            match = _NAME.match(text, at)
            if match is None:
                hint = "texts stand in single quotes" if sign == '"' else _hint(text, at)
                raise ExpressionError(f"found {sign!r}; {hint}", at)
            token = _named(found, match[0], at)
        found.append(token)
        at += len(token.text)
    found.append(Token("end", None, len(text), ""))
    return found


def _hint(text: str, at: int) -> str:
    for sign, function in (("==", "eq(a, b)"), ("!=", "ne(a, b)"), (">=", "ge(a, b)"), ("<=", "le(a, b)"), ("&", "and(a, b)"), ("|", "or(a, b)"), ("!", "not(a)"),
                           (">", "gt(a, b)"), ("<", "lt(a, b)"), ("=", "eq(a, b)")):  # fmt: skip
        if text.startswith(sign, at):
            return f"there are no operators; write {function}"
    if text[at] == "$":
        return "inside an expression a variable is variables['name'], without $( )"
    return "allowed: names, numbers, 'texts', ( ) [ ] , . *"


def _named(found: list[Token], name: str, at: int) -> Token:
    if not (found and found[-1].kind == "."):
        if name.lower() == "true":
            return Token("literal", True, at, name)  # noqa: FBT003 - the value itself
        if name.lower() == "false":
            return Token("literal", False, at, name)  # noqa: FBT003 - the value itself
    return Token("name", name, at, name)


def _number(text: str, at: int) -> Token:
    match = _NUMBER.match(text, at)
    written = match[0] if match else text[at]
    after = text[at + len(written) : at + len(written) + 1]
    if after and not after.isspace() and after not in "(),[]":
        raise ExpressionError(f"found {written + after!r}; a number ends before a space, a bracket or a comma; texts stand in quotes", at)
    if written.count(".") >= 2:
        version = try_version(written)
        if version is None:
            raise ExpressionError(f"found {written!r}, which is no version; allowed: 3 or 4 numbers, such as 1.2.3", at)
        return Token("literal", version, at, written)
    if not any(c in _DIGITS for c in written):
        raise ExpressionError(f"found {written!r}; allowed there: a number, such as -1.5", at)
    if not -LARGEST <= Decimal(written) <= LARGEST:
        raise ExpressionError(f"found {written!r}; allowed: numbers up to {LARGEST}", at)
    return Token("literal", Decimal(written), at, written)
