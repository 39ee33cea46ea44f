"""YAML with file, line and column of every node, read safely: no tags, no aliases, no duplicate keys, bounded size."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

from lockgate.errors import FileError, Mistake, Place

MAX_BYTES: Final = 10_000_000
MAX_DEPTH: Final = 100
MAX_NODES: Final = 200_000
_LONG: Final = 5_000
"""Characters from which a text could be nested deeply enough to exhaust the stack of the C parser."""
_MESSAGE: Final = 200
LOADER: Final[type[Any]] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""PyYAML's safe loader, the one in C where it is there."""


@dataclass
class Source:
    """A file's text, for messages. `path` is absolute; `name` is the path as people should see it."""

    path: Path
    name: str
    lines: list[str] = field(default_factory=list)
    text: str = ""

    def line(self, number: int) -> str:
        """A line by its 1-based number; empty if there is none."""
        return self.lines[number - 1] if 0 < number <= len(self.lines) else ""


@dataclass
class Node:
    """A YAML node.

    Attributes:
        value: a dict of Node, a list of Node, or the scalar as YAML 1.1 types it (str, int, float, bool, None).
        text: a scalar as it is written, without quotes; empty for a mapping or list.
        place: where it starts.
        source: its file.
        key_place: where its key starts, if it is a mapping's value.
    """

    value: Any
    text: str
    place: Place
    source: Source
    key_place: Place | None = None

    @property
    def is_mapping(self) -> bool:
        """Whether it is a mapping."""
        return isinstance(self.value, dict)

    @property
    def is_list(self) -> bool:
        """Whether it is a list."""
        return isinstance(self.value, list)

    def items(self) -> Iterator[tuple[str, Node]]:
        """Keys and values of a mapping; nothing for other nodes."""
        return iter(self.value.items()) if self.is_mapping else iter(())

    def get(self, key: str) -> Node | None:
        """A mapping's value; None if it has no such key or is no mapping."""
        found: Node | None = self.value.get(key) if self.is_mapping else None
        return found

    def plain(self) -> Any:
        """The node as plain Python values."""
        if self.is_mapping:
            return {key: node.plain() for key, node in self.value.items()}
        if self.is_list:
            return [node.plain() for node in self.value]
        return self.value

    def mistake(self, message: str, *, at_key: bool = False, unsupported: bool = False) -> Mistake:
        """A mistake at this node, or at its key."""
        place = self.key_place if at_key and self.key_place else self.place
        return Mistake(place, message, self.source.line(place.line), unsupported)

    def describe(self) -> str:
        """What the node is, for messages."""
        if self.is_mapping:
            return "a mapping"
        if self.is_list:
            return "a list"
        return "nothing" if self.value is None else repr(self.text if len(self.text) < 60 else self.text[:59] + "…")


def load_yaml(path: Path, name: str | None = None) -> Node:
    """Read a YAML file.

    Args:
        path: the file.
        name: how messages call it; the path, if None.

    Raises:
        FileError: it can't be read, is too large, not UTF-8, not YAML, too deep, or has a key twice.
    """
    source = read_source(path, name)
    return parse_yaml(source.text, source)


def read_source(path: Path, name: str | None = None, largest: int = MAX_BYTES) -> Source:
    """Read a file's text.

    Raises:
        FileError: it can't be read, has more than `largest` bytes, or is not UTF-8.
    """
    shown = name or str(path)
    try:
        if path.exists() and not path.is_file() and not path.is_dir():
            raise FileError([Mistake(Place(shown), "is a device or pipe; allowed: a file")])
        with path.open("rb") as stream:
            size = os.fstat(stream.fileno()).st_size
            data = stream.read(largest + 1)
    except OSError as error:
        raise FileError([Mistake(Place(shown), f"can't be read: {error.strerror}; check the path")]) from None
    if len(data) > largest:
        found = f"{size:,}" if size > largest else f"more than {largest:,}"  # What is no file may have no size, and no end.
        raise FileError([Mistake(Place(shown), f"found {found} bytes; allowed: at most {largest:,}")])
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start]
        line, column = before.count(b"\n") + 1, len(before) - before.rfind(b"\n")
        raise FileError([Mistake(Place(shown, line, column), "found bytes that are not UTF-8; save the file as UTF-8")]) from None
    return Source(path.absolute(), shown, text.splitlines(), text)


def parse_yaml(text: str, source: Source) -> Node:
    """Read YAML from a text; see `load_yaml`."""
    with yaml_mistakes(text, source):
        if len(text) > _LONG:
            _refuse_depth(text, source)
        loader = LOADER(text)
        try:
            root = loader.get_single_node()
        finally:
            loader.dispose()
    if root is None:
        raise FileError([Mistake(Place(source.name), "the file is empty; allowed: a YAML mapping")])
    mistakes: list[Mistake] = []
    node = _Converter(source, mistakes).convert(root, set(), 0)
    if mistakes:
        raise FileError(mistakes)
    return node


