"""`lockgate down`: ends everything that goes on after a command: runs, jobs, endpoints."""

from __future__ import annotations

import argparse
from pathlib import Path

from lockgate.commands._shared import find_root


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--root", type=Path, help="folder that holds .lockgate")


def run(args: argparse.Namespace) -> int:
    """End all, and say what was ended."""
    from lockgate.agent.runs import Runs
    from lockgate.state import STATE_FOLDER
    from lockgate.tracking import service
    from lockgate.workspace import endpoints, jobs
    from lockgate.workspace.cloud import all_stores

    root = args.root or find_root(Path.cwd())
    ended = [f"run {run.id}" for run in Runs(root).all() if run.stop()]
    for store in all_stores(root):
        ended += [f"job {name}" for name in jobs.cancel_all(store)]
        ended += [
            f"endpoint {one.name} of workspace {store.workspace}"
            for one in endpoints.all_endpoints(store, "online")
            if endpoints.stop(store, one.name)
        ]
    # The last: what ends before it may have something to log.
    if service.stop(root / STATE_FOLDER / "mlflow"):
        ended.append("the tracking server")
    print("\n".join(f"ended {what}" for what in ended) or "nothing was running")
    if any(what.startswith("endpoint") for what in ended):
        print("lockgate up --endpoints brings the endpoints back")
    return 0
