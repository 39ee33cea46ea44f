"""`--resume`: what succeeded is not done again, and all that it left is there."""

from __future__ import annotations

import pytest

PIPELINE = """\
    variables: {{n: "$[ counter('n', 1) ]"}}
    stages:
    - stage: a
      jobs:
      - job: make
        steps:
        - bash: |
            echo made >> "$HERE/made"
            echo "##vso[task.setvariable variable=v;isOutput=true]out"
            echo file > kept.txt
          name: s
        - publish: kept.txt
          artifact: drop
    - stage: b
      jobs:
      - job: use
        variables: {{v: "$[ stageDependencies.a.make.outputs['s.v'] ]"}}
        steps:
        - bash: |
            echo first >> "$HERE/first"
            echo "##vso[task.setvariable variable=own]mine"
            echo "##vso[task.prependpath]$HERE/tools"
            echo here > left.txt
        - bash: {second}
        - bash: |
            echo "$(v) $(own) $(n) $(cat left.txt) $(System.JobAttempt) $(Build.BuildId)"
            mytool
        - download: current
          artifact: drop
        - bash: cat "$(Pipeline.Workspace)/drop/kept.txt"
    """


@pytest.fixture
def failed(project):
    project.program("tools/mytool", "#!/bin/sh\necho my tool\n")
    assert project.run_text(PIPELINE.format(second="exit 1")).code == 1
    return project


def test_a_mended_step_is_done_again_and_only_what_comes_after(failed):
    ended = failed.run_text(PIPELINE.format(second="echo mended"), "--resume")
    assert (ended.code, ended.result) == (0, "Succeeded"), ended.err
    assert failed.newest().name == "1"
    assert failed.read("made").split() == ["made"]
    assert failed.read("first").split() == ["first"]
    assert ended.log("b/use/4")[-2:] == ["out mine 1 here 2 1", "my tool"]
    assert ended.log("b/use/6")[-1] == "file"
    assert ended.record["attempt"] == 2
    assert "a/make" in ended.reused
    assert "b/use/2" in ended.reused
    assert "b/use/3" not in ended.reused


def test_a_step_that_was_changed_is_done_again_though_it_had_succeeded(failed):
    changed = PIPELINE.format(second="echo mended").replace("echo first", "echo other")
    ended = failed.run_text(changed, "--resume")
    assert ended.code == 0, ended.err
    assert failed.read("first").split() == ["first", "other"]
    assert failed.read("made").split() == ["made"]


def test_a_job_that_was_changed_is_done_again_though_it_had_succeeded(failed):
    """Its artifact is published once more, which is no second artifact of the run."""
    changed = PIPELINE.format(second="echo mended").replace("echo made", "echo again").replace("]out", "]new")
    ended = failed.run_text(changed, "--resume")
    assert ended.code == 0, ended.err
    assert failed.read("made").split() == ["made", "again"]
    assert ended.log("b/use/4")[-2].startswith("new ")


def test_a_step_with_another_environment_is_another_step(failed):
    changed = PIPELINE.format(second="echo mended").replace("        - bash: |\n            echo first",
                                                            "        - env: {X: y}\n          bash: |\n            echo first")  # fmt: skip
    assert failed.run_text(changed, "--resume").code == 0
    assert failed.read("first").split() == ["first", "first"]


def test_still_failing_then_mended(failed):
    assert failed.run("p.yml", "--resume").code == 1
    ended = failed.run_text(PIPELINE.format(second="echo mended"), "--resume")
    assert (ended.code, ended.record["attempt"]) == (0, 3)
    assert failed.read("first").split() == ["first"]


def test_kill_9_and_on(project):
    project.write("p.yml", """\
        jobs:
        - job: j
          steps:
          - bash: |
              echo one >> "$HERE/one"; echo "##vso[task.setvariable variable=v]kept"
          - bash: |
              test -e "$HERE/go" && exit 0
              echo $$ > "$HERE/step"; sleep 600
          - bash: echo "$(v)"
        """)  # fmt: skip
    process = project.start()
    step = project.pid("step")
    process.kill()
    process.communicate(timeout=20)
    project.assert_ended(step)
    (project.folder / "go").touch()
    ended = project.run("p.yml", "--resume")
    assert (ended.code, ended.result) == (0, "Succeeded"), ended.err
    assert project.read("one").split() == ["one"]
    assert ended.log("__default/j/4")[-1] == "kept"


