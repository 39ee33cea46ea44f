"""The choice of tests for a change, on a small repository of its own."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import choose_tests
import numpy as np
import pytest
import reach_map
import recorded_reach
from changed_files import Change, changes_since
from changed_tests import SECONDS, Selection, Selector, commands
from reach_map import ReachMap, RecordedTest
from recorded_reach import Reached
from static_reach import StaticReach

FILES = {
    "src/shop/__init__.py": "",
    "src/shop/prices.py": '''\
"""Prices."""

from shop.rates import RATE

DIGITS = 2
TABLE = {"digits": DIGITS}


def rounded(price):
    return round(price, TABLE["digits"])


def taxed(price):
    return rounded(price * RATE)


def free():
    return 0


class Basket:
    limit: int = 10

    def is_full(self, count):
        return count >= self.limit
''',
    "src/shop/rates.py": "RATE = 1.2\n",
    "src/shop/desk.py": "import shop.prices\n\n\ndef main():\n    open('greeting.txt')\n    return shop.prices.taxed(1)\n",
    "src/shop/greeting.txt": "hello\n",
    "data-science/src/step.py": "def main():\n    pass\n",
    "docs/page.md": "text\n",
    "docs/picture.svg": "<svg/>\n",
    "other.txt": "",
    "tests/conftest.py": "import pytest\n\n\n@pytest.fixture\ndef desk():\n    return 1\n",
    "tests/support.py": 'from pathlib import Path\n\nROOT = Path(__file__).parents[1]\nCASES = ROOT / "tests" / "cases"\n',
    "tests/test_prices.py": """\
import pytest

from shop.prices import Basket, rounded, taxed

HALF = 0.5


def check(price):
    assert rounded(price) == price


def test_rounded():
    check(1)


def test_taxed():
    assert taxed(HALF) == 0.6


@pytest.mark.long
def test_everything():
    assert taxed(0) == 0


@pytest.mark.alone
def test_quick():
    check(HALF)
""",
    "tests/desk/test_desk.py": 'def test_main(desk):\n    run("desk", "step.py")\n\n\ndef test_other(desk):\n    pass\n',
    "tests/test_cases.py": """\
import pytest

from support import CASES


@pytest.mark.parametrize("name", sorted(path.stem for path in (CASES / "baskets").glob("*.yml")))
def test_case(name):
    pass
