"""Template expressions: `${{ }}` in texts, and the directives if, elseif, else, each and insert in keys.

A piece is expanded when it is read, one level at a time, since what stands deeper may see more: the variables of a stage, or the
value of an `each`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, Literal

from lockgate.errors import FileError
from lockgate.expressions import ExpressionError, UnknownValueError, evaluate, parse
from lockgate.expressions.functions import FUNCTIONS
from lockgate.expressions.values import MAX_TEXT, is_array, is_object, to_boolean, to_string
from lockgate.pipelines.context import Context
from lockgate.pipelines.document import MappingNode, Node, Scalar, SequenceNode, UnknownScalar, from_value, mistake_at

_DIRECTIVE: Final = re.compile(r"\s*(if|elseif|else|each|insert)\b(?!\s*\()\s*(.*?)\s*", re.DOTALL)
_EACH: Final = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)\s+in\s+(.+)", re.DOTALL)
_LIKE_DIRECTIVE: Final = re.compile(r"\$\{\{\s*([A-Za-z]+)(?:\s+[^\s(,.\[].*)\}\}", re.DOTALL)
_QUOTED: Final = re.compile(r"'(?:[^']|'')*'|\}\}|'", re.DOTALL)
MAX_ITEMS: Final = 100_000
MAX_ITERATIONS: Final = 200_000


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a text: as it is, or an expression with where it begins."""

    text: str
    expression: bool = False
    offset: int = 0


@dataclass(frozen=True, slots=True)
class Directive:
    """`${{ if … }}` and its like: if, elseif, else, each or insert."""

    kind: str
    argument: str
    offset: int


@lru_cache(maxsize=20_000)
def pieces(text: str) -> tuple[Piece, ...]:
    """A text cut at its template expressions.

    Raises:
        ExpressionError: one has no end.
    """
    found: list[Piece] = []
    at = 0
    while (begin := text.find("${{", at)) >= 0:
        end = begin + 3
        while True:
            match = _QUOTED.search(text, end)
            if match is None or match[0] == "'":
                raise ExpressionError("the expression that begins with ${{ has no end; close it with }}", begin)
            end = match.end()
            if match[0] == "}}":
                break
        if begin > at:
            found.append(Piece(text[at:begin]))
        inside = text[begin + 3 : end - 2]
        found.append(Piece(inside.strip(), expression=True, offset=begin + 3 + len(inside) - len(inside.lstrip())))
        at = end
    if at < len(text):
        found.append(Piece(text[at:]))
    return tuple(found)


@lru_cache(maxsize=20_000)
def directive_of(text: str) -> Directive | None:
    """The directive that a key is; None if it is an ordinary key."""
    if not text.startswith("${{"):
        return None
    try:
        parts = pieces(text.rstrip())
    except ExpressionError:
        return None
    match = _DIRECTIVE.fullmatch(parts[0].text) if len(parts) == 1 else None
    return Directive(match[1], match[2], parts[0].offset + match.start(2)) if match else None


def unknown_directive(text: str) -> str | None:
    """The word of a key such as `${{ foreach … }}` or `${{ IF … }}` that is meant as a directive and is none."""
    match = _LIKE_DIRECTIVE.fullmatch(text.strip())
    return match[1] if match else None


def _evaluated(text: str, offset: int, node: Scalar, context: Context) -> Any:
    """The value of an expression inside a scalar. UnknownScalar after a mistake too, so that nothing follows from it."""
    try:
        return evaluate(parse(text, "template"), context.scope)
    except UnknownValueError:
        return UnknownScalar(node)
    except ExpressionError as error:
        context.fail(node, str(error), offset=offset + (error.offset or 0))
        return UnknownScalar(node)


