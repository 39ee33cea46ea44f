"""The layers of the design hold, and a command that does little imports little."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_layers_hold():
    done = subprocess.run(
        [Path(sys.executable).parent / "lint-imports", "--no-cache"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": "data-science/src"},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Layers of the desk: Azure ML KEPT" in done.stdout
    assert "Layers of the desk: Azure Pipelines KEPT" in done.stdout


def imported_by(code, *names):
    watched = [*names]
    done = subprocess.run(
        [sys.executable, "-c", f"import json, sys\n{code}\nprint(json.dumps([n for n in {watched!r} if n in sys.modules]))"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return json.loads(done.stdout)


def test_the_command_line_imports_nothing_heavy():
    assert imported_by("import lockgate.cli", "argparse", "mlflow", "pandas", "rich", "yaml", "sqlite3", "numpy") == ["argparse"]


def test_checking_a_file_imports_yaml_alone():
    found = imported_by("from lockgate.execution.job_file import load_job", "yaml", "mlflow", "pandas", "rich", "sqlalchemy", "numpy")
    assert found == ["yaml"]
