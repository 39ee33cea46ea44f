"""Puts small faults into a copy of the tree, one at a time, and says which test finds each.

    python tools/seeded_faults.py                           all faults of seeded_faults.yml, with the tests that `./test --changed` would run
    python tools/seeded_faults.py --only 3,10-12            some of them
    python tools/seeded_faults.py --list                    no run
    python tools/seeded_faults.py --all-tests "tests/lockgate -m 'not long'"        with tests of one's own choice
    python tools/seeded_faults.py --tests-of ../older --map older.txt               with the tests of another checkout

The exit code is 1 if a fault was not found, 2 if a fault does not fit the tree. Each has one text that occurs once in its file, what stands
there instead, and what it breaks for somebody who uses the project.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import changed_tests
import light_environment
import reach_map
import yaml
from changed_files import changes_since
from changed_tests import Selection, Selector

ROOT = Path(__file__).parents[1]
LIST = Path(__file__).with_suffix(".yml")
KINDS = ("check", "comparison", "constant", "exception", "order", "value")
PATIENCE = 900.0
"""Seconds after which the tests of a fault are ended: it makes something wait for ever."""
_WAIT = 15.0
"""Seconds in which tests that are asked to end clean up."""


@dataclass(frozen=True)
class Fault:
    """A fault of the list."""

    number: int
    file: str
    kind: str
    breaks: str
    old: str
    new: str

    def mistake(self, root: Path) -> str:
        """Why it does not fit a tree; empty if it does."""
        path = root / self.file
        if self.kind not in KINDS:
            return f"kind: found {self.kind!r}; allowed: {', '.join(KINDS)}"
        count = path.read_text(encoding="utf-8").count(self.old) if path.exists() else 0
        if count != 1:
            what = f"its text occurs {count} times" if path.exists() else "there is no such file"
            others = [file for file in _files(root) if file.endswith(path.suffix) and file != self.file and self._is_in(root / file)]
            return f"{self.file}: {what}" + (f"; it stands in {', '.join(others)}" if others else "")
        return "" if self.old != self.new else f"{self.file}: nothing changes"

    def _is_in(self, path: Path) -> bool:
        return self.old in path.read_text(encoding="utf-8", errors="replace")

    def seed(self, root: Path) -> None:
        """Put it into a tree."""
        path = root / self.file
        path.write_text(path.read_text(encoding="utf-8").replace(self.old, self.new), encoding="utf-8")


@dataclass(frozen=True)
class Finding:
    """What came of a fault."""

    fault: Fault
    test: str
    """The first test that failed; empty if none did."""
    seconds: float
    selected: int | None
    """How many tests were to run; None where the command line says which."""


def faults() -> list[Fault]:
    """The list."""
    found = yaml.safe_load(LIST.read_text(encoding="utf-8"))
    return [Fault(number, **{name: str(text) for name, text in one.items()}) for number, one in enumerate(found, 1)]


class Copy:
    """A copy of the tree, with an environment whose Python takes the modules from it."""

    def __init__(self, folder: Path, tests: Path | None) -> None:
        """Args: folder: where. tests: the checkout whose tests it gets, if not the tree's own."""
        self.folder = folder
        self.root = folder / "tree"
        for source, is_test in ((ROOT, False), (tests or ROOT, True)):
            for file in _files(source):
                if file.startswith("tests/") is is_test:
                    _copy(source / file, self.root / file)
        if (ROOT / ".tools").exists():
            (self.root / ".tools").symlink_to(ROOT / ".tools")
        self.python = light_environment.make(self.root / ".venv", [self.root / "src"])
        self._git("init", "--quiet")
        (self.root / ".git" / "info" / "exclude").write_text(".tools\n.venv\n", encoding="utf-8")
        self.keep("the tree")
        self._process: subprocess.Popen[bytes] | None = None

    def keep(self, what: str) -> None:
        """Commit what has changed: tests that clone the repository see that alone."""
        who = ["-c", "user.name=faults", "-c", "user.email=faults@example.org", "-c", "commit.gpgsign=false"]
        self._git("add", "--all")
        self._git(*who, "commit", "--quiet", "--no-verify", "--message", what)

    def mend(self) -> None:
        """Take out the last commit and what is not committed."""
        self._git("reset", "--quiet", "--hard", "HEAD~1")

    def undo(self) -> None:
        """Take out what is not committed."""
        self._git("reset", "--quiet", "--hard")

    def run(self, words: Sequence[str], patience: float) -> list[str]:
        """Run pytest; the tests that failed, in order.

        Raises:
            RuntimeError: pytest could not run them.
        """
        report, log = self.folder / "report.xml", self.folder / "log.txt"
        report.unlink(missing_ok=True)
        with log.open("wb") as stream:
            command = [*words, f"--junit-xml={report}", "-o", "junit_family=xunit1"]
            self._process = subprocess.Popen(
                command, cwd=self.root, env=light_environment.variables(), stdout=stream, stderr=stream, start_new_session=True
            )
            try:
                code = self._process.wait(patience)
            except subprocess.TimeoutExpired:
                self.end()
                return [f"no end within {patience:g} s"]
        failed = _failed(report) if report.exists() else []
        if not failed and code < 0:
            return [f"pytest itself, which ended by signal {-code}"]
        if not failed and code not in (0, 5):
            last = log.read_text(encoding="utf-8", errors="replace").splitlines()[-15:]
            raise RuntimeError("\n".join([f"pytest ended with exit code {code}:", *last]))
        return failed

    def end(self) -> None:
        """End the tests that run: first so that they clean up."""
        process = self._process
        if process is None or process.poll() is not None:
            return
        for number in (signal.SIGINT, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_WAIT)
                return

    def _git(self, *words: str) -> None:
        command = ["git", "-C", str(self.root), *words]
        subprocess.run(command, check=True, capture_output=True)