def expand_scalar(node: Scalar | UnknownScalar, context: Context) -> Node:
    """A scalar with its expressions evaluated: a text, or whatever a lone expression gives."""
    if not node.dynamic or not isinstance(node, Scalar):
        return node
    try:
        parts = pieces(node.text)
    except ExpressionError as error:
        context.fail(node, str(error), offset=error.offset)
        return UnknownScalar(node)
    if len(parts) == 1:
        if directive_of(node.text):
            word = directive_of(node.text)
            context.fail(
                node,
                f"the directive {word.kind!r} stands where a value does; allowed: as a key, such as ${{{{ {word.kind} … }}}}:"
                if word
                else "",
            )
            return UnknownScalar(node)
        return from_value(_evaluated(parts[0].text, parts[0].offset, node, context), node)
    texts: list[str] = []
    for part in parts:
        if not part.expression:
            texts.append(part.text)
            continue
        value = _evaluated(part.text, part.offset, node, context)
        if isinstance(value, UnknownScalar):
            return value
        if is_array(value) or is_object(value):
            kind = "a list" if is_array(value) else "a mapping"
            context.fail(node, f"{part.text!r} is {kind}, which can't be part of a text; use convertToJson() or join()", offset=part.offset)
            return UnknownScalar(node)
        texts.append(to_string(value))
    if sum(len(text) for text in texts) > MAX_TEXT:
        context.fail(node, f"the text comes to more than {MAX_TEXT:,} characters; Azure refuses so much")
        return UnknownScalar(node)
    return node.replaced("".join(texts))


def expand(node: Node, context: Context) -> Node:
    """A node with everything in it expanded."""
    if not node.dynamic:
        return node
    if isinstance(node, MappingNode):
        pairs = [(key, expand(value, inner)) for key, value, inner in expand_pairs(node, context)]
        return MappingNode(pairs, (node.line, node.column), node.source)
    if isinstance(node, SequenceNode):
        return SequenceNode([expand(item, inner) for item, inner in expand_items(node, context)], (node.line, node.column), node.source)
    return expand_scalar(node, context)


class _Chain:
    """if, elseif and else, as they follow one another."""

    def __init__(self) -> None:
        self._state: Literal["none", "open", "done", "unknown"] = "none"
        """none: no if stands before; open: none of it was taken; done: one was; unknown: each could be."""

    def end(self) -> None:
        self._state = "none"

    def takes(self, directive: Directive, key: Scalar, context: Context) -> bool:
        """Whether the body under the directive is taken."""
        if directive.kind == "if":
            self._state = "open"
        elif self._state == "none":
            context.fail(key, f"{directive.kind!r} has no 'if' before it; allowed: after if or elseif among the same keys or items")
            return False
        if directive.kind == "else":
            if directive.argument:
                hint = "write elseif in one word" if directive.argument.startswith("if") else "take it out"
                context.fail(key, f"found {directive.argument!r} after 'else'; {hint}", offset=directive.offset)
                return False
            taken = self._state in ("open", "unknown")
            self._state = "none"
            return taken
        if not directive.argument:
            context.fail(key, f"{directive.kind!r} has no condition; allowed: ${{{{ {directive.kind} eq(a, b) }}}}:")
            return False
        if self._state == "done":
            return False
        value = _evaluated(directive.argument, directive.offset, key, context)
        if isinstance(value, UnknownScalar):
            context.world.unsure = True
            self._state = "unknown"  # Only checked: each branch could be taken, so each is looked at.
            return True
        taken = to_boolean(value)
        if taken:
            self._state = "done"
        return taken


def _each(directive: Directive, key: Scalar, context: Context) -> Iterator[Context]:
    match = _EACH.fullmatch(directive.argument)
    if match is None:
        context.fail(key, f"found 'each {directive.argument}'; allowed: each NAME in COLLECTION", offset=directive.offset)
        return
    name = match[1]
    if name in context.scope.names:
        context.fail(key, f"{name!r} is there already; choose another name for this 'each'", offset=directive.offset)
        return
    if name.lower() in FUNCTIONS:
        context.fail(key, f"{name!r} is a function; choose another name for this 'each'", offset=directive.offset)
        return
    value = _evaluated(match[2], directive.offset + match.start(2), key, context)
    if isinstance(value, UnknownScalar):
        context.world.unsure = True
        yield context.with_name(name, value)
    elif is_object(value) or is_array(value):
        for item in ({"key": entry, "value": inside} for entry, inside in value.items()) if is_object(value) else value:
            context.world.iterations += 1
            if context.world.iterations > MAX_ITERATIONS:
                message = f"the 'each' of this pipeline go round more than {MAX_ITERATIONS:,} times; Azure refuses so much"
                raise FileError([mistake_at(key, message, context.included)])
            yield context.with_name(name, item)
    elif value is not None and value != "":
        context.fail(key, f"'each' goes over {to_string(value)!r}; allowed: a list or a mapping", offset=directive.offset + match.start(2))


