"""What a stage waits for: approvals of its environments, somebody who starts it, branches, and locks between runs."""

from __future__ import annotations

import json

import pytest

pytestmark = pytest.mark.spread

DEPLOY = """\
    stages:
    - stage: build
      jobs: [{job: j, steps: [{bash: echo}]}]
    - stage: live
      jobs:
      - deployment: d
        environment: prod
        strategy: {runOnce: {deploy: {steps: [{bash: echo > "$HERE/deployed"}]}}}
    - stage: after
      dependsOn: live
      condition: always()
      jobs: [{job: j, steps: [{bash: echo}]}]
    """


def waiting(project, run=1):
    """What a run waits for, once it does."""

    def found():
        files = [json.loads(path.read_text()) for path in (project.runs / str(run) / "approvals").glob("[!.]*.json")]
        return [one for one in files if one["state"] == "waiting"]

    return project.wait_until(found, f"run {run} to wait for an answer")


def answers(project, run=1):
    return [json.loads(path.read_text()) for path in (project.runs / str(run) / "approvals").glob("[!.]*.json")]


@pytest.fixture
def guarded(project):
    project.write(".lockgate/environments.yml", "prod: {approval: {instructions: Look at the report}}\n")
    project.write("p.yml", DEPLOY)
    return project


def test_a_run_waits_until_it_is_approved(guarded):
    process = guarded.start()
    (question,) = waiting(guarded)
    assert question["instructions"] == "Look at the report"
    assert "prod" in question["what"]
    assert not (guarded.folder / "deployed").exists()
    answer = guarded.call("approve", "1", "--comment", "looks good")
    assert answer.code == 0
    assert "prod" in answer.out
    ended = guarded.end_of(process)
    assert (ended.code, ended.result) == (0, "Succeeded")
    assert (guarded.folder / "deployed").exists()
    assert "lockgate approve 1" in ended.out
    (kept,) = answers(guarded)
    assert (kept["state"], kept["how"], kept["comment"]) == ("approved", "lockgate approve", "looks good")
    assert kept["by"]
    assert kept["at"]


def test_a_run_that_is_rejected_ends(guarded):
    process = guarded.start()
    waiting(guarded)
    assert guarded.call("reject", "1").code == 0
    ended = guarded.end_of(process)
    assert ended.code == 1
    assert (ended.status["build"], ended.status["live"], ended.status["after"]) == ("Succeeded", "Failed", "Succeeded")
    assert "rejected" in ended.details["live"]
    assert not (guarded.folder / "deployed").exists()
    assert answers(guarded)[0]["state"] == "rejected"


def test_yes_approves_and_that_is_recorded(guarded):
    ended = guarded.run("p.yml", "--yes")
    assert ended.code == 0
    (kept,) = answers(guarded)
    assert (kept["state"], kept["how"]) == ("approved", "--yes")


def test_answers_that_fit_nothing(guarded):
    process = guarded.start()
    waiting(guarded)
    unknown = guarded.call("approve", "7")
    assert unknown.code == 4
    assert "no run 7" in unknown.err
    assert "1" in unknown.err
    other = guarded.call("approve", "1", "--stage", "build")
    assert other.code == 4
    assert "waits for nothing" in other.err
    assert guarded.call("approve", "one").code == 2
    assert guarded.call("approve", "1", "--stage", "live").code == 0
    guarded.end_of(process)
    again = guarded.call("reject", "1")
    assert again.code == 4
    assert "waits for nothing" in again.err
    assert answers(guarded)[0]["state"] == "approved"


def test_several_questions_need_a_choice(project):
    project.write(".lockgate/environments.yml", "one: {approval: true}\ntwo: {approval: true}\n")
    project.write("p.yml", """\
        stages:
        - stage: a
          dependsOn: []
          jobs: [{deployment: d, environment: one, strategy: {runOnce: {deploy: {steps: [{bash: echo}]}}}}]
        - stage: b
          dependsOn: []
          jobs: [{deployment: d, environment: two, strategy: {runOnce: {deploy: {steps: [{bash: echo}]}}}}]
        """)  # fmt: skip
    process = project.start("p.yml", "--jobs", "2")
    project.wait_until(lambda: len(waiting(project)) == 2, "both questions")
    unclear = project.call("approve", "1")
    assert unclear.code == 2
    assert "--all" in unclear.err
    assert "--stage" in unclear.err
    assert project.call("reject", "1", "--stage", "B").code == 0
    assert project.call("approve", "1").code == 0
    ended = project.end_of(process)
    assert (ended.status["a"], ended.status["b"]) == ("Succeeded", "Failed")