""",
    "tests/test_docs.py": 'from support import ROOT\n\n\ndef test_page():\n    (ROOT / f"docs/{1}.md").read_text()\n',
    "tests/long/test_all.py": 'from support import ROOT\n\n\ndef test_all():\n    (ROOT / "docs").exists()\n',
    "tests/cases/baskets/empty.yml": "",
    "tests/cases/baskets/full.yml": "",
}  # fmt: skip
PRICES, CASES = "src/shop/prices.py", "tests/test_cases.py"
TESTS = [
    RecordedTest("tests/desk/test_desk.py", "test_main", 3.0, (0,)),
    RecordedTest("tests/desk/test_desk.py", "test_other", 2.0, (0,)),
    RecordedTest(CASES, "test_case[empty]", 5.0),
    RecordedTest(CASES, "test_case[full]", 6.0),
    RecordedTest("tests/test_prices.py", "test_everything", 20.0),
    RecordedTest("tests/test_prices.py", "test_gone", 0.1),
    RecordedTest("tests/test_prices.py", "test_quick", 0.1),
    RecordedTest("tests/test_prices.py", "test_rounded", 0.1),
    RecordedTest("tests/test_prices.py", "test_taxed", 0.2),
]
MAIN, OTHER, EMPTY, FULL, EVERYTHING, GONE, QUICK, ROUNDED, TAXED = range(len(TESTS))
MODULES = {
    PRICES: {
        "*": [TAXED, MAIN, QUICK, EVERYTHING],
        "Basket.is_full": [FULL],
        "free": [],
        "rounded": [ROUNDED, GONE],
        "taxed": [TAXED, EVERYTHING],
    },
    "src/shop/rates.py": {"*": [TAXED]},
    "src/shop/desk.py": {"*": [MAIN, OTHER], "main": [MAIN]},
}


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    return root


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("tree"), FILES)


@pytest.fixture
def reach() -> ReachMap:
    return ReachMap(list(TESTS), [("tests::desk", 4.0)], {path: dict(functions) for path, functions in MODULES.items()})


def chosen(root: Path, reach: ReachMap, *changes: Change) -> Selection:
    return Selector(root, reach).select(changes)


def names(selection: Selection) -> list[str]:
    """The tests without their files, sorted."""
    return sorted(test.rpartition("::")[2] for test in selection.tests)


def line_of(path: str, text: str) -> Change:
    """A change of the lines that hold a text."""
    content = FILES[path]
    lines = frozenset(number for number, line in enumerate(content.splitlines(), 1) if text in line)
    assert lines
    return Change(path, path, content, lines, content)


# Modules --------------------------------------------------------------------------------------------------------------------


def test_a_changed_function_calls_for_its_tests_first_and_then_for_those_of_its_module(root: Path, reach: ReachMap) -> None:
    found = chosen(root, reach, line_of(PRICES, "return round(price"))
    assert next(iter(found.tests)).endswith("::test_rounded")
    assert names(found) == ["test_everything", "test_main", "test_quick", "test_rounded", "test_taxed"]
    assert found.fixtures == {"tests::desk": 4.0}
    assert found.seconds == pytest.approx(3.0 + 4.0 + 20.0 + 0.1 + 0.1 + 0.2)
    assert found.notes == [f"{PRICES}: 5 tests (rounded)"]


def test_a_recorded_test_that_is_no_more_is_not_chosen(root: Path, reach: ReachMap) -> None:
    assert "test_gone" not in names(chosen(root, reach, line_of(PRICES, "return round(price")))


def test_of_what_takes_too_long_only_the_tests_of_changed_functions_are_chosen(root: Path, reach: ReachMap) -> None:
    reach.tests[FULL] = replace(TESTS[FULL], seconds=SECONDS)
    assert names(chosen(root, reach, line_of(PRICES, "return count >="))) == ["test_case[full]"]


@pytest.mark.parametrize(
    ("text", "functions"),
    [("DIGITS = 2", "rounded"), ("TABLE = {", "rounded"), ("limit: int", "Basket.is_full"), ("from shop.rates", "taxed")],
)
def test_what_changes_outside_of_functions_calls_for_the_tests_of_those_that_use_it(
    root: Path, reach: ReachMap, text: str, functions: str
) -> None:
    found = chosen(root, reach, line_of(PRICES, text))
    assert found.notes == [f"{PRICES}: {len(found.tests)} tests ({functions})"]
    assert next(iter(found.tests)) == reach.tests_of(PRICES, functions)[0].id


def test_a_constant_calls_for_the_tests_of_functions_in_modules_that_import_it(root: Path, reach: ReachMap) -> None:
    found = chosen(root, reach, line_of("src/shop/rates.py", "RATE"))
    assert {"test_taxed", "test_everything"} <= set(names(found))
    assert found.notes == ["src/shop/rates.py: 2 tests (taxed)"]


def test_a_new_function_calls_for_the_tests_of_those_that_call_it(tmp_path: Path, reach: ReachMap) -> None:
    text = FILES[PRICES].replace("return rounded(price * RATE)", "return fair(price)") + "\n\ndef fair(price):\n    return price\n"
    root = write(tmp_path, {**FILES, PRICES: text})
    lines = frozenset(range(text.count("\n") - 1, text.count("\n") + 1))
    found = chosen(root, reach, Change(PRICES, PRICES, text, lines, FILES[PRICES]))
    assert found.notes == [f"{PRICES}: {len(found.tests)} tests (taxed)"]


def test_that_no_test_reaches_a_function_is_said(root: Path, reach: ReachMap) -> None:
    assert f"{PRICES}: no test was recorded that reaches free" in chosen(root, reach, line_of(PRICES, "return 0")).notes


def test_a_deleted_module_calls_for_the_tests_that_it_had(root: Path, reach: ReachMap) -> None:
    gone = Change("src/shop/rates.py", "src/shop/rates.py", "", frozenset(), "RATE = 1.2\n", frozenset({1}))
    assert "test_taxed" in names(chosen(root, reach, gone))


def test_a_renamed_module_keeps_its_tests(root: Path, reach: ReachMap) -> None:
    reach.modules["src/shop/old.py"] = reach.modules.pop("src/shop/rates.py")
    found = chosen(root, reach, replace(line_of("src/shop/rates.py", "RATE"), before="src/shop/old.py"))
    assert not any("not in" in note for note in found.notes)
    assert "test_taxed" in names(found)


def test_a_module_that_the_map_does_not_know_goes_by_imports_and_names(root: Path, reach: ReachMap) -> None:
    del reach.modules["src/shop/rates.py"]
    found = chosen(root, reach, line_of("src/shop/rates.py", "RATE"))
    assert found.notes == [f"src/shop/rates.py: not in tests/reach.txt, so by imports and names: {len(found.tests)} tests"]
    assert set(names(found)) >= {"test_taxed", "test_main"}, "of prices.py, which imports it"


def test_a_function_that_has_moved_keeps_its_tests(tmp_path: Path, reach: ReachMap) -> None:
    text = "def is_full(count):\n    return count >= 10\n"
    root = write(tmp_path, {**FILES, "src/shop/full.py": text})
    found = chosen(root, reach, Change("src/shop/full.py", "", text, frozenset({1, 2})))
    assert "test_case[full]" in names(found)


def test_without_a_map_a_module_calls_for_the_tests_that_import_it_and_are_quick(root: Path) -> None:
    found = chosen(root, ReachMap(), line_of(PRICES, "return 0"))
    assert names(found) == ["test_quick", "test_rounded", "test_taxed"]
    assert found.notes[0].startswith("tests/reach.txt is not there")


def test_a_step_calls_for_the_tests_that_name_it(root: Path) -> None:
    assert names(chosen(root, ReachMap(), line_of("data-science/src/step.py", "def main"))) == ["test_main", "test_other"]


def test_a_new_test_of_a_file_that_imports_the_module_runs_although_it_was_not_recorded(root: Path, reach: ReachMap) -> None:
    # One that is not in the map, as if it were written later.
    reach.tests[QUICK] = replace(TESTS[QUICK], name="test_of_before")
    reach.modules[PRICES]["*"] = [TAXED]
    assert "test_quick" in names(chosen(root, reach, line_of(PRICES, "return round(price")))


def test_a_file_among_the_modules_calls_for_the_tests_of_the_module_that_names_it(root: Path, reach: ReachMap) -> None:
    found = chosen(root, reach, Change("src/shop/greeting.txt"))
    assert names(found) == ["test_main", "test_other"]
    assert found.notes == ["src/shop/greeting.txt: 2 tests of src/shop/desk.py"]


# Tests and other files ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "tests"),
    [
        ("check(1)", ["test_rounded"]),
        ("HALF = ", ["test_quick", "test_taxed"]),
        ("assert rounded", ["test_quick", "test_rounded"]),
        ("assert taxed(0)", ["test_everything"]),
        ("import pytest", ["test_quick"]),  # a long one only where it has changed itself
    ],
)
def test_a_changed_test_calls_for_itself_and_a_helper_for_those_that_use_it(
    root: Path, reach: ReachMap, text: str, tests: list[str]
) -> None:
    assert names(chosen(root, reach, line_of("tests/test_prices.py", text))) == tests


def test_a_changed_conftest_calls_for_the_tests_below_it(root: Path, reach: ReachMap) -> None:
    files = {test.partition("::")[0] for test in chosen(root, reach, line_of("tests/conftest.py", "return")).tests}
    assert files == {"tests/desk/test_desk.py", CASES, "tests/test_docs.py", "tests/test_prices.py"}


def test_a_changed_support_module_calls_for_the_tests_that_import_it_but_for_those_that_take_minutes(root: Path, reach: ReachMap) -> None:
    found = chosen(root, reach, line_of("tests/support.py", "ROOT ="))
    assert names(found) == ["test_case[empty]", "test_case[full]", "test_page"]
    assert found.notes[-1] == "tests/support.py: also tests/long/test_all.py, which takes minutes: ./test --all"


@pytest.mark.parametrize(
    ("path", "tests"),
    [
        ("docs/page.md", ["test_page"]),
        ("tests/cases/baskets/empty.yml", ["test_case[empty]"]),
        ("tests/cases/baskets/later.yml", ["test_case[empty]", "test_case[full]"]),
        ("other.txt", []),
    ],
)
def test_a_file_calls_for_the_tests_that_name_it_or_a_folder_above_it(root: Path, reach: ReachMap, path: str, tests: list[str]) -> None:
    assert names(chosen(root, reach, Change(path))) == tests


def test_what_no_test_names_and_what_every_test_may_depend_on_is_said(root: Path, reach: ReachMap) -> None:
    assert chosen(root, reach, Change("other.txt")).notes == ["other.txt: no test names it"]
    assert "pyproject.toml: may change the outcome of every test: ./test" in chosen(root, reach, Change("pyproject.toml")).notes


def test_the_map_itself_calls_for_nothing(root: Path, reach: ReachMap) -> None:
    assert chosen(root, reach, Change("tests/reach.txt")) == Selection()


def test_tests_that_keep_to_a_clock_run_apart_and_cases_that_are_not_chosen_are_left_out(
    root: Path, reach: ReachMap, tmp_path: Path
) -> None:
    found = chosen(root, reach, line_of(PRICES, "return round(price"), Change("tests/cases/baskets/empty.yml"))
    first, second = commands(found, "python", ["-x"], 2, tmp_path)
    assert first == [
        "python",
        "-m",
        "pytest",
        "-n",
        "2",
        "--dist",
        "loadfile",
        "--no-loadscope-reorder",
        "-x",
        f"@{tmp_path / 'others.txt'}",
    ]
    assert second == ["python", "-m", "pytest", "-x", f"@{tmp_path / 'alone.txt'}"]
    assert (tmp_path / "others.txt").read_text().splitlines() == [
        "tests/test_prices.py::test_rounded", "tests/test_prices.py::test_taxed", "tests/test_prices.py::test_everything",
        "tests/desk/test_desk.py::test_main", f"{CASES}::test_case", f"--deselect={CASES}::test_case[full]",
    ]  # fmt: skip
    assert (tmp_path / "alone.txt").read_text().splitlines()[0] == "tests/test_prices.py::test_quick"


# Changes --------------------------------------------------------------------------------------------------------------------


def git(root: Path, *words: str) -> None:
    who = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", "-C", str(root), *who, *words], check=True, capture_output=True)


def test_changes_are_told_by_lines_with_what_git_does_not_know_yet(tmp_path: Path) -> None:
    before = "".join(f"a{number} = {number}\n" for number in range(1, 9))
    root = write(tmp_path, {"a.py": before, "b.py": before.replace("a", "b"), "gone.py": "x = 1\n", "page.md": "one\n"})
    git(root, "init", "--quiet")
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--message", "first")
    write(root, {"a.py": before.replace("a2 = 2\n", "").replace("a5 = 5", "a5 = 6\nmore = 1"), "new ü.py": "y = 1\n", "page.md": "two\n"})
    (root / "gone.py").unlink()
    (root / "b.py").rename(root / "c.py")
    git(root, "add", "--all", "b.py", "c.py")
    found = {change.path: change for change in changes_since(root, "HEAD")}
    assert sorted(found) == ["a.py", "c.py", "gone.py", "new ü.py", "page.md"]
    assert (found["a.py"].lines, found["a.py"].lines_before) == ({4, 5}, {2, 5})
    assert (found["c.py"].before, found["c.py"].lines, found["c.py"].lines_before) == ("b.py", frozenset(), frozenset())
    assert (found["gone.py"].text, found["gone.py"].text_before) == ("", "x = 1\n")
    assert (found["new ü.py"].before, found["new ü.py"].text) == ("", "y = 1\n")


# The map --------------------------------------------------------------------------------------------------------------------


def test_a_map_is_read_as_it_was_written(tmp_path: Path, reach: ReachMap) -> None:
    path = tmp_path / "reach.txt"
    path.write_text(reach_map.render(reach), encoding="utf-8")
    assert reach_map.read(path) == reach
    assert reach_map.read(tmp_path / "none.txt") == ReachMap()


def reached(seconds: dict[str, float], executes: dict[str, list[int]], items: int) -> Reached:
    contexts = {test: np.array(numbers, np.int32) for test, numbers in executes.items()}
    return Reached([(PRICES, "rounded")] * items, contexts, dict(seconds), {test: [] for test in seconds if not test.startswith("fixture")})


@pytest.mark.parametrize(
    ("seconds", "executes", "best"),
    [
        # The quick ones together do more than the slow one; it comes second, as what each executes is executed once by then.
        ({"a": 1, "b": 1, "slow": 30}, {"a": [0, 1], "b": [2, 3], "slow": [0, 1, 2, 3]}, ["a", "b", "slow"]),
        # What only one executes is chosen although that takes longer than all may.
        ({"a": 500}, {"a": [0]}, ["a"]),
        # What takes too long is left out if another one does the same.
        ({"a": 1, "slow": 500}, {"a": [0], "slow": [0]}, ["a"]),
        # Who executes nothing of it is no candidate.
        ({"a": 1, "b": 1}, {"a": [0], "b": []}, ["a"]),
    ],
)
def test_the_map_has_the_tests_that_do_most_in_least_time(
    root: Path, seconds: dict[str, float], executes: dict[str, list[int]], best: list[str]
) -> None:
    full = {f"tests/x.py::test_{name}": value for name, value in seconds.items()}
    recorded = reached(full, {f"tests/x.py::test_{name}": numbers for name, numbers in executes.items()}, 4)
    found = choose_tests.choose(recorded, recorded_reach.modules(root), StaticReach(root))
    assert [test.name.removeprefix("test_") for test in found.tests_of(PRICES, "rounded")] == best
    assert found.tests_of(PRICES, "free") == []


def test_of_equals_the_test_of_a_file_that_imports_the_module_comes_first(root: Path) -> None:
    tests = ("tests/desk/test_desk.py::test_main", "tests/test_prices.py::test_rounded")
    recorded = reached(dict.fromkeys(tests, 1.0), {test: [0] for test in tests}, 1)
    found = choose_tests.choose(recorded, recorded_reach.modules(root), StaticReach(root))
    assert [test.id for test in found.tests_of(PRICES, "rounded")] == [*reversed(tests)]


def test_what_a_fixture_of_several_tests_executes_counts_for_each_and_costs_once(root: Path) -> None:
    recorded = reached({"fixture tests::desk": 9.0, "tests/x.py::test_a": 1.0, "tests/x.py::test_b": 1.0}, {"fixture tests::desk": [0]}, 1)
    for test in recorded.fixtures:
        recorded.fixtures[test] = ["fixture tests::desk"]
    found = choose_tests.choose(recorded, recorded_reach.modules(root), StaticReach(root))
    assert [test.name for test in found.tests_of(PRICES, "rounded")] == ["test_a", "test_b"]
    assert found.seconds(found.tests) == pytest.approx(11.0)


def test_cases_of_a_function_stand_together_unless_they_take_long() -> None:
    tests = {"t.py::quick[a]": 1.0, "t.py::quick[b]": 1.0, "t.py::slow[a]": 5.0, "t.py::slow[b]": 6.0, "t.py::one": 50.0}
    many = {f"t.py::many[{number}]": 0.05 for number in range(200)}
    assert recorded_reach.cases(reached({**tests, **many}, {}, 0)) == {
        "t.py::many": sorted(many),
        "t.py::one": ["t.py::one"],
        "t.py::quick": ["t.py::quick[a]", "t.py::quick[b]"],
        "t.py::slow[a]": ["t.py::slow[a]"],
        "t.py::slow[b]": ["t.py::slow[b]"],
    }


@pytest.mark.parametrize(
    ("measured", "steps", "module"),
    [
        ("{root}/src/shop/prices.py", [(10, 99)], PRICES),
        ("/copy/of/it/src/shop/prices.py", [(10, -9)], PRICES),
        ("/copy/code/step.py", [(1, 2), (2, -1)], "data-science/src/step.py"),
        ("/a/test/of/another/step.py", [(1, 2), (2, 7)], None),
        ("/elsewhere/parcels.py", [(1, 2)], None),
    ],
)
def test_copies_of_files_are_known_by_the_end_of_their_path_and_their_lines(
    root: Path, measured: str, steps: list[tuple[int, int]], module: str | None
) -> None:
    found = recorded_reach._module(measured.format(root=root), steps, recorded_reach.modules(root), root)
    assert (found.path if found else None) == module


def test_only_lines_of_a_functions_body_are_of_it(root: Path) -> None:
    known = recorded_reach.modules(root)[PRICES]
    lines = FILES[PRICES].splitlines()
    assert {lines[line - 1].strip() for line, name in known.function_of.items() if name == "Basket.is_full"} == {
        "return count >= self.limit"
    }
    assert known.functions == ["Basket.is_full", "free", "rounded", "taxed"]
