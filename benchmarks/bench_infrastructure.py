"""The infrastructure pipeline of all three environments on the desk, beside a Python process that reads the same Bicep with tree-sitter alone.

.venv/bin/python benchmarks/bench_infrastructure.py
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

ROOT = Path(__file__).parents[1]
ROUNDS = 3
PEER = (
    "import sys, pathlib, tree_sitter, tree_sitter_bicep\n"
    "p = tree_sitter.Parser(tree_sitter.Language(tree_sitter_bicep.language()))\n"
    "for f in sorted(pathlib.Path(sys.argv[1]).rglob('*.bicep')): p.parse(f.read_bytes())\n"
)


def seconds(command: list[str], folder: Path) -> float:
    begin = time.perf_counter()
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return time.perf_counter() - begin


def main() -> None:
    whole, peer = [], []
    for _ in range(ROUNDS):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name) / "clone"
            subprocess.run(["git", "clone", "-q", str(ROOT), str(folder)], check=True)
            lockgate = [sys.executable, "-m", "lockgate"]
            for environment in ("dev", "stage", "prod"):
                subprocess.run(
                    [*lockgate, "az", "group", "create", "-n", f"rg-lockgate-{environment}", "-l", "westeurope"],
                    cwd=folder,
                    check=True,
                    capture_output=True,
                )
            pipeline = "infrastructure/pipelines/bicep-ado-deploy-infra.yml"
            run = [*lockgate, "run", pipeline, "--plain", "--yes", "--branch", "refs/heads/main", "-p"]
            whole.append(sum(seconds([*run, f"environment={environment}"], folder) for environment in ("dev", "stage", "prod")))
            peer.append(seconds([sys.executable, "-c", PEER, str(folder / "infrastructure")], folder))
    print(
        f"all three environments, one after the other: {median(whole):.1f} s (asked: under 10 s; rounds: {', '.join(f'{one:.1f}' for one in whole)})"
    )
    print(f"beside it, tree-sitter alone parsing the same files: {median(peer) * 1000:.0f} ms, Python's start included")


if __name__ == "__main__":
    main()
