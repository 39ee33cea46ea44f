"""Step prep: raw CSV → training, validation and test tables, and the recipe that made them (fitted on training rows alone)."""

from __future__ import annotations

import argparse
from pathlib import Path

from tabular.errors import run_step


def parse_args() -> argparse.Namespace:
    """The arguments of this step."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--raw", type=Path, required=True, help="CSV or parquet file with the target")
    parser.add_argument("--project", type=Path, default=Path(__file__).parents[1] / "project.yml")
    parser.add_argument("--features", type=Path, default=Path(__file__).parent / "features.py")
    for side in ("train", "validation", "test"):
        parser.add_argument(f"--{side}", type=Path, required=True, help=f"output folder of the {side} rows")
    parser.add_argument("--recipe", type=Path, required=True, help="output folder of recipe, contract and profile")
    return parser.parse_args()


def main() -> None:
    """Run the step."""
    args = parse_args()
    from tabular.preparation import findings_table, prepare
    from tabular.project import load_project

    project = load_project(args.project)
    outputs = {"train": args.train, "validation": args.validation, "test": args.test}
    prepared = prepare(args.raw, project, args.features, outputs, args.recipe)
    print(findings_table(prepared.findings))
    if prepared.unknown:
        print(f"left out, unknown at prediction: {', '.join(prepared.unknown)}")
    for name, why in prepared.dropped.items():
        print(f"feature {name} left out: {why}")
    rows = prepared.rows
    print(f"rows: {rows['file']:,} in the file; {rows['train']:,} train, {rows['validation']:,} validation, {rows['test']:,} test")
    print(f"features: {len(prepared.features)}, fitted on the training rows alone")


if __name__ == "__main__":
    run_step(main)
