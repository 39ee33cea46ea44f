"""What can be told of tests without running them: what they import, which files of the repository they name, how they are marked.

It is read from their syntax trees. A path that is put together, such as `ROOT / "docs" / name`, counts as the folder up to what is not known.
"""

from __future__ import annotations

import ast
import functools
import importlib
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import grimp

SOURCES = ("src", "data-science/src")
"""Folders whose packages and modules the tests import."""
SCRIPTS = ("aml-cli-v2/scripts", "infrastructure/scripts")
"""Folders of scripts that tests run by name."""
PACKAGE, NAMED, DIRECT = 1.5, 3.0, 3.0
"""How near a test is to a module whose package its folder is named for, that it is named for, that it imports. A stranger has 1."""


@dataclass(frozen=True)
class TestFunction:
    """A function of a test file."""

    __test__ = False
    name: str
    first: int
    last: int
    marks: frozenset[str]


class Source:
    """A file of the tests."""

    def __init__(self, path: Path, name: str) -> None:
        """Args: path: where it is. name: its path within the repository."""
        self.name = name
        self.tree = ast.parse(path.read_text(encoding="utf-8"))
        self.definitions: dict[str, ast.stmt] = {}
        self.imported: dict[str, tuple[str, str]] = {}
        """Name → module and name in it; the latter is empty for the module itself."""
        self.modules: set[str] = set()
        """Every dotted name that an import may mean."""
        for node in self.tree.body:
            self.definitions |= dict.fromkeys(_bound(node), node)
        for one in ast.walk(self.tree):
            if isinstance(one, ast.Import):
                for alias in one.names:
                    self.modules.add(alias.name)
                    self.imported[alias.asname or alias.name] = (alias.name, "")
            elif isinstance(one, ast.ImportFrom) and one.module and not one.level:
                self.modules.add(one.module)
                for alias in one.names:
                    self.modules.add(f"{one.module}.{alias.name}")
                    self.imported[alias.asname or alias.name] = (one.module, alias.name)

    @functools.cached_property
    def marks(self) -> frozenset[str]:
        """Marks of all tests of the file."""
        node = self.definitions.get("pytestmark")
        return _marks([node.value]) if isinstance(node, ast.Assign) else frozenset()

    @functools.cached_property
    def tests(self) -> list[TestFunction]:
        """Its tests."""
        return [
            TestFunction(node.name, min([node.lineno, *(one.lineno for one in node.decorator_list)]), node.end_lineno or node.lineno,
                         self.marks | _marks(node.decorator_list))
            for node in self.tree.body
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test")
        ]  # fmt: skip

    @functools.cached_property
    def words(self) -> frozenset[str]:
        """Its string constants that are one word."""
        return frozenset(
            node.value
            for node in ast.walk(self.tree)
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and _is_word(node.value)
        )


