"""`lockgate up` from an empty `.lockgate`, and a second time without changes, in a copy of this repository.

    .venv/bin/python benchmarks/bench_up.py [--seconds 30] [--rounds 3]

Asked on 2 cores, after installation: at most 75 s with a search of 30 s, watch windows not counted (a first release has none); unchanged at most 10 s.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from measure import machine

ROOT = Path(__file__).parents[1]
COMMAND = [sys.executable, "-m", "lockgate"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=30)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    print(f"search budget {args.seconds} s; medians of {args.rounds}; {machine()}")
    rounds = [one_round(args.seconds) for _ in range(args.rounds)]
    for number, (what, asked) in enumerate((("from nothing to production", 75), ("unchanged second time", 10))):
        seconds = sorted(taken[number] for taken in rounds)
        every = ", ".join(f"{one:.1f}" for one in seconds)
        print(f"  {what:<28} {statistics.median(seconds):6.1f} s (asked: at most {asked})   {every}")


def one_round(seconds: int) -> tuple[float, float]:
    """Seconds of a first `up` and of a second one."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for file in subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines():
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / file, folder / file)
        for words in (
            ["init", "-q", "-b", "main"],
            ["add", "-A"],
            ["-c", "user.name=b", "-c", "user.email=b@example.org", "commit", "-qm", "all"],
        ):
            subprocess.run(["git", *words], cwd=folder, check=True)
        try:
            return _up(folder, seconds), _up(folder, seconds)
        finally:
            subprocess.run([*COMMAND, "down"], cwd=folder, capture_output=True, check=False)


def _up(folder: Path, seconds: int) -> float:
    begin = time.perf_counter()
    done = subprocess.run([*COMMAND, "up", "--plain", "--seconds", str(seconds)], cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stdout[-3000:] + done.stderr)
    return time.perf_counter() - begin


if __name__ == "__main__":
    main()
