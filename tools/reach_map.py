"""The map of what the tests reach: which functions each runs, as far as that is needed to choose tests for a change.

`write_test_map.py` writes it and `changed_tests.py` reads it. It has three kinds of entries, each kind sorted:

    ~ 21.3 tests/data_science::flight         a fixture of several tests, with its seconds
    tests/lockgate/agent/test_git.py          a test file and below it its tests: seconds, the fixtures that they use (by number), name
     0.8 test_a_branch
     2.1~0 test_a_tag[annotated]
    src/lockgate/agent/git.py                 a module and below it its functions, each with tests (by number), nearest first
     * 3 17                                   `*` is the whole module
     fetch 17 4
     never_run
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

HEAD = "# What the tests reach: written by tools/write_test_map.py, read by `./test --changed`. Do not edit.\n"
WHOLE = "*"
"""Stands for a whole module among its functions."""


@dataclass(frozen=True)
class RecordedTest:
    """A test function with all its cases, or, where those take long, one of the cases."""

    file: str
    name: str
    seconds: float
    fixtures: tuple[int, ...] = ()

    @property
    def id(self) -> str:
        """As pytest takes it."""
        return f"{self.file}::{self.name}"

    @property
    def function(self) -> str:
        """The function's name, without a case."""
        return self.name.partition("[")[0]

    @property
    def case(self) -> str:
        """What stands in the brackets; empty for a whole function."""
        return self.name.partition("[")[2].removesuffix("]")


@dataclass
class ReachMap:
    """The map."""

    tests: list[RecordedTest] = field(default_factory=list)
    fixtures: list[tuple[str, float]] = field(default_factory=list)
    """Name and seconds."""
    modules: dict[str, dict[str, list[int]]] = field(default_factory=dict)
    """Path of a module → function → numbers of tests, nearest first."""

    def tests_of(self, module: str, function: str = WHOLE) -> list[RecordedTest]:
        """The tests that were chosen for a function."""
        return [self.tests[number] for number in self.modules.get(module, {}).get(function, [])]

    def files(self) -> dict[str, list[RecordedTest]]:
        """The tests of each test file."""
        found: dict[str, list[RecordedTest]] = {}
        for test in self.tests:
            found.setdefault(test.file, []).append(test)
        return found

    def seconds(self, tests: Sequence[RecordedTest]) -> float:
        """How long some tests take one after the other, their fixtures made once."""
        fixtures = {number for test in tests for number in test.fixtures}
        return sum(test.seconds for test in tests) + sum(self.fixtures[number][1] for number in fixtures)


def read(path: Path) -> ReachMap:
    """Read a map; an empty one if there is none."""
    found = ReachMap()
    if not path.exists():
        return found
    place = ""
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            continue
        if line.startswith("~ "):
            seconds, name = line[2:].split(" ", 1)
            found.fixtures.append((name, float(seconds)))
        elif not line.startswith(" "):
            place = line
            if not place.startswith("tests/"):
                found.modules[place] = {}
        elif place.startswith("tests/"):
            cost, name = line[1:].split(" ", 1)
            seconds, _, fixtures = cost.partition("~")
            found.tests.append(RecordedTest(place, name, float(seconds), tuple(int(number) for number in fixtures.split(",") if number)))
        else:
            function, *numbers = line.split()
            found.modules[place][function] = [int(number) for number in numbers]
    return found


def render(reach: ReachMap) -> str:
    """The text of a map. Its tests have to be sorted by file."""
    lines = [f"~ {_short(seconds)} {name}" for name, seconds in reach.fixtures]
    for file, tests in reach.files().items():
        lines.append(file)
        for test in tests:
            fixtures = "~" + ",".join(map(str, test.fixtures)) if test.fixtures else ""
            lines.append(f" {_short(test.seconds)}{fixtures} {test.name}")
    for module, functions in sorted(reach.modules.items()):
        lines.append(module)
        lines += [" ".join(["", function, *map(str, numbers)]) for function, numbers in sorted(functions.items())]
    return HEAD + "\n".join(lines) + "\n"


def _short(seconds: float) -> str:
    return f"{seconds:.2f}".rstrip("0").rstrip(".") if seconds < 1 else f"{seconds:.1f}"


@dataclass(frozen=True)
class Function:
    """A function of a module or a method of a class; what is defined inside belongs to it."""

    name: str
    first: int
    body: int
    """The first line of the body: what stands before runs when the module is imported."""
    last: int


def functions(tree: ast.Module) -> list[Function]:
    """The functions of a module."""
    return list(_functions(tree.body, ""))


def _functions(body: Sequence[ast.stmt], above: str) -> Iterator[Function]:
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first = min([node.lineno, *(one.lineno for one in node.decorator_list)])
            yield Function(above + node.name, first, node.body[0].lineno, node.end_lineno or node.lineno)
        elif isinstance(node, ast.ClassDef):
            yield from _functions(node.body, f"{above}{node.name}.")
        else:
            # Functions within `if`, `try` and the like, such as those of one system only.
            for name in ("body", "orelse", "finalbody", "handlers"):
                for inner in getattr(node, name, []):
                    yield from _functions([inner] if isinstance(inner, ast.stmt) else inner.body, above)
