"""A Bicep file as declarations. tree-sitter parses; what is no Bicep, or more of it than the desk evaluates, is refused with its place."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from lockgate.errors import FileError, Mistake, Place, UnsupportedError

if TYPE_CHECKING:
    from tree_sitter import Node, Parser

_PASSED_OVER: Final = frozenset({"comment", "diagnostic_comment", "metadata_declaration", "decorators", "target_scope_assignment"})


@functools.cache
def _parser() -> Parser:
    import tree_sitter
    import tree_sitter_bicep

    return tree_sitter.Parser(tree_sitter.Language(tree_sitter_bicep.language()))


class Source:
    """A file's text, for places and messages.

    Args:
        path: the file.
        shown: its name in messages.
    """

    def __init__(self, path: Path, shown: str) -> None:
        self.path = path
        self.shown = shown
        try:
            self.content = path.read_bytes()
            self._lines = self.content.decode("utf-8-sig").splitlines()
        except OSError as error:
            raise FileError([Mistake(Place(shown, 0), f"can't be read: {error.strerror or error}")]) from None
        except UnicodeDecodeError as error:
            raise FileError([Mistake(Place(shown), f"is not UTF-8 (byte {error.start}); save it as UTF-8")]) from None

    def text(self, node: Node) -> str:
        """What a node stands for in the file."""
        return self.content[node.start_byte : node.end_byte].decode("utf-8")

    def mistake(self, node: Node, message: str, *, unsupported: bool = False) -> Mistake:
        """A mistake at a node."""
        row, column = node.start_point
        line = self._lines[row] if row < len(self._lines) else ""
        return Mistake(Place(self.shown, row + 1, column + 1), message, line, unsupported)

    def wrong(self, node: Node, message: str) -> FileError:
        """An error at a node."""
        return FileError([self.mistake(node, message)])

    def unsupported(self, node: Node, what: str) -> UnsupportedError:
        """An error for what Bicep has and the desk does not evaluate."""
        return UnsupportedError(
            [self.mistake(node, f"{what} is not evaluated on the desk; write it another way, or deploy this in Azure", unsupported=True)]
        )


@dataclass(frozen=True)
class Parameter:
    """A parameter: its type as text, its default if it has one, and its decorators by name."""

    name: str
    node: Node
    type: str
    default: Node | None
    decorators: dict[str, Node]

    @property
    def is_nullable(self) -> bool:
        """Whether null is allowed."""
        return self.type.endswith("?")


@dataclass(frozen=True)
class Declared:
    """A resource or module.

    Attributes:
        name: its symbol.
        what: `type@version` of a resource, the path of a module.
        body: the object between braces.
        condition: what `if` asks; None without.
        loop: the `for`; None without.
        existing: whether the resource is only referred to.
    """

    name: str
    node: Node
    what: str
    body: Node
    condition: Node | None = None
    loop: Node | None = None
    existing: bool = False


@dataclass(frozen=True)
class Output:
    """An output: its type as text, and its value."""

    type: str
    node: Node


@dataclass
class Template:
    """What a file declares, by name."""

    source: Source
    scope: str = "resourceGroup"
    parameters: dict[str, Parameter] = field(default_factory=dict)
    variables: dict[str, Node] = field(default_factory=dict)
    resources: dict[str, Declared] = field(default_factory=dict)
    modules: dict[str, Declared] = field(default_factory=dict)
    outputs: dict[str, Output] = field(default_factory=dict)

    def source_of(self, name: str) -> Node:
        """Where a parameter or variable stands."""
        return self.parameters[name].node if name in self.parameters else self.variables[name]


def read(path: Path, shown: str) -> Template:
    """Read a file.

    Args:
        path: the file.
        shown: its name in messages.

    Raises:
        FileError: it can't be read, does not parse, or declares a name twice.
        UnsupportedError: it declares what the desk does not evaluate.
    """
    source = Source(path, shown)
    root = _parser().parse(source.content).root_node
    if root.has_error:
        raise FileError([source.mistake(node, _why(source, node)) for node in _broken(root)][:5])
    template = Template(source)
    mistakes: list[Mistake] = []
    decorators: dict[str, Node] = {}
    for node in root.named_children:
        if node.type == "decorators":
            decorators = {_decorator_name(source, one): one for one in node.named_children}
            continue
        if node.type == "target_scope_assignment":
            template.scope = source.text(node.named_children[0]).strip("'")
        elif node.type not in _PASSED_OVER:
            mistakes += _declare(template, node, decorators)
        decorators = {}
    if mistakes:
        raise FileError(mistakes)
    return template


def _broken(node: Node) -> Iterator[Node]:
    if node.is_error or node.is_missing:
        yield node
        return
    for child in node.children:
        if child.has_error or child.is_missing:
            yield from _broken(child)


def _why(source: Source, node: Node) -> str:
    if node.is_missing:
        return f"'{node.type}' is missing here"
    found = source.text(node).strip().splitlines()
    return f"found {found[0][:60]!r}, which is no Bicep here" if found else "what stands here is no Bicep"


def _decorator_name(source: Source, node: Node) -> str:
    return source.text(node).lstrip("@").split("(", 1)[0].strip()


def _declare(template: Template, node: Node, decorators: dict[str, Node]) -> list[Mistake]:
    source = template.source
    parts = node.named_children
    name = source.text(parts[0]) if parts else ""
    taken = {*template.parameters, *template.variables, *template.resources, *template.modules}
    if node.type != "output_declaration" and name in taken:
        return [source.mistake(node, f"{name} is declared twice; give one of them another name")]
    match node.type:
        case "parameter_declaration":
            default = parts[2] if len(parts) > 2 else None
            template.parameters[name] = Parameter(name, node, source.text(parts[1]), default, decorators)
        case "variable_declaration":
            template.variables[name] = parts[-1]
        case "output_declaration":
            template.outputs[name] = Output(source.text(parts[1]), parts[-1])
        case "resource_declaration":
            template.resources[name] = _declared(source, node, name)
        case "module_declaration":
            template.modules[name] = _declared(source, node, name)
        case _:
            raise source.unsupported(
                node, f"{node.type.removesuffix('_declaration').replace('_', ' ')} ({source.text(node).split(' ')[0]})"
            )
    return []


def _declared(source: Source, node: Node, name: str) -> Declared:
    what = source.text(node.named_children[1]).strip("'")
    value = node.named_children[-1]
    existing = any(child.type == "existing" for child in node.children)
    condition = loop = None
    if value.type == "for_statement":
        loop, value = value, value.named_children[-1]
    if value.type == "if_statement":
        condition, value = value.named_children[0], value.named_children[-1]
    if value.type != "object":
        raise source.unsupported(value, f"{value.type.replace('_', ' ')} as a declaration's body")
    return Declared(name, node, what, value, condition, loop, existing)
