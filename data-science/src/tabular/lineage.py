"""Where a model comes from: the commit, the versions of what made it, the job."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path

_PACKAGES = ("numpy", "polars", "narwhals", "lightgbm", "catboost", "xgboost-cpu", "scikit-learn", "onnx", "onnxruntime")


def commit(folder: Path) -> str:
    """The git commit of the code; from `LOCKGATE_COMMIT` or `BUILD_SOURCEVERSION` where the code has no repository.

    Azure Machine Learning uploads `code:` without `.git`, so a pipeline hands the commit in.
    """
    for name in ("LOCKGATE_COMMIT", "BUILD_SOURCEVERSION"):
        if os.environ.get(name):
            return os.environ[name]
    try:
        run = ["git", "-C", str(folder), "describe", "--always", "--abbrev=40", "--dirty", "--exclude=*"]
        found = subprocess.run(run, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    return found.stdout.strip() or "unknown"


def versions() -> dict[str, str]:
    """Python and the packages that a model's figures depend on."""
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
