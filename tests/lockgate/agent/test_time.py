"""Time and ends: timeouts, further tries, Ctrl-C once and twice, SIGTERM, kill -9. Nothing of a run goes on after it."""

from __future__ import annotations

import signal

import pytest

pytestmark = pytest.mark.spread

# A child, a grandchild, and a daemon in a session of its own.
FAMILY = """\
    jobs:
    - job: j
      steps:
      - checkout: none
      - bash: |
          setsid sleep 600 > /dev/null 2>&1 &
          echo $! > "$HERE/daemon"
          bash -c 'sleep 600 & echo $! > "$HERE/grandchild"; wait' &
          echo $! > "$HERE/child"
          echo $$ > "$HERE/step"
          wait
      - bash: echo > "$HERE/default-ran"
      - bash: |
          echo "$(Agent.JobStatus)" > "$HERE/always-ran"
        condition: always()
      - bash: echo > "$HERE/canceled-ran"
        condition: canceled()
      - bash: echo > "$HERE/failed-ran"
        condition: failed()
      - bash: echo > "$HERE/plain-ran"
        condition: eq(1, 1)
    - job: later
      dependsOn: j
      steps: [{bash: echo > "$HERE/later-ran"}]
    - job: clean
      dependsOn: j
      condition: always()
      steps: [{bash: echo > "$HERE/clean-ran"}]
    """
NAMES = ("daemon", "grandchild", "child", "step")


def begin(project, text=FAMILY, *options, names=NAMES):
    project.write("p.yml", text)
    process = project.start("p.yml", *options)
    return process, [project.pid(name) for name in names]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_the_step_and_runs_what_asked_to_run_always(number, project):
    process, family = begin(project)
    process.send_signal(number)
    ended = project.end_of(process)
    assert [project.is_alive(pid) for pid in family] == [False] * 4
    assert ended.code == 130
    assert ended.result == "Canceled"
    ran = {
        name for name in ("default", "always", "canceled", "failed", "plain", "later", "clean") if (project.folder / f"{name}-ran").exists()
    }
    # Source of the agent, StepsRunner: with status Canceled the conditions of later steps are evaluated as usual.
    assert ran == {"always", "canceled", "plain", "clean"}
    assert project.read("always-ran") == "Canceled\n"
    assert ended.status["__default/j/2"] == "Canceled"
    assert ended.status["__default/j"] == "Canceled"


def test_stages_after_an_interrupt_are_run_if_their_condition_is_true(project):
    """Microsoft's conditions.md, "what happens when a run is canceled": a condition that holds lets a stage run though the run was cancelled."""
    text = """\
        stages:
        - stage: a
          jobs: [{job: j, steps: [{checkout: none}, {bash: 'echo $$ > "$HERE/step"; sleep 600'}]}]
        - stage: always
          dependsOn: a
          condition: always()
          jobs: [{job: j, steps: [{bash: echo, condition: always()}]}]
        - stage: plain
          dependsOn: a
          condition: eq(variables['Build.SourceBranch'], 'refs/heads/main')
          jobs: [{job: j, condition: always(), steps: [{bash: echo, condition: always()}]}]
        - stage: default
          dependsOn: a
          jobs: [{job: j, steps: [{bash: echo}]}]
        - stage: good
          dependsOn: []
          jobs: [{job: j, steps: [{bash: echo}]}]
        """
    process, _ = begin(project, text, names=("step",))
    process.send_signal(signal.SIGINT)
    ended = project.end_of(process)
    assert ended.code == 130
    assert (ended.status["always"], ended.status["plain"]) == ("Succeeded", "Succeeded")
    assert ended.status["default"] in {"Skipped", "Canceled"}


def test_a_second_interrupt_ends_all_at_once(project):
    text = """\
        steps:
        - checkout: none
        - bash: |
            echo $$ > "$HERE/step"; sleep 600
        - bash: |
            echo $$ > "$HERE/always"; sleep 600
          condition: always()
        - bash: echo > "$HERE/never-ran"
          condition: always()
        """
    process, family = begin(project, text, names=("step",))
    process.send_signal(signal.SIGINT)
    family.append(project.pid("always"))
    process.send_signal(signal.SIGINT)
    ended = project.end_of(process)
    assert [project.is_alive(pid) for pid in family] == [False, False]
    assert (ended.code, ended.result) == (130, "Canceled")
    assert not (project.folder / "never-ran").exists()


