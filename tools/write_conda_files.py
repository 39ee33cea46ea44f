"""Writes the conda files and the serving image's requirements of data-science/environment with the versions of requirements/run.txt.

python tools/write_conda_files.py [--check]
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
PYTHON = "3.12"
HEAD = "# Written by tools/lock.sh from requirements/run.txt: change pyproject.toml and run that instead.\n"
FILES = {
    "train-conda.yml": (
        "lockgate-train",
        ["catboost", "jinja2", "lightgbm", "matplotlib", "mlflow-skinny", "narwhals", "numpy", "onnx", "onnxruntime",
         "polars", "pyyaml", "scikit-learn", "xgboost-cpu"],
        ["azureml-mlflow==1.62.0.post6"],
    ),
    "batch-conda.yml": ("lockgate-batch", ["narwhals", "numpy", "onnxruntime", "polars"], ["azureml-core==1.62.0.post6", "azureml-dataset-runtime[fuse]==1.62.0"]),
}  # fmt: skip
SERVING = ("click", "flatbuffers", "h11", "httptools", "numpy", "onnxruntime", "packaging", "protobuf", "uvicorn", "uvloop")
"""All that is in the serving image, with what it needs itself."""


def locked() -> dict[str, str]:
    """Package → version for Python 3.12."""
    found: dict[str, str] = {}
    for line in (ROOT / "requirements" / "run.txt").read_text().splitlines():
        match = re.match(r"([a-z0-9._-]+)==(\S+)(?: ; (.*?))? \\?$", line)
        if match and "< '3.12'" not in (match[3] or ""):
            found[match[1]] = match[2]
    return found


def render(name: str, packages: list[str], azure: list[str], versions: dict[str, str]) -> str:
    """A conda file."""
    lines = [f"      - {package}=={versions[package]}" for package in packages] + [f"      - {pin}" for pin in azure]
    pips = "\n".join(sorted(lines))
    return f"{HEAD}name: {name}\nchannels: [conda-forge]\ndependencies:\n  - python={PYTHON}\n  - pip\n  - pip:\n{pips}\n"


def serving(versions: dict[str, str]) -> str:
    """The serving image's requirements."""
    return HEAD + "".join(f"{package}=={versions[package]}\n" for package in SERVING)


def main() -> None:
    """Write the files, or with --check say which differ and exit with 1."""
    versions = locked()
    differing = []
    texts = {file: render(name, packages, azure, versions) for file, (name, packages, azure) in FILES.items()}
    for file, text in {**texts, "serve/requirements.txt": serving(versions)}.items():
        path = ROOT / "data-science" / "environment" / file
        if "--check" in sys.argv:
            if not path.exists() or path.read_text() != text:
                differing.append(file)
        else:
            path.write_text(text)
    if differing:
        sys.exit(f"{', '.join(differing)}: not as tools/write_conda_files.py writes them; run tools/lock.sh")


if __name__ == "__main__":
    main()
