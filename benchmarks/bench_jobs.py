"""What a job costs beyond its command: a trivial one, a reused one, one whose step logs a metric; and a checkout.

    .venv/bin/python benchmarks/bench_jobs.py [--rounds 7] [--beside FOLDER]

Asked on 2 cores: a trivial job at most 1.5 s whole, a reused one 0.4 s, a step that only logs a metric 0.8 s. The peer is another checkout, as in bench_up.
The first line is of an empty folder: what a desk needs is made.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench_up import command_of, copy_of_repository, environment_of
from measure import ROOT, machine

TRIVIAL = "type: pipeline\njobs: {one: {type: command, command: 'true', environment: {image: x}}}\n"
LOGGING = """\
type: pipeline
jobs:
  one:
    type: command
    code: src
    command: python log.py
    environment: {image: x}
"""
STEP = """\
import sys
sys.path.insert(0, sys.argv[1])
from tabular.tracking import Tracking

if __name__ == "__main__":
    with Tracking("logged") as tracking:
        tracking.log(metrics={"loss": 0.5})
"""
CHECKOUT = "steps: [{checkout: self}]\n"


class Desk:
    """A folder with the jobs, for the commands of a checkout."""

    def __init__(self, root: Path, folder: Path) -> None:
        self._root, self._folder = root, folder
        (folder / "src").mkdir()
        (folder / "trivial.yml").write_text(TRIVIAL)
        (folder / "logging.yml").write_text(LOGGING.replace("log.py", f"log.py {root / 'data-science/src'}"))
        (folder / "src/log.py").write_text(STEP)
        self.repository = folder / "repository"
        self.repository.mkdir()
        copy_of_repository(self.repository, root)
        (self.repository / "checkout.yml").write_text(CHECKOUT)

    def run(self, *words: str, folder: Path | None = None) -> tuple[float, str]:
        begin = time.perf_counter()
        done = subprocess.run(
            [*command_of(self._root), *words], cwd=folder or self._folder, env=environment_of(self._root), capture_output=True, text=True,
            check=False,
        )  # fmt: skip
        if done.returncode:
            sys.exit(done.stdout + done.stderr)
        return time.perf_counter() - begin, done.stdout

    def job(self, name: str, *options: str) -> float:
        return self.run("run", f"{name}.yml", "--plain", *options)[0]

    def step(self) -> float:
        found = json.loads(self.run("run", "logging.yml", "--json", "--rerun")[1])
        return float(found["seconds"])

    def checkout(self) -> float:
        out = self.run("run", "checkout.yml", "--plain", folder=self.repository)[1]
        return float(re.findall(r"checkout self  succeeded in ([\d.]+) s", out)[0])


def measure(root: Path, rounds: int) -> dict[str, list[float]]:
    with tempfile.TemporaryDirectory() as name:
        desk = Desk(root, Path(name))
        try:
            found = {"a trivial job in an empty folder": [desk.job("trivial")]}
            desk.step()  # Brings in MLflow.
            found["a trivial job"] = [desk.job("trivial", "--rerun") for _ in range(rounds)]
            found["a reused one"] = [desk.job("trivial") for _ in range(rounds)]
            found["a step that logs a metric"] = [desk.step() for _ in range(rounds)]
            desk.checkout()
            time.sleep(2)  # A file that has just been written is looked at twice.
            found["a checkout of this repository"] = [desk.checkout() for _ in range(rounds)][1:]
            return found
        finally:
            desk.run("down")
            desk.run("down", folder=desk.repository)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--beside", type=Path, metavar="FOLDER")
    args = parser.parse_args()
    roots = {"this": ROOT, **({"beside": args.beside.resolve()} if args.beside else {})}
    print(f"medians of {args.rounds}, seconds; {machine()}")
    found = {name: measure(root, args.rounds) for name, root in roots.items()}
    print(f"  {'':<34}" + "".join(f"{name:>10}" for name in found))
    for what in found["this"]:
        print(f"  {what:<34}" + "".join(f"{statistics.median(one[what]):>10.2f}" for one in found.values()))


if __name__ == "__main__":
    main()
