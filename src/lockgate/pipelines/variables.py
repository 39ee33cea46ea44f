"""`variables:` of a pipeline, stage, job or template."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from lockgate.errors import Mistake
from lockgate.expressions import ExpressionError, parse
from lockgate.pipelines.conditions import unseen
from lockgate.pipelines.context import Context
from lockgate.pipelines.document import MappingNode, Node, Scalar, SequenceNode, UnknownScalar
from lockgate.pipelines.expansion import expand, expand_items, expand_pairs, expand_scalar
from lockgate.pipelines.fields import Field, Fields
from lockgate.pipelines.keys import VARIABLE
from lockgate.pipelines.mistakes import suggestion
from lockgate.pipelines.model import Origin, Variable
from lockgate.pipelines.templates import include

_FORMS: Final = ("name", "group", "template")


def origin_of(node: Node, context: Context) -> Origin:
    """Where a node stands, for messages while it runs."""
    place = node.place()
    return Origin(place, node.source.line(place.line), context.included)


def read_variables(field: Field | None, context: Context, *, root: bool = False) -> tuple[list[Variable], Context]:
    """The variables of a block, and the context that sees them too. Of two with one name the later one counts.

    Args:
        field: the block.
        context: what it is read in.
        root: whether it is the pipeline's own, whose `$[ ]` see no dependencies.
    """
    if field is None:
        return [], context
    # Names of an `each` around the block are those of where it stands; what it sets, all that is read in `context` sees.
    names = context.variables.copy()
    found = list(_block(field.node, field.context.with_name("variables", names)))
    inner = context.with_name("variables", names)
    if root:
        for variable in found:
            inside = runtime_expression(variable.value)
            parsed = parse(inside, "variable") if inside and not context.world.mistakes.wrong else None
            for named in parsed.names if parsed else ():
                if named.name.lower() in ("dependencies", "stagedependencies"):
                    origin = variable.origin
                    message = unseen(named.name, "$[ ] of the pipeline's own variables", ROOT_NAMES)
                    context.world.mistakes.add(Mistake(origin.place, message, origin.source, included=origin.included))
    return found, inner


def _block(node: Node, context: Context) -> Iterator[Variable]:
    if isinstance(node, Scalar):
        node = expand_scalar(node, context)
    if isinstance(node, MappingNode):
        for key, value, inner in expand_pairs(node, context):
            if variable := _variable(key, value, inner, context, readonly=False):
                yield variable
    elif isinstance(node, SequenceNode):
        for item, inner in expand_items(node, context):
            yield from _item(item, inner, context)
    elif not isinstance(node, UnknownScalar) and node.text:
        context.fail(node, f"variables: found {node.describe()}; allowed: a mapping of names to values, or a list")


def _item(item: Node, inner: Context, context: Context) -> Iterator[Variable]:
    if not isinstance(item, MappingNode):
        if not isinstance(item, UnknownScalar):
            inner.fail(item, f"found {item.describe()} as a variable; allowed: {{name: …, value: …}}, {{group: …}} or {{template: …}}")
        return
    fields = Fields(item, inner, VARIABLE)
    forms = [form for form in _FORMS if form in fields]
    if len(forms) != 1:
        found = f"both {' and '.join(forms)}" if forms else "none of name, group and template"
        fields.fail(f"found {found} in a variable; allowed: exactly one of name, group and template")
        return
    if forms[0] == "template":
        if included := include(fields, ("variables",)):
            body, _ = included
            block = body.field("variables")
            if block:
                # The template's expressions see its parameters; what it defines is seen by what follows here.
                yield from _block(block.node, block.context.with_names(variables=context.variables))
    elif forms[0] == "group":
        yield from _group(fields)
    else:
        name = fields.scalar("name")
        value = fields.field("value")
        if name is not None and value is None:
            fields.fail(f"variable {name.text!r} has no value; write value:")
        elif name is not None and value is not None:
            variable = _variable(name, value.node, value.context, context, readonly=fields.boolean("readonly", default=False))
            if variable:
                yield variable


def _variable(name: Scalar, node: Node, inner: Context, context: Context, *, readonly: bool) -> Variable | None:
    value = expand(node, inner)
    if not name.text:
        inner.fail(name, "a variable needs a name")
        return None
    if isinstance(value, UnknownScalar):
        context.variables[name.text] = value
        return None
    if not isinstance(value, Scalar):
        inner.fail(value, f"variable {name.text!r}: found {value.describe()}; allowed: a text")
        return None
    check_runtime(value, inner)
    context.variables[name.text] = value.text
    return Variable(name.text, value.text, origin_of(name, inner), readonly)


def runtime_expression(text: str) -> str | None:
    """What stands in a `$[ … ]` that is the whole of a text; None if it is none."""
    stripped = text.strip()
    return stripped[2:-1].strip() if stripped.startswith("$[") and stripped.endswith("]") else None


ROOT_NAMES: Final = ("variables", "pipeline", "resources")
INNER_NAMES: Final = (*ROOT_NAMES, "dependencies", "stageDependencies")
"""What a `$[ ]` of the pipeline's own variables can see, and one of a stage or job."""


def check_runtime(value: Scalar, context: Context, names: tuple[str, ...] = INNER_NAMES) -> None:
    """Note a `$[ … ]` that can't be read, or names what it can't see."""
    inside = runtime_expression(value.text)
    if inside is None:
        return
    begin = value.text.index(inside) if inside else 0
    try:
        expression = parse(inside, "variable")
    except ExpressionError as error:
        context.fail(value, str(error), offset=begin + (error.offset or 0) if inside else None)
        return
    for named in expression.names:
        if named.name.lower() not in {name.lower() for name in names}:
            context.fail(value, unseen(named.name, "$[ ]", names), offset=begin + named.offset)


def _group(fields: Fields) -> Iterator[Variable]:
    name = fields.scalar("group")
    if name is None:
        return
    world = fields.context.world
    if world.groups is None:
        if not world.checking:
            message = f"variable group {name.text!r} is kept in Azure DevOps; say what is in it: --variable-groups FILE"
            fields.context.fail(name, message, unsupported=True)
        return
    group = next((values for key, values in world.groups.items() if key.lower() == name.text.lower()), None)
    if group is None:
        fields.context.fail(
            name, f"there is no variable group {name.text!r} in the file of --variable-groups; {suggestion(name.text, world.groups)}"
        )
        return
    origin = origin_of(name, fields.context)
    for key, value in group.items():
        text, secret = (value["value"], value["isSecret"]) if isinstance(value, dict) else (value, False)
        yield Variable(key, text, origin, secret=secret, group=name.text)
