"""Which files a pipeline is made of, and how a template's path is found in them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lockgate.errors import FileError, Mistake, Place
from lockgate.pipelines.document import MAX_BYTES, MappingNode, Node, Scalar, count_nodes, mistake_at, parse_document
from lockgate.pipelines.mistakes import suggestion
from lockgate.yaml_source import read_source

SELF: Final = "self"
MAX_FILES: Final = 100
MAX_NESTING: Final = 100
"""Azure's limits: separate files in a pipeline, and templates within templates."""
MAX_NODES: Final = 1_000_000
"""Nodes of all the templates a pipeline includes, each time counted again: about what Azure's limit of memory comes to."""


@dataclass(frozen=True)
class File:
    """A file of a pipeline.

    Attributes:
        repository: the alias of the repository it is in; `self` for the pipeline's own.
        path: within the repository, with `/`, no `..`.
        root: its content.
    """

    repository: str
    path: str
    root: Node


def _circle(files: list[str]) -> str:
    """The shortest circle that a chain of files ends with."""
    last = files[-1]
    before = next((index for index in range(len(files) - 2, -1, -1) if files[index] == last), None)
    return "" if before is None else " → ".join(files[before:])


class Files:
    """Reads files of the repositories, each once.

    Args:
        folders: alias → folder. `self` is the repository of the pipeline.
        shown_from: folder that paths in messages are relative to.
    """

    def __init__(self, folders: Mapping[str, Path], shown_from: Path) -> None:
        self.folders = {alias.lower(): folder.resolve() for alias, folder in folders.items()}
        self._shown_from = shown_from.resolve()
        self._read: dict[tuple[str, str], File] = {}
        self._nodes = 0

    def load_root(self, path: Path) -> File:
        """The pipeline itself.

        Raises:
            FileError: it can't be read, or is no YAML mapping.
        """
        folder = self.folders[SELF]
        absolute = Path(os.path.abspath(path))  # noqa: PTH100 - links stay as they are named
        try:
            inside = absolute.relative_to(folder)
        except ValueError:
            inside = Path(os.path.relpath(absolute, folder))
        return self._load(SELF, inside.as_posix())

    def load_template(self, reference: Scalar, by: File, declared: Mapping[str, Node], included: tuple[Place, ...]) -> File:
        """A template that a file refers to.

        Args:
            reference: `path`, `/path` or `path@alias`.
            by: the file that names it.
            declared: the repositories of `resources.repositories`.
            included: how that file was reached.

        Raises:
            FileError: no such file or repository, or Azure's limits are reached.
        """

        def wrong(message: str, *, unsupported: bool = False) -> FileError:
            return FileError([mistake_at(reference, message, included, unsupported=unsupported)])

        if len(included) > MAX_NESTING:
            circle = _circle([place.file for place in included])
            raise wrong(
                f"templates are nested deeper than {MAX_NESTING} levels"
                + (f", since they include one another: {circle}" if circle else "")
                + "; end the circle"
            )
        path, at, alias = reference.text.partition("@")
        path = path.strip().replace("\\", "/")
        alias = alias.strip() if at else by.repository
        folder = self.folders.get(alias.lower())
        if folder is None:
            if alias.lower() in {name.lower() for name in declared}:
                raise wrong(f"repository {alias!r} is not on this machine; say where it is: --repo {alias}=FOLDER", unsupported=True)
            raise wrong(
                f"there is no repository {alias!r}; {suggestion(alias, [*declared, SELF])}; declare it under resources.repositories"
            )
        if not path:
            raise wrong("found no path; allowed: the path of a template, such as templates/steps.yml")
        base = "" if path.startswith("/") or alias.lower() != by.repository.lower() else os.path.dirname(by.path)  # noqa: PTH120 - a path in a repository
        inside = os.path.normpath(os.path.join(base, path.lstrip("/")))  # noqa: PTH118
        if inside.startswith(".."):
            raise wrong(f"{reference.text!r} leads out of the repository; allowed: a path inside it")
        if (alias.lower(), inside) not in self._read and not (folder / inside).is_file():
            raise wrong(
                f"there is no file {path!r} in {'this repository' if alias.lower() == SELF else f'repository {alias!r}'}; check the path"
            )
        if (alias.lower(), inside) not in self._read and len(self._read) >= MAX_FILES:
            raise wrong(f"more than {MAX_FILES} files are included; allowed by Azure: {MAX_FILES}")
        try:
            file = self._load(alias.lower(), inside)
        except FileError as error:
            raise FileError(
                [Mistake(m.place, m.message, m.source, m.unsupported, (*included, reference.place())) for m in error.mistakes]
            ) from None
        self._nodes += count_nodes(file.root)
        if self._nodes > MAX_NODES:
            raise wrong(f"the templates come to more than {MAX_NODES:,} values; Azure refuses so much")
        return file

    def _load(self, alias: str, inside: str) -> File:
        key = (alias, inside)
        if key not in self._read:
            path = self.folders[alias] / inside
            source = read_source(path, self._shown(path), MAX_BYTES)
            root = parse_document(source)
            if not isinstance(root, MappingNode):
                raise FileError([mistake_at(root, f"found {root.describe()}; allowed: a mapping, such as steps: or parameters:")])
            self._read[key] = File(alias, inside, root)
        return self._read[key]

    def _shown(self, path: Path) -> str:
        try:
            return str(path.relative_to(self._shown_from))
        except ValueError:
            relative = os.path.relpath(path, self._shown_from)
            return relative if relative.count("..") <= 2 else str(path)
