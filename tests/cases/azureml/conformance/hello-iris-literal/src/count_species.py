"""Counts the flowers of a species whose petals are at least so wide."""

import argparse
import csv
from pathlib import Path

parser = argparse.ArgumentParser()
parser.add_argument("--iris-csv", type=Path, required=True)
parser.add_argument("--least", type=float, required=True)
parser.add_argument("--species", required=True)
args = parser.parse_args()
with args.iris_csv.open(newline="") as stream:
    found = [row for row in csv.DictReader(stream) if row["species"] == args.species and float(row["petal_width"]) >= args.least]
print(f"{len(found)} flowers of {args.species}")
