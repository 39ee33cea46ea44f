"""A YAML file as Azure Pipelines sees it: texts, lists and mappings, each with its place.

Other than in YAML at large, every scalar is a text, a mapping may have the same template expression as a key several times,
and there are no anchors. Nodes are values of expressions too, so that what a template inserts keeps its place.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

import yaml

from lockgate.errors import FileError, Mistake, Place
from lockgate.expressions.values import Leaf, Unknown, is_array, is_object, to_string
from lockgate.yaml_source import LOADER, MAX_DEPTH, Source, yaml_mistakes

MAX_BYTES: Final = 2_000_000
"""Azure allows 20 MB of memory while it reads a pipeline, which is less text than this."""
OPENING: Final = "${{"
_BOOLEAN: Final = re.compile(r"true|True|TRUE|false|False|FALSE")
_NUMBER: Final = re.compile(r"[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?")


def _cut(text: str) -> str:
    return text if len(text) < 60 else text[:59] + "…"


class Scalar(Leaf):
    """A text, or what an expression in its place came to.

    Attributes:
        value: what expressions see: a str if it stands in the file, any kind if an expression gave it.
        text: as it is inserted into texts.
        plain: whether it stands there without quotes.
        dynamic: whether a template expression is in it.
    """

    __slots__ = ("column", "dynamic", "last", "line", "plain", "source", "text")

    def __init__(self, value: Any, text: str, at: tuple[int, int, int], source: Source, *, plain: bool = False) -> None:
        super().__init__(value)
        self.text = text
        self.line, self.column, self.last = at
        self.source = source
        self.plain = plain
        self.dynamic: bool = isinstance(value, str) and OPENING in text

    def replaced(self, value: Any) -> Scalar:
        """The same place with the value that its expression came to."""
        found = Scalar(value, to_string(value), (self.line, self.column, self.last), self.source)
        found.dynamic = False
        return found

    def typed(self) -> Any:
        """The value as YAML types it: what an `object` parameter holds."""
        if not self.plain or not isinstance(self.value, str):
            return self.value
        if _BOOLEAN.fullmatch(self.text):
            return self.text.lower() == "true"
        if self.text in ("~", "null", "Null", "NULL"):
            return ""
        return Decimal(self.text) if _NUMBER.fullmatch(self.text) and len(self.text) < 28 else self.value

    def place(self, offset: int | None = None) -> Place:
        """Where it starts, or where a character of its text stands."""
        if offset is None:
            return Place(self.source.name, self.line, self.column)
        whole = self.source.line(self.line).find(self.text, self.column - 1) if self.line == self.last else -1
        if whole >= 0:
            return Place(self.source.name, self.line, whole + offset + 1)
        if offset >= len(self.text) > 0:
            last = self.place(len(self.text) - 1)
            return Place(last.file, last.line, last.column + 1)
        fragment = self.text[offset : offset + 40].split("\n")[0].rstrip() or self.text[:1]
        before = sum(1 for at in range(offset) if self.text.startswith(fragment, at)) if fragment else 0
        for line in range(self.line, self.last + 1):
            written = self.source.line(line)
            at = written.find(fragment, self.column - 1 if line == self.line else 0)
            while at >= 0:
                if before == 0:
                    return Place(self.source.name, line, at + 1)
                before -= 1
                at = written.find(fragment, at + 1)
        return self.place()

    def describe(self) -> str:
        """What it is, for messages."""
        return repr(_cut(self.text)) if self.text else "nothing"


class UnknownScalar(Unknown):
    """Stands for a value that is not known while a file is only checked; every reader takes it."""

    __slots__ = ("column", "dynamic", "last", "line", "plain", "source", "text")

    def __init__(self, like: Scalar) -> None:
        super().__init__()
        self.text = ""
        self.line, self.column, self.last, self.source = like.line, like.column, like.last, like.source
        self.plain = False
        self.dynamic: bool = False

    def place(self, offset: int | None = None) -> Place:
        """Where the expression stands."""
        del offset
        return Place(self.source.name, self.line, self.column)

    def describe(self) -> str:
        """What it is, for messages."""
        return "a value that is not known yet"


class SequenceNode(Sequence[Any]):
    """A list."""

    __slots__ = ("column", "dynamic", "items", "line", "source")

    def __init__(self, items: list[Node], at: tuple[int, int], source: Source) -> None:
        self.items = items
        self.line, self.column = at
        self.source = source
        self.dynamic: bool = any(item.dynamic for item in items)

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: Any) -> Any:
        return self.items[index]

    def place(self) -> Place:
        """Where it starts."""
        return Place(self.source.name, self.line, self.column)

    def describe(self) -> str:
        """What it is, for messages."""
        return "a list"


class MappingNode(Mapping[str, Any]):
    """A mapping, as pairs, since keys can be expressions. As a mapping its keys are the texts, with case."""

    __slots__ = ("_index", "column", "dynamic", "dynamic_keys", "line", "pairs", "source")

    def __init__(self, pairs: list[tuple[Scalar, Node]], at: tuple[int, int], source: Source) -> None:
        self.pairs = pairs
        self.line, self.column = at
        self.source = source
        self.dynamic_keys = any(key.dynamic for key, _ in pairs)
        self.dynamic: bool = self.dynamic_keys or any(value.dynamic for _, value in pairs)
        self._index: dict[str, Node] | None = None

    def _found(self) -> dict[str, Node]:
        if self._index is None:
            self._index = {key.text: value for key, value in self.pairs}
        return self._index

    def __getitem__(self, key: str) -> Any:
        return self._found()[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._found())

    def __len__(self) -> int:
        return len(self.pairs)

    def place(self) -> Place:
        """Where it starts."""
        return Place(self.source.name, self.line, self.column)

    def describe(self) -> str:
        """What it is, for messages."""
        return "a mapping"


Node = Scalar | UnknownScalar | SequenceNode | MappingNode


def mistake_at(
    node: Node, message: str, included: tuple[Place, ...] = (), *, offset: int | None = None, unsupported: bool = False
) -> Mistake:
    """A mistake at a node, or at a character of a scalar."""
    place = node.place(offset) if isinstance(node, Scalar) else node.place()
    return Mistake(place, message, node.source.line(place.line), unsupported, included)


def from_value(value: Any, like: Scalar) -> Node:
    """A value of an expression as a node in the expression's place; nodes keep their own."""
    if isinstance(value, (Scalar, UnknownScalar, SequenceNode, MappingNode)):
        return value
    at = (like.line, like.column)
    if is_object(value):
        pairs = [(like.replaced(key), from_value(item, like)) for key, item in value.items()]
        return MappingNode(pairs, at, like.source)
    if is_array(value):
        return SequenceNode([from_value(item, like) for item in value], at, like.source)
    return like.replaced("" if value is None else value)


