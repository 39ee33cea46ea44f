"""Tokens → expression."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from lockgate.expressions.ast import Call, Expression, Index, Literal, Named, Wildcard, walk
from lockgate.expressions.errors import ExpressionError
from lockgate.expressions.function import Where
from lockgate.expressions.functions import FUNCTIONS
from lockgate.expressions.lexer import Token, tokens

MAX_LENGTH: Final = 21_000
MAX_DEPTH: Final = 50
_PLACES: Final[dict[Where, str]] = {"template": "${{ }}", "variable": "$[ ] of a variable", "condition": "a condition"}


@dataclass(frozen=True, slots=True, eq=False)
class Parsed:
    """An expression, and the names in it, all of which have to be there whether it comes to them or not."""

    root: Expression
    names: tuple[Named, ...]


@lru_cache(maxsize=20_000)
def parse(text: str, where: Where) -> Parsed:
    """An expression from its text, without the signs around it.

    Args:
        text: the expression.
        where: what it stands in, since some functions are only allowed in some places.

    Raises:
        ExpressionError: with the place within `text`.
    """
    if len(text) > MAX_LENGTH:
        raise ExpressionError(f"an expression of {len(text):,} characters; allowed: at most {MAX_LENGTH:,}")
    reader = _Parser(tokens(text), where)
    found = reader.expression(0)
    reader.expect_end()
    return Parsed(found, tuple(part for part in walk(found) if isinstance(part, Named)))


class _Parser:
    def __init__(self, read: list[Token], where: Where) -> None:
        self._tokens = read
        self._where = where
        self._at = 0

    @property
    def _next(self) -> Token:
        return self._tokens[self._at]

    def _take(self) -> Token:
        token = self._tokens[self._at]
        self._at += 1
        return token

    def expect_end(self) -> None:
        if self._next.kind != "end":
            raise ExpressionError(
                f"found {self._next.text!r} after the end of the expression; take it out, or join with a function", self._next.offset
            )

    def expression(self, depth: int) -> Expression:
        if depth >= MAX_DEPTH:
            raise ExpressionError(f"nested deeper than {MAX_DEPTH} levels", self._next.offset)
        token = self._take()
        found: Expression
        if token.kind == "literal":
            if self._next.kind in (".", "["):
                raise ExpressionError(f"found {self._next.text!r} after {token.text}; a literal has no properties", self._next.offset)
            return Literal(token.value, token.offset)
        if token.kind == "name":
            if self._next.kind != "(" and token.value.lower() in FUNCTIONS:
                name = FUNCTIONS[token.value.lower()].name
                raise ExpressionError(f"found {token.text!r} without brackets; a function is written {name}()", token.offset)
            found = self._call(token, depth) if self._next.kind == "(" else Named(token.value, token.offset)
        elif token.kind == "end":
            raise ExpressionError("the expression ends too early" if self._at > 1 else "found no expression", token.offset)
        elif token.kind == "(":
            raise ExpressionError("found '('; brackets belong to functions, such as and(a, b); there is no grouping", token.offset)
        else:
            raise ExpressionError(f"found {token.text!r}; allowed there: a value, a name or a function", token.offset)
        return self._indexes(found, depth)

    def _indexes(self, found: Expression, depth: int) -> Expression:
        while self._next.kind in (".", "["):
            opening = self._take()
            if self._next.kind == "*":
                self._take()
                found = Wildcard(found, opening.offset)
                if opening.kind == "[":
                    self._close("]", opening)
            elif opening.kind == ".":
                name = self._take()
                if name.kind != "name":
                    raise ExpressionError(f"found {name.text or 'the end'!r} after a dot; allowed: a name or *", name.offset)
                found = Index(found, Literal(name.value, name.offset), name.offset)
            else:
                index = self.expression(depth + 1)
                self._close("]", opening)
                found = Index(found, index, opening.offset)
        return found

    def _close(self, sign: str, opening: Token) -> None:
        if self._next.kind != sign:
            raise ExpressionError(
                f"found {self._next.text or 'the end'!r}; allowed: {sign} for the {opening.text} before", self._next.offset
            )
        self._take()

    def _call(self, name: Token, depth: int) -> Expression:
        self._take()
        arguments: list[Expression] = []
        if self._next.kind != ")":
            arguments.append(self.expression(depth + 1))
            while self._next.kind == ",":
                self._take()
                arguments.append(self.expression(depth + 1))
        if self._next.kind != ")":
            raise ExpressionError(
                f"found {self._next.text or 'the end'!r}; allowed: a comma, or ) for the ( of {name.value}", self._next.offset
            )
        self._take()
        function = FUNCTIONS.get(name.value.lower())
        if function is None:
            raise ExpressionError(f"there is no function {name.value!r}; {_near(name.value)}", name.offset)
        if self._where not in function.where:
            places = " and ".join(_PLACES[where] for where in function.where)
            raise ExpressionError(f"{function.name}() is not allowed in {_PLACES[self._where]}; allowed: in {places}", name.offset)
        count = len(arguments)
        if count < function.minimum or (function.maximum is not None and count > function.maximum):
            raise ExpressionError(
                f"{function.name}() has {count} argument{'' if count == 1 else 's'}; allowed: {function.takes()}", name.offset
            )
        return Call(function, tuple(arguments), name.offset)


def _near(name: str) -> str:
    names = {key: function.name for key, function in FUNCTIONS.items()}
    close = difflib.get_close_matches(name.lower(), names, n=1, cutoff=0.75)
    return f"did you mean {names[close[0]]}?" if close else f"allowed: {', '.join(sorted(names.values(), key=str.lower))}"
