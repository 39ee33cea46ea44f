"""Jobs in the shape of Azure's published examples, written for these tests: what the desk runs makes what is right, the rest is refused by name.

A folder of tests/cases/azureml/conformance holds job.yml with all it needs, and

    expected/NODE/log.txt          what the node prints
    expected/NODE/outputs/OUTPUT   what it leaves: a file, or a folder with every file of it
    datastore/                     what the job puts into workspaceblobstore; JOB stands for the name of the job
    job.txt                        instead of all these, of a job that only Azure runs: what the desk says

Folders without any of them have a test of their own here.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import polars as pl
import pytest

pytestmark = pytest.mark.long

ROOT = Path(__file__).parents[2]
CASES = Path(__file__).parents[1] / "cases" / "azureml" / "conformance"
REFUSED = sorted(path.parent.name for path in CASES.glob("*/job.txt"))
RUNNABLE = sorted(path.parent.name for path in CASES.glob("*/expected"))
LONG = {
    "1c-components-in-place",
    "2a-component",
    "2b-component-with-input-and-output",
    "2c-component-with-optional-input",
    "3a-pipeline",
    "3b-pipeline-with-data",
    "5-environments",
    "hello-iris-file",
    "hello-iris-folder",
    "hello-iris-literal",
    "hello-mlflow",
    "hello-model-as-input",
    "hello-pipeline",
    "hello-pipeline-settings",
    "hello-world-output-data",
    "trip-prices",
}
"""What others test too, or what takes long to import."""


def marked(names: list[str]) -> list[object]:
    return [pytest.param(name, marks=pytest.mark.long if name in LONG else ()) for name in names]


def contents(folder: Path) -> dict[str, str]:
    """Every file below a folder with its text; of a file its own under an empty name."""
    if folder.is_file():
        return {"": folder.read_text(encoding="utf-8")}
    return {str(path.relative_to(folder)): path.read_text(encoding="utf-8") for path in sorted(folder.rglob("*")) if path.is_file()}


def lay_out(desk, name: str) -> None:
    """Copy a case; one of AutoML gets the scripts of this repository's project, without the features of its own problem."""
    shutil.copytree(CASES / name, desk.folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("expected", "datastore"))
    if name.startswith("automl-"):
        without = shutil.ignore_patterns("__pycache__", "features.py")
        shutil.copytree(ROOT / "data-science" / "src", desk.folder / "data-science" / "src", ignore=without)


def log_of(outcome, node: str) -> str:
    return (Path(outcome["folder"]) / node / "log.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", marked(RUNNABLE))
def test_a_job_makes_what_is_right(desk, name):
    lay_out(desk, name)
    outcome = desk.outcome()
    assert outcome["status"] == "Completed"
    expected = CASES / name / "expected"
    for log in expected.glob("*/log.txt"):
        assert log_of(outcome, log.parent.name) == log.read_text(encoding="utf-8")
    made = {(node, output): contents(Path(path)) for node, found in outcome["outputs"].items() for output, path in found.items()}
    assert made == {(path.parent.parent.name, path.name): contents(path) for path in expected.glob("*/outputs/*")}
    kept = contents(desk.folder / ".lockgate/workspaces/dev/datastores/workspaceblobstore")
    assert kept == {path.replace("JOB", outcome["name"]): text for path, text in contents(CASES / name / "datastore").items()}


@pytest.mark.parametrize("name", REFUSED)
def test_what_only_azure_runs_is_refused_by_name(desk, name):
    lay_out(desk, name)
    done = desk.run()
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr == desk.read("job.txt")


@pytest.mark.parametrize(("name", "task"), [("automl-forecasting", "forecasting"), ("automl-image-classification", "image_classification")])
def test_of_an_automl_task_that_is_not_trained_here_nothing_else_is_said(desk, name, task):
    lay_out(desk, name)
    done = desk.run()
    assert (done.returncode, done.stdout) == (3, "")
    first, *_ = done.stderr.splitlines()
    assert f"task: {task!r} is not trained on the desk; allowed here: regression, classification" in first
    assert done.stderr.count("job.yml:") == 1


