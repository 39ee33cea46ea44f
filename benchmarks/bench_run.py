"""`lockgate run mlops-pipelines/train/dev-train.yml`: what it takes beyond the search's budget, and a second run.

    .venv/bin/python benchmarks/bench_run.py [--seconds 30]

From an empty state, so MLflow's store is made too. Asked: search budget + at most 25 s; an unchanged second run at most 3 s.
The peer beside it is the Python a step cannot do without: the sum of starting each node's interpreter with its imports.
"""

from __future__ import annotations

import argparse
import sys
import tempfile

from measure import ROOT, machine, run

IMPORTS = {
    "prep": "polars, narwhals, yaml",
    "train": "lightgbm, catboost, xgboost, sklearn.ensemble, polars, mlflow",
    "predict": "lightgbm, onnxruntime, polars",
    "evaluate": "matplotlib.figure, polars, mlflow",
    "register": "lightgbm, onnxruntime, polars, mlflow",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=30.0)
    seconds = parser.parse_args().seconds
    with tempfile.TemporaryDirectory() as state:
        job = [sys.executable, "-m", "lockgate", "run", str(ROOT / "mlops-pipelines/train/dev-train.yml"), "--root", state, "--json"]
        job += ["--set", f"inputs.search_seconds={seconds:g}"]
        first, second = run(job), run(job)
    imports = sum(run([sys.executable, "-c", f"import {modules}"]).seconds for modules in IMPORTS.values())
    print(f"search budget {seconds:g} s; {machine()}")
    print(f"  first run, from nothing   {first.seconds:6.1f} s: budget + {first.seconds - seconds:.1f} s (asked: at most 25)")
    print(f"  unchanged second run      {second.seconds:6.2f} s (asked: at most 3)")
    print(f"  the plain imports of its steps, one after the other: {imports:.1f} s")


if __name__ == "__main__":
    main()
