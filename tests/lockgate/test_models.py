"""Models that a job registers through MLflow are taken into the workspace, and later jobs are given them by name and version."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

REGISTER = """\
    import os, sys, pathlib
    from mlflow.tracking import MlflowClient
    name, text, mode = sys.argv[1:]
    client, run = MlflowClient(), os.environ["MLFLOW_RUN_ID"]
    if mode == "again":
        client.delete_registered_model(name)
    folder = pathlib.Path("made") / text
    folder.mkdir(parents=True)
    (folder / "MLmodel").write_text(text)
    client.log_artifacts(run, str(folder), "model")
    if mode != "more":
        client.create_registered_model(name)
    source = client.get_run(run).info.artifact_uri + "/model"
    client.create_model_version(name, source, run, tags={"task": "regression"}, description="a test's")
    """
TRAIN = """\
    type: pipeline
    experiment_name: training
    display_name: The training
    inputs: {text: first, mode: new}
    jobs:
      register: {type: command, component: register.yml, inputs: {text: "${{parent.inputs.text}}", mode: "${{parent.inputs.mode}}"}}
      quiet: {type: command, command: "true", environment: "azureml:any:1"}
    """
COMPONENT = """\
    type: command
    inputs: {text: {type: string}, mode: {type: string}}
    code: src
    environment: azureml:any:1
    command: python register.py flights ${{inputs.text}} ${{inputs.mode}}
    """
USE = """\
    type: pipeline
    inputs:
      model: {type: mlflow_model, path: "azureml:flights:1"}
    jobs:
      use:
        type: command
        component: use.yml
        inputs: {model: "${{parent.inputs.model}}"}
    """
USE_COMPONENT = """\
    type: command
    inputs: {model: {type: mlflow_model}}
    outputs: {copy: {type: uri_file}}
    environment: azureml:any:1
    command: cp ${{inputs.model}}/MLmodel ${{outputs.copy}}
    """


@pytest.fixture(scope="module")
def trained(shared):
    """A desk with flights:1, and the outcome of the job that made it."""
    shared.write("train.yml", TRAIN)
    shared.write("register.yml", COMPONENT)
    shared.write("use.yml", USE_COMPONENT)
    shared.write("use-job.yml", USE)
    shared.write("src/register.py", REGISTER)
    before = shared.run("use-job.yml")
    return shared, shared.outcome("train.yml"), before


def test_a_version_that_a_node_registered_is_in_the_workspace_with_its_bytes(trained):
    desk, outcome, _ = trained
    assert outcome["models"] == [{"name": "flights", "version": "1"}]
    (row,) = desk.rows("SELECT * FROM assets WHERE version = '1'")
    assert (row["name"], row["job"], row["description"]) == ("flights", outcome["name"], "a test's")
    assert json.loads(row["tags"]) == {"task": "regression"}
    assert Path(row["path"]).is_relative_to(desk.folder / ".lockgate/workspaces/dev/model")
    assert Path(row["path"], "MLmodel").read_text() == "first"


@pytest.mark.long
def test_a_job_is_given_a_version_by_name(trained):
    outcome = trained[0].outcome("use-job.yml")
    assert Path(outcome["outputs"]["use"]["copy"]).read_text() == "first"


def test_a_model_that_is_not_there_yet_is_said_before_anything_starts(trained):
    _, _, before = trained
    assert (before.returncode, before.stdout) == (4, "")
    assert before.stderr.startswith(
        "use-job.yml:3:37: workspace 'dev' has no model flights:1; it has: none yet; a model is there once a job has registered one"
    )


def test_an_unknown_version_is_refused_in_one_line_that_lists_those_there_are(trained):
    desk, _, _ = trained
    jobs = desk.rows("SELECT name FROM jobs")
    done = desk.run("use-job.yml", "--set", "inputs.model.path=azureml:flights:9")
    assert (done.returncode, done.stdout) == (4, "")
    assert done.stderr.startswith("--set inputs.model.path:1:1: workspace 'dev' has no model flights:9; it has: flights:1")
    assert done.stderr.count("\n") == 1
    assert desk.rows("SELECT name FROM jobs") == jobs


def test_mlflow_has_one_parent_run_and_a_child_for_each_node(trained):
    desk, outcome, _ = trained
    runs = desk.mlflow(
        "SELECT r.run_uuid, r.name, r.status, p.value FROM runs r JOIN experiments e USING (experiment_id) "
        "JOIN tags j ON j.run_uuid = r.run_uuid AND j.key = 'lockgate.job' AND j.value = ? "
        "LEFT JOIN tags p ON p.run_uuid = r.run_uuid AND p.key = 'mlflow.parentRunId' WHERE e.name = 'training'",
        outcome["name"],
    )
    (parent,) = [run for run, _, _, above in runs if above is None]
    assert sorted((name, status, above) for _, name, status, above in runs if above) == [
        ("quiet", "FINISHED", parent),
        ("register", "FINISHED", parent),
    ]
    assert [(name, status) for run, name, status, _ in runs if run == parent] == [("The training", "FINISHED")]
    assert desk.rows("SELECT run_id FROM jobs WHERE name = ?", outcome["name"]) == [{"run_id": parent}]


def test_a_reused_node_still_names_the_version_it_registered_and_registers_no_other(trained):
    desk, first, _ = trained
    again = desk.outcome("train.yml")
    assert sorted(again["reused"]) == ["quiet", "register"]
    assert again["models"] == first["models"]


@pytest.mark.long
def test_versions_count_up_and_the_same_version_never_gets_other_bytes(trained):
    desk, _, _ = trained
    second = desk.outcome("train.yml", "--set", "inputs.text=second", "--set", "inputs.mode=more")
    assert second["models"] == [{"name": "flights", "version": "2"}]
    refused = desk.run("train.yml", "--set", "inputs.text=third", "--set", "inputs.mode=again")
    assert refused.returncode == 1
    assert (
        "── register failed: a model that it registered could not be taken in: A model with this name and version already exists. If you are trying to create a new model, use a different name or version."
        in (refused.stderr)
    )
    kept = {row["version"]: Path(row["path"], "MLmodel").read_text() for row in desk.rows("SELECT * FROM assets")}
    assert kept == {"1": "first", "2": "second"}
    statuses = dict(desk.mlflow("SELECT name, status FROM runs ORDER BY start_time"))
    assert (statuses["register"], statuses["The training"]) == ("FAILED", "FAILED")
