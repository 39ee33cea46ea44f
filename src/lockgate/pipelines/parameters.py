"""Parameters of pipelines and templates: how they are declared, and how values are bound to them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from lockgate.expressions import ExpressionError
from lockgate.expressions.values import Names, try_number
from lockgate.pipelines.context import Context
from lockgate.pipelines.document import MappingNode, Node, Scalar, SequenceNode, UnknownScalar
from lockgate.pipelines.expansion import expand, expand_items, expand_pairs
from lockgate.pipelines.mistakes import suggestion


class Parameters(Names):
    """Values by name. Other than elsewhere a name that is not there is a mistake, as in Azure."""

    def get(self, key: str, default: Any = None) -> Any:
        """A parameter's value.

        Raises:
            ExpressionError: there is no such parameter.
        """
        if key not in self:
            raise ExpressionError(f"there is no parameter {key!r}; {suggestion(key, self, 'declared')}")
        return super().get(key, default)


@dataclass(frozen=True)
class Parameter:
    """A declared parameter. `default` is None if a value is required; `node` is what declares it."""

    name: str
    type: str
    default: Node | None
    values: tuple[Scalar, ...]
    display_name: str
    node: Node


def _string(node: Node, name: str, context: Context) -> Node | None:
    if isinstance(node, Scalar):
        return node if isinstance(node.value, str) else node.replaced(node.text)
    context.fail(node, f"parameter {name!r}: found {node.describe()}; allowed: a text")
    return None


def _number(node: Node, name: str, context: Context) -> Node | None:
    number = try_number(node.value) if isinstance(node, Scalar) and node.text.strip() else None
    if number is None or not isinstance(node, Scalar):
        context.fail(node, f"parameter {name!r}: found {node.describe()}; allowed: a number")
        return None
    return node.replaced(number)


def _boolean(node: Node, name: str, context: Context) -> Node | None:
    if isinstance(node, Scalar) and node.text.lower() in ("true", "false"):
        return node.replaced(node.text.lower() == "true")
    context.fail(node, f"parameter {name!r}: found {node.describe()}; allowed: true or false")
    return None


def _typed(node: Node) -> Node:
    """With its scalars as YAML types them."""
    if isinstance(node, MappingNode):
        return MappingNode([(key, _typed(value)) for key, value in node.pairs], (node.line, node.column), node.source)
    if isinstance(node, SequenceNode):
        return SequenceNode([_typed(item) for item in node.items], (node.line, node.column), node.source)
    if isinstance(node, UnknownScalar):
        return node
    value = node.typed()
    return node if isinstance(value, str) and value == node.value else node.replaced(value)


def _object(node: Node, name: str, context: Context) -> Node | None:  # noqa: ARG001 - the form of a converter
    return _typed(node)


def _as_is(node: Node, name: str, context: Context) -> Node | None:  # noqa: ARG001 - the form of a converter
    return node


def _string_list(node: Node, name: str, context: Context) -> Node | None:
    if isinstance(node, SequenceNode) and all(isinstance(item, (Scalar, UnknownScalar)) for item in node.items):
        return node
    context.fail(node, f"parameter {name!r}: found {node.describe()}; allowed: a list of texts")
    return None


def _one(what: str) -> Callable[[Node, str, Context], Node | None]:
    def convert(node: Node, name: str, context: Context) -> Node | None:
        if isinstance(node, MappingNode):
            return node
        context.fail(node, f"parameter {name!r}: found {node.describe()}; allowed: one {what}, which is a mapping")
        return None

    return convert


def _several(what: str) -> Callable[[Node, str, Context], Node | None]:
    def convert(node: Node, name: str, context: Context) -> Node | None:
        if isinstance(node, SequenceNode):
            return node
        context.fail(node, f"parameter {name!r}: found {node.describe()}; allowed: a list of {what}s")
        return None

    return convert


Converter = Callable[[Node, str, Context], Node | None]
TYPES: Final[dict[str, Converter]] = {
    "string": _string,
    "stringList": _string_list,
    "number": _number,
    "boolean": _boolean,
    "object": _object,
    **{f"{kind}": _one(kind) for kind in ("step", "job", "deployment", "stage", "container")},
    **{f"{kind}List": _several(kind) for kind in ("step", "job", "deployment", "stage", "container")},
    "environment": _string,
    "filePath": _string,
    "pool": _string,
    "secureFile": _string,
    "serviceConnection": _string,
    "legacyObject": _as_is,
}
_KEYS: Final = ("name", "displayName", "type", "default", "values")


def read_declarations(node: Node, context: Context) -> list[Parameter]:
    """What `parameters:` of a file declares: a list of typed ones, or the older mapping of names to defaults."""
    if isinstance(node, MappingNode):
        return [Parameter(key.text, "legacyObject", value, (), "", key) for key, value, _ in expand_pairs(node, context)]
    if not isinstance(node, SequenceNode):
        if not (isinstance(node, Scalar) and not node.text):
            context.fail(node, f"parameters: found {node.describe()}; allowed: a list of parameters, each with name and type")
        return []
    found: dict[str, Parameter] = {}
    for item, inner in expand_items(node, context):
        parameter = _declaration(item, inner)
        if parameter is None:
            continue
        if parameter.name.lower() in found:
            inner.fail(item, f"parameter {parameter.name!r} is declared twice; remove one")
        found[parameter.name.lower()] = parameter
    return list(found.values())


def _declaration(item: Node, context: Context) -> Parameter | None:
    if not isinstance(item, MappingNode):
        context.fail(item, f"found {item.describe()}; allowed: a parameter, such as {{name: environment, type: string}}")
        return None
    keys: dict[str, Node] = {}
    for key, value, inner in expand_pairs(item, context):
        if key.text not in _KEYS:
            context.fail(key, f"unknown key {key.text!r} of a parameter; {suggestion(key.text, _KEYS)}")
        elif key.text == "default" and value.dynamic:
            keys[key.text] = _literal(value, inner)
        else:
            keys[key.text] = expand(value, inner)
    name = keys.get("name")
    if not isinstance(name, Scalar) or not name.text:
        context.fail(name or item, "a parameter needs a name")
        return None
    kind = keys.get("type")
    type_ = kind.text if isinstance(kind, Scalar) and kind.text else "string"
    if type_ not in TYPES:
        context.fail(kind or item, f"parameter {name.text!r}: found type {type_!r}; {suggestion(type_, TYPES)}")
        type_ = "object"
    values = keys.get("values")
    allowed: tuple[Scalar, ...] = ()
    if isinstance(values, SequenceNode):
        allowed = tuple(value for value in values.items if isinstance(value, Scalar))
    elif values is not None:
        context.fail(values, f"values of parameter {name.text!r}: found {values.describe()}; allowed: a list")
    display = keys.get("displayName")
    parameter = Parameter(
        name.text, type_, keys.get("default"), allowed, display.text if display and isinstance(display, Scalar) else "", item
    )
    if parameter.default is not None:
        convert(parameter, parameter.default, context)
    return parameter


_LITERAL: Final = re.compile(r"\$\{\{\s*'(?:[^']|'')*'\s*\}\}")


def _literal(node: Node, context: Context) -> Node:
    """A default, in which Azure allows no expression but a text, so that it can hold what looks like one."""
    if isinstance(node, Scalar) and _LITERAL.fullmatch(node.text.strip()):
        return expand(node, context)
    context.fail(node, "found an expression in a default; allowed: a value, or a text such as ${{ 'text' }}")
    return UnknownScalar(Scalar("", "", (node.line, node.column, node.line), node.source))


def convert(parameter: Parameter, node: Node, context: Context) -> Node | None:
    """A value as the parameter's type has it; None after a mistake."""
    if isinstance(node, UnknownScalar):
        return node
    found = TYPES[parameter.type](node, parameter.name, context)
    limited = parameter.values and parameter.type != "object" and isinstance(found, Scalar)
    if limited and isinstance(found, Scalar) and not any(_same(parameter.type, value, found) for value in parameter.values):
        allowed = ", ".join(value.text for value in parameter.values)
        context.fail(node, f"parameter {parameter.name!r}: found {found.text!r}; allowed: {allowed}")
        return None
    return found