def _files(root: Path) -> list[str]:
    """The files of a working tree that git has or would take."""
    command = ["git", "-C", str(root), "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return [name for name in sorted(set(listed.split("\0"))) if name and os.path.lexists(root / name)]


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(source, target, follow_symlinks=False)


def _failed(report: Path) -> list[str]:
    """The tests of a JUnit file that failed or could not be set up or collected."""
    found = []
    for case in ET.parse(report).iter("testcase"):  # noqa: S314 - pytest's own
        if case.find("failure") is not None or case.find("error") is not None:
            file = case.get("file")
            found.append(f"{file}::{case.get('name')}" if file else f"{case.get('classname') or ''} {case.get('name')}".strip())
    return found


def choices(copy: Copy, chosen: Sequence[Fault], given: Path) -> dict[int, Selection]:
    """The tests that `./test --changed` would run for each fault."""
    selector = Selector(copy.root, reach_map.read(given))
    found = {}
    for fault in chosen:
        fault.seed(copy.root)
        found[fault.number] = selector.select(changes_since(copy.root, "HEAD"))
        copy.undo()
    return found


class Trial:
    """A run over some faults."""

    def __init__(self, copy: Copy, options: argparse.Namespace) -> None:
        self.copy = copy
        self.options = options
        self._broken: list[str] = []

    def clean(self, selections: Sequence[Selection]) -> None:
        """Run all tests without a fault, so that one that fails anyway finds none."""
        whole = Selection()
        for selection in selections:
            whole.add(selection)
        # A case that one selection leaves out may be in another.
        left_out = {test for selection in selections for test in selection.left_out} - whole.tests.keys()
        self._broken = self._run(replace(whole, left_out=sorted(left_out)), stop=False)
        if self._broken:
            print("These fail without any fault, and are left out:", *self._broken, sep="\n  ", file=sys.stderr)

    def fault(self, fault: Fault, selection: Selection) -> Finding:
        """Put in a fault, run its tests up to the first that fails, and take it out."""
        begun = time.monotonic()
        selected = None if self.options.all_tests is not None else len(selection.tests)
        fault.seed(self.copy.root)
        self.copy.keep(f"fault {fault.number}")
        try:
            failed = self._run(selection, stop=True)
        finally:
            self.copy.mend()
        return Finding(fault, failed[0] if failed else "", round(time.monotonic() - begun, 1), selected)

    def _run(self, selection: Selection, *, stop: bool) -> list[str]:
        words = ["-q", "--tb=no", "-p", "no:cacheprovider", *(["-x"] if stop else []), *(f"--deselect={test}" for test in self._broken)]
        if self.options.all_tests is not None:
            given = [*shlex.split(self.options.all_tests), *words]
            split = (
                ["-n", str(self.options.processes), "--dist", "loadfile", "--no-loadscope-reorder"] if self.options.processes > 1 else []
            )
            commands = [[str(self.copy.python), "-m", "pytest", *split, *given]]
        else:
            commands = changed_tests.commands(selection, str(self.copy.python), words, self.options.processes, self.copy.folder)
        failed: list[str] = []
        for command in commands:
            failed += self.copy.run(command, self.options.patience * (1 if stop else 10))
            if failed and stop:
                break
        return failed


def _numbers(text: str, last: int) -> list[int]:
    """The numbers of a list such as 3,10-12."""
    found: list[int] = []
    for part in text.split(","):
        begin, dash, end = part.partition("-")
        if not begin.strip().isdigit() or (dash and not end.strip().isdigit()):
            raise SystemExit(f"--only: found {text!r}; allowed: numbers and ranges of the list, such as 3,10-12")
        found += range(int(begin), int(end or begin) + 1)
    if wrong := [number for number in found if not 1 <= number <= last]:
        raise SystemExit(f"--only: found {wrong[0]}; the list has 1 to {last}")
    return found


def _row(finding: Finding, width: int) -> str:
    fault = finding.fault
    tests = "the tests that were asked for" if finding.selected is None else f"{finding.selected} tests"
    by = finding.test or f"NOT FOUND by {tests}: {fault.breaks}"
    return f"{fault.number:>3}  {fault.file:<{width}}  {fault.kind:<10}  {finding.seconds:>6.1f} s  {by}"


def _as_data(finding: Finding) -> dict[str, Any]:
    found = {
        **asdict(finding.fault),
        "found": bool(finding.test),
        "test": finding.test,
        "seconds": finding.seconds,
        "selected": finding.selected,
    }
    del found["old"], found["new"]
    return found


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False)
    parser.add_argument("--only", metavar="NUMBERS", help="some faults, such as 3,10-12")
    parser.add_argument("--list", action="store_true", help="show the faults and run nothing")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the findings")
    parser.add_argument(
        "--all-tests", metavar="ARGUMENTS", help="arguments of pytest that say which tests run, instead of the choice for each fault"
    )
    parser.add_argument("--tests-of", type=Path, metavar="FOLDER", help="another checkout whose tests to run")
    parser.add_argument("--map", type=Path, metavar="FILE", help="what the tests reach (tests/reach.txt of the tests)")
    parser.add_argument("--processes", type=int, default=min(4, os.cpu_count() or 1), help="how many processes may run tests (as ./test)")
    parser.add_argument("--patience", type=float, default=PATIENCE, metavar="SECONDS", help=f"for the tests of one fault ({PATIENCE:g})")
    return parser.parse_args()