def test_an_approval_that_nobody_gives_in_time(project):
    project.write(".lockgate/environments.yml", "prod: {approval: {timeoutMinutes: 0.002}}\n")
    ended = project.run_text(DEPLOY)
    assert (ended.code, ended.status["live"]) == (1, "Failed")
    assert "in time" in ended.details["live"]


def test_an_approval_after_a_kill_is_found_by_resume(guarded):
    process = guarded.start()
    waiting(guarded)
    process.kill()
    process.communicate(timeout=20)
    answer = guarded.call("approve", "1")
    assert answer.code == 0
    assert "--resume" in answer.out
    ended = guarded.run("p.yml", "--resume")
    assert (ended.code, ended.result) == (0, "Succeeded")


def test_an_interrupt_while_it_waits(guarded):
    process = guarded.start()
    waiting(guarded)
    process.terminate()
    ended = guarded.end_of(process)
    assert ended.code == 130
    assert ended.status["live"] == "Canceled"
    assert ended.status["after"] == "Succeeded"


def test_only_named_branches_may_deploy(project):
    project.write(".lockgate/environments.yml", "prod: {branches: [main, refs/heads/release/*]}\n")
    project.write("p.yml", DEPLOY)
    codes = {branch: project.run("p.yml", "--branch", branch).code for branch in ("main", "release/1", "feature/x", "maintenance")}
    assert codes == {"main": 0, "release/1": 0, "feature/x": 1, "maintenance": 1}
    ended = project.run("p.yml", "--branch", "feature/x")
    assert "refs/heads/feature/x" in ended.details["live"]
    assert "refs/heads/main" in ended.details["live"]
    assert ended.status["live"] == "Failed"


def test_environments_without_checks_and_unknown_ones(project):
    project.write(".lockgate/environments.yml", "other: {approval: true}\nprod:\n")
    assert project.run_text(DEPLOY).code == 0


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("prod: {aproval: true}\n", ["environments.yml:1:", "aproval", "approval"]),
        ("prod: {approval: {timeoutMinutes: soon}}\n", ["environments.yml:1:", "timeoutMinutes", "soon"]),
        ("prod: {approval: {timeoutMinutes: -1}}\n", ["timeoutMinutes", "-1"]),
        ("prod: {approval: 3}\n", ["environments.yml:1:", "approval"]),
        ("prod: {exclusiveLock: maybe}\n", ["exclusiveLock", "maybe"]),
        ("prod: {branches: main}\n", ["branches"]),
        ("- prod\n", ["environments.yml:1:"]),
        ("prod: [\n", ["environments.yml:"]),
        ("prod: {exclusiveLock: 1}\nlive: {branch: [x]}\n", ["exclusiveLock", "branch"]),
    ],
)
def test_mistakes_in_environments_start_nothing(text, words, project):
    project.write(".lockgate/environments.yml", text)
    ended = project.run_text(DEPLOY)
    assert ended.code == 2
    assert [word for word in words if word not in ended.err] == []
    assert not project.runs.exists()


def test_a_stage_started_by_hand(project):
    project.write("p.yml", """\
        stages:
        - stage: a
          jobs: [{job: j, steps: [{bash: echo}]}]
        - stage: b
          trigger: manual
          jobs: [{job: j, steps: [{bash: echo}]}]
        """)  # fmt: skip
    process = project.start()
    (question,) = waiting(project)
    assert "b" in question["what"]
    assert project.call("approve", "1").code == 0
    ended = project.end_of(process)
    assert (ended.code, ended.status["b"]) == (0, "Succeeded")


