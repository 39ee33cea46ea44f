"""How far off the predictions are."""

import sys
from pathlib import Path

import polars as pl

predictions, model_folder, report = map(Path, sys.argv[1:])
error = pl.read_csv(predictions / "predictions.csv").select((pl.col("said") - pl.col("cost")).abs().max()).item()
(report / "score.txt").write_text(f"largest error {error:.1f} of {(model_folder / 'model.json').read_text()}")
