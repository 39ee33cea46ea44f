"""`lockgate up` from an empty `.lockgate`, and a second time without changes, in a copy of this repository.

    .venv/bin/python benchmarks/bench_up.py [--seconds 30]

Asked on 2 cores, after installation: at most 75 s with a search of 30 s, watch windows not counted (a first release has none); unchanged at most 10 s.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from measure import machine

ROOT = Path(__file__).parents[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=30)
    seconds = parser.parse_args().seconds
    print(f"search budget {seconds} s; {machine()}")
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
        command = [sys.executable, "-m", "lockgate"]
        try:
            for what, asked in (("from nothing to production", 75), ("unchanged second time", 10)):
                begin = time.perf_counter()
                done = subprocess.run(
                    [*command, "up", "--plain", "--seconds", str(seconds)], cwd=folder, capture_output=True, text=True, check=False
                )
                if done.returncode:
                    sys.exit(done.stdout[-3000:] + done.stderr)
                print(f"  {what:<28} {time.perf_counter() - begin:6.1f} s (asked: at most {asked})")
        finally:
            subprocess.run([*command, "down"], cwd=folder, capture_output=True, check=False)


if __name__ == "__main__":
    main()
