"""Registered components, and schedules, which are kept and not triggered."""

from __future__ import annotations

import json

import pytest

pytestmark = pytest.mark.long

STEP = """\
type: command
name: double
version: "1"
inputs:
  number: {type: integer}
  more: {type: integer, default: 0}
outputs:
  answer: {type: uri_file}
code: ./code
environment: {image: minimal, conda_file: conda.yml}
command: python double.py ${{inputs.number}} ${{inputs.more}} ${{outputs.answer}}
"""
PAIR = """\
type: pipeline
name: twice
inputs:
  number: {type: integer}
outputs:
  answer: {type: uri_file}
jobs:
  one:
    type: command
    component: ./double.yml
    inputs: {number: "${{parent.inputs.number}}"}
    outputs: {answer: "${{parent.outputs.answer}}"}
"""
JOB = """\
type: pipeline
jobs:
  step:
    type: TYPE
    component: REFERENCE
    inputs: {number: 21}
outputs:
  answer: {type: uri_file}
"""


@pytest.fixture
def components(cloud):
    cloud.write("code/double.py", "import sys\nopen(sys.argv[3], 'w').write(str(int(sys.argv[1]) * 2 + int(sys.argv[2])))\n")
    cloud.write("conda.yml", "dependencies: []\n")
    cloud.write("double.yml", STEP)
    cloud.write("twice.yml", PAIR)
    return cloud


def run(cloud, reference, kind="command"):
    text = JOB.replace("REFERENCE", reference).replace("TYPE", kind)
    cloud.write(
        "job.yml", text.replace("inputs: {number: 21}", "inputs: {number: 21}\n    outputs: {answer: '${{parent.outputs.answer}}'}")
    )
    job = cloud.get("ml", "job", "create", "--file", "job.yml")["name"]
    done = cloud.az("ml", "job", "stream", "--name", job)
    assert done.returncode == 0, done.stderr
    cloud.get("ml", "job", "download", "--name", job, "--output-name", "answer", "--download-path", job)
    return (cloud.folder / job / "named-outputs" / "answer" / "answer").read_text()


def test_a_registered_component_runs_as_it_was_registered(components):
    made = components.get("ml", "component", "create", "--file", "double.yml")
    assert (made["name"], made["version"], made["type"]) == ("double", "1", "command")
    components.write("code/double.py", "raise SystemExit('changed since')\n")
    assert run(components, "azureml:double:1") == "42"
    assert run(components, "azureml:double@latest") == "42"


def test_a_version_of_a_component_never_changes(components):
    components.get("ml", "component", "create", "--file", "double.yml")
    components.get("ml", "component", "create", "--file", "double.yml")
    components.write("code/double.py", "pass\n")
    assert "already exists" in components.refused(1, "ml", "component", "create", "--file", "double.yml")
    assert components.get("ml", "component", "create", "--file", "double.yml", "--version", "2")["version"] == "2"
    assert [one["version"] for one in components.get("ml", "component", "list", "--name", "double")] == ["2", "1"]
    components.get("ml", "component", "archive", "--name", "double", "--version", "2")
    assert [one["version"] for one in components.get("ml", "component", "list", "--name", "double")] == ["1"]


def test_a_pipeline_component_is_registered_with_all_that_it_holds(components):
    made = components.get("ml", "component", "create", "--file", "twice.yml")
    assert (made["type"], made["version"]) == ("pipeline", "1")
    for name in ("double.yml", "code/double.py", "conda.yml"):
        (components.folder / name).unlink()
    assert run(components, "azureml:twice:1", "pipeline") == "42"


def test_a_component_of_a_registry_runs_in_a_workspace(components):
    components.get("ml", "component", "create", "--file", "double.yml", "--registry-name", "reg1")
    assert run(components, "azureml://registries/reg1/components/double/versions/1") == "42"


def test_a_component_that_is_not_there_is_said_with_its_place(components):
    components.write("job.yml", JOB.replace("REFERENCE", "azureml:other:1").replace("TYPE", "command"))
    assert "job.yml:5:16: component: workspace 'dev1' has no component other:1" in components.refused(
        1, "ml", "job", "create", "--file", "job.yml"
    )


