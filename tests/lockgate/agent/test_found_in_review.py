"""What a reader of the whole found wrong, so that it stays mended."""

from __future__ import annotations

import json
import os
import subprocess

from lockgate.agent.masking import MaskedLines, Masker


def test_results_and_outputs_are_seen_of_what_dependson_names_only(project):
    ended = project.run_text("""\
        stages:
        - stage: A
          jobs:
          - job: a
            steps: [{bash: 'echo "##vso[task.setvariable variable=v;isOutput=true]1"', name: s}]
        - stage: B
          dependsOn: A
          jobs: [{job: b, steps: [{bash: echo}]}]
        - stage: C
          dependsOn: B
          variables: {v: "$[ stageDependencies.A.a.outputs['s.v'] ]"}
          jobs:
          - job: c
            steps: [{bash: 'echo "[$(v)]"'}]
        - stage: D
          dependsOn: B
          condition: eq(dependencies.A.outputs['a.s.v'], '1')
          jobs: [{job: d, steps: [{bash: echo}]}]
        - stage: E
          dependsOn: [A, B]
          condition: eq(dependencies.A.outputs['a.s.v'], '1')
          jobs: [{job: e, steps: [{bash: echo}]}]
        """)
    assert ended.code == 0
    assert ended.log("C/c/2")[-1] == "[]"
    assert (ended.status["D"], ended.status["E"]) == ("Skipped", "Succeeded")
    assert "dependencies.A is always Null in this condition, since 'A' is not in dependsOn" in ended.err


def test_counters_count_in_variables_of_jobs_too(project):
    text = """\
        jobs:
        - job: j
          variables: {a: "$[counter(format('{0:yyyy}', pipeline.startTime), 100)]"}
          steps: [{bash: echo $(a)}]
        """
    assert [project.run_text(text).log("__default/j/2")[-1] for _ in range(2)] == ["100", "101"]


def test_a_resumed_run_keeps_what_steps_made_of_files_that_did_not_change(project):
    project.write("version.txt", "0\n")
    project.write("other.txt", "old\n")
    text = """\
        steps:
        - bash: echo 1.2.3 > version.txt
        - bash: test "$(cat other.txt)" = new
        - bash: cat version.txt other.txt
        """
    assert project.run_text(text).code == 1
    project.write("other.txt", "new\n")
    ended = project.run_text(text, "--resume")
    assert ended.code == 0, ended.err
    assert ended.log("__default/Job/4")[-2:] == ["1.2.3", "new"]


def test_a_rejected_run_is_asked_again_when_it_is_resumed(project):
    project.write(".lockgate/environments.yml", "prod: {approval: true}\n")
    text = """\
        jobs:
        - deployment: d
          environment: prod
          strategy: {runOnce: {deploy: {steps: [{bash: echo}]}}}
        """
    project.write("p.yml", text)
    started = project.start("p.yml")
    project.wait_until(lambda: list((project.runs / "1" / "approvals").glob("[!.]*.json")), "the question")
    assert project.call("reject", "1").code == 0
    assert project.end_of(started).code == 1
    ended = project.run("p.yml", "--resume", "--yes")
    assert ended.code == 0, ended.err
    assert (project.runs / "1" / "approvals-of-attempt-1").is_dir()


def test_git_leaves_alone_what_the_desk_keeps(project):
    project.write(".gitignore", "")
    project.run_text("steps: [{bash: echo}]\n")
    project.write(".lockgate/environments.yml", "prod: {}\n")
    project.write(".lockgate/tasks/My@1", "")
    shown = subprocess.run(["git", "status", "--short", "-uall"], cwd=project.folder, capture_output=True, text=True, check=True).stdout
    names = [line.split(" ")[-1] for line in shown.splitlines() if ".lockgate" in line]
    assert names == [".lockgate/.gitignore", ".lockgate/environments.yml", ".lockgate/tasks/My@1"]


def test_the_alias_that_started_a_run_is_a_variable(project):
    project.write("up.yml", "steps: [{checkout: none}]\n")
    project.write("down.yml", """\
        trigger: none
        resources:
          pipelines: [{pipeline: above, source: up, trigger: true}]
        steps:
        - checkout: none
        - bash: echo "[$(resources.triggeringAlias)] [$(resources.triggeringCategory)]"
        """)  # fmt: skip
    assert project.run("up.yml").code == 0
    log = next((project.runs / "2" / "logs").rglob("2.txt")).read_text()
    assert log.splitlines()[-1] == "[above] [pipeline]"
    alone = project.run("down.yml", "--no-follow")
    assert alone.log("__default/Job/2")[-1] == "[] []"


def test_a_pipe_is_no_file(project):
    os.mkfifo(project.folder / "pipe.yml")
    ended = project.call("check", "pipe.yml")
    assert (ended.code, ended.err) == (1, "pipe.yml:1:1: is a device or pipe; allowed: a file\n")


def test_a_secret_as_a_name_is_hidden(project):
    project.write("groups.yml", "g: {pw: {value: secret-name-9, isSecret: true}}\n")
    ended = project.run_text(
        """\
        variables: [{group: g}]
        steps:
        - checkout: none
        - bash: 'echo "##vso[task.setvariable variable=$(pw)]x"'
        """,
        "--variable-groups", "groups.yml",
    )  # fmt: skip
    assert ended.code == 0
    for path in [ended.folder / "variables.json", *(ended.folder / "state").glob("*.json")]:
        assert "secret-name-9" not in path.read_text()


def test_a_plan_says_what_runs_after_a_failure(project):
    project.write("p.yml", """\
        jobs:
        - job: late
          dependsOn: skipped
          steps: [{bash: echo}]
        - job: skipped
          condition: eq(1, 2)
          steps: [{bash: echo}]
        - job: good
          steps: [{bash: echo}, {bash: echo mend, condition: failed()}]
        - job: cleanup
          dependsOn: good
          condition: failed()
          steps: [{bash: echo}]
        """)  # fmt: skip
    (stage,) = json.loads(project.call("plan", "p.yml", "--json").out)["stages"]
    verdicts = {job["name"]: job["verdict"] for job in stage["jobs"]}
    assert verdicts == {"late": "skipped", "skipped": "skipped", "good": "runs", "cleanup": "depends"}
    assert [step["verdict"] for step in stage["jobs"][2]["steps"]] == ["runs", "depends"]


def test_templates_around_unknown_jobs_are_right(project):
    project.write("t.yml", """\
        parameters: [{name: jobs, type: jobList}]
        jobs:
        - ${{ each job in parameters.jobs }}:
          - ${{ each pair in job }}:
              ${{ if ne(pair.key, 'steps') }}:
                ${{ pair.key }}: ${{ pair.value }}
            steps:
            - script: before
            - ${{ job.steps }}
        """)  # fmt: skip
    assert project.call("check", "t.yml").out == "t.yml: no mistakes\n"


def test_masking_many_secrets_takes_one_look_a_line():
    masker = Masker()
    for number in range(60):
        masker.add(f"a-secret-of-some-length-{number:03d}")
    lines = MaskedLines(masker)
    shown = [text for number in range(20_000) for text in lines.feed(f"an ordinary line of output, number {number}")]
    assert len(shown) + len(lines.end()) == 20_000
    assert lines.feed("it is a-secret-of-some-length-007 here") == ["it is *** here"]
