"""Where a model comes from: the commit, and the versions of what made it."""

from __future__ import annotations

import importlib.metadata
import platform
import subprocess
from pathlib import Path

_PACKAGES = ("numpy", "polars", "narwhals", "lightgbm", "catboost", "xgboost-cpu", "scikit-learn", "onnx", "onnxruntime")


def commit(given: str, folder: Path) -> str:
    """The git commit of the code.

    Args:
        given: what the caller says; "local" asks git, since Azure Machine Learning uploads code without its repository.
        folder: inside the repository.

    Returns:
        The full hash, with "-dirty" for uncommitted changes; "unknown" where git can't tell.
    """
    if given != "local":
        return given
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