def test_a_job_is_kept_with_its_names_and_tags(desk):
    lay_out(desk, "hello-world-org")
    outcome = desk.outcome()
    assert log_of(outcome, "command") == "hello world\n"
    (row,) = desk.rows("SELECT * FROM jobs")
    assert (row["kind"], row["display_name"], row["experiment"]) == ("command", "hello-world-example", "hello-world-experiments")
    assert (json.loads(row["tags"]), json.loads(row["properties"])) == ({"hello": "world"}, {"asked_by": "nobody"})
    assert row["description"] == "# A heading\n\nA job that says *hello*.\n"


def test_services_are_noted_and_not_opened(desk):
    lay_out(desk, "hello-interactive")
    done = desk.run()
    assert done.returncode == 0
    assert "command  completed in" in done.stdout
    for line, name in ((6, "my_vs_code"), (9, "my_tensor_board"), (12, "my_jupyter_lab"), (14, "my_ssh")):
        assert f"note: job.yml:{line}:3: services.{name} of the job is not opened on the desk\n" in done.stdout


@pytest.mark.long
def test_registered_components_run_without_their_files(desk):
    lay_out(desk, "1b-registered-components")
    place = ["--resource-group", "rg", "--workspace-name", "dev"]
    for words in (
        ["group", "create", "--name", "rg", "--location", "westeurope"],
        ["ml", "workspace", "create", "--name", "dev", "--resource-group", "rg"],
        ["ml", "component", "create", "--file", "upper.yml", *place],
        ["ml", "component", "create", "--file", "lines.yml", *place],
    ):
        done = subprocess.run(
            [sys.executable, "-m", "lockgate.az", *words],
            cwd=desk.folder,
            env={**os.environ, "LOCKGATE_ROOT": str(desk.folder)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
    for name in ("upper.yml", "lines.yml", "src/lines.sh"):
        (desk.folder / name).unlink()
    outcome = desk.outcome()
    assert contents(Path(outcome["outputs"]["lines_job"]["lines"])) == {"lines.txt": "line: HELLO\n"}


def test_what_a_job_leaves_is_the_input_of_another_by_every_address(desk):
    lay_out(desk, "4b-inputs-by-address")
    made = desk.outcome("make.yml")
    desk.write("job.yml", desk.read("job.yml").replace("NAME", made["name"]))
    assert log_of(desk.outcome(), "show").split() == [*["first", "second"] * 2, *["first"] * 2, *["an", "asset"] * 2]


def test_an_automl_node_trains_within_its_limits_and_its_model_predicts(desk):
    lay_out(desk, "automl-regression")
    outcome = desk.outcome()
    model = Path(outcome["outputs"]["regression_node"]["best_model"])
    # Numbers are members'; both endings are lines without one.
    trials = [line for line in json.loads((model / "candidate.json").read_text())["leaderboard"] if line["number"]]
    assert sorted(trial["number"] for trial in trials) == [1, 2]
    assert {trial["family"] for trial in trials} == {"extra_trees"}
    rows = pl.read_parquet(Path(outcome["outputs"]["use_model_node"]["predictions"]) / "predictions.parquet")
    left = ((rows["actual"] - rows["prediction"]) ** 2).mean()
    assert left < 0.1 * rows["actual"].var()


@pytest.mark.long
def test_an_automl_job_of_its_own_trains_on_registered_tables_and_ends_at_its_exit_score(desk):
    lay_out(desk, "automl-classification")
    desk.outcome("prepare.yml")
    outcome = desk.outcome()
    made = json.loads((Path(outcome["outputs"]["automl"]["best_model"]) / "candidate.json").read_text())
    tried = [line["family"] for line in made["leaderboard"] if line["number"]]
    assert (made["metric"], made["family"], tried) == ("accuracy", "ensemble", ["extra_trees"])
    assert made["validation"] > made["baseline"]
    assert desk.rows("SELECT kind FROM jobs WHERE name = ?", outcome["name"]) == [{"kind": "automl"}]


def test_azures_own_library_takes_every_job():
    wrong = {}
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        from azure.ai.ml import load_job

        for path in sorted(CASES.glob("*/*.yml")):
            if "Job.schema.json" in path.read_text(encoding="utf-8"):
                job = load_job(path)
                result = job._validate() if hasattr(job, "_validate") else None  # Of some types it looks while it loads.
                if result is not None and not result.passed:
                    wrong[path.parent.name] = result.error_messages
    assert wrong == {}