def _same(kind: str, allowed: Scalar, found: Scalar) -> bool:
    if kind == "number":
        return bool(try_number(allowed.value) == found.value)
    if kind == "boolean":
        return allowed.text.lower() == found.text.lower()
    return allowed.text == found.text


def bind(
    declared: list[Parameter],
    given: Mapping[str, tuple[Scalar, Node]],
    context: Context,
    missing: Callable[[Parameter], None],
    *,
    strict: bool,
) -> Parameters:
    """Values for all declared parameters.

    Args:
        declared: the parameters.
        given: name → its key and value, already expanded.
        context: where mistakes are noted.
        missing: what is done about a required one without a value; it stands for a value that is not known then.
        strict: whether a name that is not declared is a mistake.
    """
    found = Parameters()
    names = {parameter.name.lower(): parameter for parameter in declared}
    values = {name.lower(): value for name, (_, value) in given.items()}
    for name, (key, stray) in given.items():
        if name.lower() in names:
            continue
        if strict:
            context.fail(key, f"unknown parameter {name!r}; {suggestion(name, [p.name for p in declared], 'declared')}")
        else:
            found[name] = stray
    for parameter in declared:
        node = values.get(parameter.name.lower(), parameter.default)
        value: Node | None = None
        if node is not None:
            value = convert(parameter, node, context)
        else:
            missing(parameter)
        found[parameter.name] = value if value is not None else _unknown(parameter.node)
    return found


def _unknown(node: Node) -> UnknownScalar:
    return UnknownScalar(Scalar("", "", (node.line, node.column, node.line), node.source))
