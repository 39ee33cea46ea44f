"""Looks at the first sign of a picture."""

from __future__ import annotations

import argparse
from pathlib import Path

parser = argparse.ArgumentParser()
parser.add_argument("--seen", type=Path, required=True)
args, _ = parser.parse_known_args()


def init() -> None:
    """Nothing is loaded."""


def run(mini_batch: list[str]) -> list[str]:
    """A row for every picture, and a file that says it was seen."""
    rows = []
    for name in mini_batch:
        path = Path(name)
        (args.seen / path.name).write_text(path.read_text()[0] + "\n")
        rows.append(f"{path.stem} {path.read_text()[0]}")
    return rows
