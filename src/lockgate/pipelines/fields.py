"""Typed access to the keys of a mapping, with every mistake noted where it stands."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from lockgate.expressions.values import Names, try_number
from lockgate.pipelines.context import Context
from lockgate.pipelines.document import MappingNode, Node, Scalar, SequenceNode, UnknownScalar
from lockgate.pipelines.expansion import expand, expand_items, expand_pairs
from lockgate.pipelines.keys import Key, Table
from lockgate.pipelines.mistakes import suggestion

_TRUE: Final = ("true", "y", "yes", "on")
_FALSE: Final = ("false", "n", "no", "off")


Pair = tuple[Scalar, Node, Context]


@dataclass(frozen=True)
class Field:
    """A key's value as it stands, with what it is read in."""

    key: Scalar
    node: Node
    context: Context

    def expanded(self) -> Node:
        """The value with its expressions evaluated."""
        return expand(self.node, self.context)

    def fail(self, message: str, at: Node | None = None) -> None:
        """Note a mistake at the value, or at what is in it; where it is an expression, there and not where its value comes from."""
        self.context.fail(self.node if at is None or (isinstance(self.node, Scalar) and self.node.dynamic) else at, message)


class Fields:
    """The keys of a mapping that a table allows.

    Attributes:
        node: the mapping.
        context: what it is read in.
    """

    def __init__(self, node: MappingNode, context: Context, table: Table, pairs: Iterable[Pair] | None = None) -> None:
        """Read the keys; `pairs` are those of `expand_pairs`, where somebody has had to look at them already."""
        self.node = node
        self.context = context
        self.table = table
        self._found: dict[str, Field] = {}
        for key, value, inner in expand_pairs(node, context) if pairs is None else pairs:
            known = table.keys.get(key.text)
            if known is None:
                inner.fail(key, f"unknown key {key.text!r} of {table.what}; {suggestion(key.text, table.keys)}")
                continue
            self._found[key.text] = Field(key, value, inner)
            if known.desk == "none":
                inner.note(key, f"{key.text!r} of {table.what} has no effect here: {known.why}")
            elif known.desk == "refused":
                inner.fail(key, f"key {key.text!r} of {table.what} is not run on the desk: {known.why}", unsupported=True)

    def __contains__(self, name: str) -> bool:
        return name in self._found

    def field(self, name: str) -> Field | None:
        """A key's value as it stands; None if it is not there."""
        return self._found.get(name)

    def present(self) -> list[tuple[Key, Field]]:
        """All that are there, in their order."""
        return [(self.table.keys[name], field) for name, field in self._found.items()]

    def fail(self, message: str) -> None:
        """Note a mistake at the mapping."""
        self.context.fail(self.node, message)

    def scalar(self, name: str) -> Scalar | None:
        """A text with its place; None if it is absent, unknown or a mistake."""
        field = self._found.get(name)
        if field is None:
            return None
        node = field.expanded()
        if isinstance(node, Scalar):
            return node
        if not isinstance(node, UnknownScalar):
            field.fail(f"{name}: found {node.describe()}; allowed: a text", node)
        return None

    def text(self, name: str, default: str = "") -> str:
        """A text."""
        found = self.scalar(name)
        return default if found is None else found.text

    def optional_text(self, name: str) -> str | None:
        """A text; None if it is not there."""
        found = self.scalar(name)
        return None if found is None else found.text

    def boolean(self, name: str, *, default: bool) -> bool:
        """True or false, in any of the words that Azure takes."""
        found = self.scalar(name)
        if found is None or not found.text:
            return default
        word = found.text.lower()
        if word in _TRUE or word in _FALSE:
            return word in _TRUE
        self._found[name].context.fail(found, f"{name}: found {found.describe()}; allowed: true or false")
        return default

    def choice(self, name: str, allowed: Sequence[str], default: str = "") -> str:
        """One of several words."""
        found = self.scalar(name)
        if found is None:
            return default
        if found.text in allowed:
            return found.text
        self._found[name].context.fail(found, f"{name}: found {found.describe()}; {suggestion(found.text, allowed)}")
        return default

    def number(self, name: str, default: int, *, lowest: int = 0, highest: int = 1_000_000) -> int:
        """A whole number."""
        found = self.scalar(name)
        if found is None or not found.text:
            return default
        number = try_number(found.value)
        if number is not None and number == int(number) and lowest <= number <= highest:
            return int(number)
        self._found[name].context.fail(found, f"{name}: found {found.describe()}; allowed: a whole number from {lowest} to {highest:,}")
        return default

    def mapping(self, name: str) -> tuple[MappingNode, Context] | None:
        """A mapping, not expanded yet; None if it is absent, empty or a mistake."""
        field = self._found.get(name)
        if field is None:
            return None
        node = expand(field.node, field.context) if isinstance(field.node, Scalar) else field.node
        if isinstance(node, MappingNode):
            return node, field.context
        if not _is_nothing(node):
            field.fail(f"{name}: found {node.describe()}; allowed: a mapping", node)
        return None

    def items(self, name: str, variables: Names | None = None) -> list[tuple[Node, Context]]:
        """A list's items, each not expanded yet.

        Args:
            name: the key.
            variables: what expressions among the items see as `variables`, if it is not what the mapping itself sees.
        """
        field = self._found.get(name)
        if field is None:
            return []
        node = expand(field.node, field.context) if isinstance(field.node, Scalar) else field.node
        if isinstance(node, SequenceNode):
            return list(expand_items(node, field.context if variables is None else field.context.with_name("variables", variables)))
        if not _is_nothing(node):
            field.fail(f"{name}: found {node.describe()}; allowed: a list", node)
        return []

    def texts(self, name: str, *, split: bool = False) -> list[Scalar] | None:
        """A text or a list of texts; None if it is not there.

        Args:
            split: whether a single text may hold several, with commas between.
        """
        field = self._found.get(name)
        if field is None:
            return None
        node = field.expanded()
        if isinstance(node, UnknownScalar):
            return None
        if isinstance(node, Scalar):
            if not node.text:
                return []
            return [node.replaced(part.strip()) for part in node.text.split(",")] if split and "," in node.text else [node]
        found: list[Scalar] = []
        for item in node.items if isinstance(node, SequenceNode) else [node]:
            if isinstance(item, Scalar):
                found.append(item)
            elif not isinstance(item, UnknownScalar):
                field.fail(f"{name}: found {item.describe()}; allowed: a text or a list of texts", item)
        return found

    def named_texts(self, name: str) -> dict[str, str]:
        """A mapping of texts, such as `env`."""
        found: dict[str, str] = {}
        there = self.mapping(name)
        for key, value, inner in expand_pairs(*there) if there else ():
            node = expand(value, inner)
            if isinstance(node, Scalar):
                found[key.text] = node.text
            elif not isinstance(node, UnknownScalar):
                inner.fail(node, f"{name}.{key.text}: found {node.describe()}; allowed: a text")
        return found


def _is_nothing(node: Node) -> bool:
    return isinstance(node, UnknownScalar) or (isinstance(node, Scalar) and not node.text)