def test_a_component_with_a_mistake_is_not_registered(components):
    components.write("double.yml", STEP.replace("${{inputs.more}}", "${{inputs.other}}"))
    assert "${{inputs.other}} is not declared" in components.refused(1, "ml", "component", "create", "--file", "double.yml")
    assert components.get("ml", "component", "list") == []


SCHEDULE = """\
name: weekly
trigger: {type: cron, expression: "0 6 * * 1", time_zone: UTC}
create_job: ./job.yml
"""


def test_a_schedule_is_kept_and_not_triggered(cloud):
    cloud.write("job.yml", "type: command\n")
    cloud.write("weekly.yml", SCHEDULE)
    done = cloud.az("ml", "schedule", "create", "--file", "weekly.yml")
    assert json.loads(done.stdout)["is_enabled"] is True
    assert "nothing keeps time on the desk" in done.stderr
    assert "is not triggered on the desk; run its job: az ml job create --file ./job.yml" in cloud.refused(
        2, "ml", "schedule", "trigger", "--name", "weekly"
    )
    assert "disable it first" in cloud.refused(2, "ml", "schedule", "delete", "--name", "weekly")
    assert cloud.get("ml", "schedule", "disable", "--name", "weekly")["is_enabled"] is False
    assert cloud.get("ml", "schedule", "list") == []
    assert len(cloud.get("ml", "schedule", "list", "--disabled-only")) == 1
    cloud.get("ml", "schedule", "update", "--name", "weekly", "--set", "tags.team=a")
    assert cloud.get("ml", "schedule", "show", "--name", "weekly")["tags"] == {"team": "a"}
    cloud.get("ml", "schedule", "delete", "--name", "weekly")
    assert cloud.get("ml", "schedule", "list", "--include-disabled") == []


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("0 6 * * 1", "0 6 * *", "allowed: five fields"),
        ("0 6 * * 1", "0 24 * * 1", "found '24' as hour"),
        ("0 6 * * 1", "0 6 * * MON", "found 'MON' as weekday"),
        ("0 6 * * 1", "5-1 6 * * 1", "found '5-1' as minute"),
        ("type: cron", "type: recurrence", "a trigger of type recurrence needs frequency, interval:"),
        ("create_job: ./job.yml\n", "", "found no action; allowed: one of create_job"),
        ("./job.yml", "./none.yml", "create_job: there is no file './none.yml'"),
        ("create_job: ./job.yml", "create_job: {type: pipeline}", "create_job: found no job"),
        ("time_zone: UTC", "start_time: yesterday", "trigger.start_time: found 'yesterday'"),
        ("type: cron", "type: corn", "allowed: cron, recurrence"),
    ],
)
def test_mistakes_of_a_schedule(shared, old, new, why):
    assert old in SCHEDULE
    shared.write("job.yml", "type: command\n")
    shared.write("weekly.yml", SCHEDULE.replace(old, new))
    assert why in shared.refused(1, "ml", "schedule", "create", "--file", "weekly.yml")
    assert shared.get("ml", "schedule", "list") == []


SWEEP = """\
type: sweep
trial: {command: python x.py, environment: azureml:e:1}
search_space: {rate: {type: uniform, min_value: 0, max_value: 1}}
objective: {goal: minimize, primary_metric: loss}
limits: {max_total_trials: 4}
"""


def test_a_sweep_is_checked_kept_and_refused_by_name(cloud):
    cloud.write("sweep.yml", SWEEP)
    said = cloud.refused(1, "ml", "job", "create", "--file", "sweep.yml", "--name", "sweep1")
    assert said.startswith("sweep.yml:1:7: type: a job of type 'sweep' is not run on the desk; allowed here: pipeline, command, automl")
    shown = cloud.get("ml", "job", "show", "--name", "sweep1")
    assert (shown["type"], shown["status"]) == ("sweep", "Failed")
    assert "is not run on the desk" in shown["error"]
    cloud.write("sweep.yml", SWEEP.replace("minimize", "smaller"))
    assert "allowed: minimize, maximize" in cloud.refused(1, "ml", "job", "create", "--file", "sweep.yml", "--name", "sweep2")
    assert len(cloud.get("ml", "job", "list")) == 1
