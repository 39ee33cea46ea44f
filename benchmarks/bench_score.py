"""`score.run` on one row, recipe included, for the registered winner, beside MLflow's pyfunc on the same package.

    .venv/bin/python benchmarks/bench_score.py [--repeat 3000]

Takes the newest model of workspace dev (./run makes one). Asked: median under 0.5 ms.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys

from measure import ROOT, machine

OURS = """
import json, sys, time
import score
score.init()
row = json.load(open(sys.argv[1]))["input_data"][0]
body = json.dumps({"input_data": [row]})
times = []
for _ in range(int(sys.argv[2])):
    begun = time.perf_counter()
    score.run(body)
    times.append(time.perf_counter() - begun)
times.sort()
print(json.dumps([times[len(times) // 2], times[len(times) * 99 // 100]]))
"""
PEER = """
import json, sys, time, os
import mlflow.pyfunc, pandas as pd
model = mlflow.pyfunc.load_model(os.environ["AZUREML_MODEL_DIR"])
row = json.load(open(sys.argv[1]))["input_data"][0]
body = json.dumps({"input_data": [row]})
times = []
for _ in range(max(50, int(sys.argv[2]) // 20)):
    begun = time.perf_counter()
    model.predict(pd.DataFrame(json.loads(body)["input_data"]))
    times.append(time.perf_counter() - begun)
times.sort()
print(json.dumps([times[len(times) // 2], times[len(times) * 99 // 100]]))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeat", type=int, default=3000)
    repeat = parser.parse_args().repeat
    versions = sorted((ROOT / ".lockgate/workspaces/dev/models").glob("*/*"), key=lambda p: p.stat().st_mtime)
    if not versions:
        raise SystemExit("no registered model; ./run makes one")
    facts = json.loads((versions[-1] / "native" / "native.json").read_text())
    print(f"one row, winner {versions[-1].parent.name}:{versions[-1].name} ({facts['family']}, {facts['trees']} trees); {machine()}")
    for name, code in (("score.run", OURS), ("MLflow pyfunc", PEER)):
        done = subprocess.run(
            [sys.executable, "-c", code, str(ROOT / "data-science/data/request.json"), str(repeat)],
            cwd=ROOT / "data-science" / "src",
            env={**os.environ, "AZUREML_MODEL_DIR": str(versions[-1])},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise SystemExit(done.stderr)
        median, high = json.loads(done.stdout.splitlines()[-1])
        print(
            f"  {name:<14} median {median * 1000:7.3f} ms   99 % below {high * 1000:7.3f} ms"
            + ("   (asked: median under 0.5 ms)" if code is OURS else "")
        )


if __name__ == "__main__":
    main()
