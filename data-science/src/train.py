"""Step train: AutoML. Our own search by default; `--engine azure` submits the same search to Azure Machine Learning."""

from __future__ import annotations

import argparse
import dataclasses
import time
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from tabular.errors import UserError, run_step

if TYPE_CHECKING:
    from tabular.contract import Contract
    from tabular.project import Family, Search


def parse_args() -> argparse.Namespace:
    """The arguments of this step."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--train", type=Path, required=True, help="training folder that prep wrote")
    parser.add_argument("--validation", type=Path, required=True, help="validation folder that prep wrote")
    parser.add_argument("--recipe", type=Path, help="recipe folder that prep wrote; default: the contract beside the training rows")
    parser.add_argument("--model", type=Path, required=True, help="output folder: an MLflow model")
    parser.add_argument("--project", type=Path, default=Path(__file__).parents[1] / "project.yml")
    parser.add_argument("--seconds", type=float, help="wall-clock budget; default: search.seconds of project.yml")
    node = parser.add_argument_group("what an Azure ML node of type automl asks for; default: project.yml")
    node.add_argument("--task", choices=("regression", "classification"), help="must be the project's")
    node.add_argument("--target", help="must be the project's")
    node.add_argument("--metric", help="what is optimised")
    node.add_argument("--families", help="model families, with commas between")
    node.add_argument("--without", help="model families that are not tried, with commas between")
    node.add_argument("--trials", type=int, help="no more than these")
    node.add_argument("--budget-trials", type=int, help="so many members, however long they take: the result is the same each time")
    node.add_argument("--trial-seconds", type=float, help="the longest a trial may take")
    node.add_argument("--exit-score", type=float, help="the search ends when the metric is this good")
    node.add_argument("--patience", type=int, help="the search ends after so many trials without a better model")
    node.add_argument("--threads", type=int, help="per model")
    parser.add_argument("--engine", choices=("own", "azure"), default="own")
    azure = parser.add_argument_group("only for --engine azure")
    azure.add_argument("--subscription", help="default: AZURE_SUBSCRIPTION_ID")
    azure.add_argument("--resource-group", help="of the workspace")
    azure.add_argument("--workspace", help="name of the Azure Machine Learning workspace")
    azure.add_argument("--compute", default="cpu-cluster")
    return parser.parse_args()


def check_numbers(args: argparse.Namespace) -> None:
    """Raise a UserError for a number that is out of range."""
    for name, least, most in (
        ("seconds", 1, 86_400),
        ("trial_seconds", 1, 86_400),
        ("trials", 1, 100_000),
        ("budget_trials", 1, 10_000),
        ("patience", 1, 100_000),
        ("threads", 1, 1024),
    ):
        given = getattr(args, name)
        if given is not None and not least <= given <= most:
            raise UserError(f"--{name.replace('_', '-')}: found {given:g}; allowed: {least} to {most}")


def search_options(args: argparse.Namespace, search: Search, contract: Contract) -> Search:
    """The search of project.yml with what the command line asks for.

    Raises:
        UserError: it asks for what this project or its search has not got.
    """
    from tabular.project import METRICS

    for name, own in (("task", contract.task), ("target", contract.target)):
        given = getattr(args, name)
        if given not in (None, own):
            raise UserError(
                f"--{name}: found {given!r}; the training rows were prepared for {own!r}: change project.yml, and prepare them again"
            )
    metrics = METRICS[contract.task]
    if args.metric is not None and args.metric not in metrics:
        raise UserError(f"--metric: found {args.metric!r}; allowed for a {contract.task}: {', '.join(metrics)}")
    families = _families(args, search)
    given = {
        name: getattr(args, name)
        for name in ("metric", "seconds", "trials", "budget_trials", "trial_seconds", "exit_score", "patience", "threads")
    }
    return dataclasses.replace(search, families=families, **{name: value for name, value in given.items() if value is not None})


def _families(args: argparse.Namespace, search: Search) -> tuple[Family, ...]:
    from tabular.project import Family

    known = get_args(Family)
    chosen = tuple(args.families.split(",")) if args.families else search.families
    without = args.without.split(",") if args.without else []
    for name in (*chosen, *without):
        if name not in known:
            raise UserError(f"family {name!r}: allowed: {', '.join(known)}")
    left = tuple(name for name in chosen if name not in without)
    if not left:
        raise UserError(f"--without {args.without}: leaves no family of {', '.join(chosen)}")
    return left


def main() -> None:
    """Run the step."""
    begun = time.monotonic()
    args = parse_args()
    from tabular.project import load_project
    from tabular.tables import load_contract

    project = load_project(args.project)
    check_numbers(args)
    contract = load_contract(args.recipe or args.train)
    options = search_options(args, project.search, contract)
    if args.engine == "azure":
        from tabular.azure_automl import Place, train_on_azure

        place = Place(args.subscription, args.resource_group, args.workspace, args.compute)
        train_on_azure(contract, options, place, args.train, args.validation, args.model)
        return
    from tabular.training import train_automl

    train_automl(project, options, contract, args.train, args.validation, args.model, begun)


if __name__ == "__main__":
    run_step(main)
