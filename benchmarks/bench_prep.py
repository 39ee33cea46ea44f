"""prep.py against pandas on identical work: 5 million rows, 20 columns, CSV to three parquet files.

    .venv/bin/python benchmarks/bench_prep.py [--rows 5000000] [--repeat 3]

Both are processes of their own, in turn; the medians count. The tables written are compared: same rows on the same
sides, same features. Asked: at least 1.5 times the rows/s of pandas, at most 40 % of its memory.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from pathlib import Path

import numpy as np
import polars as pl
from measure import ROOT, WORK, Cost, machine, run

PROJECT = """\
name: bench
task: regression
target: target
key: [id]
columns:
  id: {type: integer, feature: false, missing: false}
  pickup_time: {type: datetime, missing: false, formats: ["%Y-%m-%dT%H:%M:%SZ"]}
  from_lat: {type: number, range: [-90, 90]}
  from_lon: {type: number, range: [-180, 180]}
  to_lat: {type: number, range: [-90, 90]}
  to_lon: {type: number, range: [-180, 180]}
  passengers: {type: integer, range: [0, 9]}
  flag: {type: boolean}
  kind: {type: category, levels: [Red, Green, Blue]}
  zone: {type: category}
@NUMBERS@
  target: {type: number, missing: false}
cleaning:
  outliers: {lower_quantile: 0.001, upper_quantile: 0.999}
features:
  date_parts: [month, weekday, hour]
  distances:
    distance_km: {from: [from_lat, from_lon], to: [to_lat, to_lon]}
encoding:
  columns: {zone: target}
"""
NUMBERS = [f"n{i}" for i in range(1, 10)]


def make(path: Path, rows: int) -> None:
    """Write the CSV: seeded, with nulls, stray case and spaces."""
    random = np.random.default_rng(0)
    n = {name: random.normal(i, i + 1, rows).round(4) for i, name in enumerate(NUMBERS)}
    kind = random.choice(["Red", "red ", "GREEN", "Green", "Blue"], rows)
    zone = random.integers(0, 60, rows)
    frame = pl.DataFrame(
        {
            "id": np.arange(rows) * 7 + 3,
            "pickup_time": pl.Series(random.integers(1_600_000_000, 1_640_000_000, rows) * 1_000_000).cast(pl.Datetime("us")),
            "from_lat": random.uniform(40, 41, rows).round(6),
            "from_lon": random.uniform(-74, -73, rows).round(6),
            "to_lat": random.uniform(40, 41, rows).round(6),
            "to_lon": random.uniform(-74, -73, rows).round(6),
            "passengers": random.integers(1, 6, rows),
            "flag": random.random(rows) < 0.3,
            "kind": kind,
            "zone": [f"Z{z}" for z in zone],
            **n,
            "target": (n["n1"] + 2 * n["n2"] + zone * 0.1 + random.normal(0, 1, rows)).round(4),
        }
    )
    for i, name in enumerate(["from_lat", "n3", "n5", "n7", "zone", "passengers"]):
        frame = frame.with_columns(pl.when(pl.Series(random.random(rows) >= 0.01 * (i + 1))).then(pl.col(name)).alias(name))
    frame.write_csv(path, datetime_format="%Y-%m-%dT%H:%M:%SZ")


def compare(ours: Path, theirs: Path) -> None:
    """Fail unless both wrote the same tables."""
    for side in ("train", "validation", "test"):
        a, b = (pl.read_parquet(folder / side / "data.parquet") for folder in (ours, theirs))
        if a.columns != b.columns or len(a) != len(b):
            raise SystemExit(f"{side}: {a.shape} {a.columns} against {b.shape} {b.columns}: not the same work")
        for name in a.columns:
            difference = (a[name].cast(pl.Float64) - b[name].cast(pl.Float64)).abs().max()
            if not difference <= 1e-3:
                raise SystemExit(f"{side}.{name} differs by up to {difference}: not the same work")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=5_000_000)
    parser.add_argument("--repeat", type=int, default=3)
    args = parser.parse_args()
    WORK.mkdir(exist_ok=True)
    raw, project = WORK / f"prep-{args.rows}.csv", WORK / "prep-project.yml"
    project.write_text(PROJECT.replace("@NUMBERS@", "\n".join(f"  {name}: {{type: number}}" for name in NUMBERS)))
    if not raw.exists():
        print(f"making {raw.name}", flush=True)
        make(raw, args.rows)
    ours, theirs = WORK / "prep-ours", WORK / "prep-pandas"
    outputs = [f"--{side}={ours / side}" for side in ("train", "validation", "test", "recipe")]
    commands = {
        "lockgate": [
            sys.executable,
            str(ROOT / "data-science/src/prep.py"),
            f"--raw={raw}",
            f"--project={project}",
            "--features=none",
            *outputs,
        ],
        "pandas": [sys.executable, str(Path(__file__).parent / "peers/pandas_prep.py"), str(raw), str(theirs)],
    }
    costs: dict[str, list[Cost]] = {name: [] for name in commands}
    for turn in range(args.repeat):
        for name, command in commands.items():
            cost = run(command)
            costs[name].append(cost)
            print(f"turn {turn + 1}: {name:<9} {cost.seconds:6.1f} s  {cost.megabytes:6.0f} MB", flush=True)
    compare(ours, theirs)
    middle = {
        name: (statistics.median(c.seconds for c in found), statistics.median(c.megabytes for c in found)) for name, found in costs.items()
    }
    print(f"\n{args.rows:,} rows, {raw.stat().st_size / 1e6:.0f} MB of CSV; {machine()}; medians of {args.repeat}; outputs equal")
    for name, (seconds, megabytes) in middle.items():
        print(f"  {name:<9} {args.rows / seconds / 1e6:5.2f} M rows/s  {megabytes:6.0f} MB")
    speed = middle["pandas"][0] / middle["lockgate"][0]
    memory = middle["lockgate"][1] / middle["pandas"][1]
    print(f"  {speed:.2f} times the rows/s (asked: 1.5), {memory:.0%} of the memory (asked: at most 40 %)")


if __name__ == "__main__":
    main()