def test_a_step_that_runs_always_is_left_running_by_an_interrupt(project):
    """Source of the agent, StepsRunner: the running step's own condition is evaluated again with status Canceled."""
    text = """\
        steps:
        - checkout: none
        - bash: |
            echo $$ > "$HERE/step"
            until test -e "$HERE/go"; do sleep 0.02; done
            echo > "$HERE/finished"
          condition: always()
        """
    process, _ = begin(project, text, names=("step",))
    process.send_signal(signal.SIGINT)
    (project.folder / "go").touch()
    ended = project.end_of(process)
    assert ended.code == 130
    assert (project.folder / "finished").exists()


def test_a_step_that_ignores_sigterm_is_ended(project):
    text = """\
        steps:
        - checkout: none
        - bash: |
            trap '' TERM
            sleep 600 &
            echo $! > "$HERE/child"
            echo $$ > "$HERE/step"
            while :; do wait; done
        """
    process, family = begin(project, text, names=("child", "step"))
    process.send_signal(signal.SIGINT)
    ended = project.end_of(process)
    assert [project.is_alive(pid) for pid in family] == [False, False]
    assert ended.result == "Canceled"


def test_kill_9_of_the_desk_leaves_nothing_running(project):
    process, family = begin(project)
    process.kill()
    process.communicate(timeout=20)
    project.assert_ended(*family)
    assert not (project.folder / "always-ran").exists()
    assert project.record(1)["result"] == ""
    # The next run starts as usual.
    assert project.run_text("steps: [{script: 'true'}]\n", name="next.yml").code == 0


def test_a_daemon_of_a_step_lives_until_its_job_ends(project):
    ended = project.run_text("""\
        jobs:
        - job: a
          steps:
          - bash: |
              sleep 600 > /dev/null 2>&1 &
              echo $! > "$HERE/one"
              setsid sleep 600 &
              echo $! > "$HERE/two"
          - bash: kill -0 $(cat "$HERE/one") && kill -0 $(cat "$HERE/two") && echo both alive
        - job: b
          dependsOn: a
          steps:
          - bash: for one in one two; do ps -o stat= -p $(cat "$HERE/$one") | grep -v Z; done; echo looked
        """)
    assert ended.log("__default/a/3")[-1] == "both alive"
    assert ended.log("__default/b/2")[-1] == "looked"
    assert [line for line in ended.log("__default/b/2") if line and not line.startswith("##") and line != "looked"] == []
    assert not project.is_alive(project.pid("one"))
    assert not project.is_alive(project.pid("two"))


def test_a_job_that_takes_too_long_is_cancelled(project):
    ended = project.run_text("""\
        jobs:
        - job: slow
          timeoutInMinutes: 0.004
          steps:
          - checkout: none
          - bash: sleep 600 & echo $! > "$HERE/child"; wait
          - bash: echo after
          - bash: echo "status $(Agent.JobStatus)"
            condition: always()
        - job: never
          timeoutInMinutes: 0
          steps: [{bash: echo}]
        - job: after
          dependsOn: slow
          steps: [{bash: echo}]
        """)
    status = ended.status
    assert ended.code == 1
    assert [status[f"__default/slow/{number}"] for number in (2, 3, 4)] == ["Canceled", "Skipped", "Succeeded"]
    assert ended.log("__default/slow/4")[-1] == "status Canceled"
    assert status["__default/slow"] == "Canceled"
    assert (status["__default/never"], status["__default/after"]) == ("Succeeded", "Skipped")
    assert "timeoutInMinutes" in ended.err
    assert not project.is_alive(project.pid("child"))


