"""The tracking server: one for a desk, started when it is needed, found by its lock, spoken to by REST, whoever is killed."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from lockgate.tracking import journal, service
from lockgate.tracking.versions import versions_of_run

ROOT = Path(__file__).parents[2]
NOTHING = "type: pipeline\njobs: {one: {type: command, command: 'true', environment: 'azureml:any:1'}}\n"
STEP = """\
    import sys
    from pathlib import Path
    sys.path.insert(0, sys.argv[1])
    from tabular.tracking import Tracking
    with Tracking("here") as tracking:
        tracking.log(parameters={f"p{k}": k for k in range(120)}, metrics={"loss": 0.5, "none": float("nan")}, tags={"t": "x"}, files=[Path("step.py")])
        made = tracking.register(Path("package"), "m", tags={"task": "regression"}, description="a test's")
    print(made["version"], "mlflow" in sys.modules, "sqlalchemy" in sys.modules)
    """
LOGGING = """\
    type: pipeline
    experiment_name: ../../outside
    jobs:
      one: {type: command, code: src, command: 'python step.py SOURCE', environment: 'azureml:any:1'}
    """


@pytest.fixture(scope="module")
def logged(shared):
    """A job with a step that logs and registers; what --json says of it."""
    shared.write("src/step.py", STEP)
    shared.write("src/package/MLmodel", "flavors: {}\n")
    shared.write("job.yml", LOGGING.replace("SOURCE", str(ROOT / "data-science/src")))
    return shared.outcome("job.yml")


def test_a_job_whose_steps_log_nothing_never_starts_mlflow(desk):
    desk.write("job.yml", NOTHING)
    desk.outcome()
    folder = desk.folder / ".lockgate/mlflow"
    assert service.is_running(folder)
    assert not (folder / "mlflow.db").exists()
    assert len(journal.words(folder)) == 4
    assert sorted(desk.mlflow("SELECT name, status FROM runs")) == [("job", "FINISHED"), ("one", "FINISHED")]
    assert journal.words(folder) == []


def test_a_step_logs_and_registers_without_mlflow(logged, shared):
    log = Path(logged["folder"], "one", "log.txt").read_text()
    assert log == "1 False False\n"
    assert logged["models"] == [{"name": "m", "version": "1"}]
    (run,) = [row["run_id"] for row in shared.rows("SELECT * FROM nodes WHERE job = ?", logged["name"])]
    assert shared.mlflow("SELECT count(*) FROM params WHERE run_uuid = ?", run) == [(120,)]
    assert shared.mlflow("SELECT key, value FROM metrics WHERE run_uuid = ?", run) == [("loss", 0.5)]
    assert ("t", "x") in shared.mlflow("SELECT key, value FROM tags WHERE run_uuid = ?", run)
    (artifacts,) = shared.mlflow("SELECT artifact_uri FROM runs WHERE run_uuid = ?", run)[0]
    assert Path(artifacts.removeprefix("file://"), "step.py").is_file()
    (version,) = versions_of_run(shared.folder / ".lockgate/mlflow", run)
    assert (version.name, version.version, version.tags, version.description) == ("m", "1", {"task": "regression"}, "a test's")
    assert (version.folder / "MLmodel").is_file()


def test_an_experiments_name_is_no_path(logged, shared):
    assert shared.mlflow("SELECT name FROM experiments WHERE name LIKE '%outside'") == [("../../outside",)]
    folder = shared.folder / ".lockgate/mlflow/artifacts"
    assert not any((place / "outside").exists() for place in (folder, *folder.parents))


def test_mlflows_own_client_sees_what_a_step_logged_and_logs_beside_it(logged, shared):
    """The same words to the same server by MLflow's client give the same rows."""
    uri = service.ensure(shared.folder / ".lockgate/mlflow")
    code = """if True:
        import json, sys
        from pathlib import Path
        from mlflow.tracking import MlflowClient as Theirs
        from tabular.mlflow_client import MlflowClient
        from tabular.tracking_server import TrackingServer
        import os
        ours, client, found = TrackingServer(os.environ["MLFLOW_TRACKING_URI"]), MlflowClient(), []
        Path("p").mkdir(exist_ok=True)
        Path("p/MLmodel").write_text("x")
        for number, one in enumerate((ours, client)):
            run = one.new_run("both")
            one.log(run, {"a": "b"}, {"c": 1.5}, {"d": "e"}, ["p"])
            made = one.register(run, "p", "both", {"f": "g"}, "said")
            one.end(run)
            there = Theirs().get_run(run)
            version = Theirs().get_model_version("both", made["version"])
            tags = {key: text for key, text in there.data.tags.items() if not key.startswith("mlflow.")}
            files = sorted(str(p.relative_to(there.info.artifact_uri.removeprefix("file://"))) for p in Path(there.info.artifact_uri.removeprefix("file://")).rglob("*"))
            found.append([there.info.status, there.data.params, there.data.metrics, tags, files, version.tags, version.description, version.run_id == run,
                          version.source.removeprefix("file://") == there.info.artifact_uri.removeprefix("file://") + "/model", made["version"] == str(number + 1)])
        print(json.dumps(found))
    """
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=shared.folder, capture_output=True, text=True, check=False, timeout=100,
        env={**os.environ, "MLFLOW_TRACKING_URI": uri, "PYTHONPATH": str(ROOT / "data-science/src"), "MLFLOW_DISABLE_TELEMETRY": "true"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    ours, theirs = json.loads(done.stdout.splitlines()[-1])
    assert ours == theirs
    assert ours[0] == "FINISHED"
    assert all(ours[-3:])


def test_a_killed_server_is_started_again_at_the_same_address(logged, shared):
    folder = shared.folder / ".lockgate/mlflow"
    before = service.ensure(folder)
    process = int((folder / service.LOCK).read_text())
    os.kill(process, signal.SIGKILL)
    shared.wait_until(lambda: not service.is_running(folder), "the lock goes with its process")
    assert service.ensure(folder) == before
    again = shared.outcome("job.yml", "--rerun")
    assert again["models"] == [{"name": "m", "version": "2"}]


def test_a_killed_desk_leaves_the_server_and_its_run_is_taken_in(desk):
    desk.write(
        "job.yml",
        "type: pipeline\njobs: {one: {type: command, command: 'echo $$ > \"$HERE/one\"; sleep 600', environment: 'azureml:any:1'}}\n",
    )
    os.environ["HERE"] = str(desk.folder)
    process = desk.start()
    desk.pid("one")
    process.kill()
    process.wait()
    assert service.is_running(desk.folder / ".lockgate/mlflow")
    assert [status for (status,) in desk.mlflow("SELECT status FROM runs")] == ["RUNNING", "RUNNING"]


def test_many_that_start_it_at_once_get_one(tmp_path):
    code = "import sys; from pathlib import Path; from lockgate.tracking import service; print(service.ensure(Path(sys.argv[1])))"
    begun = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "mlflow")], stdout=subprocess.PIPE, text=True) for _ in range(8)]
    said = {process.communicate(timeout=60)[0] for process in begun}
    assert len(said) == 1
    assert service.stop(tmp_path / "mlflow")
    assert not service.is_running(tmp_path / "mlflow")


