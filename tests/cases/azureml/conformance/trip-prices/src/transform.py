"""Adds the speed."""

import sys
from pathlib import Path

import polars as pl

clean, transformed = map(Path, sys.argv[1:])
table = pl.read_csv(clean / "trips.csv").with_columns(speed=pl.col("distance") / pl.col("minutes") * 60)
table.write_csv(transformed / "trips.csv", float_precision=2)