def main() -> None:
    """Seed the faults, one by one."""
    options = _options()
    known = faults()
    chosen = [known[number - 1] for number in _numbers(options.only, len(known))] if options.only else known
    mistakes = [f"fault {fault.number}: {mistake}" for fault in chosen if (mistake := fault.mistake(ROOT))]
    if mistakes:
        print(*mistakes, sep="\n", file=sys.stderr)
        raise SystemExit(2)
    width = max(len(fault.file) for fault in chosen)
    if options.list:
        for fault in chosen:
            print(f"{fault.number:>3}  {fault.file:<{width}}  {fault.kind:<10}  {fault.breaks}")
        return
    findings = []
    with tempfile.TemporaryDirectory(prefix="faults-", ignore_cleanup_errors=True) as folder:
        copy = Copy(Path(folder).resolve(), options.tests_of)
        try:
            selections = choices(copy, chosen, options.map or copy.root / changed_tests.MAP)
            trial = Trial(copy, options)
            trial.clean(list(selections.values()))
            for fault in chosen:
                findings.append(trial.fault(fault, selections[fault.number]))
                print(_row(findings[-1], width), flush=True)
        except KeyboardInterrupt:
            print("interrupted", file=sys.stderr)
            raise SystemExit(130) from None
        finally:
            copy.end()
            if options.json and findings:
                options.json.write_text(json.dumps([_as_data(finding) for finding in findings], indent=1) + "\n", encoding="utf-8")
    found = [finding for finding in findings if finding.test]
    print(f"{len(found)} of {len(findings)} faults were found, in {sum(finding.seconds for finding in findings):.0f} s")
    raise SystemExit(0 if len(found) == len(findings) else 1)


if __name__ == "__main__":
    main()
