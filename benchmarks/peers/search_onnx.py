"""Answers and speed of an ONNX model: python search_onnx.py MODEL ROWS.npy ANSWERS.npy FIGURES.json [THREADS]."""

from __future__ import annotations

import json
import statistics
import sys
import time
from pathlib import Path

import numpy as np
import onnxruntime


def main() -> None:
    """One row: median of 2,000, the row another each time. Many: the best of 3 over all rows, in blocks of 1,000. One thread, if no other number is given."""
    model, rows, answers, figures, *threads = sys.argv[1:]
    features = np.load(rows)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = int(threads[0]) if threads else 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    blocks = [features[start : start + 1000] for start in range(0, len(features), 1000)]
    np.save(answers, np.concatenate([session.run(None, {"features": block})[0] for block in blocks]))
    times = []
    for number in range(2000):
        one = features[number % len(features)][None]
        begun = time.perf_counter()
        session.run(None, {"features": one})
        times.append(time.perf_counter() - begun)
    best = float("inf")
    for _ in range(3):
        begun = time.perf_counter()
        for block in blocks:
            session.run(None, {"features": block})
        best = min(best, time.perf_counter() - begun)
    Path(figures).write_text(json.dumps({"row_ms": 1000 * statistics.median(times), "rows_per_s": len(features) / best}))


if __name__ == "__main__":
    main()
