"""FLAML on a cell of bench_search: python search_flaml.py CELL.json writes the answers and figures that the cell names."""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from flaml import AutoML


def main() -> None:
    """Fit, predict, time a row."""
    cell = json.loads(Path(sys.argv[1]).read_text())
    train, test = (pd.read_parquet(cell[side]) for side in ("train", "test"))
    target, classes = cell["target"], cell["classes"]
    for name in train.columns:
        if name != target and not pd.api.types.is_numeric_dtype(train[name]):
            kind = pd.CategoricalDtype(sorted(train[name].dropna().unique()))
            train[name], test[name] = train[name].astype(kind), test[name].astype(kind)
    actual = train[target].map({label: number for number, label in enumerate(classes)}) if classes else train[target]
    features, rows = train.drop(columns=[target]), test.drop(columns=[target])
    begun = time.monotonic()
    model = AutoML()
    with tempfile.TemporaryDirectory() as folder:
        model.fit(
            features, actual, task="classification" if classes else "regression", metric="log_loss" if classes else "rmse",
            time_budget=cell["seconds"], n_jobs=1, ensemble=cell["ensemble"], seed=cell["seed"], verbose=0, log_file_name=f"{folder}/flaml.log",
        )  # fmt: skip
    seconds = time.monotonic() - begun
    predict = model.predict_proba if classes else model.predict
    answers = np.asarray(predict(rows))
    times = []
    for number in range(50):
        one = rows.iloc[[number]]
        begun = time.perf_counter()
        predict(one)
        times.append(time.perf_counter() - begun)
    np.save(cell["answers"], answers)
    Path(cell["figures"]).write_text(json.dumps({"seconds": seconds, "row_ms": 1000 * statistics.median(times), "bytes": None}))


if __name__ == "__main__":
    main()