def plain(node: Node) -> Any:
    """A node as plain lists, dicts and texts."""
    if isinstance(node, MappingNode):
        return {key.text: plain(value) for key, value in node.pairs}
    if isinstance(node, SequenceNode):
        return [plain(item) for item in node.items]
    return node.text


def count_nodes(node: Node) -> int:
    """How many nodes there are in it, itself too."""
    if isinstance(node, MappingNode):
        return 1 + sum(1 + count_nodes(value) for _, value in node.pairs)
    return 1 + sum(count_nodes(item) for item in node.items) if isinstance(node, SequenceNode) else 1


def parse_document(source: Source) -> Node:
    """Read a file's text.

    Raises:
        FileError: not YAML, anchors, a key twice, too deep, several documents, or nothing in it.
    """
    builder = _Builder(source)
    with yaml_mistakes(source.text, source):
        for event in yaml.parse(source.text, Loader=LOADER):
            builder.take(event)
    if builder.mistakes:
        raise FileError(builder.mistakes)
    if builder.root is None or (isinstance(builder.root, Scalar) and not builder.root.text):
        raise FileError([Mistake(Place(source.name), "the file is empty; allowed: a YAML mapping")])
    return builder.root


class _Builder:
    """Makes the tree from the parser's events, so that depth and size never become the stack's business."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.root: Node | None = None
        self.mistakes: list[Mistake] = []
        self._open: list[tuple[str, list[Node], tuple[int, int]]] = []

    def take(self, event: yaml.Event) -> None:
        if isinstance(event, yaml.ScalarEvent):
            self._refuse_anchor(event)
            begin, end = _mark(event.start_mark), _mark(event.end_mark)
            at = (begin.line + 1, begin.column + 1, end.line + 1)
            is_plain = event.implicit[0]
            text = "" if is_plain and event.value in ("~", "null") and self._is_value() else event.value
            self._add(Scalar(text, text, at, self.source, plain=is_plain))
        elif isinstance(event, (yaml.MappingStartEvent, yaml.SequenceStartEvent)):
            self._refuse_anchor(event)
            mark = _mark(event.start_mark)
            if len(self._open) >= MAX_DEPTH:
                raise FileError([self._mistake(mark, f"nested deeper than {MAX_DEPTH} levels")])
            kind = "mapping" if isinstance(event, yaml.MappingStartEvent) else "sequence"
            self._open.append((kind, [], (mark.line + 1, mark.column + 1)))
        elif isinstance(event, yaml.SequenceEndEvent):
            _, items, at2 = self._open.pop()
            self._add(SequenceNode(items, at2, self.source))
        elif isinstance(event, yaml.MappingEndEvent):
            _, items, at2 = self._open.pop()
            self._add(MappingNode(self._pairs(items), at2, self.source))
        elif isinstance(event, yaml.AliasEvent):
            message = "aliases are not supported by Azure Pipelines; write the value out, or use a template"
            raise FileError([self._mistake(event.start_mark, message)])
        elif isinstance(event, yaml.DocumentStartEvent) and self.root is not None:
            raise FileError([self._mistake(event.start_mark, "a second document begins; allowed: one per file")])

    def _is_value(self) -> bool:
        return bool(self._open) and (self._open[-1][0] == "sequence" or len(self._open[-1][1]) % 2 == 1)

    def _add(self, node: Node) -> None:
        if self._open:
            self._open[-1][1].append(node)
        else:
            self.root = node

    def _pairs(self, items: list[Node]) -> list[tuple[Scalar, Node]]:
        pairs: list[tuple[Scalar, Node]] = []
        seen: set[str] = set()
        for key, value in zip(items[::2], items[1::2], strict=True):
            if not isinstance(key, Scalar):
                self.mistakes.append(mistake_at(key, f"found {key.describe()} as a key; allowed: a text"))
                continue
            if not key.dynamic:
                name = key.text.lower()
                if name in seen:
                    self.mistakes.append(mistake_at(key, f"key {key.text!r} is there twice; remove one"))
                    continue
                seen.add(name)
            pairs.append((key, value))
        return pairs

    def _refuse_anchor(self, event: Any) -> None:
        if event.anchor:
            message = f"found the anchor &{_cut(event.anchor)}; anchors are not supported by Azure Pipelines; write the value out, or use a template"
            raise FileError([self._mistake(event.start_mark, message)])
        if event.tag and event.tag != "!":
            raise FileError([self._mistake(event.start_mark, f"found the tag {_cut(event.tag)}; tags are not supported; take it out")])

    def _mistake(self, mark: Any, message: str) -> Mistake:
        return Mistake(Place(self.source.name, mark.line + 1, mark.column + 1), message, self.source.line(mark.line + 1))


def _mark(mark: Any) -> Any:
    """PyYAML's parsers give every event its marks; its types say that they may not."""
    return mark


def sequence_of(items: Iterable[Node], like: Node) -> SequenceNode:
    """A list in another node's place."""
    return SequenceNode(list(items), (like.line, like.column), like.source)
