"""Nodes that fail, run too long or leave nothing: what stops, and what is said."""

from __future__ import annotations

import json

import pytest

from lockgate.errors import FileError
from lockgate.execution.job_file import load_job

JOB = """\
    type: pipeline
    settings: {continue_on_step_failure: SETTING}
    jobs:
      broken:
        type: command
        command: seq 1 30; echo "the reason" >&2; touch ${{outputs.made}}/begun; exit 3
        environment: azureml:any:1
        outputs: {made: {type: uri_folder}}
      after: {type: command, command: "ls ${{inputs.made}}", environment: "azureml:any:1",
              inputs: {made: "${{parent.jobs.broken.outputs.made}}"}}
      last: {type: command, command: "ls ${{inputs.made}}", environment: "azureml:any:1",
             inputs: {made: "${{parent.jobs.between.outputs.made}}"}}
      between: {type: command, command: "ls ${{inputs.made}} > ${{outputs.made}}/list", environment: "azureml:any:1",
                inputs: {made: "${{parent.jobs.broken.outputs.made}}"}, outputs: {made: {type: uri_folder}}}
      apart: {type: command, command: echo done, environment: "azureml:any:1"}
    """


@pytest.mark.parametrize(("setting", "apart"), [("false", "skipped: another node failed"), ("true", "completed in ")])
def test_a_failed_node_stops_what_needs_it_and_shows_its_last_lines(setting, apart, shared):
    shared.write("failing.yml", JOB.replace("SETTING", setting))
    done = shared.run("failing.yml", "--jobs", "1")
    assert done.returncode == 1
    assert "✘ broken   failed in " in done.stdout
    assert " after    skipped: needs broken\n" in done.stdout
    assert " between  skipped: needs broken\n" in done.stdout
    assert " last     skipped: " in done.stdout
    assert f" apart    {apart}" in done.stdout
    assert done.stdout.splitlines()[-1].startswith("Failed: failing in ")
    heading, *lines = done.stderr.splitlines()
    assert heading.startswith("── broken failed: exit code 3 ── ")
    assert heading.endswith("/broken/log.txt")
    assert lines == [f"   {number}" for number in range(12, 31)] + ["   the reason"]


@pytest.mark.long
def test_a_failed_job_is_failed_in_the_workspace_and_in_json(shared):
    shared.write("json.yml", JOB.replace("SETTING", "true"))
    done = shared.run("json.yml", "--json", "--jobs", "1")
    outcome = json.loads(done.stdout)
    assert (done.returncode, outcome["status"], set(outcome["outputs"])) == (1, "Failed", {"apart"})
    (job,) = shared.rows("SELECT * FROM jobs WHERE name = ?", outcome["name"])
    assert (job["status"], job["reason"]) == ("Failed", "failed: broken")
    nodes = {row["name"]: row["status"] for row in shared.rows("SELECT * FROM nodes WHERE job = ?", outcome["name"])}
    assert nodes == {"broken": "Failed", "apart": "Completed"}


def test_a_node_that_leaves_no_file_a_crash_or_no_command_fails_with_a_sentence(shared):
    shared.write(
        "sentences.yml",
        """\
        type: pipeline
        settings: {continue_on_step_failure: true}
        jobs:
          nothing: {type: command, command: "true", environment: "azureml:any:1", outputs: {table: {type: uri_file}}}
          killed: {type: command, command: "kill -9 $$", environment: "azureml:any:1"}
          unknown: {type: command, command: no-such-program --now, environment: "azureml:any:1"}
        """,
    )
    done = shared.run("sentences.yml")
    assert done.returncode == 1
    assert "── nothing failed: wrote no output table ── " in done.stderr
    assert "── killed failed: " in done.stderr
    assert "no-such-program: command not found" in done.stderr


@pytest.mark.long
def test_a_node_that_takes_too_long_is_ended_with_all_it_started(shared):
    shared.write(
        "slow.yml",
        """\
        type: pipeline
        jobs:
          slow:
            type: command
            command: "(sleep 600 & echo $! > \\"$HERE/child\\"; wait) & echo $! > \\"$HERE/middle\\"; wait"
            environment: azureml:any:1
            limits: {timeout: 1}
        """,
    )
    done = shared.run("slow.yml", HERE=str(shared.folder))
    assert done.returncode == 1
    assert "── slow failed: stopped after its limits.timeout of 1 s ── " in done.stderr
    assert not shared.is_alive(shared.pid("child"))
    assert not shared.is_alive(shared.pid("middle"))


@pytest.mark.long
def test_what_a_command_leaves_behind_in_the_background_is_ended_with_it(shared):
    shared.write(
        "left.yml",
        """\
        type: pipeline
        jobs: {one: {type: command, command: "sleep 600 & echo $! > \\"$HERE/left\\"", environment: "azureml:any:1"}}
        """,
    )
    assert shared.run("left.yml", HERE=str(shared.folder)).returncode == 0
    assert not shared.is_alive(shared.pid("left"))


@pytest.mark.long
def test_many_layers_of_nodes_do_not_hold_the_desk_up(shared):
    layers = ["first: {type: command, command: exit 1, environment: 'azureml:any:1', outputs: {o: {type: uri_folder}}}"]
    above = ["first"]
    for layer in range(25):
        names = [f"n{layer}_{number}" for number in range(3)]
        bound = ", ".join(f"i{k}: '${{{{parent.jobs.{name}.outputs.o}}}}'" for k, name in enumerate(above))
        layers += [
            f"{n}: {{type: command, command: ls, environment: 'azureml:any:1', inputs: {{{bound}}}, outputs: {{o: {{type: uri_folder}}}}}}"
            for n in names
        ]
        above = names
    shared.write("layers.yml", "type: pipeline\njobs:\n" + "".join(f"  {line}\n" for line in layers))
    process = shared.start("layers.yml")
    shown, _ = process.communicate(timeout=20)
    assert process.returncode == 1
    assert shown.count("skipped: needs ") == 75


@pytest.mark.parametrize("what", ["environment_variables: {'a=b': x}", 'inputs: {name: "a\\0b"}'])
def test_what_no_process_can_be_given_is_a_mistake_of_the_file(what, tmp_path):
    file = tmp_path / "job.yml"
    file.write_text(f"type: pipeline\njobs:\n  one:\n    type: command\n    command: ls\n    environment: azureml:any:1\n    {what}\n")
    with pytest.raises(FileError):
        load_job(file, root=tmp_path)
