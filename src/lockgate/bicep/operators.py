"""Operators, members and indices in Bicep's own order of precedence.

The grammar binds an access less than any operator (`a ? b : c.d` comes as (a ? b : c).d) and then takes the wrong operands for what follows. The
order of operands and operators in the text is right, though: they are laid out in that order and put together again. What stands in parentheses,
brackets or braces is one operand.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from tree_sitter import Node

OPERATORS: Final = frozenset({"ternary_expression", "binary_expression", "unary_expression", "member_expression", "subscript_expression"})
_LEVELS: Final = {
    "??": 1, "||": 2, "&&": 3, "==": 4, "!=": 4, "=~": 4, "!~": 4, "<": 5, "<=": 5, ">": 5, ">=": 5, "+": 6, "-": 6, "*": 7, "/": 7, "%": 7,
}  # fmt: skip


@dataclass(frozen=True)
class Operand:
    """A node of any other type."""

    node: Node


@dataclass(frozen=True)
class Access:
    """A member (`.name`, `.?name`, `!.name`) or an index (`[…]`) of a value; the node is the grammar's."""

    of: Term
    node: Node


@dataclass(frozen=True)
class Unary:
    """`!` or `-` before a value."""

    operator: str
    of: Term
    node: Node


@dataclass(frozen=True)
class Binary:
    """An operator between two values."""

    operator: str
    left: Term
    right: Term
    node: Node


@dataclass(frozen=True)
class Ternary:
    """`condition ? yes : no`."""

    condition: Term
    yes: Term
    no: Term
    node: Node


Term = Operand | Access | Unary | Binary | Ternary
_Token = tuple[str, "Node"]


def term_of(node: Node) -> Term:
    """An expression as Bicep means it."""
    tokens = list(_tokens(node))
    found, rest = _ternary(tokens)
    if rest:
        raise LookupError(f"{len(rest)} tokens are left over of {node.type}")
    return found


def _tokens(node: Node) -> Iterator[_Token]:
    """Operands, operators and accesses in the order of the text."""
    if node.type not in OPERATORS:
        yield "operand", node
    elif node.type == "ternary_expression":
        yield from _tokens(_field(node, "condition"))
        yield "?", node
        yield from _tokens(_field(node, "consequence"))
        yield ":", node
        yield from _tokens(_field(node, "alternative"))
    elif node.type == "binary_expression":
        yield from _tokens(_field(node, "left"))
        yield _sign(node), node
        yield from _tokens(_field(node, "right"))
    elif node.type == "unary_expression":
        yield f"unary {_sign(node)}", node
        yield from _tokens(_field(node, "argument"))
    else:
        yield from _tokens(_field(node, "object"))
        yield "access", node


def _sign(node: Node) -> str:
    return next((one.text or b"").decode() for one in node.children if not one.is_named)


def _field(node: Node, name: str) -> Node:
    found = node.child_by_field_name(name)
    if found is None:
        raise LookupError(f"tree-sitter gives {node.type} without {name}")
    return found


def _ternary(tokens: list[_Token]) -> tuple[Term, list[_Token]]:
    condition, rest = _binary(tokens, 1)
    if not rest or rest[0][0] != "?":
        return condition, rest
    node = rest[0][1]
    yes, rest = _ternary(rest[1:])
    no, rest = _ternary(rest[1:])
    return Ternary(condition, yes, no, node), rest


def _binary(tokens: list[_Token], least: int) -> tuple[Term, list[_Token]]:
    left, rest = _unary(tokens)
    while rest and _LEVELS.get(rest[0][0], 0) >= least:
        operator, node = rest[0]
        right, rest = _binary(rest[1:], _LEVELS[operator] + 1)
        left = Binary(operator, left, right, node)
    return left, rest


def _unary(tokens: list[_Token]) -> tuple[Term, list[_Token]]:
    kind, node = tokens[0]
    if kind.startswith("unary "):
        of, rest = _unary(tokens[1:])
        return Unary(kind.removeprefix("unary "), of, node), rest
    found: Term = Operand(node)
    rest = tokens[1:]
    while rest and rest[0][0] == "access":
        found = Access(found, rest[0][1])
        rest = rest[1:]
    return found, rest
