"""The desk's `az` with 1,000 assets and 200 jobs.

    .venv/bin/python benchmarks/bench_az.py [--runs 11]

Asked: a metadata command under 150 ms from start to end; `az ml model list` of a workspace with 1,000 assets and 200 jobs under 200 ms.
Peer in the same run: a Python process that reads one JSON file with the same list and prints it.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from measure import Cost, machine, run

from lockgate.workspace import assets, jobs
from lockgate.workspace.cloud import Cloud

ASSETS, JOBS = 1_000, 200
COMMANDS = {
    "az version": "version",
    "az account show": "account show",
    "az ml workspace show": "ml workspace show -n dev -g rg",
    "az ml model show": "ml model show -n model-7 -v 1 -g rg -w dev",
    "az ml model list": "ml model list -g rg -w dev",
    "az ml job list": "ml job list -g rg -w dev",
}


def write_workspace(folder: Path) -> None:
    """A workspace with 1,000 models of one version each and 200 jobs that have ended."""
    cloud = Cloud(folder)
    cloud.create_group("rg", "westeurope", {})
    store = cloud.store(cloud.create_place("workspace", "dev", "rg", {}))
    for number in range(ASSETS):
        where = f"https://example.org/models/{number}"
        assets.create(store, "model", f"model-{number}", type="mlflow_model", path=where, tags={"stage": "none"}, description="A model.")
    for number in range(JOBS):
        name = f"job{number}"
        jobs.create_job(store, name, f"Job {number}", "trials", "job.yml")
        jobs.end_job(store, name, "Completed", None)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=11)
    runs = parser.parse_args().runs
    print(f"{ASSETS:,} models, {JOBS} jobs; medians of {runs}; {machine()}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / ".lockgate").mkdir()
        write_workspace(folder)
        os.environ["LOCKGATE_ROOT"] = name
        az = [sys.executable, "-m", "lockgate.az"]
        listed = subprocess.run([*az, *COMMANDS["az ml model list"].split()], capture_output=True, text=True, check=True).stdout
        if len(json.loads(listed)) != ASSETS:
            raise SystemExit(f"az ml model list shows {len(json.loads(listed))} models instead of {ASSETS}")
        plain = folder / "models.json"
        plain.write_text(listed)
        peer = [sys.executable, "-c", "import json, sys; print(json.dumps(json.load(open(sys.argv[1])), indent=2))", str(plain)]
        found: dict[str, list[Cost]] = {title: [] for title in (*COMMANDS, "Python, json")}
        for _ in range(runs):
            for title, words in COMMANDS.items():
                found[title].append(run([*az, *words.split()]))
            found["Python, json"].append(run(peer))
    base = statistics.median(cost.seconds for cost in found["Python, json"])
    for title, costs in found.items():
        seconds = statistics.median(cost.seconds for cost in costs)
        asked = "" if title == "Python, json" else f"   (asked: {200 if title == 'az ml model list' else 150} ms)"
        print(
            f"  {title:<22} {seconds * 1000:5.0f} ms  {max(cost.megabytes for cost in costs):4.0f} MB  {seconds / base:4.1f} times the peer{asked}"
        )


if __name__ == "__main__":
    main()