@pytest.mark.parametrize("awake", [True, False])
def test_a_server_ends_with_its_folder(desk, awake):
    folder = desk.folder / "mlflow"
    service.ensure(folder)
    if awake:
        service.settle(folder)
    desk.wait_until((folder / service.LOCK).read_text, "the server says who it is")
    process = int((folder / service.LOCK).read_text())
    (folder / service.LOCK).unlink()
    desk.wait_until(lambda: not desk.is_alive(process), "the server ends")


def test_a_word_that_mlflow_refuses_keeps_none_back(tmp_path):
    folder = tmp_path / "mlflow"
    journal.end_run(folder, "nobody", status="FINISHED")
    journal.begin_run(folder, "e", "good", None, {"a": "b"})
    (folder / "journal" / "0.json").write_text("{")
    service.settle(folder)
    with sqlite3.connect(folder / "mlflow.db") as connection:
        assert connection.execute("SELECT name, status FROM runs").fetchall() == [("good", "RUNNING")]
    connection.close()
    assert sorted(path.suffix for path in (folder / "journal").iterdir()) == [".refused", ".refused"]
    assert "not taken in" in (folder / service.LOG).read_text()
    service.stop(folder)


def test_a_store_that_is_down_is_said_once(tmp_path):
    code = """if True:
        from tabular.errors import run_step
        from tabular.tracking import Tracking
        def main():
            with Tracking("x") as tracking:
                tracking.log(metrics={"a": 1.0})
                tracking.log(metrics={"b": 1.0})
        run_step(main)
    """
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60,
        env={**os.environ, "MLFLOW_TRACKING_URI": "http://127.0.0.1:9", "MLFLOW_RUN_ID": "r", "PYTHONPATH": str(ROOT / "data-science/src")},
    )  # fmt: skip
    assert done.returncode != 0
    assert (done.stdout + done.stderr).count("does not answer") == 1
    assert "Traceback" not in done.stderr
    assert "MLflow: the tracking server http://127.0.0.1:9 does not answer (connection refused)" in done.stderr
