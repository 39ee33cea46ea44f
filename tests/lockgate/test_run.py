"""`lockgate run`: what a node gets, what it leaves, and what happens when one fails."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from lockgate.tracking import service

COMPONENT = """\
    type: command
    name: step
    inputs:
      text: {type: string, default: a default}
      number: {type: integer, default: 4}
      flag: {type: boolean, default: false}
      file: {type: uri_file, optional: true}
      limit: {type: number, optional: true}
    outputs:
      made: {type: uri_folder}
      one: {type: uri_file}
    environment: azureml:any:1
    command: >-
      python -c 'import json, sys; json.dump(sys.argv[3:], open(sys.argv[1], "w"));
      open(sys.argv[2] + "/inside.txt", "w").write("made")'
      ${{outputs.one}} ${{outputs.made}} ${{inputs.text}} ${{inputs.number}} ${{inputs.flag}}
      $[[--file ${{inputs.file}}]] $[[--limit ${{inputs.limit}} --twice ${{inputs.limit}}]]
    """
JOB = """\
    type: pipeline
    inputs:
      table: {type: uri_file, path: data/table.csv}
      text: from the job
    jobs:
      defaults: {type: command, component: step.yml}
      bound:
        type: command
        component: step.yml
        inputs:
          text: ${{parent.inputs.text}}
          number: 7
          flag: true
          file: ${{parent.inputs.table}}
          limit: 0.5
      after:
        type: command
        component: step.yml
        inputs: {file: "${{parent.jobs.bound.outputs.one}}", text: {type: string, default: typed}}
      code:
        type: command
        code: src
        command: python tell.py > ${{outputs.told}}/told.json
        environment: azureml:any:1
        environment_variables: {COLOUR: deep red, SIZE: 12}
        outputs: {told: {type: uri_folder}}
    """
TELL = """\
    import json, os, sys
    wanted = ("MLFLOW_TRACKING_URI", "MLFLOW_RUN_ID", "MLFLOW_EXPERIMENT_NAME", "MLFLOW_STRANGER", "COLOUR", "SIZE", "FROM_OUTSIDE")
    print(json.dumps({"python": sys.executable, "files": sorted(os.listdir()), **{name: os.environ.get(name) for name in wanted}}))
    """


@pytest.fixture(scope="module")
def ran(shared):
    """One job, run once: what --json says of it, and what came on stderr."""
    shared.write("step.yml", COMPONENT)
    shared.write("job.yml", JOB)
    shared.write("data/table.csv", "a,b\n")
    shared.write("src/tell.py", TELL)
    done = shared.run("job.yml", "--json", MLFLOW_STRANGER="x", FROM_OUTSIDE="yes", MLFLOW_RUN_ID="outside")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), done.stderr


def words(outcome, node):
    """The words that a step's command was called with."""
    return json.loads(Path(outcome["outputs"][node]["one"]).read_text())


def test_inputs_that_are_not_bound_have_their_defaults_and_optional_parts_fall_away(ran):
    assert words(ran[0], "defaults") == ["a default", "4", "false"]


def test_inputs_are_literals_values_of_the_job_and_paths_and_optional_parts_stay(ran, shared):
    table = str(shared.folder / "data" / "table.csv")
    assert words(ran[0], "bound") == ["from the job", "7", "true", "--file", table, "--limit", "0.5", "--twice", "0.5"]


def test_an_output_of_one_node_is_an_input_of_another(ran):
    assert words(ran[0], "after") == ["typed", "4", "false", "--file", ran[0]["outputs"]["bound"]["one"]]


def test_outputs_are_a_file_and_a_folder_below_the_job(ran):
    outputs = ran[0]["outputs"]["bound"]
    assert Path(outputs["one"]).is_file()
    assert Path(outputs["made"], "inside.txt").read_text() == "made"
    assert all(Path(path).is_relative_to(ran[0]["folder"]) for path in outputs.values())


def test_a_node_runs_in_a_copy_of_its_code_with_the_python_of_the_project(ran):
    told = json.loads(Path(ran[0]["outputs"]["code"]["told"], "told.json").read_text())
    assert Path(told["python"]).parent == Path(sys.executable).parent
    assert [name for name in told["files"] if name != "__pycache__"] == ["outputs", "tell.py"]


def test_a_node_has_its_own_variables_and_those_of_the_shell_but_no_foreign_mlflow(ran, shared):
    told = json.loads(Path(ran[0]["outputs"]["code"]["told"], "told.json").read_text())
    assert (told["COLOUR"], told["SIZE"], told["FROM_OUTSIDE"]) == ("deep red", "12", "yes")
    assert told["MLFLOW_STRANGER"] is None
    assert told["MLFLOW_TRACKING_URI"] == service.ensure(shared.folder / ".lockgate/mlflow")
    assert told["MLFLOW_TRACKING_URI"].startswith("http://127.0.0.1:")
    assert told["MLFLOW_EXPERIMENT_NAME"] == "job"
    runs = {row["name"]: row["run_id"] for row in shared.rows("SELECT * FROM nodes WHERE job = ?", ran[0]["name"])}
    assert told["MLFLOW_RUN_ID"] == runs["code"] != "outside"