def _bodies(key: Scalar, directive: Directive, value: Node, chain: _Chain, context: Context) -> Iterator[tuple[Node, Context]]:
    """What stands under a directive, as often as it is taken."""
    if directive.kind == "each":
        chain.end()
        for inner in _each(directive, key, context):
            yield (expand_scalar(value, inner) if isinstance(value, Scalar) else value), inner
    elif directive.kind == "insert":
        chain.end()
        if directive.argument:
            context.fail(key, f"found {directive.argument!r} after 'insert'; allowed: nothing", offset=directive.offset)
            return
        yield (expand_scalar(value, context) if isinstance(value, Scalar) else value), context
    elif chain.takes(directive, key, context):
        yield (expand_scalar(value, context) if isinstance(value, Scalar) else value), context


def expand_pairs(node: MappingNode, context: Context) -> Iterator[tuple[Scalar, Node, Context]]:
    """A mapping's keys and values with the directives among its keys followed; the values are not expanded yet.

    One after the other, so that a variable that was just read is seen by the next.
    """
    if not node.dynamic_keys:
        for key, value in node.pairs:
            yield key, value, context
        return
    seen: dict[str, Scalar] = {}
    for key, value, inner in _walk_pairs(node, context):
        name = key.text.lower()
        if name not in seen:
            seen[name] = key
            yield key, value, inner
        elif not context.world.unsure:
            inner.fail(key, f"key {key.text!r} is there already, in line {seen[name].line}; remove one")


def _walk_pairs(node: MappingNode, context: Context) -> Iterator[tuple[Scalar, Node, Context]]:
    chain = _Chain()
    for key, value in node.pairs:
        directive = directive_of(key.text) if key.dynamic else None
        if directive is None:
            if key.dynamic and (word := unknown_directive(key.text)):
                context.fail(key, f"there is no directive {word!r}; directives are if, elseif, else, each and insert, in small letters")
                continue
            name = expand_scalar(key, context) if key.dynamic else key
            if isinstance(name, Scalar):
                yield name, value, context
            elif not isinstance(name, UnknownScalar):
                context.fail(key, f"the key comes to {name.describe()}; allowed: a text")
            continue
        for body, inner in _bodies(key, directive, value, chain, context):
            if isinstance(body, MappingNode):
                yield from _walk_pairs(body, inner)
            elif not isinstance(body, UnknownScalar) and not (isinstance(body, Scalar) and not body.text):
                inner.fail(body, f"found {body.describe()} under {directive.kind!r}; allowed among the keys of a mapping: a mapping")


def expand_items(node: SequenceNode, context: Context) -> Iterator[tuple[Node, Context]]:
    """A list's items with the directives followed and inserted lists laid flat; the items are not expanded yet."""
    if not node.dynamic:
        for item in node.items:
            yield item, context
        return
    for count, (item, inner) in enumerate(_walk_items(node, context)):
        if count >= MAX_ITEMS:
            raise FileError([mistake_at(item, f"the list has more than {MAX_ITEMS:,} items", inner.included)])
        yield item, inner


def _is_one_mapping(keys: list[tuple[Scalar, Node]], directives: list[Directive | None]) -> bool:
    """Whether an item is one mapping that an `each` makes key by key."""
    return any(
        directive and directive.kind == "each" and isinstance(body, MappingNode)
        for (_, body), directive in zip(keys, directives, strict=True)
    )


def _walk_items(node: SequenceNode, context: Context) -> Iterator[tuple[Node, Context]]:
    chain = _Chain()
    for item in node.items:
        if isinstance(item, Scalar) and item.dynamic:
            value = expand_scalar(item, context)
            for inserted in value.items if isinstance(value, SequenceNode) else [value]:
                yield inserted, context
            continue
        keys = item.pairs if isinstance(item, MappingNode) and item.dynamic_keys else []
        directives = [directive_of(key.text) for key, _ in keys]
        if not keys or not all(directive and directive.kind != "insert" for directive in directives) or _is_one_mapping(keys, directives):
            if not (isinstance(item, MappingNode) and keys and all(directives) and not list(expand_pairs(item, context))):
                yield item, context  # Unless all of it came to nothing.
            continue
        for (key, value), directive in zip(keys, directives, strict=True):
            if directive is None:
                continue
            for body, inner in _bodies(key, directive, value, chain, context):
                if isinstance(body, SequenceNode):
                    yield from _walk_items(body, inner)
                elif not isinstance(body, UnknownScalar) and not (isinstance(body, Scalar) and not body.text):
                    yield body, inner
