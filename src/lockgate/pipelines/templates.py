"""Including a template: its file, its parameters, and what it gives."""

from __future__ import annotations

from typing import Final

from lockgate.errors import FileError
from lockgate.expressions.values import Names
from lockgate.pipelines.context import Context
from lockgate.pipelines.document import MappingNode, Node, Scalar, SequenceNode, sequence_of
from lockgate.pipelines.expansion import expand, expand_pairs
from lockgate.pipelines.fields import Fields
from lockgate.pipelines.files import SELF
from lockgate.pipelines.keys import REFERENCE, SCRIPT_INPUTS, SCRIPTS, TEMPLATE_ROOTS
from lockgate.pipelines.mistakes import suggestion
from lockgate.pipelines.parameters import Parameter, bind, read_declarations
from lockgate.pipelines.static import check_expressions


def include(reference: Fields, kinds: tuple[str, ...]) -> tuple[Fields, Context] | None:
    """The file that a `template:` names, with its parameters bound.

    Args:
        reference: the mapping with `template` and `parameters`.
        kinds: what the template may give, such as ("steps",); one of them has to be there.

    Returns:
        Its keys and the context they are read in; None after a mistake, or if the path is not known while a file is only checked.
    """
    context = reference.context
    path = reference.scalar("template")
    if path is None:
        return None
    alias = path.text.partition("@")[2].strip().lower()
    if context.world.alone and alias and alias != SELF and alias not in {name.lower() for name in context.world.repositories}:
        return None  # The pipeline that includes this template declares it.
    try:
        file = context.world.files.load_template(path, context.file, context.world.repositories, context.included)
    except FileError as error:
        context.world.mistakes.extend(error)
        return None
    root = file.root
    if not isinstance(root, MappingNode):
        return None
    inner = context.in_template(file, Names(), path)
    given = _given(reference)
    parameters = next((value for key, value in root.pairs if key.text == "parameters"), None)
    declared = [] if parameters is None else read_declarations(parameters, inner)
    typed = parameters is not None and not isinstance(parameters, MappingNode)

    def missing(parameter: Parameter) -> None:
        context.fail(path, f"template {path.text!r} needs parameter {parameter.name!r} ({parameter.type}); give it under parameters:")

    lists = {parameter.name.lower(): LISTS[parameter.type] for parameter in declared if parameter.type in LISTS}
    given = {name: (key, _inlined(node, context, lists.get(name.lower(), ""))) for name, (key, node) in given.items()}
    bound = bind(declared, given, context, missing, strict=parameters is not None)
    inner = inner.with_names(parameters=bound)
    check_expressions(root, inner, declared if typed else None)
    body = Fields(root, inner, TEMPLATE_ROOTS)
    if not any(kind in body for kind in kinds):
        there = [key.name for key, _ in body.present() if key.name != "parameters"]
        inner.fail(root, f"the template gives {' and '.join(there) or 'nothing'}; allowed where it is included: {' or '.join(kinds)}")
        return None
    for key, field in body.present():
        if key.name not in kinds and key.name != "parameters" and not ("extends" in kinds or ("stages" in kinds and len(kinds) > 1)):
            field.context.fail(
                field.key, f"a template of {kinds[0]} can't have {key.name!r}; {suggestion(key.name, ['parameters', *kinds])}"
            )
    return body, inner


LISTS: Final = {"stepList": "steps", "jobList": "jobs", "deploymentList": "jobs", "stageList": "stages"}
_INSIDE: Final = {"stages": "jobs", "jobs": "steps"}


def _inlined(node: Node, context: Context, kind: str) -> Node:
    """A list given as a parameter with the templates in it included: their paths are those of the file that gives the list."""
    if not kind or not isinstance(node, SequenceNode):
        return node
    items: list[Node] = []
    for item in node.items:
        keys = [key.text for key, _ in item.pairs] if isinstance(item, MappingNode) else []
        if isinstance(item, MappingNode) and "template" in keys:
            included = include(Fields(item, context, REFERENCE), (kind,))
            if included is not None:
                body, _ = included
                found = sequence_of((expand(one, inner) for one, inner in body.items(kind)), item)
                inlined = _inlined(found, context, kind)
                items += inlined.items if isinstance(inlined, SequenceNode) else []
        elif isinstance(item, MappingNode) and kind in _INSIDE:
            inside = _INSIDE[kind]
            pairs = [(key, _inlined(value, context, inside) if key.text == inside else value) for key, value in item.pairs]
            items.append(MappingNode(pairs, (item.line, item.column), item.source))
        else:
            items.append(normal_step(item) if kind == "steps" else item)
    return sequence_of(items, node)


def normal_step(item: Node) -> Node:
    """A step given as a parameter, as templates see it: the short forms of scripts are tasks."""
    if not isinstance(item, MappingNode):
        return item
    kind = next((key for key, _ in item.pairs if key.text in SCRIPTS), None)
    if kind is None:
        return item
    task, own = SCRIPTS[kind.text]
    inputs: list[tuple[Scalar, Node]] = [(kind.replaced(name), kind.replaced(text)) for name, text in own.items()]
    rest: list[tuple[Scalar, Node]] = []
    for key, value in item.pairs:
        if key is kind:
            inputs.append((key.replaced("script"), value))
        elif key.text in SCRIPT_INPUTS:
            inputs.append((key, value))
        else:
            rest.append((key, value))
    at = (item.line, item.column)
    task_pair: list[tuple[Scalar, Node]] = [
        (kind.replaced("task"), kind.replaced(task)),
        (kind.replaced("inputs"), MappingNode(inputs, at, item.source)),
    ]
    return MappingNode([*task_pair, *rest], at, item.source)


def _given(reference: Fields) -> dict[str, tuple[Scalar, Node]]:
    there = reference.mapping("parameters")
    return {key.text: (key, expand(value, inner)) for key, value, inner in expand_pairs(*there)} if there else {}