class StaticReach:
    """The tests of a repository, as their sources say."""

    def __init__(self, root: Path) -> None:
        """Args: root: the repository."""
        self.root = root
        self.folder = root / "tests"
        paths = [path for path in sorted(self.folder.rglob("*.py")) if "cases" not in path.relative_to(self.folder).parts]
        names = {path.relative_to(root).as_posix(): path for path in paths}
        self.sources = {name: Source(path, name) for name, path in names.items()}
        self._paths_of_names: dict[tuple[str, str], tuple[str, ...] | None] = {}
        self._direct: dict[tuple[str, str], tuple[frozenset[str], frozenset[str]]] = {}
        self._read: dict[str, frozenset[str]] = {}
        self.tests = [name for name in self.sources if PurePosixPath(name).name.startswith("test_")]

    @functools.cached_property
    def modules(self) -> dict[str, str]:
        """Dotted name → path, of all that can be imported."""
        found = {}
        for source in SOURCES:
            for path in sorted((self.root / source).rglob("*.py")):
                parts = path.relative_to(self.root / source).with_suffix("").parts
                found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path.relative_to(self.root).as_posix()
        return found

    @functools.cached_property
    def dotted(self) -> dict[str, str]:
        """Path → dotted name."""
        return {path: name for name, path in self.modules.items()}

    def is_module(self, path: str) -> bool:
        """Whether a path is one of a module, step or script of the project, be it there or not."""
        return path.endswith(".py") and path.startswith(tuple(f"{folder}/" for folder in (*SOURCES, *SCRIPTS)))

    @functools.cached_property
    def graph(self) -> grimp.ImportGraph:
        """The imports within the packages."""
        folders = [self.root / source for source in SOURCES]
        packages = sorted({path.parent.name for folder in folders for path in folder.glob("*/__init__.py")})
        before = list(sys.path)
        sys.path[:0] = map(str, folders)
        try:
            importlib.invalidate_caches()
            first, *others = packages
            return grimp.build_graph(first, *others, cache_dir=None)
        finally:
            sys.path[:] = before

    def importers(self, path: str) -> list[str]:
        """The modules and steps that import a module directly."""
        name = self.dotted.get(path, "")
        found = set(self.graph.find_modules_that_directly_import(name)) if name in self.graph.modules else set()
        for module, step in self.modules.items():
            if "." not in module and module not in self.graph.modules and name in _imports(self.root / step):
                found.add(module)
        return sorted(self.modules[module] for module in found)

    def all_importers(self, path: str) -> list[str]:
        """The modules and steps that import a module, also through others, the nearest first."""
        found: list[str] = []
        above = [path]
        while above:
            above = [
                one for one in dict.fromkeys(name for low in above for name in self.importers(low)) if one not in found and one != path
            ]
            found += above
        return found

    def nearness(self, path: str, test: str) -> float:
        """How near a test file is to a module: 1 if nothing but a run may show that it has to do with it."""
        name, stem = self.dotted.get(path, ""), PurePosixPath(path).stem
        parts = PurePosixPath(path).parts[:-1]
        source = self.sources[test]
        own = PurePosixPath(test).stem.removeprefix("test_")
        near = 1.0
        # The outermost package is no neighbourhood.
        if name.count(".") > 1 and (parts[-1] in PurePosixPath(test).parts[1:-1] or own == parts[-1]):
            near = PACKAGE
        if own == stem or f"{stem}.py" in source.words:
            near = max(near, NAMED)
        if name and (name in source.modules or any(one.startswith(f"{name}.") and one not in self.modules for one in source.modules)):
            near = max(near, DIRECT)
        return near

    def users(self, support: str) -> list[str]:
        """The test files that a conftest or a support module serves."""
        if PurePosixPath(support).name == "conftest.py":
            folder = f"{PurePosixPath(support).parent}/"
            return [test for test in self.tests if test.startswith(folder)]
        wanted = {support}
        while more := {name for name, source in self.sources.items() if name not in wanted and wanted & set(self._supports(source))}:
            wanted |= more
        found = [test for test in self.tests if test in wanted]
        for name in wanted:
            if PurePosixPath(name).name == "conftest.py":
                found += [test for test in self.users(name) if test not in found]
        return found

    def _supports(self, source: Source) -> list[str]:
        return [path for module in source.modules if (path := self._support(module)) in self.sources]

    @staticmethod
    def _support(module: str) -> str:
        return f"tests/{module.replace('.', '/')}.py"

    # Files --------------------------------------------------------------------------------------------------------------------

    def readers(self, path: str) -> list[str]:
        """The test files that name a file of the repository or a folder above it."""
        above = {path, *(str(one) for one in PurePosixPath(path).parents)}
        return [test for test in self.tests if self.reads(test) & above]

    def reads(self, test: str) -> frozenset[str]:
        """The files and folders of the repository that a test file names, or what it uses of support modules and fixtures."""
        if test not in self._read:
            source = self.sources[test]
            # A constant that is a path counts where it is used: there, more may be joined to it.
            found = set(self._paths(source, [node for node in source.tree.body if not self._is_path(source, node)]))
            seen: set[tuple[str, str]] = set()
            new = [place for name in _names([source.tree]) if (place := self._defined(test, name))]
            while new:
                place = new.pop()
                if place not in seen:
                    seen.add(place)
                    paths, names = self._of_definition(place)
                    found |= paths
                    new += [inner for name in names if (inner := self._defined(place[0], name))]
            self._read[test] = frozenset(found - {"", "tests", test})
        return self._read[test]

    def _of_definition(self, place: tuple[str, str]) -> tuple[frozenset[str], frozenset[str]]:
        """The paths that a definition of a file of the tests names, and the names that it uses."""
        if place not in self._direct:
            source = self.sources[place[0]]
            node = source.definitions[place[1]]
            nodes = [] if self._is_path(source, node) else [node]
            self._direct[place] = frozenset(self._paths(source, nodes)), frozenset(_names(nodes))
        return self._direct[place]

    def _defined(self, file: str, name: str) -> tuple[str, str] | None:
        """Where a name is defined that a file uses: there, in a support module, or in a conftest as a fixture."""
        source = self.sources[file]
        if name in source.definitions:
            return file, name
        if name in source.imported:
            module, inner = source.imported[name]
            support = self._support(module)
            return (support, inner) if support in self.sources and inner in self.sources[support].definitions else None
        return next(((conftest, name) for conftest in self._conftests(file) if name in self.sources[conftest].definitions), None)

    @functools.cache  # noqa: B019 - lives as long as the program
    def _conftests(self, file: str) -> tuple[str, ...]:
        return tuple(path for folder in PurePosixPath(file).parents if (path := f"{folder}/conftest.py") in self.sources)

    def _is_path(self, source: Source, node: ast.stmt) -> bool:
        return isinstance(node, ast.Assign) and self._path(source, node.value) is not None

    def _paths(self, source: Source, nodes: Iterable[ast.AST]) -> Iterator[str]:
        """The paths within the repository that some nodes name."""
        for node in nodes:
            path = self._path(source, node) if isinstance(node, ast.expr) else None
            if path is not None:
                yield "/".join(path)
                yield from self._paths(source, node.args if isinstance(node, ast.Call) else [])
                continue
            text = _text(node)
            if text is not None:
                yield from self._named(text)
            if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div) and "/" not in (_text(node.right) or "/"):
                yield from self._paths(source, [node.left])  # a name within a folder of the test's own
            else:
                yield from self._paths(source, ast.iter_child_nodes(node))

    def _named(self, text: str) -> Iterator[str]:
        """A string that names a file or folder of the repository."""
        first, slash, _ = text.partition("/")
        text = text.rstrip("/")
        if _is_word(text) and (slash or "-" in text or "." in text) and first in self._top:
            yield text

    @functools.cached_property
    def _top(self) -> frozenset[str]:
        return frozenset(path.name for path in self.root.iterdir())

    def _path(self, source: Source, node: ast.AST) -> tuple[str, ...] | None:
        """The parts of the path within the repository that an expression means, up to what is not known."""
        match node:
            case ast.Name(id=name):
                place = self._defined(source.name, name)
                return self._path_of_name(place) if place else None
            case ast.Call(func=ast.Name(id="Path"), args=[ast.Name(id="__file__")]):
                return PurePosixPath(source.name).parts
            case ast.Call(func=ast.Name(id="sorted" | "list" | "tuple"), args=[inner]) | ast.Call(func=ast.Attribute(value=inner)):
                return self._path(source, inner)
            case ast.Subscript(value=ast.Attribute(value=inner, attr="parents"), slice=ast.Constant(value=int(number))):
                path = self._path(source, inner)
                return path[: -number - 1] if path is not None and number < len(path) else None
            case ast.Attribute(value=inner, attr="parent"):
                return (self._path(source, inner) or ())[:-1] or None
            case ast.BinOp(left=left, op=ast.Div(), right=right):
                path = self._path(source, left)
                text = _text(right)
                return (*path, *PurePosixPath(text).parts) if path is not None and text is not None else path
            case ast.GeneratorExp(elt=inner) | ast.ListComp(elt=inner):
                return self._path(source, inner)
        return None

    def _path_of_name(self, place: tuple[str, str]) -> tuple[str, ...] | None:
        if place not in self._paths_of_names:
            self._paths_of_names[place] = None  # what is defined by itself is no path
            source = self.sources[place[0]]
            value = _value(source.definitions[place[1]], place[1])
            self._paths_of_names[place] = self._path(source, value) if value is not None else None
        return self._paths_of_names[place]


