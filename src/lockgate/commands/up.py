"""`lockgate up`."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from lockgate.commands._shared import at_least_one, find_root
from lockgate.errors import UsageError


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", dest="overrides", help="change a value of the job; repeatable"
    )
    parser.add_argument(
        "--jobs", type=int, default=os.cpu_count() or 1, metavar="N", help="nodes at once (default: the cores of this machine)"
    )
    parser.add_argument(
        "--endpoints", action="store_true", help="bring back the endpoints that were there, after `down` or a restart, and nothing else"
    )
    parser.add_argument("--plain", action="store_true", help="lines instead of a live tree")


def run(args: argparse.Namespace) -> int:
    """Train, and show what came of it."""
    from lockgate.interrupts import Interrupts
    from lockgate.up import TRAINING, up

    if args.endpoints:
        return _endpoints()
    interrupts = Interrupts()
    root = next((f for f in (Path.cwd(), *Path.cwd().parents) if (f / TRAINING).exists()), None)
    if root is None:
        raise UsageError(f"up: found no {TRAINING} here or above; go into a Lockgate repository")
    return up(root, args.overrides, parallel=at_least_one(args.jobs), plain=args.plain, interrupts=interrupts)


def _endpoints() -> int:
    """Start every online endpoint that is there."""
    from lockgate.serving.endpoint_process import ensure
    from lockgate.workspace import endpoints
    from lockgate.workspace.cloud import all_stores

    found = [(store, one.name) for store in all_stores(find_root(Path.cwd())) for one in endpoints.all_endpoints(store, "online")]
    for store, name in found:
        ensure(store, name)
        now = endpoints.find_endpoint(store, "online", name)
        print(f"endpoint {name} of workspace {store.workspace}: http://127.0.0.1:{now.port}/score")
    if not found:
        print("there is no endpoint")
    return 0
