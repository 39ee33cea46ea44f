"""AutoGluon on a cell of bench_search: python search_autogluon.py CELL.json writes the answers and figures that the cell names."""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from autogluon.tabular import TabularPredictor


def main() -> None:
    """Fit, predict, time a row."""
    cell = json.loads(Path(sys.argv[1]).read_text())
    train, test = (pd.read_parquet(cell[side]) for side in ("train", "test"))
    target, classes = cell["target"], cell["classes"]
    kind = "regression" if not classes else "binary" if len(classes) == 2 else "multiclass"
    with tempfile.TemporaryDirectory() as folder:
        begun = time.monotonic()
        metric = "log_loss" if classes else "root_mean_squared_error"
        options = {"presets": "best_quality", "time_limit": cell["seconds"], "num_cpus": 1, "num_gpus": 0}
        named = {"label": target, "problem_type": kind, "eval_metric": metric, "verbosity": 1}
        predictor = TabularPredictor(path=f"{folder}/a", **named)
        try:
            predictor.fit(train, **options)
        except AssertionError as error:
            if "dynamic_stacking" not in str(error):
                raise
            # Its own advice where the time was not enough for its first try; it gets all of its time again.
            begun = time.monotonic()
            predictor = TabularPredictor(path=f"{folder}/b", **named)
            predictor.fit(train, dynamic_stacking=False, **options)
        seconds = time.monotonic() - begun
        rows = test.drop(columns=[target])
        answers = predictor.predict_proba(rows)[classes].to_numpy() if classes else predictor.predict(rows).to_numpy()
        times = []
        for number in range(5):
            one = rows.iloc[[number]]
            begun = time.perf_counter()
            predictor.predict_proba(one) if classes else predictor.predict(one)
            times.append(time.perf_counter() - begun)
        np.save(cell["answers"], answers)
        size = sum(f.stat().st_size for f in Path(folder).rglob("*") if f.is_file())
    figures = {"seconds": seconds, "row_ms": 1000 * statistics.median(times), "bytes": size}
    Path(cell["figures"]).write_text(json.dumps(figures))


if __name__ == "__main__":
    main()
