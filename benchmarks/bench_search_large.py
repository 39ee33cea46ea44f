"""The AutoML search on tables that are large one way or another: whether it keeps its time, and its memory.

    .venv/bin/python benchmarks/bench_search_large.py [--tables rows classes columns] [--rows 1000000] [--seconds 60]

`rows` is the table of bench_prep (20 columns of numbers, categories and a time), `classes` has 20,000 rows of 300 classes around centres of
their own, `columns` 20,000 rows of 2,000 numbers, of which 30 and a sine make the target. All are prepared by prep.py; train.py is a process of its own, with
one thread per model. Asked: at most 6 GB, and within 5 % of the budget.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from bench_prep import NUMBERS, PROJECT, make
from measure import ROOT, WORK, machine, run
from numpy.typing import NDArray

# All but a hundredth of the rows are trained on.
SPLIT = {"by": "hash", "train": 0.9, "validation": 0.09, "test": 0.01}
THREADS = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "POLARS_MAX_THREADS"), "1")


def main() -> None:
    """Make the tables, prepare them, train."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", nargs="*", choices=("rows", "classes", "columns"), default=["rows", "classes", "columns"])
    parser.add_argument("--rows", type=int, default=1_000_000, help="of the first table")
    parser.add_argument("--seconds", type=float, default=60)
    args = parser.parse_args()
    WORK.mkdir(exist_ok=True)
    print(machine())
    for table in args.tables:
        raw, project = WORK / f"large-{table}.csv", WORK / f"large-{table}.yml"
        if table == "rows":
            raw = WORK / f"large-{args.rows}.csv"
            project.write_text(
                PROJECT.replace("@NUMBERS@", "\n".join(f"  {name}: {{type: number}}" for name in NUMBERS)) + f"split: {SPLIT}\n"
            )
            if not raw.exists():
                make(raw, args.rows)
        elif table == "classes":
            of_classes(raw, project, 20_000, 300)
        else:
            of_columns(raw, project, 20_000, 2_000)
        measured(table, raw, project, WORK / f"large-{table}", args.seconds)


def of_classes(raw: Path, project: Path, rows: int, classes: int) -> None:
    """A table of classes around centres, twenty numbers each."""
    random = np.random.default_rng(0)
    target = random.integers(0, classes, rows)
    x = 1.5 * random.normal(size=(classes, 20))[target] + 2 * random.normal(size=(rows, 20))
    labels = [f"c{number}" for number in range(classes)]
    write(raw, project, x, {"label": [labels[number] for number in target]}, {"type": "category", "levels": labels})


def of_columns(raw: Path, project: Path, rows: int, columns: int) -> None:
    """A table of independent numbers, most of which say nothing."""
    random = np.random.default_rng(0)
    x = random.normal(size=(rows, columns))
    target = x[:, :30].sum(axis=1) + 3 * np.sin(3 * x[:, 0]) + random.normal(size=rows)
    write(raw, project, x, {"value": target.round(4)}, {"type": "number"})


def write(raw: Path, project: Path, x: NDArray[np.float64], target: Mapping[str, object], kind: Mapping[str, object]) -> None:
    """The CSV and its project.yml."""
    import polars as pl

    (name,) = target
    numbers = {f"x{number}": x[:, number].round(3) for number in range(x.shape[1])}
    pl.DataFrame({"row_id": np.arange(len(x)), **numbers, **target}).write_csv(raw)
    columns = {
        "row_id": {"type": "integer", "feature": False},
        **{column: {"type": "number"} for column in numbers},
        name: {**kind, "missing": False},
    }
    task = "classification" if kind["type"] == "category" else "regression"
    facts = {"name": "large", "task": task, "target": name, "key": ["row_id"], "columns": columns, "split": SPLIT}
    project.write_text(json.dumps(facts))  # which is YAML, too


def measured(table: str, raw: Path, project: Path, out: Path, seconds: float) -> None:
    """Prepare and train, and say what it cost."""
    source = ROOT / "data-science" / "src"
    sides = [f"--{side}={out / side}" for side in ("train", "validation", "test", "recipe")]
    prepared = run([sys.executable, str(source / "prep.py"), f"--raw={raw}", f"--project={project}", "--features=none", *sides])
    words = [f"--{side}={out / side}" for side in ("train", "validation", "recipe")]
    words += [f"--model={out / 'model'}", f"--project={project}", f"--seconds={seconds}"]
    cost = run([sys.executable, str(source / "train.py"), *words], **THREADS)
    found = json.loads((out / "model" / "candidate.json").read_text())
    members = [line["family"] for line in found["leaderboard"] if line["number"] and not line["failure"]]
    print(f"  {table:<8} prep.py   {prepared.seconds:6.1f} s  {prepared.megabytes:6.0f} MB")
    print(
        f"           train.py  {cost.seconds:6.1f} s of {seconds:g} (asked: at most {1.05 * seconds:g})  {cost.megabytes:6.0f} MB (asked: at most 6,000)\n"
        f"           {found['metric']} {found['validation']:.4f}, always saying the same: {found['baseline']:.4f}; {', '.join(members)}",
        flush=True,
    )


if __name__ == "__main__":
    main()
