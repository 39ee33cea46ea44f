"""Reads what a recorded test run left: which test executed what of which function, and how long the tests took.

Steps run from copies of their folder: those are told by the end of their path, and by having no executed line that the file here lacks.
"""

from __future__ import annotations

import ast
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from reach_map import functions
from reach_recorder import FIXTURE
from static_reach import SCRIPTS, SOURCES

LONG = 8.0
"""Seconds after which a test function's cases are chosen one by one, not together."""
QUICK = 0.1
"""Seconds of a case, in the mean, below which they stay together all the same: hundreds of them would fill the map."""


@dataclass
class Module:
    """A file of the project."""

    path: str
    lines: frozenset[int]
    """Where statements and expressions begin or end."""
    function_of: dict[int, str]
    """Line → function, for lines that run when the function is called."""
    functions: list[str]


@dataclass
class Reached:
    """What the tests of a recorded run executed."""

    items: list[tuple[str, str]] = field(default_factory=list)
    """Module and function of each item, which is a step from one line to another."""
    contexts: dict[str, NDArray[np.int32]] = field(default_factory=dict)
    """Test or fixture → numbers of the items that it executed."""
    seconds: dict[str, float] = field(default_factory=dict)
    """Test or fixture → seconds."""
    fixtures: dict[str, list[str]] = field(default_factory=dict)
    """Test → fixtures that it used."""
    failed: list[str] = field(default_factory=list)


def modules(root: Path) -> dict[str, Module]:
    """Path → module, of all that the tests may execute."""
    found = {}
    for folder in (*SOURCES, *SCRIPTS):
        for path in sorted((root / folder).rglob("*.py")):
            name = path.relative_to(root).as_posix()
            tree = ast.parse(path.read_text(encoding="utf-8"))
            lines = {
                line for node in ast.walk(tree) if isinstance(node, ast.expr | ast.stmt) for line in (node.lineno, node.end_lineno or 0)
            }
            inside = functions(tree)
            function_of = {line: one.name for one in inside for line in range(one.body, one.last + 1)}
            found[name] = Module(name, frozenset(lines), function_of, sorted({one.name for one in inside}))
    return found


def patterns(root: Path) -> list[str]:
    """What coverage has to look at: the project's files and their copies."""
    packages = [f"*/{path.parent.name}/*" for folder in SOURCES for path in (root / folder).glob("*/__init__.py")]
    others = [f"*/{path.name}" for folder in (*SOURCES, *SCRIPTS) for path in (root / folder).glob("*.py")]
    return sorted({*packages, *others})


def read(folder: Path, root: Path) -> Reached:
    """Read a recording."""
    known = modules(root)
    reached = Reached()
    numbers: dict[tuple[str, int, int], int] = {}
    executed: dict[str, list[NDArray[np.int32]]] = {}
    for path in sorted(folder.glob("coverage.*")):
        if path.suffix == ".ini":
            continue
        for measured, context, steps in _measured(path):
            module = _module(measured, steps, known, root)
            if module is None or not context:
                continue
            here = []
            for begin, end in steps:
                function = module.function_of.get(begin if begin > 0 else end)
                if function is None:
                    continue
                key = (module.path, begin, end)
                if key not in numbers:
                    numbers[key] = len(numbers)
                    reached.items.append((module.path, function))
                here.append(numbers[key])
            # Thousands of processes execute thousands of steps each: as sets, these would take gigabytes.
            executed.setdefault(context, []).append(np.array(here, np.int32))
    reached.contexts = {context: np.unique(np.concatenate(parts)) for context, parts in executed.items()}
    _read_tests(folder, reached)
    return reached


def _measured(path: Path) -> Iterator[tuple[str, str, list[tuple[int, int]]]]:
    """File, context and steps from line to line, of a data file of coverage; none of one whose process was killed while it wrote."""
    query = (
        "SELECT file.path, context.context, fromno, tono FROM arc JOIN file ON file.id = file_id JOIN context ON context.id = context_id"
    )
    found: dict[tuple[str, str], list[tuple[int, int]]] = {}
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True)) as connection:
            for file, context, begin, end in connection.execute(query):
                found.setdefault((file, context), []).append((begin, end))
    except sqlite3.DatabaseError:
        return
    for (file, context), steps in found.items():
        yield file, context, steps


def _module(measured: str, steps: list[tuple[int, int]], known: dict[str, Module], root: Path) -> Module | None:
    """The file of the project that was executed, here or as a copy."""
    path = Path(measured)
    if path.is_relative_to(root) and (own := known.get(path.relative_to(root).as_posix())):
        return own
    for source in (*SOURCES, *SCRIPTS):
        for length in (3, 2, 1):
            module = known.get("/".join((source, *path.parts[-length:])))
            # A test may have a score.py of its own.
            if module is not None and all(abs(line) in module.lines for step in steps for line in step if abs(line) > 1):
                return module
    return None


def _read_tests(folder: Path, reached: Reached) -> None:
    """Read what the plugin wrote down."""
    for path in sorted(folder.glob("tests-*.jsonl")):
        for line in path.read_text(encoding="utf-8").splitlines():
            told = json.loads(line)
            if "fixture" in told:
                name = FIXTURE + told["fixture"]
                reached.seconds[name] = max(told["seconds"], reached.seconds.get(name, 0.0))
            elif not told["passed"]:
                reached.failed.append(told["test"])
            elif not told["skipped"]:
                reached.seconds[told["test"]] = told["seconds"]
                reached.fixtures[told["test"]] = [FIXTURE + name for name in told["fixtures"]]


def cases(reached: Reached) -> dict[str, list[str]]:
    """Test → its cases as they were recorded: a function with all of them where they take little time, else a case with itself alone."""
    together: dict[str, list[str]] = {}
    for test in sorted(reached.fixtures):
        together.setdefault(test.partition("[")[0], []).append(test)
    found = {}
    for function, tests in together.items():
        if sum(reached.seconds[test] for test in tests) <= max(LONG, QUICK * len(tests)) or tests == [function]:
            found[function] = tests
        else:
            found |= {test: [test] for test in tests}
    return found
