"""Names the tests that a change can reach, for `./test --changed`.

    python tools/changed_tests.py                 for what is not committed
    python tools/changed_tests.py main            for all since a revision
    python tools/changed_tests.py --run -x        runs them, with arguments of pytest

A change of a module calls for the tests that run the changed functions: `tests/reach.txt` names the best of them (`tools/write_test_map.py`
writes it), and they take a minute at most on two cores. What the map does not know goes by imports and names. A changed test calls for
itself, a conftest or support module for the tests that use it, any other file for the tests that name it or a folder above it.
"""

from __future__ import annotations

import argparse
import ast
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path, PurePosixPath

import reach_map
from changed_files import Change, changes_since
from reach_map import WHOLE, ReachMap
from static_reach import DIRECT, PACKAGE, SOURCES, StaticReach, TestFunction

ROOT = Path(__file__).parents[1]
MAP = "tests/reach.txt"
SECONDS = 80.0
"""What the tests for one changed module may take, one after the other, as they were recorded."""
EVERYTHING = ("pyproject.toml", "requirements/dev.txt", "requirements/run.txt", "test", "tools/setup.sh")
"""Files that may change the outcome of every test."""
_UNKNOWN = 0.5
"""Seconds of a test that was not recorded."""
_FEW = 6.0
"""Seconds of tests for which a second process is not worth its start."""
_NO_TESTS = 5
"""pytest's exit code where it finds none."""


@dataclass
class Selection:
    """Tests for a change."""

    tests: dict[str, float] = field(default_factory=dict)
    """What pytest takes → seconds, the nearest first."""
    fixtures: dict[str, float] = field(default_factory=dict)
    """What they need → seconds."""
    alone: set[str] = field(default_factory=set)
    """Those that keep to a clock."""
    left_out: list[str] = field(default_factory=list)
    """Cases of test functions of which others are chosen. What is neither is new, and runs."""
    notes: list[str] = field(default_factory=list)
    """What is to be said of the choice, a line for each changed file."""

    @property
    def seconds(self) -> float:
        """How long they take one after the other."""
        return sum(self.tests.values()) + sum(self.fixtures.values())

    def ordered(self) -> list[str]:
        """The tests, those of a file together."""
        files = dict.fromkeys(test.partition("::")[0] for test in self.tests)
        return [test for file in files for test in self.tests if test.partition("::")[0] == file]

    def add(self, other: Selection) -> int:
        """Take over others; how many are new."""
        new = len(other.tests.keys() - self.tests.keys())
        self.tests = {**self.tests, **other.tests}
        self.fixtures |= other.fixtures
        self.alone |= other.alone
        return new


