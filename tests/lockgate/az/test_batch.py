"""Batch endpoints: an invocation is a job that deals files out to processes."""

from __future__ import annotations

import json

import pytest

pytestmark = pytest.mark.long

SCORE = """\
import json, os

def init():
    global top
    top = os.environ["AZUREML_MODEL_DIR"]

def run(mini_batch):
    found = []
    for path in mini_batch:
        with open(path) as stream:
            lines = stream.read().split()
        if "bad" in lines:
            raise ValueError(f"{os.path.basename(path)} is bad")
        found += [json.dumps({"file": os.path.basename(path), "row": row, "value": int(line) * 2}) for row, line in enumerate(lines)]
    return found
"""
DEPLOYMENT = """\
name: {name}
endpoint_name: nightly
type: model
model: azureml:m:1
code_configuration: {{code: code, scoring_script: batch.py}}
environment: {{image: minimal}}
compute: azureml:cpu-cluster
resources: {{instance_count: 2}}
settings:
  mini_batch_size: 2
  max_concurrency_per_instance: 1
  output_action: {action}
  output_file_name: answers.jsonl
  error_threshold: {threshold}
  retry_settings: {{max_retries: 1, timeout: 30}}
"""


class Batch:
    def __init__(self, cloud):
        self.cloud = cloud
        cloud.write("code/batch.py", SCORE)
        cloud.get("ml", "model", "create", "--name", "m", "--path", "model")
        cloud.get("ml", "batch-endpoint", "create", "--name", "nightly")
        for number in range(5):
            cloud.write(f"input/{number}.txt", f"{number}\n{number + 10}\n")

    def deploy(self, name="first", *words, action="append_row", threshold=-1):
        self.cloud.write(f"{name}.yml", DEPLOYMENT.format(name=name, action=action, threshold=threshold))
        return self.cloud.get("ml", "batch-deployment", "create", "--file", f"{name}.yml", *words)

    def invoke(self, *words):
        job = self.cloud.get("ml", "batch-endpoint", "invoke", "--name", "nightly", *words)
        done = self.cloud.az("ml", "job", "stream", "--name", job["name"])
        return job["name"], done

    def answers(self, job):
        self.cloud.get("ml", "job", "download", "--name", job, "--output-name", "score", "--download-path", f"out-{job}")
        return (self.cloud.folder / f"out-{job}" / "named-outputs" / "score" / "answers.jsonl").read_text().splitlines()


@pytest.fixture
def batch(cloud):
    return Batch(cloud)


def test_a_folder_is_scored_file_by_file_and_row_by_row(batch):
    made = batch.deploy("first", "--set-default")
    assert made["settings"]["mini_batch_size"] == 2
    assert batch.cloud.get("ml", "batch-endpoint", "show", "--name", "nightly")["defaults"] == {"deployment_name": "first"}
    job, done = batch.invoke("--input", "input")
    assert done.returncode == 0, done.stderr
    expected = [{"file": f"{n}.txt", "row": row, "value": 2 * (n + 10 * row)} for n in range(5) for row in (0, 1)]
    assert [json.loads(line) for line in batch.answers(job)] == expected
    shown = batch.cloud.get("ml", "job", "show", "--name", job)
    assert (shown["status"], shown["type"], list(shown["jobs"])) == ("Completed", "pipeline", ["batchscoring"])
    assert (
        "5 files in 3 mini batches for 2 processes"
        in (batch.cloud.folder / shown["services"]["Studio"]["endpoint"] / "batchscoring/log.txt").read_text()
    )
    assert [one["name"] for one in batch.cloud.get("ml", "batch-endpoint", "list-jobs", "--name", "nightly")] == [job]
    assert [
        one["name"] for one in batch.cloud.get("ml", "batch-deployment", "list-jobs", "--name", "first", "--endpoint-name", "nightly")
    ] == [job]


def test_a_file_a_registered_one_and_what_is_in_a_datastore_are_inputs_too(batch):
    batch.deploy("first", "--set-default")
    batch.cloud.get("ml", "data", "create", "--name", "rows", "--type", "uri_file", "--path", "input/3.txt")
    for words in (
        ["--input", "input/3.txt"],
        ["--input", "azureml:rows:1", "--input-type", "uri_file"],
        ["--input", "azureml:rows@latest", "--input-type", "uri_file"],
    ):
        job, done = batch.invoke(*words)
        assert done.returncode == 0, done.stderr
        assert [json.loads(line)["value"] for line in batch.answers(job)] == [6, 26]
    job, done = batch.invoke(
        "--input", "input/3.txt", "--output-path", "azureml://datastores/workspaceblobstore/paths/night", "--job-name", "night1"
    )
    assert (job, done.returncode) == ("night1", 0)
    job, done = batch.invoke("--input", "azureml://datastores/workspaceblobstore/paths/night")
    # Lines of JSON are no numbers for this script; with error_threshold -1 that ends nothing, and is said.
    assert done.returncode == 0
    log = batch.cloud.folder / ".lockgate/workspaces/dev1/jobs" / job / "batchscoring/log.txt"
    assert "mini batch 0 (answers.jsonl) failed 2 times: ValueError: invalid literal" in log.read_text()


