"""Step train2: one random forest with hand-set hyperparameters. Same inputs and outputs as train."""

from __future__ import annotations

import argparse
from pathlib import Path

from tabular.errors import UserError, run_step


def parse_args() -> argparse.Namespace:
    """The arguments of this step."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--train", type=Path, required=True, help="training folder that prep wrote")
    parser.add_argument("--validation", type=Path, required=True, help="validation folder that prep wrote")
    parser.add_argument("--recipe", type=Path, required=True, help="recipe folder that prep wrote")
    parser.add_argument("--model", type=Path, required=True, help="output folder: an MLflow model")
    parser.add_argument("--project", type=Path, default=Path(__file__).parents[1] / "project.yml")
    parser.add_argument("--n-estimators", type=int, default=500, help="number of trees")
    parser.add_argument("--max-depth", type=int, default=10, help="0 for no limit")
    parser.add_argument("--max-features", default="sqrt", help="sqrt, log2, or a share from 0 to 1")
    parser.add_argument("--min-samples-leaf", type=int, default=4)
    parser.add_argument("--min-samples-split", type=int, default=5)
    parser.add_argument("--bootstrap", choices=("true", "false"), default="true")
    parser.add_argument("--class-weight", choices=("none", "balanced"), default="none", help="only for a classification")
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args()


def main() -> None:
    """Run the step."""
    args = parse_args()
    from tabular.project import load_project
    from tabular.tables import load_prepared

    project = load_project(args.project)
    for name, low in (("n_estimators", 1), ("max_depth", 0), ("min_samples_leaf", 1), ("min_samples_split", 2), ("threads", 1)):
        if getattr(args, name) < low:
            raise UserError(f"--{name.replace('_', '-')}: found {getattr(args, name)}; allowed: at least {low}")
    settings = {
        "n_estimators": args.n_estimators,
        "max_depth": args.max_depth or None,
        "max_features": _share(args.max_features),
        "min_samples_leaf": args.min_samples_leaf,
        "min_samples_split": args.min_samples_split,
        "bootstrap": args.bootstrap == "true",
    }
    if args.class_weight != "none":
        if project.contract.task == "regression":
            raise UserError("--class-weight: found balanced; allowed: none, since the task of project.yml is a regression")
        settings["class_weight"] = "balanced"
    from tabular.training import train_forest

    train_forest(project, settings, args.threads, load_prepared(args.recipe), args.train, args.validation, args.model)


def _share(text: str) -> str | float:
    if text in ("sqrt", "log2"):
        return text
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0 < share <= 1:
        raise UserError(f"--max-features: found {text!r}; allowed: sqrt, log2, or a share above 0 up to 1")
    return share


if __name__ == "__main__":
    run_step(main)