class Selector:
    """Chooses the tests for changes of a tree."""

    def __init__(self, root: Path, reach: ReachMap) -> None:
        """Args: root: the tree. reach: what its tests reach, as far as it is recorded."""
        self.root = root
        self.reach = reach
        self.static = StaticReach(root)
        self._recorded = {test.id: number for number, test in enumerate(reach.tests)}
        self._of_file = reach.files()

    def select(self, changes: Iterable[Change]) -> Selection:
        """Choose the tests for some changes."""
        whole = Selection()
        if not self.reach.tests:
            whole.notes.append(f"{MAP} is not there (tools/write_test_map.py writes it): chosen by imports, names and files alone")
        for change in changes:
            if change.path == MAP:
                continue
            found = self._for(change)
            whole.add(found)
            whole.notes += [f"{change.path}: {note}" for note in found.notes]
        chosen = {test.partition("[")[0] for test in whole.tests}
        cases = [test for test in self.reach.tests if test.case and f"{test.file}::{test.function}" in chosen]
        whole.left_out = [test.id for test in cases if test.id not in whole.tests]
        return whole

    def _for(self, change: Change) -> Selection:
        path = change.path
        if self.static.is_module(path):
            return self._for_module(change)
        if path in self.static.sources:
            if path in self.static.tests:
                return self._for_test(change)
            return self._of_files(self.static.users(path), "the tests that use it")
        if path.startswith(tuple(f"{source}/" for source in SOURCES)):
            return self._for_data(change)
        found = self._of_files(self._named_for(path), "the tests that name it", change)
        if path in EVERYTHING:
            found.notes.append("may change the outcome of every test: ./test")
        return found

    # Modules ------------------------------------------------------------------------------------------------------------------

    def _for_module(self, change: Change) -> Selection:
        """Tests for a module: those recorded for the changed functions, then others of the module as long as there is time."""
        known = next((path for path in (change.path, change.before) if self.reach.modules.get(path, {}).get(WHOLE)), "")
        if not known:
            return self._for_unknown(change)
        of_module = self.reach.modules[known]
        functions, names = _touched(change)
        new = {name for name in functions if name not in of_module}
        mentioned = self._mentioning(change, names | {name.rpartition(".")[2] for name in new})
        asked = [(known, name) for name in sorted(functions - new)] + [place for place in mentioned if place != (known, "")]
        lists = [numbers for place in asked if (numbers := self.reach.modules.get(place[0], {}).get(place[1]))]
        found = Selection()
        self._take(found, _in_turn(lists), certain=len(lists))
        self._take(found, of_module[WHOLE])
        found.add(self._new_tests(change.path))
        unreached = sorted(name for name in functions - new if not of_module[name])
        said = ", ".join(name for _, name in asked) or "nothing that a function uses"
        found.notes.append(f"{_counted(len(found.tests), 'test')} ({_shortened(said)})")
        if unreached:
            found.notes.append(f"no test was recorded that reaches {', '.join(unreached)}")
        return found

    def _mentioning(self, change: Change, names: set[str]) -> list[tuple[str, str]]:
        """The recorded functions that use what has changed outside of functions: in the module and in those that import it."""
        if not names:
            return []
        found: list[tuple[str, str]] = []
        for path in (change.path, *self.static.importers(change.path)):
            file = self.root / path
            if not file.exists():
                continue
            tree = ast.parse(file.read_text(encoding="utf-8"))
            names = _with_dependent(tree, names) if path == change.path else names
            nodes = {one.name: one for one in reach_map.functions(tree)}
            for node in ast.walk(tree):
                line = getattr(node, "lineno", 0)
                if _name_of(node) in names:
                    found += [(path, name) for name, one in nodes.items() if one.first <= line <= one.last and (path, name) not in found]
        return [place for place in found if place[1] in self.reach.modules.get(place[0], {})]

    def _new_tests(self, path: str) -> Selection:
        """Tests that were not recorded, of the files that are near a module."""
        found = Selection()
        for file in self.static.tests:
            recorded = {test.function for test in self._of_file.get(file, [])}
            if recorded and self.static.nearness(path, file) >= DIRECT:
                new = [test for test in self.static.sources[file].tests if test.name not in recorded and "long" not in test.marks]
                self._add_functions(found, file, new)
        return found

    def _for_unknown(self, change: Change) -> Selection:
        """Tests for a module that the map does not know, as long as there is time: of functions that have moved, near ones, its importers'."""
        found = Selection()
        functions, _ = _touched(change)
        places: dict[str, list[list[int]]] = {}
        for of_module in self.reach.modules.values():
            for name, numbers in of_module.items():
                places.setdefault(name.rpartition(".")[2], []).append(numbers)
        moved = [places[bare][0] for name in sorted(functions) if len(places.get(bare := name.rpartition(".")[2], [])) == 1]
        self._take(found, _in_turn(moved), certain=len(moved))
        near = {file: self.static.nearness(change.path, file) for file in self.static.tests}
        self._add_files(found, [file for file in self.static.tests if near[file] >= DIRECT], limited=bool(found.tests))
        self._take(found, _in_turn([self.reach.modules.get(path, {}).get(WHOLE, []) for path in self.static.importers(change.path)]))
        if not found.tests:
            self._add_files(found, [file for file in self.static.tests if near[file] >= PACKAGE], limited=True)
        if not found.tests:
            for above in self.static.all_importers(change.path):
                self._add_files(found, [file for file in self.static.tests if self.static.nearness(above, file) >= DIRECT], limited=True)
        why = "no recorded test reaches it" if change.path in self.reach.modules else f"not in {MAP}"
        if not found.tests:
            return self._of_files(
                self.static.readers(change.path), f"{why}, and nothing imports or names it; the tests that name a folder above it"
            )
        found.notes.append(f"{why}, so by imports and names: {_counted(len(found.tests), 'test')}")
        return found

    def _for_data(self, change: Change) -> Selection:
        """Tests for a file among the modules: those of the modules that name it."""
        name = PurePosixPath(change.path).name
        naming = [path for path in self.static.modules.values() if name in (self.root / path).read_text(encoding="utf-8")]
        found = Selection()
        self._take(found, _in_turn([self.reach.modules.get(path, {}).get(WHOLE, []) for path in naming]))
        for path in naming:
            if path not in self.reach.modules:
                found.add(self._for_unknown(Change(path)))
        found.notes.append(f"{_counted(len(found.tests), 'test')} of {', '.join(naming) or 'no module: none names it'}")
        return found

    # Tests --------------------------------------------------------------------------------------------------------------------

    def _for_test(self, change: Change) -> Selection:
        """A changed test file: the tests that have changed or use what has; else all."""
        found = Selection()
        source = self.static.sources[change.path]
        if change.path.startswith("tests/long/"):
            found.notes.append(f"takes minutes: ./test {change.path}")
            return found
        functions, names = _touched(change)
        names = _with_dependent(source.tree, names | {name for name in functions if not name.startswith("test")})
        using = {
            test.name
            for node in ast.walk(source.tree)
            if _name_of(node) in names
            for test in source.tests
            if test.first <= _line(node) <= test.last
        }
        chosen = [test for test in source.tests if test.name in functions or (test.name in using and "long" not in test.marks)]
        if chosen:
            self._add_functions(found, change.path, chosen)
        else:
            self._add_files(found, [change.path], limited=False)
        found.notes.append(_counted(len(found.tests), "test"))
        return found

    def _named_for(self, path: str) -> list[str]:
        """The test files that name a file, or, if it is a tool, import it."""
        stem = PurePosixPath(path).stem if path.endswith(".py") else ""
        return [
            test
            for test in self.static.tests
            if test in self.static.readers(path)
            or (stem and (stem in self.static.sources[test].modules or test.endswith(f"/test_{stem}.py")))
        ]

    def _of_files(self, files: Sequence[str], why: str, change: Change | None = None) -> Selection:
        """Tests of files that use or name another; of a case file, those cases alone that have its name."""
        found = Selection()
        self._add_files(found, files, limited=False)
        if change is not None and change.path.startswith("tests/cases/"):
            names = {*PurePosixPath(change.path).parts, PurePosixPath(change.path).name.partition(".")[0]}
            cases = [test for file in files for test in self._of_file.get(file, []) if test.case]
            if any(test.case in names for test in cases):
                others = {test.id for test in cases if test.case not in names}
                found.tests = {test: seconds for test, seconds in found.tests.items() if test not in others}
        later = [file for file in files if file.startswith("tests/long/")]
        if files:
            found.notes.append(f"{why}: {', '.join(file for file in files if file not in later) or 'none that is quick'}")
        else:
            found.notes.append("no test names it")
        if later:
            found.notes.append(f"also {', '.join(later)}, which {'take' if len(later) > 1 else 'takes'} minutes: ./test --all")
        return found

    # Taking -------------------------------------------------------------------------------------------------------------------

    def _take(self, found: Selection, numbers: Iterable[int], certain: int = 0) -> None:
        """Take recorded tests as long as there is time, the first few in any case."""
        for place, number in enumerate(numbers):
            test = self.reach.tests[number]
            if test.file not in self.static.sources or test.function not in {one.name for one in self.static.sources[test.file].tests}:
                continue  # it is no more
            one = Selection({test.id: test.seconds}, {self.reach.fixtures[f][0]: self.reach.fixtures[f][1] for f in test.fixtures})
            if "alone" in self._marks(test.file, test.function):
                one.alone.add(test.id)
            cost = test.seconds + sum(seconds for name, seconds in one.fixtures.items() if name not in found.fixtures)
            if place < certain or found.seconds + cost <= SECONDS:
                found.add(one)

    def _add_files(self, found: Selection, files: Iterable[str], *, limited: bool) -> None:
        """Take the tests of whole files but those that are long, unless all are; if limited, as long as there is time."""
        for file in files:
            if file.startswith("tests/long/"):
                continue
            tests = self.static.sources[file].tests
            quick = [test for test in tests if "long" not in test.marks] or tests
            for test in quick:
                if not limited or found.seconds < SECONDS:
                    self._add_functions(found, file, [test])

    def _add_functions(self, found: Selection, file: str, tests: Iterable[TestFunction]) -> None:
        for test in tests:
            recorded = [one for one in self._of_file.get(file, []) if one.function == test.name]
            fixtures = {self.reach.fixtures[number] for one in recorded for number in one.fixtures}
            # Cases one by one, so that some may be left out; together if they were recorded so.
            one = Selection({one.id: one.seconds for one in recorded} or {f"{file}::{test.name}": _UNKNOWN}, dict(fixtures))
            if "alone" in test.marks:
                one.alone |= set(one.tests)
            found.add(one)

    def _marks(self, file: str, function: str) -> frozenset[str]:
        return next((test.marks for test in self.static.sources[file].tests if test.name == function), frozenset())


