"""Step evaluate: judges every candidate and the champion on the same test rows, decides, and writes the report."""

from __future__ import annotations

import argparse
from pathlib import Path

from tabular.errors import run_step


def parse_args() -> argparse.Namespace:
    """The arguments of this step."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--candidate", type=Path, required=True, action="append", help="folder of predict; once per candidate")
    parser.add_argument("--test", type=Path, required=True, help="test folder of prep, or output of stageprep")
    parser.add_argument("--recipe", type=Path, required=True, help="recipe folder of prep or stageprep")
    parser.add_argument("--champion", type=Path, help="package of the model in production; leave out on the first run")
    parser.add_argument("--evaluation", type=Path, required=True, help="output folder: metrics, decision, report, plots")
    parser.add_argument("--commit", default="local", help="git commit of the code, for the lineage; local asks git")
    parser.add_argument("--project", type=Path, default=Path(__file__).parents[1] / "project.yml")
    return parser.parse_args()


def main() -> None:
    """Run the step."""
    args = parse_args()
    from tabular.project import load_project
    from tabular.tracking import Tracking

    project = load_project(args.project)
    with Tracking(project.name) as tracking:
        from tabular.documents import write_json
        from tabular.evaluation import draw, evaluate, metrics_document
        from tabular.lineage import commit, versions
        from tabular.report import load_prep, render
        from tabular.tables import load_prepared

        output: Path = args.evaluation
        output.mkdir(parents=True, exist_ok=True)
        contract = load_prepared(args.recipe).contract
        evaluation = evaluate(project, contract, args.candidate, args.test, args.recipe, args.champion)
        prep = load_prep(args.recipe)
        lineage = {"commit": commit(args.commit, Path(__file__).parent), "data sha256": prep.get("sha256", "unknown")}
        lineage["environment"] = ", ".join(f"{name} {version}" for name, version in versions().items())
        plots = draw(evaluation, output)
        write_json(metrics_document(evaluation), output / "metrics.json")
        write_json(evaluation.decision.to_dict(), output / "decision.json")
        (output / "report.html").write_text(render(evaluation, plots, prep, lineage))
        winner = evaluation.winner
        tracking.log(
            parameters={"winner": winner.name, "family": winner.judged.family},
            metrics={name: figure.value for name, figure in winner.metrics.items()},
            tags={"verdict": "passed" if evaluation.decision.passed else "refused"},
            files=[output / "report.html", output / "metrics.json", output / "decision.json"],
        )
        for check in evaluation.decision.checks:
            print(f"{'✔ passed' if check.passed else '✘ FAILED'}  {check.name:<10}  {check.sentence}")
        print(f"{'PASSED' if evaluation.decision.passed else 'REFUSED'}: {evaluation.decision.summary}")


if __name__ == "__main__":
    run_step(main)
