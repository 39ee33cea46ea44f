"""The AutoML search on a million rows: its memory, and whether it keeps its time.

    .venv/bin/python benchmarks/bench_search_large.py [--rows 1000000] [--seconds 120]

The table is that of bench_prep (20 columns of numbers, categories and a time), prepared by prep.py; train.py is a process of its own, with
one thread per model. Asked: at most 6 GB, and within 5 % of the budget.
"""

from __future__ import annotations

import argparse
import json
import sys

from bench_prep import NUMBERS, PROJECT, make
from measure import ROOT, WORK, machine, run


def main() -> None:
    """Make the table, prepare it, train."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--seconds", type=float, default=120)
    args = parser.parse_args()
    WORK.mkdir(exist_ok=True)
    raw, project, out = WORK / f"large-{args.rows}.csv", WORK / "large-project.yml", WORK / "large"
    # All but a hundredth of the rows are trained on.
    split = "split: {by: hash, train: 0.9, validation: 0.09, test: 0.01}"
    project.write_text(PROJECT.replace("@NUMBERS@", "\n".join(f"  {name}: {{type: number}}" for name in NUMBERS)) + split + "\n")
    if not raw.exists():
        make(raw, args.rows)
    source = ROOT / "data-science" / "src"
    sides = [f"--{side}={out / side}" for side in ("train", "validation", "test", "recipe")]
    prepared = run([sys.executable, str(source / "prep.py"), f"--raw={raw}", f"--project={project}", "--features=none", *sides])
    words = [f"--{side}={out / side}" for side in ("train", "validation", "recipe")]
    words += [f"--model={out / 'model'}", f"--project={project}", f"--seconds={args.seconds}"]
    cost = run([sys.executable, str(source / "train.py"), *words])
    found = json.loads((out / "model" / "candidate.json").read_text())
    members = sum(1 for line in found["leaderboard"] if line["number"] and not line["failure"])
    print(f"{args.rows:,} rows; {machine()}")
    print(f"  prep.py   {prepared.seconds:6.1f} s  {prepared.megabytes:6.0f} MB")
    print(
        f"  train.py  {cost.seconds:6.1f} s of {args.seconds:g} (asked: at most {1.05 * args.seconds:g})  {cost.megabytes:6.0f} MB (asked: at most 6,000)  "
        f"{members} members, {found['metric']} {found['validation']:.4f}; always saying the same: {found['baseline']:.4f}"
    )


if __name__ == "__main__":
    main()