def test_json_says_all_and_the_progress_goes_to_stderr(ran):
    outcome, progress = ran
    assert (outcome["status"], outcome["reused"], outcome["models"]) == ("Completed", [], [])
    assert set(outcome["outputs"]) == {"defaults", "bound", "after", "code"}
    for node in outcome["outputs"]:
        assert f"✔ {node:<8}  completed in " in progress


def test_the_workspace_keeps_the_job_and_its_nodes(ran, shared):
    (job,) = shared.rows("SELECT * FROM jobs WHERE name = ?", ran[0]["name"])
    assert (job["status"], job["display_name"], job["reason"], job["process"]) == ("Completed", "job", None, None)
    nodes = shared.rows("SELECT * FROM nodes WHERE job = ? ORDER BY name", ran[0]["name"])
    assert [(n["name"], n["status"]) for n in nodes] == [(n, "Completed") for n in ("after", "bound", "code", "defaults")]


def test_set_changes_values_and_binds_an_optional_input(ran, shared):
    changes = ("inputs.text=it's new", "jobs.defaults.inputs.file.path=data/table.csv", "jobs.defaults.inputs.number=9")
    outcome = shared.outcome("job.yml", *[word for change in changes for word in ("--set", change)])
    table = str(shared.folder / "data" / "table.csv")
    assert words(outcome, "defaults") == ["a default", "9", "false", "--file", table]
    assert words(outcome, "bound")[0] == "it's new"


def test_a_text_arrives_as_it_was_written(ran, shared):
    changes = ("inputs.text=0755123", "jobs.after.inputs.text=1.10", "jobs.defaults.inputs.text=no")
    outcome = shared.outcome("job.yml", *[word for change in changes for word in ("--set", change)])
    assert [words(outcome, node)[0] for node in ("bound", "after", "defaults")] == ["0755123", "1.10", "no"]


def test_a_path_that_set_names_is_not_there_and_nothing_starts(ran, shared):
    done = shared.run("job.yml", "--set", "inputs.table.path=nowhere.csv")
    assert done.returncode == 2
    assert "there is no file or folder 'nowhere.csv'" in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize("jobs", ["0", "-1"])
def test_less_than_one_node_at_once_is_refused(jobs, ran, shared):
    done = shared.run("job.yml", f"--jobs={jobs}")
    assert (done.returncode, done.stderr) == (2, f"--jobs: found {jobs}; allowed: at least 1\n")


def test_independent_nodes_run_at_the_same_time(shared):
    shared.write(
        "meet.yml",
        """\
        type: pipeline
        jobs:
          left:
            type: command
            command: touch "$MEETING/left"; until [ -e "$MEETING/right" ]; do sleep 0.02; done
            environment: azureml:any:1
            limits: {timeout: 30}
          right:
            type: command
            command: touch "$MEETING/right"; until [ -e "$MEETING/left" ]; do sleep 0.02; done
            environment: azureml:any:1
            limits: {timeout: 30}
        """,
    )
    meeting = shared.folder / "meeting"
    meeting.mkdir()
    done = shared.run("meet.yml", "--jobs", "2", MEETING=str(meeting))
    assert done.returncode == 0, done.stderr


@pytest.mark.long
def test_a_folder_that_nodes_write_into_does_not_outlive_them(shared):
    shared.write("traces/src/hello.txt", "hello\n")
    shared.write(
        "traces/job.yml",
        """\
        type: pipeline
        jobs:
          one: {type: command, code: src, command: "ls; touch trace.txt", environment: "azureml:any:1"}
          two: {type: command, code: src, command: "ls; touch trace.txt", environment: "azureml:any:1"}
        """,
    )
    outcome = shared.outcome("traces/job.yml", "--jobs", "1")
    listings = [Path(outcome["folder"], node, "log.txt").read_text() for node in ("one", "two")]
    assert listings == ["hello.txt\noutputs\n"] * 2


@pytest.mark.long
def test_a_dangling_link_among_the_code_is_no_crash(shared):
    shared.write("links/src/hello.txt", "hello\n")
    (shared.folder / "links/src/.#hello.txt").symlink_to("nowhere")
    shared.write("links/job.yml", "type: pipeline\njobs: {one: {type: command, code: src, command: ls, environment: 'azureml:any:1'}}\n")
    done = shared.run("links/job.yml")
    assert "Traceback" not in done.stderr
    assert done.returncode == 0, done.stderr
