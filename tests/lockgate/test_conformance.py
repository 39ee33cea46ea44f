"""Jobs in the shape of Azure's published examples, written for these tests: what the desk runs makes what is right, the rest is refused by name.

A folder of tests/cases/azureml/conformance holds a job with all it needs, and

    expected/NODE/log.txt          what the node prints
    expected/NODE/outputs/OUTPUT   what it leaves: a file, or a folder with every file of it
    datastore/                     what the job puts into workspaceblobstore; JOB stands for the name of the job
    job.txt                        instead of all these, of a job that only Azure runs: what the desk says
"""

from __future__ import annotations

import contextlib
import io
import shutil
import warnings
from pathlib import Path

import pytest

from lockgate.errors import UnsupportedError
from lockgate.execution.job_file import load_job

CASES = Path(__file__).parents[1] / "cases" / "azureml" / "conformance"
REFUSED = sorted(path.parent.name for path in CASES.glob("*/job.txt"))
RUNNABLE = sorted(path.parent.name for path in CASES.glob("*/expected"))


def contents(folder: Path) -> dict[str, str]:
    """Every file below a folder with its text; of a file its own under an empty name."""
    if folder.is_file():
        return {"": folder.read_text(encoding="utf-8")}
    return {str(path.relative_to(folder)): path.read_text(encoding="utf-8") for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.mark.parametrize("name", RUNNABLE)
def test_a_job_makes_what_is_right(desk, name):
    case = CASES / name
    shutil.copytree(case, desk.folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("expected", "datastore"))
    outcome = desk.outcome()
    assert outcome["status"] == "Completed"
    for node in (case / "expected").iterdir():
        for log in node.glob("log.txt"):
            assert (Path(outcome["folder"]) / node.name / "log.txt").read_text(encoding="utf-8") == log.read_text(encoding="utf-8")
    made = {(node, output): contents(Path(path)) for node, found in outcome["outputs"].items() for output, path in found.items()}
    right = {(path.parent.parent.name, path.name): contents(path) for path in (case / "expected").glob("*/outputs/*")}
    assert made == right
    kept = contents(desk.folder / ".lockgate/workspaces/dev/datastores/workspaceblobstore")
    assert kept == {path.replace("JOB", outcome["name"]): text for path, text in contents(case / "datastore").items()}


@pytest.mark.parametrize("name", REFUSED)
def test_what_only_azure_runs_is_refused_by_name(desk, name):
    shutil.copytree(CASES / name, desk.folder, dirs_exist_ok=True)
    done = desk.run()
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr == desk.read("job.txt")
