"""The whole way on the other Python versions that are on this machine, each in an environment of its own from the lock."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from long.test_whole_runs import copy_repository

pytestmark = pytest.mark.long
VERSIONS = ("3.11", "3.12", "3.13")


def find(version: str) -> Path | None:
    """An interpreter of a version that works."""
    names = [shutil.which(f"python{version}"), *map(str, Path.home().glob(f".pyenv/versions/{version}*/bin/python3"))]
    for name in filter(None, names):
        if subprocess.run([name, "-c", "import ensurepip"], capture_output=True, check=False).returncode == 0:
            return Path(name)
    return None


@pytest.mark.parametrize("version", VERSIONS)
def test_a_bare_copy_sets_itself_up_and_trains_on_python(version: str, tmp_path: Path) -> None:
    if sys.version_info[:2] == tuple(map(int, version.split("."))):
        pytest.skip(f"Python {version} is what all other tests run on")
    python = find(version)
    if python is None:
        pytest.skip(f"there is no Python {version} on this machine")
    folder = copy_repository(tmp_path)
    environment = {name: value for name, value in os.environ.items() if name not in ("VIRTUAL_ENV", "PYTHONPATH")}
    environment["LOCKGATE_PYTHON"] = str(python)
    try:
        done = subprocess.run(
            [str(folder / "run"), "up", "--train", "--plain", "--set", "inputs.search_seconds=6"],
            capture_output=True,
            text=True,
            check=False,
            timeout=900,
            env=environment,
        )
    finally:
        subprocess.run([str(folder / "run"), "down"], capture_output=True, check=False, timeout=100, env=environment)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert f"with Python {version}" in done.stderr
    assert "PASSED: the model is registered" in done.stdout
    assert 'scored   data-science/data/request.json → {"predictions": [' in done.stdout
