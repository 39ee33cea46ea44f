"""What each step of the training imports, and how long that takes: `python -X importtime` on the steps as a job runs them.

    .venv/bin/python benchmarks/bench_imports.py JOB-FOLDER

JOB-FOLDER is a training job's below .lockgate/workspaces/…/jobs, as `./run up --train` makes one. Writes benchmarks/imports.md.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from measure import ROOT, machine

from lockgate.tracking import service

TABLE = ROOT / "benchmarks/imports.md"
SOURCE = ROOT / "data-science/src"
LIBRARIES = (
    "polars", "numpy", "scipy", "sklearn", "pandas", "lightgbm", "catboost", "xgboost", "onnx", "onnxruntime", "matplotlib", "jinja2", "yaml",
    "http", "mlflow", "sqlalchemy",
)  # fmt: skip
_LINE = re.compile(r"import time: +(\d+) \| +(\d+) \| ( *)(\S+)")


def own_times(text: str) -> tuple[dict[str, float], float]:
    """Milliseconds that each library's own modules took, with the rest under `other`; and all together."""
    found: dict[str, float] = dict.fromkeys([*LIBRARIES, "tabular", "other"], 0.0)
    for own, _, _, name in _LINE.findall(text):
        top = name.split(".")[0].lstrip("_")
        found[top if top in found else "other"] += int(own) / 1000
    return found, sum(found.values())


def steps(job: Path, out: Path) -> dict[str, list[object]]:
    """Each step with its arguments."""
    made = {name: job / name / "outputs" for name in ("prep", "train", "train2", "predict_automl", "predict_forest", "evaluate")}
    prep = made["prep"]
    project = ["--project", ROOT / "data-science/project.yml"]
    common = ["--train", prep / "train", "--validation", prep / "validation", "--recipe", prep / "recipe", *project]
    judged = ["--test", prep / "test", "--recipe", prep / "recipe", *project]
    both = [word for name in ("automl", "forest") for word in ("--candidate", made[f"predict_{name}"] / "predictions")]
    folders = [word for name, at in (("automl", "train"), ("forest", "train2")) for word in ("--candidate", name, made[at] / "model")]
    sides = [word for side in ("train", "validation", "test", "recipe") for word in (f"--{side}", out / side)]
    return {
        "prep.py": ["--raw", ROOT / "data-science/data/data.csv", "--features", SOURCE / "features.py", *sides, *project],
        "train.py": [*common, "--model", out / "train", "--seconds", "5"],
        "train2.py": [*common, "--model", out / "train2", "--n-estimators", "20"],
        "predict.py, AutoML": ["--model", made["train"] / "model", "--name", "automl", *judged, "--predictions", out / "a"],
        "predict.py, forest": ["--model", made["train2"] / "model", "--name", "forest", *judged, "--predictions", out / "f"],
        "evaluate.py": [*both, *judged, "--evaluation", out / "evaluation"],
        "register.py": [
            *folders,
            "--evaluation",
            made["evaluate"] / "evaluation",
            *judged,
            "--package",
            out / "p",
            "--registration",
            out / "r",
        ],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("job", type=Path)
    job = parser.parse_args().job.resolve()
    rows = {}
    with tempfile.TemporaryDirectory() as name:
        out = Path(name)
        store = {"MLFLOW_TRACKING_URI": service.settle(out / "mlflow"), "PYTHONDONTWRITEBYTECODE": ""}
        for step, words in steps(job, out).items():
            command = [sys.executable, "-X", "importtime", SOURCE / step.split(",")[0], *words]
            kept = {key: text for key, text in os.environ.items() if not key.startswith("MLFLOW_")}
            done = subprocess.run(
                [str(word) for word in command], capture_output=True, text=True, check=False, env={**kept, **store}, cwd=out
            )
            if done.returncode and not step.startswith("register"):
                sys.exit(f"{step}: {done.stderr[-2000:]}")
            rows[step] = own_times(done.stderr)
        service.stop(out / "mlflow")
    used = [library for library in (*LIBRARIES, "tabular", "other") if any(found[library] >= 1 for found, _ in rows.values())]
    lines = [
        "# What the steps import", "",
        f"`benchmarks/bench_imports.py`, milliseconds of each library's own modules by `python -X importtime`, which adds some; {machine()}.",
        "A step's process on its own, nothing beside it. `other` is mostly the standard library.", "",
        "| step | " + " | ".join(used) + " | all |", "|---|" + "---:|" * (len(used) + 1),
    ]  # fmt: skip
    for step, (found, every) in rows.items():
        lines.append(f"| {step} | " + " | ".join(f"{found[name]:.0f}" if found[name] >= 1 else "" for name in used) + f" | {every:.0f} |")
    text = "\n".join(lines) + "\n"
    TABLE.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
