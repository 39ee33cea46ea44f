"""`lockgate up` from an empty `.lockgate`, and a second time without changes, in a copy of this repository.

    .venv/bin/python benchmarks/bench_up.py [--seconds 30] [--rounds 5] [--beside FOLDER]

Asked on 2 cores, after installation: at most 58 s with a search of 30 s, watch windows not counted (a first release has none); unchanged at most 0.7 s.
The peer is another checkout of this repository, such as an earlier commit's, that has an environment of its own (`./test` makes it); both by turns.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from measure import ROOT, machine

COMMAND = [sys.executable, "-m", "lockgate"]
ASKED = (("from nothing to production", 58.0), ("unchanged second time", 0.7))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=30)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--beside", type=Path, metavar="FOLDER")
    args = parser.parse_args()
    print(f"search budget {args.seconds} s; medians of {args.rounds}; {machine()}")
    roots = {"this": ROOT, **({"beside": args.beside.resolve()} if args.beside else {})}
    rounds: dict[str, list[tuple[float, float]]] = {name: [] for name in roots}
    for _ in range(args.rounds):
        for name, root in roots.items():
            rounds[name].append(one_round(root, args.seconds))
    for name, taken in rounds.items():
        print(name)
        for number, (what, asked) in enumerate(ASKED):
            seconds = sorted(one[number] for one in taken)
            every = ", ".join(f"{one:.1f}" for one in seconds)
            print(f"  {what:<28} {statistics.median(seconds):6.2f} s (asked: at most {asked:g})   {every}")


def command_of(root: Path) -> list[str]:
    """The command of a checkout, in its own environment."""
    own = root / ".venv/bin/python"
    return [str(own) if root != ROOT and own.exists() else sys.executable, "-m", "lockgate"]


def environment_of(root: Path) -> dict[str, str]:
    """A delivery's variables: the checkout's own code, and no run of somebody else's."""
    kept = {name: text for name, text in os.environ.items() if not name.startswith("LOCKGATE_") and name != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, "PYTHONPATH": str(root / "src")}


def one_round(root: Path, seconds: int) -> tuple[float, float]:
    """Seconds of a first `up` and of a second one."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        copy_of_repository(folder, root)
        try:
            return _up(folder, root, seconds), _up(folder, root, seconds)
        finally:
            subprocess.run([*command_of(root), "down"], cwd=folder, env=environment_of(root), capture_output=True, check=False)


def copy_of_repository(folder: Path, root: Path = ROOT) -> None:
    """What git tracks there, in an empty folder, with one commit on main."""
    for file in subprocess.run(["git", "ls-files"], cwd=root, capture_output=True, text=True, check=True).stdout.splitlines():
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(root / file, folder / file)
    for words in (
        ["init", "-q", "-b", "main"],
        ["add", "-A"],
        ["-c", "user.name=b", "-c", "user.email=b@example.org", "commit", "-qm", "all"],
    ):
        subprocess.run(["git", *words], cwd=folder, check=True)


def _up(folder: Path, root: Path, seconds: int) -> float:
    command = [*command_of(root), "up", "--plain", "--seconds", str(seconds)]
    begin = time.perf_counter()
    done = subprocess.run(command, cwd=folder, env=environment_of(root), capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stdout[-3000:] + done.stderr)
    return time.perf_counter() - begin


if __name__ == "__main__":
    main()
