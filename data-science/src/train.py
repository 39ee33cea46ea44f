"""Step train: AutoML. Our own search by default; `--engine azure` submits the same search to Azure Machine Learning."""

from __future__ import annotations

import argparse
import dataclasses
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
    parser.add_argument("--seconds", type=float, help="wall-clock budget; default: search.seconds of project.yml")
    parser.add_argument("--engine", choices=("own", "azure"), default="own")
    azure = parser.add_argument_group("only for --engine azure")
    azure.add_argument("--subscription", help="default: AZURE_SUBSCRIPTION_ID")
    azure.add_argument("--resource-group", help="of the workspace")
    azure.add_argument("--workspace", help="name of the Azure Machine Learning workspace")
    azure.add_argument("--compute", default="cpu-cluster")
    return parser.parse_args()


def main() -> None:
    """Run the step."""
    args = parse_args()
    from tabular.project import load_project
    from tabular.tables import load_prepared

    project = load_project(args.project)
    options = project.search
    if args.seconds is not None:
        if not 1 <= args.seconds <= 86_400:
            raise UserError(f"--seconds: found {args.seconds:g}; allowed: 1 to 86400")
        options = dataclasses.replace(options, seconds=args.seconds)
    prepared = load_prepared(args.recipe)
    if args.engine == "azure":
        from tabular.azure_automl import Place, train_on_azure

        place = Place(args.subscription, args.resource_group, args.workspace, args.compute)
        train_on_azure(prepared.contract, options, place, args.train, args.validation, args.model)
        return
    from tabular.training import train_automl

    train_automl(project, options, prepared, args.train, args.validation, args.model)


if __name__ == "__main__":
    run_step(main)
