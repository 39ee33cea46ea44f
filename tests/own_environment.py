"""Tools that would quarrel with the project's own packages, each in an environment of its own below `.tools`, made once from its lock."""

from __future__ import annotations

import fcntl
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PATIENCE = 600.0
"""Seconds after which an install that should end never will."""


def binaries(name: str) -> Path:
    """The folder of the programs of `requirements/NAME.txt`; skips the test, with the reason, where they can't be installed."""
    lock, folder = ROOT / "requirements" / f"{name}.txt", ROOT / ".tools" / name
    stamp, wanted = folder / ".lock", lock.read_text(encoding="utf-8")
    folder.parent.mkdir(exist_ok=True)
    # Tests of several processes may want it at once.
    with (folder.parent / f"{name}.making").open("w") as making:
        fcntl.flock(making, fcntl.LOCK_EX)
        if not (stamp.exists() and stamp.read_text(encoding="utf-8") == wanted):
            script = """
                set -euo pipefail
                . tools/setup.sh
                uv=$(find_uv "$1")
                "$uv" venv --quiet --clear --python "$1" "$2"
                "$uv" pip install --quiet --python "$2/bin/python" --require-hashes --requirement "$3"
            """
            words = ["bash", "-c", script, "bash", sys.executable, str(folder), str(lock)]
            done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE, check=False)
            if done.returncode:
                pytest.skip(f"{name} can't be installed here: {' '.join(done.stderr.strip().splitlines()[-1:])}")
            stamp.write_text(wanted, encoding="utf-8")
    return folder / "bin"
