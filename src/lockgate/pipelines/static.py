"""What can be said of a file's template expressions without evaluating any, so that branches not taken are looked at too."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from lockgate.expressions import ExpressionError, parse
from lockgate.expressions.ast import Index, Literal, Named, walk
from lockgate.pipelines.context import Context
from lockgate.pipelines.document import MappingNode, Node, Scalar, SequenceNode
from lockgate.pipelines.expansion import directive_of, pieces, unknown_directive
from lockgate.pipelines.mistakes import suggestion
from lockgate.pipelines.parameters import Parameter

_IN: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\s+in\s+")


def check_expressions(root: Node, context: Context, declared: list[Parameter] | None) -> None:
    """Note every template expression that can't be read, and every parameter that the file does not declare.

    Args:
        root: the file's content.
        context: where mistakes are noted.
        declared: the file's parameters; None if it takes any.
    """
    if id(root) in context.world.checked:
        return
    context.world.checked.add(id(root))
    names = None if declared is None else {parameter.name.lower() for parameter in declared}
    for scalar in _dynamic(root):
        try:
            for text, offset in _expressions(scalar):
                _check(scalar, text, offset, names, declared or [], context)
        except ExpressionError as error:
            context.fail(scalar, str(error), offset=error.offset)


def _check(scalar: Scalar, text: str, offset: int, names: set[str] | None, declared: list[Parameter], context: Context) -> None:
    try:
        expression = parse(text, "template")
    except ExpressionError as error:
        context.fail(scalar, str(error), offset=offset + (error.offset or 0))
        return
    if names is None:
        return
    for part in walk(expression.root):
        if (
            isinstance(part, Index)
            and isinstance(part.target, Named)
            and part.target.name.lower() == "parameters"
            and isinstance(part.index, Literal)
        ):
            name = str(part.index.value)
            if name.lower() not in names:
                known = suggestion(name, [parameter.name for parameter in declared], "declared")
                context.fail(scalar, f"there is no parameter {name!r}; {known}", offset=offset + part.offset)


def _expressions(scalar: Scalar) -> Iterator[tuple[str, int]]:
    directive = directive_of(scalar.text)
    if directive is None and unknown_directive(scalar.text):
        return  # Said where it is read, if it is a key.
    if directive is None:
        for piece in pieces(scalar.text):
            if piece.expression:
                yield piece.text, piece.offset
    elif directive.kind in ("if", "elseif") and directive.argument:
        yield directive.argument, directive.offset
    elif directive.kind == "each" and (match := _IN.match(directive.argument)):
        yield directive.argument[match.end() :], directive.offset + match.end()


def _dynamic(node: Node) -> Iterator[Scalar]:
    if not node.dynamic:
        return
    if isinstance(node, MappingNode):
        for key, value in node.pairs:
            yield from _dynamic(key)
            yield from _dynamic(value)
    elif isinstance(node, SequenceNode):
        for item in node.items:
            yield from _dynamic(item)
    elif isinstance(node, Scalar):
        yield node
