"""Writes y beside what the line says."""

import argparse
import json
from pathlib import Path

parser = argparse.ArgumentParser()
parser.add_argument("--model_input", type=Path, required=True)
parser.add_argument("--test_data", type=Path, required=True)
parser.add_argument("--score_output", type=Path, required=True)
args = parser.parse_args()
model = json.loads((args.model_input / "model.json").read_text())
lines = ["y,said"]
for line in (args.test_data / "points.csv").read_text().splitlines()[1:]:
    x, y = map(float, line.split(","))
    lines.append(f"{y:g},{model['slope'] * x + model['offset']:g}")
(args.score_output / "scored.csv").write_text("\n".join(lines) + "\n")
