"""Puts the tables together and leaves out rows with a hole or an impossible distance."""

import sys
from pathlib import Path

import polars as pl

raw, prepared = map(Path, sys.argv[1:])
tables = [pl.read_csv(path).with_columns(colour=pl.lit(path.stem)) for path in sorted(raw.glob("*.csv"))]
pl.concat(tables).drop_nulls().filter(pl.col("distance") > 0).write_csv(prepared / "trips.csv")
