"""What a delivery does when, and on how many cores: `lockgate up` from nothing, as a picture and a table.

    .venv/bin/python benchmarks/bench_timeline.py [--seconds 30]

Writes docs/pictures/timeline.svg and benchmarks/timeline.md. The cores are those of the whole machine, so nothing else should run on it (Linux).
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from bench_up import COMMAND, copy_of_repository
from measure import ROOT, machine

PICTURE = ROOT / "docs/pictures/timeline.svg"
TABLE = ROOT / "benchmarks/timeline.md"
_LINE = re.compile(r"^\[ *[\d.]+ s\] (?P<sign>[▶✔✘◐↺]) (?P<what>.*?)  +(?P<status>.*)$")
_EVERY = 0.2
_IDLE = 0.5
"""Cores: less than this counts as idle."""


@dataclass
class Bar:
    """Something that ran."""

    lane: str
    what: str
    begin: float
    end: float

    @property
    def seconds(self) -> float:
        return self.end - self.begin


class Cores:
    """How many cores of the machine work, looked at all the time."""

    def __init__(self) -> None:
        self.seen: list[tuple[float, float]] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look)
        self._thread.start()

    def _look(self) -> None:
        begin, before, at = time.monotonic(), _busy(), time.monotonic()
        while not self._stop.wait(_EVERY):
            now, clock = _busy(), time.monotonic()
            self.seen.append((clock - begin, (now - before) / (clock - at)))
            before, at = now, clock

    def end(self) -> None:
        self._stop.set()
        self._thread.join()


def _busy() -> float:
    """Seconds that all cores together have worked since the machine began."""
    user, nice, system, _, _, irq, softirq = map(int, Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:8])
    return (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK")


def follow(folder: Path, seconds: int) -> tuple[list[Bar], list[tuple[float, float]], float]:
    """Run `lockgate up`: what ran when, the cores, and how long it took."""
    cores = Cores()
    begin = time.monotonic()
    bars: list[Bar] = []
    running: dict[str, float] = {}
    pipeline = ""
    process = subprocess.Popen(
        [*COMMAND, "up", "--plain", "--logs", "--seconds", str(seconds)],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    for line in process.stdout or ():
        now = time.monotonic() - begin
        if found := re.match(r"\[ *[\d.]+ s\] run \d+ of ([\w-]+)", line):
            pipeline = found[1]
            running.clear()
            continue
        inner = line.partition(" | ")[2].strip() if " | " in line else line.strip()
        found = _LINE.match(inner)
        if found is None:
            continue
        what, sign = found["what"].strip(), found["sign"]
        node = " | " in line
        if not node and what.count(" / ") < 2:
            continue  # A stage or a job, which is its steps.
        name = what if node else what.split(" / ", 2)[2]
        lane = f"{pipeline}: nodes" if node else pipeline
        if sign == "▶":
            running[what] = now
        elif what in running:
            bars.append(Bar(lane, name, running.pop(what), now))
    code = process.wait()
    taken = time.monotonic() - begin
    cores.end()
    if code:
        sys.exit(f"lockgate up ended with exit code {code}")
    return bars, cores.seen, taken


def draw(bars: list[Bar], cores: list[tuple[float, float]], taken: float, path: Path) -> None:
    """A lane for each pipeline, its nodes below it, the working cores at the bottom."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "timeline"
    import matplotlib.pyplot as plt

    lanes = list(dict.fromkeys(bar.lane for bar in sorted(bars, key=lambda bar: bar.begin)))
    figure, (above, below) = plt.subplots(
        2, 1, figsize=(12, 0.42 * len(lanes) + 2.6), sharex=True, height_ratios=[0.42 * len(lanes), 1.3], layout="constrained"
    )
    for bar in bars:
        row = lanes.index(bar.lane)
        node = bar.lane.endswith(": nodes")
        above.barh(row, bar.seconds, left=bar.begin, height=0.7, color="#8fb8de" if node else "#d9d9d9", edgecolor="black", linewidth=0.4,
                   hatch="//" if node else "", alpha=0.75)  # fmt: skip
        if bar.seconds > 1.6:
            above.text(bar.begin + bar.seconds / 2, row, bar.what[: int(bar.seconds * 2.2)], ha="center", va="center", fontsize=6.5)
    above.set_yticks(range(len(lanes)), lanes, fontsize=8)
    above.invert_yaxis()
    above.set_title(f"lockgate up, from nothing to production: {taken:.0f} s", fontsize=10)
    below.step([at for at, _ in cores], [many for _, many in cores], where="pre", color="black", linewidth=0.8)
    below.set_ylabel("cores at work")
    below.set_xlabel("seconds")
    below.set_ylim(0, None)
    below.set_xlim(0, taken)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Date": None})


def table(bars: list[Bar], cores: list[tuple[float, float]], taken: float, seconds: int) -> str:
    """What takes a second or more, in its order."""
    idle = sum(1 for _, many in cores if many < _IDLE) * _EVERY
    work = sum(many for _, many in cores) * _EVERY
    lines = [
        "# The delivery's time line", "",
        f"`benchmarks/bench_timeline.py`, search of {seconds} s; {machine()}. From nothing to production: {taken:.1f} s, {work:.0f} core-seconds of",
        f"work, {idle:.1f} s with less than half a core at work. The picture: `docs/pictures/timeline.svg`.", "",
        "What takes a second or more:", "", "| from s | to s | seconds | where | what |", "|---:|---:|---:|---|---|",
    ]  # fmt: skip
    lines += [
        f"| {bar.begin:.1f} | {bar.end:.1f} | {bar.seconds:.1f} | {bar.lane} | {bar.what} |"
        for bar in sorted(bars, key=lambda bar: (bar.begin, -bar.seconds)) if bar.seconds >= 1
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=30)
    seconds = parser.parse_args().seconds
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        copy_of_repository(folder)
        try:
            bars, cores, taken = follow(folder, seconds)
        finally:
            subprocess.run([*COMMAND, "down"], cwd=folder, capture_output=True, check=False)
    draw(bars, cores, taken, PICTURE)
    text = table(bars, cores, taken, seconds)
    TABLE.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
