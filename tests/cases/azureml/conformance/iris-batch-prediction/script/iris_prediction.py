"""Names the species whose petals are the nearest in length."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

CENTRES: dict[str, float] = {}


def init() -> None:
    """Reads the model."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", type=Path, required=True)
    args, _ = parser.parse_known_args()
    for line in (args.model / "centres.csv").read_text().splitlines():
        name, length = line.split(",")
        CENTRES[name] = float(length)


def run(mini_batch: list[str]) -> list[str]:
    """A row for every file."""
    rows = []
    for name in mini_batch:
        length = float(Path(name).read_text())
        species = min(CENTRES, key=lambda one: abs(CENTRES[one] - length))
        rows.append(f"{Path(name).name},{species},{os.environ['EXAMPLE']}")
    return rows
