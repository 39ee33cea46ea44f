"""Batch scoring of a 300-tree LightGBM by batch_driver.py against pandas + MLflow pyfunc, on one thread and on all cores.

    .venv/bin/python benchmarks/bench_batch.py [--rows 200000] [--repeat 5]

The peer is what a data scientist would deploy: an MLflow pyfunc that reads the CSV with pandas, applies the recipe's
work (fill, clip, encode, derive) in pandas and predicts with LightGBM. Both read the same file, give a line per row, and
their predictions are compared. The registered winner's figure is beside it, if there is one.
Asked: at least 3 times the rows/s of the peer.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

import polars as pl
from measure import ROOT, WORK, machine

SOURCE = ROOT / "data-science" / "src"
DATA = ROOT / "data-science" / "data"
STEPS = ("train", "validation", "test", "recipe")

OURS = """
import json, sys, time
import batch_driver
batch_driver.init()
path, repeat, output, threads = sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4])
batch_driver._scorer = batch_driver.BatchScorer(batch_driver.find_package(), threads=threads)
batch_driver.run([path])
times = []
for _ in range(repeat):
    begun = time.perf_counter()
    lines = batch_driver.run([path])
    times.append(time.perf_counter() - begun)
open(output, "w").write("\\n".join(lines))
print(json.dumps(times))
"""

MODEL = """
import sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
import dataclasses, json
from tabular import families
from tabular.candidate import Facts, write_candidate
from tabular.families import Budget, lightgbm
from tabular.tables import load_prepared, load_training
work = Path(sys.argv[2])
prepared = load_prepared(work / "recipe")
data, features = load_training(work / "train", work / "validation", prepared.contract, "rmse")
lightgbm._MOST_TREES, lightgbm._PATIENCE = 300, 10_000
settings = lightgbm.settings(None, "rmse", 0) | {"learning_rate": 0.02}
booster = lightgbm.fit(data, settings, Budget(None, 2, 0))
facts = Facts("lightgbm300", "lightgbm", booster.size, features, 0.0, "rmse", 0.0, 0.0)
print(booster.size, "trees")
write_candidate(work / "model", booster, facts, prepared.contract)
"""


def call(*command: object, **environment: str) -> str:
    """Run a command and give its output."""
    done = subprocess.run(
        [str(c) for c in command], capture_output=True, text=True, check=False, env={**os.environ, **environment}, cwd=SOURCE
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, command))[:300]} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


def prepare(work: Path) -> Path:
    """A package of exactly 300 trees, by the steps."""
    package = work / "package"
    if package.exists():
        return package
    python = sys.executable
    outputs = [f"--{side}={work / side}" for side in STEPS]
    call(python, "prep.py", f"--raw={DATA / 'data.csv'}", *outputs)
    print(call(python, "-c", MODEL, SOURCE, work).strip())
    shared = [f"--test={work / 'test'}", f"--recipe={work / 'recipe'}"]
    call(python, "predict.py", f"--model={work / 'model'}", "--name=lightgbm300", *shared, f"--predictions={work / 'p'}")
    call(python, "evaluate.py", f"--candidate={work / 'p'}", *shared, f"--evaluation={work / 'evaluation'}")
    store = f"sqlite:///{work / 'mlflow.db'}"
    call(
        python, "register.py", "--candidate", "lightgbm300", work / "model", f"--evaluation={work / 'evaluation'}", *shared,
        f"--package={package}", f"--registration={work / 'registration'}", MLFLOW_TRACKING_URI=store, MLFLOW_ARTIFACT_ROOT=str(work),
    )  # fmt: skip
    return package


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--repeat", type=int, default=5)
    args = parser.parse_args()
    work = WORK / "batch"
    work.mkdir(parents=True, exist_ok=True)
    package = prepare(work)
    csv = work / f"rows-{args.rows}.csv"
    batch = pl.read_csv(DATA / "batch.csv", infer_schema=False)
    pl.concat([batch] * (args.rows // len(batch) + 1)).head(args.rows).write_csv(csv)
    cores = len(os.sched_getaffinity(0))
    print(f"300-tree LightGBM, {args.rows:,} rows of CSV; {machine()}; medians of {args.repeat}")
    for threads in sorted({1, cores}):
        peer = Path(__file__).parent / "peers" / "pyfunc_batch.py"
        limits = {name: str(threads) for name in ("OMP_NUM_THREADS", "POLARS_MAX_THREADS", "OPENBLAS_NUM_THREADS")}
        ours = score(package, csv, args, work / "ours.txt", threads, limits)
        theirs = json.loads(call(sys.executable, peer, package, csv, args.repeat, work / "theirs.txt", threads, **limits).splitlines()[-1])
        worst = compare(work)
        rates = {"batch_driver": args.rows / statistics.median(ours), "pandas + MLflow pyfunc": args.rows / statistics.median(theirs)}
        print(f"{threads} thread{'s' * (threads > 1)} each; predictions equal within {worst:.1e}")
        for name, rate in rates.items():
            print(f"  {name:<24} {rate:10,.0f} rows/s")
        print(f"  {rates['batch_driver'] / rates['pandas + MLflow pyfunc']:.2f} times the rows/s (asked: 3)")
        versions = sorted((ROOT / ".lockgate/workspaces/dev/models").glob("*/*"), key=lambda p: p.stat().st_mtime)
        if versions:
            winner = score(versions[-1], csv, args, work / "winner.txt", threads, limits)
            facts = json.loads((versions[-1] / "native" / "native.json").read_text())
            print(
                f"  the registered winner ({facts['family']}, {facts['trees']} trees): {args.rows / statistics.median(winner):,.0f} rows/s"
            )


def score(package: Path, csv: Path, args: argparse.Namespace, output: Path, threads: int, limits: dict[str, str]) -> list[float]:
    """Seconds of every turn of batch_driver."""
    times: list[float] = json.loads(
        call(sys.executable, "-c", OURS, csv, args.repeat, output, threads, AZUREML_MODEL_DIR=str(package), **limits)
    )
    return times


def compare(work: Path) -> float:
    """Largest difference of the predictions; fails if it is one."""
    a = [json.loads(line)["prediction"] for line in (work / "ours.txt").read_text().splitlines()]
    b = [float(line) for line in (work / "theirs.txt").read_text().splitlines()]
    worst = max(abs(x - y) for x, y in zip(a, b, strict=True))
    if worst > 0.01:
        raise SystemExit(f"predictions differ by up to {worst}: not the same work")
    return worst


if __name__ == "__main__":
    main()
