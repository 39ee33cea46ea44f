"""`lockgate ui`: MLflow's own pages, on the store that all jobs write to."""

from __future__ import annotations

import argparse
from pathlib import Path

from lockgate.commands._shared import find_root
from lockgate.errors import UsageError


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--port", type=int, default=5000, help="of 127.0.0.1 (default: 5000)")
    parser.add_argument("--root", type=Path, help="folder that holds .lockgate")


def run(args: argparse.Namespace) -> int:
    """Serve until Ctrl-C."""
    import importlib.metadata
    import subprocess
    import sys

    from lockgate.execution.isolation import Packages, python_of
    from lockgate.tracking import journal, service
    from lockgate.tracking.versions import DATABASE
    from lockgate.workspace.store import Store

    if not 1 <= args.port <= 65535:
        raise UsageError(f"--port {args.port}: allowed: 1 to 65535")
    root = args.root or find_root(Path.cwd())
    store = Store(root)
    folder = store.mlflow_folder
    if not (folder / DATABASE).exists() and not journal.words(folder):
        raise UsageError(f"ui: there is no MLflow store below {root} yet; run a job first")
    python = Path(sys.executable)
    if not any(importlib.metadata.distributions(name="mlflow")):
        # mlflow-skinny, which jobs use, has no pages: MLflow as a whole, of the same version, in an environment of its own.
        version = importlib.metadata.version("mlflow-skinny")
        print(f"the pages come with all of MLflow {version} (some 600 MB)", file=sys.stderr)
        python = python_of(root, Packages("", (f"mlflow=={version}",)), lambda text: print(text, file=sys.stderr))
    service.settle(folder)
    print(f"MLflow of {root}: http://127.0.0.1:{args.port}  (Ctrl-C ends it)", flush=True)
    command = [str(python), "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(args.port)]
    command += [
        "--backend-store-uri",
        f"sqlite:///{folder / DATABASE}",
        "--default-artifact-root",
        store.mlflow_artifacts.as_uri(),
        "--workers",
        "1",
    ]
    process = subprocess.Popen(command)
    try:
        return process.wait()
    except KeyboardInterrupt:
        process.wait()
        return 0
