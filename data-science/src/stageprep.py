"""Step stageprep: stage data through the recipe inside the registered model, never refitted, and how far they have moved."""

from __future__ import annotations

import argparse
from pathlib import Path

from tabular.errors import run_step


def parse_args() -> argparse.Namespace:
    """The arguments of this step."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--raw", type=Path, required=True, help="CSV or parquet file with the target")
    parser.add_argument("--model", type=Path, required=True, help="the registered model")
    parser.add_argument("--stage", type=Path, required=True, help="output folder of the rows")
    parser.add_argument("--recipe", type=Path, required=True, help="output folder of the model's recipe and contract")
    parser.add_argument("--project", type=Path, default=Path(__file__).parents[1] / "project.yml")
    return parser.parse_args()


def main() -> None:
    """Run the step."""
    args = parse_args()
    from tabular.preparation import findings_table, prepare_stage
    from tabular.project import load_project

    project = load_project(args.project)
    prepared, moved = prepare_stage(args.raw, project, args.model, args.stage, args.recipe)
    print(findings_table(prepared.findings))
    print(f"rows: {prepared.rows['file']:,} in the file, {prepared.rows['stage']:,} usable")
    print("population stability index against training, largest first (over 0.25 is commonly called a shift):")
    for name, value in sorted(moved.items(), key=lambda item: -item[1])[:10]:
        print(f"  {name:<20} {value:7.3f}{'  ▲' if value > 0.25 else ''}")


if __name__ == "__main__":
    run_step(main)