LOCKED = """\
    lockBehavior: {behaviour}
    stages:
    - stage: a
      jobs:
      - deployment: d
        environment: prod
        strategy:
          runOnce:
            deploy:
              steps:
              - bash: |
                  mkdir "$HERE/inside" || echo overlap > "$HERE/overlap"
                  echo $(Build.BuildId) >> "$HERE/order"
                  echo $$ > "$HERE/step-$(Build.BuildId)"
                  until test -e "$HERE/go-$(Build.BuildId)"; do sleep 0.02; done
                  rmdir "$HERE/inside"
    """


def three_runs(project, behaviour):
    """Three runs at once: the first has the lock, the others wait, one after the other."""
    project.write(".lockgate/environments.yml", "prod: {exclusiveLock: true}\n")
    project.write("p.yml", LOCKED.format(behaviour=behaviour))
    processes = [project.start()]
    project.pid("step-1")
    for number in (2, 3):
        processes.append(project.start())
        project.wait_until(lambda number=number: waits_for_lock(project, number), f"run {number} to wait")
    if behaviour == "runLatest":
        processes[1].wait(timeout=20)
    for number in (1, 2, 3):
        (project.folder / f"go-{number}").touch()
    return [process.communicate(timeout=20)[0] and process.returncode for process in processes]


def waits_for_lock(project, number):
    """Whether the record of a run says that it waits for a lock. (How many tickets there are would not do: an overtaken run is gone at once.)"""
    path = project.runs / str(number) / "run.json"
    return path.exists() and any(stage["status"] == "lock" for stage in json.loads(path.read_text())["stages"])


def tickets(project):
    """How many runs have asked for the lock that most ask for."""
    folders = [path for path in (project.folder / ".lockgate/locks").glob("*") if path.is_dir()]
    return max((sum(1 for file in folder.iterdir() if file.name[0].isdigit()) for folder in folders), default=0)


def test_runs_that_need_the_same_lock_go_one_after_the_other(project):
    assert three_runs(project, "sequential") == [0, 0, 0]
    assert project.read("order").split() == ["1", "2", "3"]
    assert not (project.folder / "overlap").exists()


def test_with_run_latest_only_the_newest_of_those_that_wait_goes_on(project):
    codes = three_runs(project, "runLatest")
    assert codes == [0, 1, 0]
    assert project.read("order").split() == ["1", "3"]
    assert project.record(2)["stages"][0]["status"] == "Canceled"
    assert "newer run" in project.record(2)["stages"][0]["detail"]


def test_a_lock_is_given_back_when_its_run_is_killed(project):
    project.write(".lockgate/environments.yml", "prod: {exclusiveLock: true}\n")
    project.write("p.yml", LOCKED.format(behaviour="sequential").replace("inside", "inside-$(Build.BuildId)"))
    first = project.start()
    step = project.pid("step-1")
    second = project.start()
    project.wait_until(lambda: tickets(project) == 2, "the second run to wait")
    first.kill()
    first.communicate(timeout=20)
    project.assert_ended(step)
    (project.folder / "go-2").touch()
    assert project.end_of(second).code == 0
    assert project.read("order").split() == ["1", "2"]


def test_a_waiting_run_says_for_whom_it_waits(project):
    project.write(".lockgate/environments.yml", "prod: {exclusiveLock: true}\n")
    project.write("p.yml", LOCKED.format(behaviour="sequential"))
    first = project.start()
    project.pid("step-1")
    second = project.start()
    project.wait_until(lambda: tickets(project) == 2, "the second run to wait")
    for number in (1, 2):
        (project.folder / f"go-{number}").touch()
    first.communicate(timeout=20)
    ended = project.end_of(second)
    assert "which run 1 has" in ended.out


def test_the_lock_of_a_stage_needs_no_environment(project):
    project.write("p.yml", """\
        stages:
        - stage: a
          lockBehavior: sequential
          jobs:
          - job: j
            steps:
            - bash: |
                echo $$ > "$HERE/step-$(Build.BuildId)"
                until test -e "$HERE/go"; do sleep 0.02; done
        """)  # fmt: skip
    first = project.start()
    project.pid("step-1")
    second = project.start()
    project.wait_until(lambda: tickets(project) == 2, "the second run to wait")
    assert not (project.folder / "step-2").exists()
    (project.folder / "go").touch()
    assert (project.end_of(first).code, project.end_of(second).code) == (0, 0)