@contextmanager
def yaml_mistakes(text: str, source: Source) -> Iterator[None]:
    """Turns what PyYAML raises within into a FileError with its place."""
    try:
        yield
    except yaml.MarkedYAMLError as error:
        mark, problem = _explained(error, source)
        place = Place(source.name, mark.line + 1, mark.column + 1) if mark else Place(source.name)
        raise FileError([Mistake(place, f"not valid YAML: {problem}", source.line(place.line))]) from None
    except yaml.reader.ReaderError as error:
        before = text[: int(error.position)]
        place = Place(source.name, before.count("\n") + 1, len(before) - before.rfind("\n"))
        raise FileError([Mistake(place, "not valid YAML: found a control character; take it out", source.line(place.line))]) from None
    except yaml.YAMLError as error:
        raise FileError([Mistake(Place(source.name), f"not valid YAML: {_cut(str(error).splitlines()[0])}")]) from None


def _explained(error: yaml.MarkedYAMLError, source: Source) -> tuple[Any, str]:
    """Where a mistake in the YAML is best shown, and a sentence on what to do about it."""
    mark = error.problem_mark or error.context_mark
    problem, context = error.problem or str(error), error.context or ""
    line = source.line(mark.line + 1) if mark else ""
    if "cannot start any token" in problem and mark and line[: mark.column + 1].endswith("\t"):
        return mark, "found a tab; indent with spaces"
    if "cannot start any token" in problem and mark:
        return mark, f"found {line[mark.column : mark.column + 1]!r}, which can't begin a value; put the value in quotes"
    if error.context_mark and "quoted scalar" in context:
        return error.context_mark, "the quoted text that begins here has no end; close it with the same quote"
    if error.context_mark and "flow" in context:
        return error.context_mark, "the bracket that opens here is not closed, or a comma is missing after it; mend that"
    if "mapping values are not allowed" in problem:
        return mark, "found a second colon in a value, or wrong indentation; put the value in quotes, or indent with two spaces"
    if "did not find expected" in problem or "could not find expected" in problem:
        return mark, f"{_cut(problem)}; check the indentation of this line and the one above"
    return mark, _cut(problem)


def _cut(text: str) -> str:
    return text if len(text) <= _MESSAGE else text[: _MESSAGE - 1] + "…"


def _refuse_depth(text: str, source: Source) -> None:
    """Look at the events alone, which takes no stack: composing them does, in C, and would end the process."""
    depth = 0
    for event in yaml.parse(text, Loader=LOADER):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MAX_DEPTH:
                mark = event.start_mark
                place = Place(source.name, mark.line + 1, mark.column + 1) if mark else Place(source.name)
                raise FileError([Mistake(place, f"nested deeper than {MAX_DEPTH} levels", source.line(place.line))])
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


class _Converter:
    """Turns PyYAML's nodes into ours. Aliases are expanded, so what they make is counted."""

    def __init__(self, source: Source, mistakes: list[Mistake]) -> None:
        self._source = source
        self._mistakes = mistakes
        self._count = 0

    def _fail(self, place: Place, message: str) -> FileError:
        return FileError([Mistake(place, message, self._source.line(place.line))])

    def convert(self, raw: yaml.Node, open_nodes: set[int], depth: int) -> Node:
        source = self._source
        place = Place(source.name, raw.start_mark.line + 1, raw.start_mark.column + 1)
        self._count += 1
        if self._count > MAX_NODES:
            raise self._fail(place, f"more than {MAX_NODES:,} values once aliases are expanded")
        if depth > MAX_DEPTH:
            raise self._fail(place, f"nested deeper than {MAX_DEPTH} levels")
        if id(raw) in open_nodes:
            raise self._fail(place, "an alias that contains itself")
        inner = open_nodes | {id(raw)}
        if isinstance(raw, yaml.MappingNode):
            return Node(self._mapping(raw, inner, depth), "", place, source)
        if isinstance(raw, yaml.SequenceNode):
            return Node([self.convert(item, inner, depth + 1) for item in raw.value], "", place, source)
        return Node(self._scalar(raw, place), str(raw.value), place, source)

    def _mapping(self, raw: yaml.MappingNode, inner: set[int], depth: int) -> dict[str, Node]:
        found: dict[str, Node] = {}
        for key, value in raw.value:
            at = Place(self._source.name, key.start_mark.line + 1, key.start_mark.column + 1)
            line = self._source.line(at.line)
            if not isinstance(key, yaml.ScalarNode):
                self._mistakes.append(Mistake(at, "a key must be a text", line))
                continue
            if key.value in found:
                self._mistakes.append(Mistake(at, f"key {key.value!r} is there twice; remove one", line))
            node = self.convert(value, inner, depth + 1)
            node.key_place = at
            found[key.value] = node
        return found

    def _scalar(self, raw: Any, place: Place) -> Any:
        if raw.tag.endswith((":timestamp", ":str")):
            return raw.value
        loader = yaml.SafeLoader("")
        try:
            return loader.construct_object(raw)
        except (yaml.YAMLError, ValueError) as error:
            first = str(error).splitlines()[0]
            self._mistakes.append(Mistake(place, f"{_cut(repr(raw.value))} can't be read: {_cut(first)}", self._source.line(place.line)))
            return raw.value
        finally:
            loader.dispose()