def _touched(change: Change) -> tuple[set[str], set[str]]:
    """The functions whose lines have changed, and the names that changed lines outside of functions define."""
    functions: set[str] = set()
    names: set[str] = set()
    for text, lines in ((change.text, change.lines), (change.text_before, change.lines_before)):
        try:
            tree = ast.parse(text)
        except SyntaxError:
            continue
        inside = reach_map.functions(tree)
        for line in lines:
            here = [one.name for one in inside if one.first <= line <= one.last]
            functions |= set(here)
            if not here:
                names |= _defined_at(tree.body, line)
    return functions, names


def _defined_at(body: Sequence[ast.stmt], line: int) -> set[str]:
    """The names that the statement of a line defines; within a class its fields'."""
    for node in body:
        if node.lineno <= line <= (node.end_lineno or node.lineno):
            inner = _defined_at(node.body, line) if isinstance(node, ast.ClassDef) else set()
            return inner or _bound(node)
    return set()


def _bound(node: ast.stmt) -> set[str]:
    if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        return {node.name}
    if isinstance(node, ast.Import | ast.ImportFrom):
        return {(alias.asname or alias.name).partition(".")[0] for alias in node.names}
    return {one.id for one in ast.walk(node) if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Store)}


def _with_dependent(tree: ast.Module, names: set[str]) -> set[str]:
    """Names and all that a module defines with them outside of functions, such as a table that holds a constant."""
    found = set(names)
    while True:
        more = {
            name
            for node in tree.body
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Import | ast.ImportFrom)
            if any(_name_of(one) in found for one in ast.walk(node))
            for name in _bound(node)
        }
        if more <= found:
            return found
        found |= more


