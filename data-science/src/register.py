"""Step register: packages the winner, proves it, and registers it through MLflow if decision.json says so."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from tabular.errors import UserError, run_step


def parse_args() -> argparse.Namespace:
    """The arguments of this step."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--candidate", nargs=2, metavar=("NAME", "FOLDER"), action="append", required=True, help="model folder; once per candidate"
    )
    parser.add_argument("--evaluation", type=Path, required=True, help="output folder of evaluate")
    parser.add_argument("--test", type=Path, required=True, help="test folder that prep wrote")
    parser.add_argument("--recipe", type=Path, required=True, help="recipe folder that prep wrote")
    parser.add_argument("--package", type=Path, required=True, help="output folder: the served model")
    parser.add_argument("--registration", type=Path, required=True, help="output folder: model_info.json")
    parser.add_argument("--model-name", help="name in the registry; default: name of project.yml")
    parser.add_argument("--data-version", default="local", help="name:version of the data asset, for the lineage")
    parser.add_argument("--commit", default="local", help="git commit of the code, for the lineage; local asks git")
    parser.add_argument("--project", type=Path, default=Path(__file__).parents[1] / "project.yml")
    return parser.parse_args()


def main() -> None:
    """Run the step."""
    args = parse_args()
    from tabular.project import load_project
    from tabular.tracking import Tracking

    project = load_project(args.project)
    decision = json.loads((args.evaluation / "decision.json").read_text())
    metrics = json.loads((args.evaluation / "metrics.json").read_text())
    folders = {name: Path(folder) for name, folder in args.candidate}
    winner = decision["winner"]
    if winner not in folders:
        raise UserError(f"--candidate: decision.json names {winner!r}; given were {', '.join(folders)}")
    name = args.model_name or project.name
    judged = metrics["candidates"][winner]
    args.registration.mkdir(parents=True, exist_ok=True)
    info_path: Path = args.registration / "model_info.json"
    with Tracking(project.name, need=decision["passed"]) as tracking:
        from tabular.lineage import commit, versions
        from tabular.package import build_package
        from tabular.tables import load_prepared

        prepared = load_prepared(args.recipe)
        lineage = {
            "commit": commit(args.commit, Path(__file__).parent),
            "data": args.data_version,
            "data_sha256": prepared.recipe.fitted_sha256,
            "environment": ", ".join(f"{package} {version}" for package, version in versions().items()),
        }
        reasons = [check["sentence"] for check in decision["checks"] if not check["passed"]]
        info = {"registered": False, "name": name, "version": None, "winner": winner, "reasons": reasons}
        if not judged["servable"]:
            # Nothing can be packaged; the gate has refused it for this very reason.
            print(f"{winner} is kept in its run, but can't be packaged: {judged['reason']}")
        else:
            target: Path = args.package
            packaged = build_package(target, folders[winner], winner, prepared, args.recipe, args.test, args.evaluation, project, lineage)
            print(
                f"package and native model agree on {packaged.rows:,} raw test rows "
                f"(largest difference {packaged.difference:.1e}); manifest {packaged.manifest_sha256[:12]}"
            )
            info["manifest_sha256"] = packaged.manifest_sha256
        if decision["passed"]:
            tags = {
                **lineage,
                "manifest_sha256": packaged.manifest_sha256,
                "family": judged["family"],
                "candidate": winner,
                "parameters": (target / "native" / "settings.json").read_text(),
                **{metric: f"{figure['value']:.6g}" for metric, figure in judged["metrics"].items() if figure["value"] is not None},
            }
            tags = {label: value[:480] for label, value in tags.items()}
            made = tracking.register(target, name, tags=tags, description=decision["summary"])
            info |= {"registered": True, "version": made["version"], "run_id": made["run_id"], "tags": tags}
            print(f"registered {name} version {made['version']}")
        else:
            print(f"not registered: {'; '.join(reasons)}")
        info_path.write_text(json.dumps(info, indent=1) + "\n")
        tracking.log(files=[info_path], tags={"registered": str(info["registered"]).lower()})


if __name__ == "__main__":
    run_step(main)