def test_a_step_that_set_a_secret_is_done_again_since_secrets_are_nowhere_kept(project):
    text = """\
        steps:
        - bash: |
            echo "##vso[task.setvariable variable=pw;isSecret=true]resume""-secret"
            echo set >> "$HERE/set"
        - bash: {second}
        - bash: test "$(pw)" = resume-""secret
          displayName: x
        """
    assert project.run_text(text.format(second="exit 1")).code == 1
    ended = project.run_text(text.format(second="echo mended"), "--resume")
    assert ended.code == 0, ended.err
    assert project.read("set").split() == ["set", "set"]
    assert "resume-secret" not in ended.logs + "".join(path.read_text() for path in (ended.folder / "state").iterdir())


def test_an_artifact_of_an_earlier_attempt_does_not_stop_the_one_that_does_all_again(project):
    text = """\
        steps:
        - bash: echo "##vso[task.setvariable variable=pw;isSecret=true]resume""-secret"
        - publish: readme.txt
          artifact: drop
        - bash: {second}
        """
    assert project.run_text(text.format(second="exit 1")).code == 1
    ended = project.run_text(text.format(second="echo mended"), "--resume")
    assert ended.code == 0, ended.err


def test_a_job_whose_secret_output_others_need_is_done_again(project):
    text = """\
        jobs:
        - job: a
          steps:
          - bash: |
              echo "##vso[task.setvariable variable=pw;isSecret=true;isOutput=true]job""-secret"
              echo set >> "$HERE/set"
            name: s
        - job: b
          dependsOn: a
          variables: {{pw: "$[ dependencies.a.outputs['s.pw'] ]"}}
          steps:
          - bash: test "$(pw)" = job-""secret {second}
            displayName: x
        """
    assert project.run_text(text.format(second="&& exit 1")).code == 1
    ended = project.run_text(text.format(second=""), "--resume")
    assert ended.code == 0, ended.err
    assert project.read("set").split() == ["set", "set"]


def test_nothing_to_resume(project):
    project.write("p.yml", "steps: [{script: 'true'}]\n")
    first = project.run("p.yml", "--resume")
    assert first.code == 4
    assert "without --resume" in first.err
    assert project.run().code == 0
    second = project.run("p.yml", "--resume")
    assert second.code == 4
    assert "succeeded" in second.err
    assert len(list(project.runs.iterdir())) == 1


def test_a_run_that_goes_on_in_another_process_is_not_resumed(project):
    project.write("p.yml", """\
        steps:
        - bash: echo $$ > "$HERE/step"; until test -e "$HERE/go"; do sleep 0.02; done
        """)  # fmt: skip
    process = project.start()
    project.pid("step")
    refused = project.run("p.yml", "--resume")
    assert refused.code == 4
    assert "another process" in refused.err
    (project.folder / "go").touch()
    assert project.end_of(process).code == 0


def test_what_it_was_started_with_counts_again(project):
    text = """\
        parameters: [{{name: who, type: string}}]
        steps:
        - bash: echo "${{{{ parameters.who }}}} $(word) $(Build.SourceBranchName)"; {second}
        """
    options = ("-p", "who=you", "-v", "word=hi", "--branch", "other")
    assert project.run_text(text.format(second="exit 1"), *options).code == 1
    ended = project.run_text(text.format(second="true"), "--resume")
    assert ended.code == 0, ended.err
    assert ended.log()[-1] == "you hi other"
    assert ended.record["number"].endswith(".1")


def test_skipped_and_issues_are_not_done_again(project):
    text = """\
        steps:
        - bash: echo x >> "$HERE/issues"; exit 1
          continueOnError: true
        - bash: echo never
          condition: false
        - bash: {second}
        """
    assert project.run_text(text.format(second="exit 1")).code == 1
    ended = project.run_text(text.format(second="echo mended"), "--resume")
    assert (ended.code, ended.result) == (0, "SucceededWithIssues")
    assert project.read("issues").split() == ["x"]


def test_the_mended_file_of_the_repository_is_what_the_resumed_step_sees(project):
    project.write("work.sh", "exit 1\n")
    project.write("p.yml", """\
        steps:
        - bash: echo x >> "$HERE/before"; echo kept > made.txt
        - bash: bash work.sh && cat made.txt
        """)  # fmt: skip
    assert project.run().code == 1
    project.write("work.sh", "echo mended\n")
    ended = project.run("p.yml", "--resume")
    assert ended.code == 0, ended.err
    assert ended.log("__default/Job/3")[-2:] == ["mended", "kept"]
    assert project.read("before").split() == ["x"]
