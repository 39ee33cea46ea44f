"""`lockgate status`: the lanes of the delivery as they stand: models, deployments, traffic, last runs, waiting approvals."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lockgate.commands._shared import find_root

if TYPE_CHECKING:
    from lockgate.agent.runs import Runs


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--root", type=Path, help="folder that holds .lockgate")
    parser.add_argument("--json", action="store_true", help="print it as JSON")


def run(args: argparse.Namespace) -> int:
    """Show how the delivery stands."""
    import json

    from lockgate import delivery
    from lockgate.agent.runs import Runs

    root = args.root or find_root(Path.cwd())
    runs = Runs(root)
    lanes: list[dict[str, Any]] = []
    for place in delivery.places(root):
        pipelines: dict[str, dict[str, Any]] = {}
        for folder in runs.all():
            name = str(folder.record.get("pipeline", ""))
            if name == "bicep-ado-deploy-infra":
                name = f"{(folder.record.get('parameters') or {}).get('environment', 'dev')}-infrastructure"
            belongs = {"dev": "dev", "stage": "stage", "prod": "prod", "rollback": "prod", "retire": "prod"}.get(name.partition("-")[0])
            if belongs == place.name:
                result = "running" if folder.is_held() else str(folder.record.get("result") or "broken off")
                pipelines[name] = {
                    "pipeline": name, "run": folder.id, "result": result, "seconds": f"{folder.record.get('seconds') or 0:.1f}",
                    "commit": str(folder.record.get("commit") or folder.record.get("sourceVersion") or "")[:8],
                }  # fmt: skip
        lanes.append(
            {
                "environment": place.name,
                "workspace": place["workspace"],
                "registry": place["registry"],
                "model": delivery.newest(root, place),
                "champion": delivery.champion(root, place["registry"]) if place.name == "prod" else "",
                "runs": list(pipelines.values()),
                "deployments": delivery.deployments(root, place),
            }
        )
    waiting = _waiting(runs)
    if args.json:
        print(json.dumps({"lanes": lanes, "waiting": waiting}, indent=1))
        return 0
    for lane in lanes:
        champion = f"   champion {lane['champion']}" if lane["champion"] else ""
        print(
            f"{lane['environment'].upper():<6} {lane['model'] or 'no model yet'}{champion}   workspace {lane['workspace']}, registry {lane['registry']}"
        )
        if lane["runs"]:
            print(delivery.table(lane["runs"], ("pipeline", "run", "result", "seconds", "commit"), "       "))
        if lane["deployments"]:
            print(delivery.table(lane["deployments"], ("endpoint", "deployment", "model", "traffic", "state", "uri"), "       "))
        print()
    for text in waiting:
        print(text)
    if not lanes:
        print("there is no delivery here: infrastructure/env-variables has no config-infra-dev.yml")
    return 0


def _waiting(runs: Runs) -> list[str]:
    from lockgate.agent.approvals import waiting

    held = [folder for folder in runs.all() if folder.is_held() and waiting(folder)]
    return [f"run {folder.id} ({folder.record.get('pipeline')}) waits for an approval: lockgate approve {folder.id}" for folder in held]
