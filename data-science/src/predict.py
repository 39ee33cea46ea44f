"""Step predict: one candidate's (or a packaged model's) predictions on the test rows, in that candidate's own environment."""

from __future__ import annotations

import argparse
from pathlib import Path

from tabular.errors import run_step


def parse_args() -> argparse.Namespace:
    """The arguments of this step."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True, help="model folder of a trainer, or a registered model")
    parser.add_argument("--name", required=True, help="name of the candidate in the report")
    parser.add_argument("--test", type=Path, required=True, help="test folder of prep, or output of stageprep")
    parser.add_argument("--recipe", type=Path, required=True, help="recipe folder of prep or stageprep")
    parser.add_argument("--trust", choices=("no", "yes"), default="no", help="yes: load another library's model, which runs its code")
    parser.add_argument("--predictions", type=Path, required=True, help="output folder")
    parser.add_argument("--project", type=Path, default=Path(__file__).parents[1] / "project.yml")
    return parser.parse_args()


def main() -> None:
    """Run the step."""
    args = parse_args()
    from tabular.predictions import predict_candidate
    from tabular.project import load_project

    project = load_project(args.project)
    judged = predict_candidate(
        args.model, args.name, args.test, args.recipe, project.search.metric, args.predictions, trust=args.trust == "yes"
    )
    print(f"{judged.name}: {judged.family}, {judged.trees} trees")
    print(f"servable: {'yes' if judged.servable else 'no'}: {judged.reason}")
    if judged.single_row_ms is not None:
        print(f"one row: {judged.single_row_ms:.3f} ms")
    top = list(judged.importance.items())[:5]
    print("most important columns: " + ", ".join(f"{name} ({growth:+.3g})" for name, growth in top))


if __name__ == "__main__":
    run_step(main)
