"""Writes tests/reach.txt, by which `./test --changed` chooses tests: runs the tests with coverage and keeps, for every function, the best ones.

    python tools/write_test_map.py                      all tests but those of tests/long, one process after the other
    python tools/write_test_map.py -n 2                 in two processes; any arguments of pytest
    python tools/write_test_map.py --keep FOLDER …      keeps what was recorded
    python tools/write_test_map.py --from FOLDER        chooses again from that, without running anything
    python tools/write_test_map.py --output FILE …      writes elsewhere, such as the map of a part

Every process that a test starts is recorded, too, and counts for that test. A test that fails counts for nothing; the exit code is then 1.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import choose_tests
import light_environment
import reach_map
import recorded_reach
from static_reach import StaticReach

ROOT = Path(__file__).parents[1]
CONFIGURATION = """\
[run]
branch = true
parallel = true
core = ctrace
sigterm = true
patch = _exit
context = ${{REACH_CONTEXT-}}
data_file = {folder}/coverage
include =
{patterns}
"""
NO_TESTS = 5
"""pytest's exit code where it finds none."""


def record(folder: Path, arguments: Sequence[str]) -> None:
    """Run the tests, those that keep to a clock after the others and one by one."""
    patterns = "\n".join(f"    {pattern}" for pattern in recorded_reach.patterns(ROOT))
    (folder / "coverage.ini").write_text(CONFIGURATION.format(folder=folder, patterns=patterns), encoding="utf-8")
    start = f"import reach_start; reach_start.start({str(folder)!r})"
    python = light_environment.make(folder / "environment", [ROOT / "src"], start)
    run = [str(python), "-m", "pytest", "-p", "reach_recorder", "-p", "no:cacheprovider", "-q"]
    given = list(arguments)
    wanted = ""
    if "-m" in given:
        place = given.index("-m")
        wanted = f"({given[place + 1]}) and "
        del given[place : place + 2]
    if not {"-n", "--numprocesses"}.isdisjoint(given) and "--dist" not in given:
        given += ["--dist", "loadfile", "--no-loadscope-reorder"]
    # What takes minutes is never chosen.
    given += ["--ignore", "tests/long"]
    for marks, more in ((f"{wanted}not alone", []), (f"{wanted}alone", ["-p", "no:xdist"])):
        words = [*run, "-m", marks, *(_without_processes(given) if more else given), *more]
        done = subprocess.run(words, cwd=ROOT, env=light_environment.variables(), check=False)
        if done.returncode not in (0, 1, NO_TESTS):
            raise SystemExit(f"pytest ended with exit code {done.returncode}; nothing is written")


def _without_processes(arguments: Sequence[str]) -> list[str]:
    """The arguments without those of pytest-xdist."""
    found: list[str] = []
    skip = False
    for word in arguments:
        if skip:
            skip = False
        elif word in ("-n", "--numprocesses", "--dist"):
            skip = True
        elif not word.startswith(("-n", "--numprocesses=", "--dist=", "--no-loadscope-reorder")):
            found.append(word)
    return found


def main() -> None:
    """Record, choose, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False)
    parser.add_argument("--output", type=Path, default=ROOT / "tests" / "reach.txt", help="the map")
    parser.add_argument("--keep", type=Path, help="keep what was recorded in a folder")
    parser.add_argument("--from", dest="given", type=Path, help="a folder of --keep: choose again from it")
    options, arguments = parser.parse_known_args()
    with tempfile.TemporaryDirectory(prefix="reach-") as temporary:
        folder = options.given or options.keep or Path(temporary)
        folder = Path(os.path.abspath(folder))  # noqa: PTH100 - without following links: coverage does not, either
        if not options.given:
            folder.mkdir(parents=True, exist_ok=True)
            if any(folder.iterdir()):
                raise SystemExit(f"{folder} is not empty")
            record(folder, arguments)
        reached = recorded_reach.read(folder, ROOT)
    reach = choose_tests.choose(reached, recorded_reach.modules(ROOT), StaticReach(ROOT))
    text = reach_map.render(reach)
    options.output.write_text(text, encoding="utf-8")
    chosen = [tests for functions in reach.modules.values() for name, tests in functions.items() if name != reach_map.WHOLE]
    print(
        f"{options.output.name}: {len(reached.fixtures)} tests with their cases, {len(chosen)} functions, "
        f"{sum(not tests for tests in chosen)} of them reached by none; {len(text.encode()) // 1000} kB"
    )
    if reached.failed:
        print("failed, and therefore not counted:", *sorted(reached.failed), sep="\n  ", file=sys.stderr)
        raise SystemExit(1)


if __name__ == "__main__":
    main()
