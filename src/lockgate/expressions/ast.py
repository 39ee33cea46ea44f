"""What an expression is made of."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from lockgate.expressions.function import Function


@dataclass(frozen=True, slots=True)
class Literal:
    """A value as written."""

    value: Any
    offset: int


@dataclass(frozen=True, slots=True)
class Named:
    """A name such as `variables`, `parameters` or that of an `each`."""

    name: str
    offset: int


@dataclass(frozen=True, slots=True)
class Index:
    """`target.name`, `target['name']` or `target[0]`."""

    target: Expression
    index: Expression
    offset: int


@dataclass(frozen=True, slots=True)
class Wildcard:
    """`target.*` or `target[*]`."""

    target: Expression
    offset: int


@dataclass(frozen=True, slots=True)
class Call:
    """`function(argument, …)`."""

    function: Function
    arguments: tuple[Expression, ...]
    offset: int


Expression = Literal | Named | Index | Wildcard | Call


def walk(expression: Expression) -> Iterator[Expression]:
    """The expression and all in it."""
    open_: list[Expression] = [expression]
    while open_:
        node = open_.pop()
        yield node
        if isinstance(node, Index):
            open_ += (node.index, node.target)
        elif isinstance(node, Wildcard):
            open_.append(node.target)
        elif isinstance(node, Call):
            open_ += reversed(node.arguments)