def _name_of(node: ast.AST) -> str:
    """The name that a node uses."""
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name) | ast.arg(arg=name):
            return name
    return ""


def _line(node: ast.AST) -> int:
    return getattr(node, "lineno", 0)


def _in_turn(lists: Sequence[Sequence[int]]) -> Iterator[int]:
    """The first of each list, the second of each, and so on."""
    for row in zip_longest(*lists):
        yield from (number for number in row if number is not None)


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'s' if number != 1 else ''}"


def _shortened(text: str, length: int = 120) -> str:
    return text if len(text) <= length else f"{text[:length].rpartition(',')[0]}, …"


def commands(selection: Selection, python: str, arguments: Sequence[str], processes: int, listing: Path) -> list[list[str]]:
    """The command lines that run a selection: one for most, one for tests that keep to a clock.

    Args:
        selection: the tests.
        python: what runs pytest.
        arguments: more for pytest.
        processes: how many processes may run tests.
        listing: folder for files with the tests, which may be too many for a command line.
    """
    found = []
    ordered = selection.ordered()
    groups = {"others": [t for t in ordered if t not in selection.alone], "alone": [t for t in ordered if t in selection.alone]}
    for name, tests in groups.items():
        if tests:
            file = listing / f"{name}.txt"
            # pytest refuses all if a test is no more, as may be with a case of an older map; a case to leave out may be gone.
            functions = dict.fromkeys(test.partition("[")[0] for test in tests)
            lines = [*functions, *(f"--deselect={test}" for test in selection.left_out)]
            file.write_text("\n".join(lines) + "\n", encoding="utf-8")
            several = name == "others" and processes > 1 and selection.seconds > _FEW
            split = ["-n", str(processes), "--dist", "loadfile", "--no-loadscope-reorder"] if several else []
            found.append([python, "-m", "pytest", *split, *arguments, f"@{file}"])
    return found


def main() -> None:
    """Print the tests, or run them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False)
    parser.add_argument("base", nargs="?", default="HEAD", help="the revision since which all counts (HEAD: what is not committed)")
    parser.add_argument("--root", type=Path, default=ROOT, help="another tree")
    parser.add_argument("--run", nargs=argparse.REMAINDER, metavar="ARGUMENT", help="run the tests, with arguments of pytest")
    parser.add_argument("--processes", type=int, default=1, help="how many processes may run tests")
    options = parser.parse_args()
    root = options.root.resolve()
    try:
        changes = changes_since(root, options.base)
    except subprocess.CalledProcessError as error:
        raise SystemExit(f"git: {error.stderr.strip()}") from None
    selection = Selector(root, reach_map.read(root / MAP)).select(changes)
    print(*selection.notes, sep="\n", file=sys.stderr)
    files = Counter(test.partition("::")[0] for test in selection.tests)
    about = f"; about {selection.seconds / options.processes + 5:.0f} s" if selection.tests else ""
    print(f"{_counted(len(selection.tests), 'test')} of {_counted(len(files), 'file')}{about}", file=sys.stderr)
    if options.run is None:
        print(*selection.ordered(), sep="\n")
        return
    with tempfile.TemporaryDirectory() as folder:
        for command in commands(selection, sys.executable, options.run, options.processes, Path(folder)):
            code = subprocess.run(command, cwd=root, check=False).returncode
            if code not in (0, _NO_TESTS):
                raise SystemExit(code)


if __name__ == "__main__":
    main()
