"""What every reader of a job file needs: mistakes collected as they are found, and typed access to YAML nodes."""

from __future__ import annotations

import difflib
import os
from collections.abc import Sequence
from pathlib import Path

from lockgate.errors import Mistake
from lockgate.yaml_source import Node


class Reader:
    """Collects mistakes while it reads, so that one look shows them all."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.mistakes: list[Mistake] = []
        self.notes: list[str] = []

    def fail(self, node: Node, message: str, *, at_key: bool = False) -> None:
        """Note a mistake."""
        self.mistakes.append(node.mistake(message, at_key=at_key))

    def refuse(self, node: Node, message: str, *, at_key: bool = False) -> None:
        """Note what is right for Azure and not run here."""
        self.mistakes.append(node.mistake(message, at_key=at_key, unsupported=True))

    def note(self, node: Node, message: str) -> None:
        """Note what is taken and has no effect here: it is said when the job runs."""
        self.notes.append(f"{node.key_place or node.place}: {message}")

    def keys(self, node: Node, allowed: Sequence[str], what: str, refused: Sequence[str] = ()) -> None:
        """Note unknown and refused keys of a mapping."""
        for key, value in node.items():
            if key in refused:
                self.refuse(
                    value, f"key {key!r} of {what} is not supported on the desk; run this file in Azure, or leave the key out", at_key=True
                )
            elif key not in allowed:
                near = difflib.get_close_matches(key, allowed, n=1)
                hint = f"did you mean {near[0]!r}?" if near else f"allowed: {', '.join(sorted(allowed))}"
                self.fail(value, f"unknown key {key!r} of {what}; {hint}", at_key=True)

    def text(self, parent: Node, key: str, default: str = "") -> str:
        """A text of a mapping."""
        node = parent.get(key)
        if node is None:
            return default
        if node.is_mapping or node.is_list or node.value is None:
            self.fail(node, f"{key}: found {node.describe()}; allowed: a text")
            return default
        return node.text

    def mapping(self, parent: Node, key: str) -> Node | None:
        """A mapping below a mapping; None if it is absent or empty."""
        node = parent.get(key)
        if node is None or node.value is None:
            return None
        if not node.is_mapping:
            self.fail(node, f"{key}: found {node.describe()}; allowed: a mapping")
            return None
        return node

    def boolean(self, parent: Node, key: str, *, default: bool) -> bool:
        """True or false."""
        node = parent.get(key)
        if node is None:
            return default
        if not isinstance(node.value, bool):
            self.fail(node, f"{key}: found {node.describe()}; allowed: true or false")
            return default
        return node.value

    def local_path(self, node: Node, text: str) -> Path:
        """A path beside the file that names it."""
        return Path(os.path.normpath(node.source.path.parent / text.removeprefix("file:")))


def shown(path: Path, root: Path) -> str:
    """A path as people should see it: relative to the root where it is below it."""
    absolute = Path(os.path.normpath(path.absolute()))
    try:
        return str(absolute.relative_to(root.resolve()))
    except ValueError:
        return str(path)
