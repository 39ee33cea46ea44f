"""Prints the mean width of the petals."""

import argparse

import polars as pl

parser = argparse.ArgumentParser()
parser.add_argument("--iris-csv", required=True)
table = pl.read_csv(parser.parse_args().iris_csv)
print(f"{table.height} rows, mean width {table['petal_width'].mean():.4f}")