def test_failures_beyond_the_threshold_end_the_job_and_the_ones_below_do_not(batch):
    batch.cloud.write("input/2.txt", "1\nbad\n")
    batch.deploy("strict", "--set-default", threshold=1)
    _, done = batch.invoke("--input", "input")
    assert done.returncode == 1
    assert "stopped: 2 failures are more than error_threshold 1" in done.stderr
    assert "mini batch 1 (2.txt, 3.txt) failed 2 times: ValueError: 2.txt is bad" in done.stderr
    batch.deploy("loose", threshold=2)
    job, done = batch.invoke("--input", "input", "--deployment-name", "loose")
    assert done.returncode == 0
    assert {json.loads(line)["file"] for line in batch.answers(job)} == {"0.txt", "1.txt", "4.txt"}
    job, done = batch.invoke("--input", "input", "--deployment-name", "loose", "--mini-batch-size", "1")
    assert {json.loads(line)["file"] for line in batch.answers(job)} == {"0.txt", "1.txt", "3.txt", "4.txt"}


def test_a_summary_alone_writes_no_rows(batch):
    batch.deploy("quiet", "--set-default", action="summary_only")
    job, done = batch.invoke("--input", "input")
    assert done.returncode == 0
    batch.cloud.get("ml", "job", "download", "--name", job, "--output-name", "score", "--download-path", "out")
    assert list((batch.cloud.folder / "out" / "named-outputs" / "score").iterdir()) == []


def test_the_default_deployment_is_moved_and_not_deleted(batch):
    batch.deploy("first", "--set-default")
    batch.deploy("second")
    said = batch.cloud.refused(1, "ml", "batch-deployment", "delete", "--name", "first", "--endpoint-name", "nightly", "--yes")
    assert "is the default of endpoint 'nightly'" in said
    batch.cloud.get("ml", "batch-endpoint", "update", "--name", "nightly", "--defaults", "deployment_name=second")
    batch.cloud.get("ml", "batch-deployment", "delete", "--name", "first", "--endpoint-name", "nightly", "--yes")
    assert [one["name"] for one in batch.cloud.get("ml", "batch-deployment", "list", "--endpoint-name", "nightly")] == ["second"]
    assert "there is no deployment 'third'" in batch.cloud.refused(
        1, "ml", "batch-endpoint", "update", "--name", "nightly", "--set", "defaults.deployment_name=third"
    )
    shown = batch.cloud.get(
        "ml", "batch-deployment", "update", "--name", "second", "--endpoint-name", "nightly", "--set", "settings.mini_batch_size=7"
    )
    assert shown["settings"]["mini_batch_size"] == 7


@pytest.mark.parametrize(
    ("words", "code", "why"),
    [
        (["--input", "nowhere"], 2, "there is no file or folder 'nowhere'"),
        ([], 2, "--input"),
        (["--input", "input", "--input-type", "uri_file"], 2, "'input' is a folder"),
        (["--input", "azureml:none:1"], 3, "has no data none:1"),
        (["--input", "input", "--deployment-name", "third"], 3, "deployment 'third' was not found"),
        (["--input", "input", "--output-path", "here"], 2, "allowed: azureml://datastores/NAME/paths/"),
        (["--input", "input", "--job-name", "../../x"], 2, "job name: found '../../x'"),
        (["--input", "input", "--output-path", "azureml://datastores/workspaceblobstore/paths/../../x"], 1, "allowed: a path below"),
        (["--input", "azureml://datastores/workspaceblobstore/paths//etc/passwd"], 3, "has nothing at"),
        (
            ["--input", "azureml://datastores/workspaceblobstore/paths/../../../x"],
            1,
            "allowed: a path below 'workspaceblobstore', without '..'",
        ),
        (["--inputs", "a.path=input"], 2, "--inputs of az ml batch-endpoint invoke is not supported on the desk"),
    ],
)
def test_mistakes_of_an_invocation(batch, words, code, why):
    batch.deploy("first", "--set-default")
    assert why in batch.cloud.refused(code, "ml", "batch-endpoint", "invoke", "--name", "nightly", *words)
    kept = batch.cloud.folder / ".lockgate/workspaces/dev1/endpoints/nightly/invocations"
    assert not kept.exists() or list(kept.iterdir()) == []


def test_what_was_in_a_datastore_stays_beside_what_comes(batch):
    batch.deploy("first", "--set-default")
    folder = batch.cloud.folder / ".lockgate/workspaces/dev1/datastores/workspaceblobstore/night"
    folder.mkdir(parents=True)
    (folder / "old.txt").write_text("old")
    _, done = batch.invoke("--input", "input", "--output-path", "azureml://datastores/workspaceblobstore/paths/night")
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in folder.iterdir()) == ["answers.jsonl", "old.txt"]


def test_an_endpoint_without_a_default_wants_a_name(batch):
    batch.deploy("first")
    assert "has no default deployment" in batch.cloud.refused(1, "ml", "batch-endpoint", "invoke", "--name", "nightly", "--input", "input")


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("type: model", "type: pipeline", "a batch deployment of a pipeline is not run on the desk"),
        ("code_configuration: {code: code, scoring_script: batch.py}\n", "", "code_configuration: found nothing"),
        ("model: azureml:m:1\n", "", "a batch deployment needs model:"),
        ("output_action: append_row", "output_action: append", "allowed: append_row, summary_only"),
        ("error_threshold: -1", "error_threshold: -2", "error_threshold: found '-2'; allowed: -1 or more"),
        ("answers.jsonl", "../../leak.csv", "output_file_name: found '../../leak.csv'; allowed: the name of a file"),
        ("batch.py", "none.py", "there is no file 'none.py'"),
    ],
)
def test_mistakes_of_a_deployment(batch, old, new, why):
    text = DEPLOYMENT.format(name="first", action="append_row", threshold=-1)
    assert old in text
    batch.cloud.write("first.yml", text.replace(old, new))
    assert why in batch.cloud.refused(1, "ml", "batch-deployment", "create", "--file", "first.yml")
