"""YAML read safely into typed sections whose every mistake names file, line, key, what was found and what is allowed."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from .errors import ProjectError, shorten

_MAX_BYTES = 1_000_000
_SCALARS = {"str": "text", "int": "a whole number", "float": "a number", "bool": "true or false", "NoneType": "nothing"}


def _kind(value: Any) -> str:
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    return f"{shorten(value)} ({_SCALARS.get(type(value).__name__, type(value).__name__)})"


class Problems:
    """The mistakes found so far; `raise_if_any` raises them all in one go."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lines: list[tuple[int, str]] = []

    def add(self, mark: tuple[int, int], sentence: str) -> None:
        """Note a mistake at a 1-based (line, column)."""
        self.lines.append((mark[0], f"{self.path.name}:{mark[0]}:{mark[1]}: {sentence}"))

    def raise_if_any(self) -> None:
        """Raise `ProjectError` with every mistake, in line order."""
        if self.lines:
            raise ProjectError([line for _, line in sorted(self.lines)])


class Section:
    """A YAML mapping whose keys are taken one by one; `finish` reports those nobody took.

    Every reader returns the default and notes a mistake when the value does not fit, so that one reading of a
    file reports all of its mistakes.
    """

    def __init__(self, node: yaml.MappingNode | None, problems: Problems, name: str, mark: tuple[int, int]) -> None:
        self.name = name
        self.mark = mark
        self.problems = problems
        self._nodes: dict[str, yaml.Node] = {}
        self._key_marks: dict[str, tuple[int, int]] = {}
        self._taken: list[str] = []
        for key, value in node.value if node is not None else ():
            if not isinstance(key, yaml.ScalarNode):
                problems.add(_mark(key), f"{name or 'the file'}: found a key that is no text; allowed: a text")
                continue
            if key.value in self._nodes:
                problems.add(_mark(key), f"{name}: key {key.value!r} is there twice; remove one")
            self._nodes[key.value] = value
            self._key_marks[key.value] = _mark(key)

    def __contains__(self, key: str) -> bool:
        return key in self._nodes

    def __iter__(self) -> Iterator[str]:
        """The keys in the order of the file."""
        return iter(self._nodes)

    def where(self, key: str) -> tuple[int, int]:
        """1-based (line, column) of a key, or of the section if the key is not there."""
        return self._key_marks.get(key, self.mark)

    def fail(self, key: str, found: str, allowed: str) -> None:
        """Note that `key` holds what is not allowed."""
        full = f"{self.name}.{key}" if self.name else key
        self.problems.add(self.where(key), f"{full}: found {found}; allowed: {allowed}")

    def value(self, key: str) -> Any:
        """The plain value of a key (None if absent)."""
        self._taken.append(key)
        node = self._nodes.get(key)
        return None if node is None else _construct(node)

    def text(self, key: str, default: str | None = None, *, required: bool = False) -> str:
        """A text."""
        value = self.value(key)
        if value is None and key not in self._nodes:
            if required:
                self.fail(key, "nothing", "a text; this key is required")
            return default or ""
        if not isinstance(value, str) or not value:
            self.fail(key, _kind(value), "a text")
            return default or ""
        return value

    def scalar(self, key: str) -> str | None:
        """A scalar as it is written, whatever YAML would make of it; None if it is absent."""
        self._taken.append(key)
        node = self._nodes.get(key)
        if node is not None and not isinstance(node, yaml.ScalarNode):
            self.fail(key, _kind(_construct(node)), "a single value")
            return None
        return None if node is None else str(node.value)

    def number(self, key: str, default: float | None = None, *, low: float | None = None, high: float | None = None) -> float | None:
        """A number within an inclusive range."""
        value = self.value(key)
        if key not in self._nodes:
            return default
        span = "".join([f" of at least {low:g}" if low is not None else "", f" up to {high:g}" if high is not None else ""])
        if isinstance(value, bool) or not isinstance(value, int | float) or value != value:
            self.fail(key, _kind(value), f"a number{span}")
            return default
        if (low is not None and value < low) or (high is not None and value > high):
            self.fail(key, f"{value:g}", f"a number{span}")
            return default
        return float(value)

    def whole(self, key: str, default: int, *, low: int = 0, high: int = 10**9) -> int:
        """A whole number within an inclusive range."""
        value = self.value(key)
        if key not in self._nodes:
            return default
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            self.fail(key, _kind(value), f"a whole number from {low} to {high}")
            return default
        return value

    def flag(self, key: str, *, default: bool) -> bool:
        """True or false; "yes" in quotes is text, and refused."""
        value = self.value(key)
        if key not in self._nodes:
            return default
        if not isinstance(value, bool):
            self.fail(key, _kind(value), "true or false")
            return default
        return value

    def choice(self, key: str, allowed: Sequence[str], default: str | None = None) -> str:
        """One of a few words."""
        value = self.value(key)
        if key not in self._nodes and default is not None:
            return default
        if value not in allowed:
            near = difflib.get_close_matches(str(value), allowed, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            found = "nothing" if key not in self._nodes else _kind(value)
            self.fail(key, found, f"one of {', '.join(allowed)}{hint}")
            return default or allowed[0]
        return str(value)

    def words(self, key: str, default: Sequence[str] = ()) -> tuple[str, ...]:
        """A list of texts; numbers are taken as they are written."""
        self._taken.append(key)
        node = self._nodes.get(key)
        if node is None:
            return tuple(default)
        if not isinstance(node, yaml.SequenceNode) or not all(isinstance(n, yaml.ScalarNode) for n in node.value):
            self.fail(key, _kind(_construct(node)), "a list of texts")
            return tuple(default)
        values = [str(n.value) for n in node.value]
        for value in sorted({v for v in values if values.count(v) > 1}):
            self.fail(key, f"{value!r} twice", "each value once")
        return tuple(values)

    def section(self, key: str) -> Section:
        """A mapping below this one; an absent one is empty."""
        self._taken.append(key)
        node = self._nodes.get(key)
        full = f"{self.name}.{key}" if self.name else key
        if node is not None and not isinstance(node, yaml.MappingNode):
            if not (isinstance(node, yaml.ScalarNode) and node.value in ("", "null", "~")):
                self.fail(key, _kind(_construct(node)), "a mapping")
            node = None
        return Section(node, self.problems, full, self.where(key))

    def items(self, key: str) -> list[tuple[yaml.Node, tuple[int, int]]]:
        """The nodes of a list with their places; an absent list is empty."""
        self._taken.append(key)
        node = self._nodes.get(key)
        if node is None:
            return []
        if not isinstance(node, yaml.SequenceNode):
            self.fail(key, _kind(_construct(node)), "a list")
            return []
        return [(item, _mark(item)) for item in node.value]

    def finish(self) -> None:
        """Note every key that no reader asked for."""
        for key in self._nodes:
            if key not in self._taken:
                near = difflib.get_close_matches(key, self._taken, n=1)
                hint = f"did you mean {near[0]!r}?" if near else f"allowed keys: {', '.join(sorted(set(self._taken)))}"
                full = f"{self.name}.{key}" if self.name else key
                self.problems.add(self.where(key), f"unknown key {full!r}; {hint}")


def _mark(node: yaml.Node) -> tuple[int, int]:
    return node.start_mark.line + 1, node.start_mark.column + 1


def _construct(node: yaml.Node) -> Any:
    """The plain value of a node; a text where YAML's typing of it fails (a tag of its own, a date that is none)."""
    loader = yaml.SafeLoader("")
    try:
        return loader.construct_document(node)
    except (yaml.YAMLError, ValueError, TypeError):
        return _Unreadable(str(node.value) if isinstance(node, yaml.ScalarNode) else node.tag)
    finally:
        loader.dispose()


class _Unreadable:
    """A value that YAML could not type: fits no reader, so each says what it allows."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return repr(self._text)


def sub_section(node: yaml.Node, problems: Problems, name: str) -> Section | str | None:
    """A list item as a section, or as text if it is a plain scalar; None (and a mistake noted) for anything else."""
    if isinstance(node, yaml.MappingNode):
        return Section(node, problems, name, _mark(node))
    if isinstance(node, yaml.ScalarNode):
        return str(node.value)
    problems.add(_mark(node), f"{name}: found a list; allowed: a text or a mapping")
    return None


def load_section(path: Path) -> Section:
    """The top mapping of a YAML file.

    Raises:
        ProjectError: the file is absent, too large, not UTF-8, not YAML, or not a mapping.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ProjectError([f"{path}: can't be read ({error.strerror}); pass the path of a project.yml"]) from None
    if len(data) > _MAX_BYTES:
        raise ProjectError([f"{path.name}: {len(data):,} bytes; allowed: at most {_MAX_BYTES:,}"])
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise ProjectError([f"{path.name}: byte {error.start} is not UTF-8; save the file as UTF-8"]) from None
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f"{mark.line + 1}:{mark.column + 1}: " if mark else ""
        raise ProjectError([f"{path.name}:{place}not valid YAML: {error.problem}; mend the syntax"]) from None
    except (yaml.YAMLError, RecursionError) as error:
        raise ProjectError([f"{path.name}: not valid YAML: {error}"]) from None
    problems = Problems(path)
    if not isinstance(node, yaml.MappingNode):
        raise ProjectError([f"{path.name}:1:1: found no mapping; allowed: keys such as name, task, target, columns"])
    _refuse_aliases(text, path)
    return Section(node, problems, "", (1, 1))


def _refuse_aliases(text: str, path: Path) -> None:
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        if isinstance(event, yaml.AliasEvent):
            line = event.start_mark.line + 1 if event.start_mark else 1
            raise ProjectError([f"{path.name}:{line}: YAML aliases are not allowed here; write the value out"])
