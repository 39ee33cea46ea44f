"""Whatever ends a run, nothing of it goes on: Ctrl-C, twice if need be, SIGTERM, a closed terminal, a reader that left, kill -9."""

from __future__ import annotations

import signal

import pytest

# A command with a child, a grandchild, one that will not hear SIGTERM, and one in a process group of its own.
FAMILY = """\
    type: pipeline
    jobs:
      family:
        type: command
        command: |
          sh -c 'sleep 600 & echo $! > "$HERE/grandchild"; wait' &
          echo $! > "$HERE/child"
          wait
        environment: azureml:any:1
      stubborn:
        type: command
        command: python "$HERE/stubborn.py"
        environment: azureml:any:1
      later: {type: command, command: "ls ${{inputs.i}}", environment: "azureml:any:1", inputs: {i: "${{parent.jobs.first.outputs.o}}"}}
      first: {type: command, command: "true", environment: "azureml:any:1", outputs: {o: {type: uri_folder}}}
    """
STUBBORN = """\
    import os, pathlib, signal
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    pathlib.Path(os.environ["HERE"], "stubborn").write_text(f"{os.getpid()}\\n")
    while True:
        signal.pause()
    """
SIMPLE = """\
    type: pipeline
    jobs:
      one: {type: command, command: 'sleep 600 & echo $! > "$HERE/one"; wait', environment: "azureml:any:1"}
      two: {type: command, command: 'sleep 600 & echo $! > "$HERE/two"; wait', environment: "azureml:any:1"}
    """
OWN_GROUP = """\
    type: pipeline
    jobs:
      one: {type: command, command: 'setsid sleep 600 & echo $! > "$HERE/one"; wait', environment: "azureml:any:1"}
    """


def begin(desk, monkeypatch, text, *names, options=("--jobs", "4")):
    monkeypatch.setenv("HERE", str(desk.folder))
    desk.write("job.yml", text)
    desk.write("stubborn.py", STUBBORN)
    process = desk.start("job.yml", *options)
    return process, [desk.pid(name) for name in names]


def assert_ended(desk, processes):
    for process in processes:
        desk.wait_until(lambda process=process: not desk.is_alive(process), f"process {process} to end")


def last_job(desk):
    return desk.rows("SELECT * FROM jobs ORDER BY created DESC")[0]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_leaves_no_process(number, desk, monkeypatch):
    process, family = begin(desk, monkeypatch, FAMILY, "child", "grandchild", "stubborn")
    process.send_signal(number)
    shown, _ = process.communicate(timeout=30)
    assert [desk.is_alive(pid) for pid in family] == [False, False, False]
    assert process.returncode == 130
    assert "Traceback" not in shown
    assert "family    canceled" in shown
    assert shown.endswith("interrupted; everything that was running has been stopped\n")
    job = last_job(desk)
    assert (job["status"], job["reason"], job["process"]) == ("Canceled", "interrupted", None)
    nodes = {row["name"]: row["status"] for row in desk.rows("SELECT * FROM nodes")}
    assert (nodes["family"], nodes["stubborn"]) == ("Canceled", "Canceled")


@pytest.mark.long
def test_a_second_ctrl_c_while_the_first_is_at_work_leaves_no_process(desk, monkeypatch):
    process, family = begin(desk, monkeypatch, FAMILY, "child", "grandchild", "stubborn")
    process.send_signal(signal.SIGINT)
    desk.wait_until(lambda: not desk.is_alive(family[1]), "the first interrupt to be at work")
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert [desk.is_alive(pid) for pid in family] == [False, False, False]
    assert process.returncode == 130
    assert last_job(desk)["status"] == "Canceled"


def test_a_closed_terminal_leaves_no_process(desk, monkeypatch):
    process, children = begin(desk, monkeypatch, SIMPLE, "one", "two")
    process.send_signal(signal.SIGHUP)
    process.communicate(timeout=30)
    assert [desk.is_alive(pid) for pid in children] == [False, False]
    assert last_job(desk)["status"] == "Canceled"


@pytest.mark.long
def test_a_reader_that_left_leaves_no_process(desk, monkeypatch):
    monkeypatch.setenv("HERE", str(desk.folder))
    desk.write("job.yml", SIMPLE.replace("two: ", "zero: {type: command, command: 'until [ -e \"$HERE/go\" ]; do sleep 0.02; done', "
                                         "environment: 'azureml:any:1'}\n      two: "))  # fmt: skip
    process = desk.start("job.yml", "--jobs", "3")
    children = [desk.pid("one"), desk.pid("two")]
    assert process.stdout is not None
    process.stdout.close()
    (desk.folder / "go").touch()
    process.wait(timeout=30)
    assert [desk.is_alive(pid) for pid in children] == [False, False]
    assert last_job(desk)["status"] != "Running"


@pytest.mark.long
def test_a_command_in_a_session_of_its_own_is_ended_too(desk, monkeypatch):
    process, (child,) = begin(desk, monkeypatch, OWN_GROUP, "one")
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert not desk.is_alive(child)


@pytest.mark.long
def test_a_killed_run_takes_its_commands_along_and_the_next_run_says_what_became_of_it(desk, monkeypatch):
    direct = """\
    type: pipeline
    jobs:
      one: {type: command, command: 'echo $$ > "$HERE/one"; exec sleep 600', environment: "azureml:any:1"}
    """
    process, children = begin(desk, monkeypatch, direct, "one")
    process.kill()
    process.communicate(timeout=30)
    assert_ended(desk, children)
    dead = last_job(desk)
    assert (dead["status"], dead["process"]) == ("Running", process.pid)
    desk.write("next.yml", "type: pipeline\njobs: {one: {type: command, command: 'true', environment: 'azureml:any:1'}}\n")
    desk.outcome("next.yml")
    (found,) = desk.rows("SELECT * FROM jobs WHERE name = ?", dead["name"])
    assert (found["status"], found["process"]) == ("Failed", None)
    assert found["reason"] == "the process that ran it ended without a word (killed, or the machine went down)"
    assert found["ended"] is not None