def _value(node: ast.stmt, name: str) -> ast.expr | None:
    """What an assignment gives a name."""
    match node:
        case ast.Assign(targets=[ast.Tuple(elts=targets)], value=ast.Tuple(elts=values)) if len(targets) == len(values):
            return next(
                (value for target, value in zip(targets, values, strict=True) if isinstance(target, ast.Name) and target.id == name), None
            )
        case ast.Assign(value=value) | ast.AnnAssign(value=value):
            return value
    return None


def _bound(node: ast.stmt) -> Iterator[str]:
    """The names that a statement of a module defines."""
    match node:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            yield name
        case ast.Assign(targets=targets):
            for target in targets:
                yield from (one.id for one in ast.walk(target) if isinstance(one, ast.Name))
        case ast.AnnAssign(target=ast.Name(id=name)):
            yield name


def _text(node: ast.AST) -> str | None:
    """A string constant, or what of an f-string comes before the first value, up to its last folder."""
    match node:
        case ast.Constant(value=str(text)):
            return text.partition("*")[0] if "*" in text else text
        case ast.JoinedStr(values=[ast.Constant(value=str(text)), *_]):
            return "".join(text.rpartition("/")[:2])
        case ast.JoinedStr():
            return ""
    return None


def _names(nodes: Iterable[ast.AST]) -> set[str]:
    """The names that some nodes use: variables, attributes and arguments, which may be fixtures."""
    found = set()
    for node in nodes:
        for one in ast.walk(node):
            if isinstance(one, ast.Name):
                found.add(one.id)
            elif isinstance(one, ast.arg):
                found.add(one.arg)
    return found


def _marks(nodes: Iterable[ast.expr]) -> frozenset[str]:
    """The pytest marks that some decorators are, not those of single cases."""
    found = set()
    for node in nodes:
        for one in node.elts if isinstance(node, ast.List | ast.Tuple) else [node]:
            inner = one.func if isinstance(one, ast.Call) else one
            match inner:
                case ast.Attribute(value=ast.Attribute(attr="mark"), attr=name):
                    found.add(name)
    return frozenset(found)


@functools.cache
def _imports(path: Path) -> frozenset[str]:
    """The modules that a file imports."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return frozenset(found)


def _is_word(text: str) -> bool:
    return 0 < len(text) < 200 and not any(sign.isspace() for sign in text)