def test_what_runs_always_after_a_timeout_has_the_cancel_timeout(project):
    ended = project.run_text("""\
        jobs:
        - job: slow
          timeoutInMinutes: $(minutes)
          cancelTimeoutInMinutes: 0.004
          variables: {minutes: 0.004}
          steps:
          - checkout: none
          - bash: sleep 600
            condition: always()
          - bash: sleep 600
            condition: always()
        """)
    assert (ended.code, ended.status["__default/slow"]) == (1, "Canceled")
    assert ended.status["__default/slow/2"] == "Canceled"


def test_a_failed_step_is_tried_again(project):
    ended = project.run_text("""\
        variables: {tries: "$[ counter('x', 1) ]"}
        steps:
        - checkout: none
        - bash: |
            echo try >> "$HERE/tries"
            echo "##vso[task.setvariable variable=count]$(wc -l < "$HERE/tries")"
            test "$(wc -l < "$HERE/tries")" -gt 1
          retryCountOnTaskFailure: 1
        - bash: echo "$(count)"
        """)
    assert ended.code == 0
    assert project.read("tries").split() == ["try", "try"]
    assert ended.status["__default/Job/2"] == "Succeeded"
    assert any("again" in line for line in ended.log("__default/Job/2"))
    assert ended.log("__default/Job/3")[-1] == "2"


def test_a_step_that_keeps_failing_is_tried_as_often_as_said_then_continue_on_error_counts(project):
    ended = project.run_text("""\
        steps:
        - checkout: none
        - bash: echo try >> "$HERE/tries"; exit 1
          retryCountOnTaskFailure: 1
          continueOnError: true
        - bash: echo "##vso[task.complete result=SucceededWithIssues]"; echo try >> "$HERE/others"
          retryCountOnTaskFailure: 5
        """)
    assert (ended.code, ended.result) == (0, "SucceededWithIssues")
    assert len(project.read("tries").split()) == 2
    assert len(project.read("others").split()) == 1


def test_an_interrupt_while_waiting_for_the_next_try(project):
    text = """\
        steps:
        - checkout: none
        - bash: echo $$ > "$HERE/step"; exit 1
          retryCountOnTaskFailure: 10
        """
    process, _ = begin(project, text, names=("step",))
    project.wait_until(lambda: any("again" in path.read_text() for path in project.runs.glob("1/logs/*/2.txt")), "the wait")
    process.send_signal(signal.SIGINT)
    ended = project.end_of(process)
    assert (ended.code, ended.status["__default/Job/2"]) == (130, "Canceled")


def test_a_step_timeout_has_whole_minutes(project):
    """Azure's schema: a whole number. (A fraction would let a test see a step time out in less than a minute.)"""
    ended = project.run_text("""\
        steps:
        - bash: echo
          timeoutInMinutes: 1
        - bash: echo
          timeoutInMinutes: 0.5
        """)
    assert ended.code == 2
    assert "timeoutInMinutes" in ended.err
    assert "0.5" in ended.err


def test_the_record_says_what_runs_now(project):
    """run.json: "how it stands", also of a step that takes long and says nothing."""
    text = """\
        steps:
        - checkout: none
        - bash: echo $$ > "$HERE/step"; until test -e "$HERE/go"; do sleep 0.02; done
        """
    process, _ = begin(project, text, names=("step",))
    try:
        project.wait_for_status(1, "__default/Job/2", "running", patience=3)
    finally:
        (project.folder / "go").touch()
        project.end_of(process)


def test_a_program_that_closes_its_output_and_goes_on_is_waited_for(project):
    ended = project.run_text("""\
        steps:
        - bash: exec > /dev/null 2>&1; sleep 0.2; echo done > made
        - bash: cat made
        """)
    assert ended.log("__default/Job/3")[-1] == "done"


def test_output_that_never_ends_its_line_is_shown(project):
    ended = project.run_text("""\
        steps:
        - bash: head -c 3000000 /dev/zero | tr '\\0' x; echo; printf '\\377\\376 bad bytes\\r\\n'
        """)
    assert ended.code == 0
    assert ended.log()[-1].endswith(" bad bytes")
