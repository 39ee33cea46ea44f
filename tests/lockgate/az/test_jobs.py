"""`az ml job`: jobs in processes of their own, which outlive the command and are found again."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lockgate.tracking import service

pytestmark = pytest.mark.long

JOB = """\
    type: pipeline
    display_name: a try
    experiment_name: tries
    inputs: {seconds: 0, word: hello}
    jobs:
      one:
        type: command
        command: echo ${{inputs.word}} > ${{outputs.made}}/word.txt; sleep ${{inputs.seconds}}; exit 0
        environment: {image: minimal}
        inputs: {word: "${{parent.inputs.word}}", seconds: "${{parent.inputs.seconds}}"}
        outputs: {made: {type: uri_folder}}
    """


@pytest.fixture
def desk(cloud):
    cloud.write("job.yml", JOB)
    return cloud


def test_a_job_runs_after_the_command_and_its_outputs_become_an_asset(desk):
    made = desk.get("ml", "job", "create", "--file", "job.yml", "--name", "first", "--set", "inputs.word=bye")
    assert (made["name"], made["display_name"], made["experiment_name"], made["type"]) == ("first", "a try", "tries", "pipeline")
    streamed = desk.az("ml", "job", "stream", "-n", "first")
    assert streamed.returncode == 0, streamed.stderr
    assert "RunId: first\nStatus: Completed" in streamed.stderr
    assert desk.get("ml", "job", "show", "-n", "first", "--query", "status") == "Completed"
    desk.get("ml", "job", "download", "-n", "first", "--output-name", "made", "--download-path", "out")
    assert (desk.folder / "out/named-outputs/made/word.txt").read_text() == "bye\n"
    model = desk.get("ml", "model", "create", "-n", "m", "--path", "azureml://jobs/first/outputs/made/paths/", "--type", "custom_model")
    assert model["job_name"] == "first"


def test_stream_ends_with_the_job_and_fails_with_it(desk):
    desk.write("bad.yml", JOB.replace("exit 0", "echo no luck; exit 3"))
    done = desk.az("ml", "job", "create", "-f", "bad.yml", "-n", "bad", "--stream")
    assert done.returncode == 1
    assert "no luck" in done.stderr
    assert done.stderr.rstrip().endswith("ERROR: (JobFailed) job bad ended as Failed: failed: one")


def test_mistakes_are_found_before_anything_begins(desk):
    desk.write("wrong.yml", JOB.replace("display_name", "displayname"))
    assert desk.refused(1, "ml", "job", "create", "-f", "wrong.yml").startswith("wrong.yml:2:1: unknown key 'displayname'")
    assert desk.refused(1, "ml", "job", "validate", "-f", "wrong.yml").startswith("wrong.yml:2:1:")
    assert desk.get("ml", "job", "list") == []


def test_a_name_is_taken_once(desk):
    desk.get("ml", "job", "create", "-f", "job.yml", "-n", "first")
    assert desk.refused(1, "ml", "job", "create", "-f", "job.yml", "-n", "first").startswith(
        "(UserError) A job with name first already exists"
    )


def test_cancel_ends_it_and_a_killed_one_is_found_failed(desk):
    desk.get("ml", "job", "create", "-f", "job.yml", "-n", "long", "--set", "inputs.seconds=60")
    desk.get("ml", "job", "cancel", "-n", "long")
    assert desk.get("ml", "job", "show", "-n", "long", "--query", "status") == "Canceled"
    desk.get("ml", "job", "create", "-f", "job.yml", "-n", "killed", "--set", "inputs.seconds=61")
    from lockgate.workspace import jobs
    from lockgate.workspace.store import Store

    job = jobs.find_job(Store(desk.folder, "dev1"), "killed")
    assert job is not None
    assert job.process is not None
    os.kill(job.process, signal.SIGKILL)
    deadline = time.monotonic() + 30
    while (found := desk.get("ml", "job", "show", "-n", "killed"))["status"] == "Running" and time.monotonic() < deadline:
        pass
    assert found["status"] == "Failed"
    assert "ended without a word" in found["error"]


def test_a_process_that_got_the_id_of_a_dead_job_is_left_alone(desk):
    from lockgate.workspace import jobs
    from lockgate.workspace.store import Store

    store = Store(desk.folder, "dev1")
    stranger = subprocess.Popen(["sleep", "60"])
    try:
        jobs.create_job(store, "dead", "dead", "trials", "job.yml")
        with store.connect() as connection:
            connection.execute("UPDATE jobs SET process = ? WHERE name = 'dead'", (stranger.pid,))
        assert "can't be cancelled" in desk.refused(1, "ml", "job", "cancel", "-n", "dead")
        assert desk.get("ml", "job", "show", "-n", "dead", "--query", "status") == "Failed"
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_a_registered_table_is_an_input(desk):
    desk.write("a.csv", "a\n1\n")
    desk.get("ml", "data", "create", "-n", "flights", "--type", "uri_file", "--path", "a.csv")
    desk.write("use.yml", """\
        type: pipeline
        jobs:
          one:
            type: command
            command: cp ${{inputs.table}} ${{outputs.copy}}
            environment: {image: minimal}
            inputs: {table: {type: uri_file, path: "azureml:flights:1"}}
            outputs: {copy: {type: uri_file}}
        """)  # fmt: skip
    done = desk.az("ml", "job", "create", "-f", "use.yml", "-n", "use", "--stream", "-o", "none")
    assert done.returncode == 0, done.stderr
    desk.get("ml", "job", "download", "-n", "use", "--output-name", "copy")
    assert next((desk.folder / "named-outputs/copy").iterdir()).read_text() == "a\n1\n"


def test_a_pipeline_step_finds_the_desks_az_first(desk):
    desk.write("p.yml", """\
        steps:
        - checkout: none
        - task: AzureCLI@2
          inputs:
            azureSubscription: my-connection
            scriptType: bash
            scriptLocation: inlineScript
            inlineScript: |
              set -euo pipefail
              az account show --query name -o tsv
              az ml model create --name m --path $(folder)/model -g rg -w dev1 --query version -o tsv
        """)  # fmt: skip
    import subprocess
    import sys

    done = subprocess.run(
        [sys.executable, "-m", "lockgate", "run", "p.yml", "--plain", "--logs", "-v", f"folder={desk.folder}"],
        cwd=desk.folder, capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "| my-connection\n" in done.stdout
    assert desk.get("ml", "model", "show", "-n", "m", "-v", "1")["version"] == "1"


COMMAND = """\
    type: command
    name: alone
    display_name: by itself
    experiment_name: tries
    description: a command without a pipeline
    tags: {team: blue}
    command: echo "${{inputs.word}} $AZUREML_RUN_ID" > ${{outputs.made}}/word.txt
    environment: {image: minimal}
    inputs: {word: hello}
    outputs: {made: {type: uri_folder}}
    """


def test_a_command_is_a_job_of_its_own(desk):
    desk.write("command.yml", COMMAND)
    done = desk.az("ml", "job", "create", "-f", "command.yml", "--stream", "-o", "none")
    assert done.returncode == 0, done.stderr
    shown = desk.get("ml", "job", "show", "-n", "alone")
    assert (shown["type"], shown["status"], shown["tags"], shown["description"]) == (
        "command", "Completed", {"team": "blue"}, "a command without a pipeline"
    )  # fmt: skip
    assert "jobs" not in shown
    desk.get("ml", "job", "download", "-n", "alone", "--all", "--download-path", "out")
    assert (desk.folder / "out/named-outputs/made/word.txt").read_text() == "hello alone\n"
    model = desk.get("ml", "model", "create", "-n", "m", "--path", "azureml://jobs/alone/outputs/made", "--type", "custom_model")
    assert model["job_name"] == "alone"
    service.settle(desk.folder / ".lockgate/mlflow")
    database = sqlite3.connect(desk.folder / ".lockgate/mlflow/mlflow.db")
    tags = dict(database.execute("SELECT key, value FROM tags").fetchall())
    runs = database.execute("SELECT count(*) FROM runs").fetchone()[0]
    database.close()
    assert (runs, tags["mlflow.runName"], tags["team"]) == (1, "by itself", "blue")
    assert "mlflow.parentRunId" not in tags


def test_a_command_that_is_run_again_is_run_anew(desk):
    desk.write("command.yml", COMMAND)
    for name in ("one", "two"):
        desk.get("ml", "job", "create", "-f", "command.yml", "-n", name, "--stream")
        desk.get("ml", "job", "download", "-n", name, "--all", "--download-path", name)
        assert (desk.folder / name / "named-outputs/made/word.txt").read_text() == f"hello {name}\n"


@pytest.mark.parametrize(
    ("change", "code", "message"),
    [
        (("inputs: {word: hello}", "inputs: {word: '${{parent.inputs.word}}'}"), 1, "command.yml:9:16: inputs.word: found"),
        (("environment: {image: minimal}", "limits: {timeout: 9}"), 1, "command.yml:1:1: environment: found nothing"),
        (("type: command", "type: command\n    component: a.yml"), 1, "command.yml:2:1: unknown key 'component' of a command job"),
        (("tags: {team: blue}", "tags: {team: [blue]}"), 1, "command.yml:6:14: tags.team: found a list; allowed: a text"),
        (("tags: {team: blue}", "distribution: {type: pytorch}"), 1, "command.yml:6:1: key 'distribution' of a command job is not supported"),
        (("name: alone", "name: ../alone"), 2, "job name: found '../alone'; allowed:"),
    ],
)  # fmt: skip
def test_mistakes_of_a_command(desk, change, code, message):
    desk.write("command.yml", COMMAND.replace(*change))
    done = desk.az("ml", "job", "create", "-f", "command.yml")
    assert message in done.stderr
    assert (done.returncode, done.stdout) == (code, "")
    assert desk.get("ml", "job", "list") == []


def test_a_job_is_updated_archived_and_restored(desk):
    desk.get("ml", "job", "create", "-f", "job.yml", "-n", "first", "--stream")
    shown = desk.get("ml", "job", "update", "-n", "first", "--set", "tags.team=red", "display_name=better", "description=why")
    assert (shown["tags"], shown["display_name"], shown["description"]) == ({"team": "red"}, "better", "why")
    assert desk.refused(2, "ml", "job", "update", "-n", "first", "--set", "status=Failed").startswith("--set status: allowed:")
    assert desk.get("ml", "job", "update", "-n", "first", "--remove", "tags.team")["tags"] == {}
    desk.get("ml", "job", "archive", "-n", "first")
    assert desk.get("ml", "job", "list") == []
    assert [job["name"] for job in desk.get("ml", "job", "list", "--archived-only")] == ["first"]
    desk.get("ml", "job", "restore", "-n", "first")
    assert [job["name"] for job in desk.get("ml", "job", "list")] == ["first"]


def test_a_workspace_of_an_earlier_version_keeps_its_jobs(tmp_path):
    from lockgate.workspace import jobs
    from lockgate.workspace.store import Store

    folder = tmp_path / ".lockgate" / "workspaces" / "dev"
    folder.mkdir(parents=True)
    connection = sqlite3.connect(folder / "workspace.db")
    connection.execute(
        "CREATE TABLE jobs (name TEXT PRIMARY KEY, display_name TEXT NOT NULL, experiment TEXT NOT NULL, file TEXT NOT NULL,"
        " status TEXT NOT NULL, created TEXT NOT NULL, ended TEXT, run_id TEXT, process INTEGER, reason TEXT)"
    )
    connection.execute("INSERT INTO jobs VALUES ('old', 'Old', 'e', 'job.yml', 'Completed', '2026-01-01', NULL, NULL, NULL, NULL)")
    connection.commit()
    connection.close()
    [job] = jobs.find_jobs(Store(tmp_path))
    assert (job.name, job.kind, job.tags, job.archived) == ("old", "pipeline", {}, False)


def sleeping(seconds: str) -> bool:
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if path.read_bytes() == f"sleep\0{seconds}\0".encode():
                return True
    return False


def test_of_two_with_one_name_one_succeeds_and_keeps_its_log(desk):
    command = [
        sys.executable,
        "-m",
        "lockgate.az",
        "ml",
        "job",
        "create",
        "-f",
        "job.yml",
        "-n",
        "race",
        "--set",
        "inputs.seconds=2",
        "-o",
        "none",
    ]
    environment = {**os.environ, "LOCKGATE_ROOT": str(desk.folder)}
    both = [subprocess.Popen(command, cwd=desk.folder, env=environment, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    said = sorted((process.communicate(timeout=100)[1], process.returncode) for process in both)
    assert said[0] == ("", 0)
    assert said[1][0].startswith("ERROR: (UserError) A job with name race already exists")
    assert said[1][1] == 1
    streamed = desk.az("ml", "job", "stream", "-n", "race")
    assert "Status: Completed" in streamed.stderr
    assert "Traceback" not in streamed.stderr


def test_commands_of_a_killed_job_are_ended_by_whoever_sees_it(desk):
    from lockgate.workspace import jobs
    from lockgate.workspace.store import Store

    seconds = f"7{os.getpid()}"
    desk.get("ml", "job", "create", "-f", "job.yml", "-n", "killed", "--set", f"inputs.seconds={seconds}")
    deadline = time.monotonic() + 60
    while not sleeping(seconds) and time.monotonic() < deadline:
        time.sleep(0.1)
    job = jobs.find_job(Store(desk.folder, "dev1"), "killed")
    assert job is not None
    assert job.process is not None
    assert sleeping(seconds)
    os.kill(job.process, signal.SIGKILL)
    while desk.get("ml", "job", "show", "-n", "killed")["status"] == "Running" and time.monotonic() < deadline:
        pass
    while sleeping(seconds) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not sleeping(seconds)


def test_a_job_that_ends_while_it_is_looked_at_keeps_its_result(desk, monkeypatch):
    from lockgate.workspace import jobs
    from lockgate.workspace.store import Store

    store = Store(desk.folder, "dev1")
    jobs.create_job(store, "quick", "quick", "tries", "job.yml")

    def dies(at, name):
        with sqlite3.connect(at.folder / "workspace.db") as connection:
            connection.execute("UPDATE jobs SET status = 'Completed' WHERE name = ?", (name,))
        connection.close()
        return False

    monkeypatch.setattr(jobs, "_alive", dies)
    [job] = jobs.find_jobs(store)
    assert job.status == "Completed"


def test_a_workspace_with_running_jobs_is_not_deleted(desk):
    desk.get("ml", "job", "create", "-f", "job.yml", "-n", "long", "--set", "inputs.seconds=60")
    for words in (("ml", "workspace", "delete", "-n", "dev1", "-g", "rg"), ("group", "delete", "-n", "rg")):
        assert desk.refused(1, *words, "--yes").startswith("(Conflict) workspace 'dev1' has running jobs: long; end them")
    desk.get("ml", "job", "cancel", "-n", "long")
    desk.get("ml", "workspace", "delete", "-n", "dev1", "-g", "rg", "--yes")
    desk.get("ml", "workspace", "create", "-n", "dev1", "-g", "rg")
    assert desk.get("ml", "job", "list") == []


def test_where_a_job_is_saved_is_looked_at_before_it_begins(desk):
    assert desk.refused(2, "ml", "job", "create", "-f", "job.yml", "-n", "s", "--save-as", "no/such.yml").startswith(
        "--save-as: found 'no/such.yml'"
    )
    assert desk.get("ml", "job", "list") == []
    desk.get("ml", "job", "create", "-f", "job.yml", "-n", "s", "--save-as", "such.yml", "--stream")
    assert "name: s" in (desk.folder / "such.yml").read_text()


def test_an_environment_that_is_not_registered_is_refused_as_in_azure(cloud):
    cloud.write("job.yml", "type: command\ncommand: 'true'\nenvironment: azureml:none:1\n")
    assert "workspace 'dev1' has no environment none:1" in cloud.refused(1, "ml", "job", "create", "--file", "job.yml")
    assert cloud.get("ml", "job", "list") == []
