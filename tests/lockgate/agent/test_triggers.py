"""Pipelines that follow others: filters of `resources.pipelines`, what they know of the run that started them, and its artifacts."""

from __future__ import annotations

import json

import pytest

FIRST = """\
    name: first-$(Rev:r)
    stages:
    - stage: build
      jobs:
      - job: j
        steps:
        - bash: echo "of run $(Build.BuildId)" > f.txt; echo "##vso[build.addbuildtag]green"
        - publish: f.txt
          artifact: drop
    - stage: check
      jobs: [{job: j, steps: [{bash: echo}]}]
    """
SECOND = """\
    trigger: none
    resources:
      pipelines:
      - pipeline: up
        source: first
        trigger:
          branches: {include: [main, 'release/*'], exclude: [release/old]}
          tags: [green]
          stages: [build, check]
    steps:
    - download: up
      artifact: drop
    - bash: |
        cat "$(Pipeline.Workspace)/up/drop/f.txt"
        echo "$(resources.pipeline.up.runID) $(resources.pipeline.up.runName) $(resources.pipeline.up.pipelineName)"
        echo "$RESOURCES_PIPELINE_UP_RUNID $(resources.pipeline.UP.sourceBranch)"
        echo "$(Build.Reason) $(Build.TriggeredBy.BuildId) $(Build.TriggeredBy.DefinitionName)"
        echo "##vso[build.addbuildtag]blue"
    """
THIRD = """\
    trigger: none
    resources:
      pipelines:
      - {pipeline: second, source: second, trigger: {tags: [blue]}}
      - {pipeline: first, source: first}
    jobs:
    - deployment: d
      environment: dev
      strategy:
        runOnce:
          deploy:
            steps:
            - bash: |
                echo "$(resources.pipeline.second.runID) $(resources.pipeline.first.runID)"
                cat "$(Pipeline.Workspace)/first/drop/f.txt"
    """


@pytest.fixture
def chain(project):
    for name, text in (("first", FIRST), ("second", SECOND), ("third", THIRD)):
        project.write(f"pipelines/{name}.yml", text)
    return project


def pipelines(project):
    return [project.record(number)["pipeline"] for number in range(1, len(list(project.runs.iterdir())) + 1)]


def log(project, run, path):
    stage, job, step = path.split("/")
    (file,) = (project.runs / str(run) / "logs" / f"{stage}.{job}").glob(f"{step}.txt")
    return file.read_text().splitlines()


def test_a_chain_of_three(chain):
    ended = chain.run("pipelines/first.yml")
    assert ended.code == 0, ended.err
    assert [record["pipeline"] for record in ended.records] == ["first", "second", "third"]
    assert [record["result"] for record in ended.records] == ["Succeeded"] * 3
    assert log(chain, 2, "__default/Job/3")[-4:] == ["of run 1", "1 first-1 first", "1 refs/heads/main", "ResourceTrigger 1 first"]
    # Before it: downloads of this run's artifacts and of those of both resources.
    assert log(chain, 3, "__default/d/deploy-4")[-2:] == ["2 1", "of run 1"]


@pytest.mark.parametrize(
    ("branch", "runs"),
    [
        ("main", ["first", "second", "third"]),
        ("release/1", ["first", "second", "third"]),
        ("release/old", ["first"]),
        ("feature", ["first"]),
    ],
)
def test_branches_filter(branch, runs, chain):
    assert chain.run("pipelines/first.yml", "--branch", branch).code == 0
    assert pipelines(chain) == runs


def test_a_missing_tag_stops_the_chain(chain):
    chain.write("pipelines/second.yml", SECOND.replace("buildtag]blue", "buildtag]red"))
    ended = chain.run("pipelines/first.yml")
    assert (ended.code, pipelines(chain)) == (0, ["first", "second"])
    assert "blue" in ended.err
    assert "third" in ended.err


def test_all_tags_are_needed(chain):
    chain.write("pipelines/second.yml", SECOND.replace("tags: [green]", "tags: [green, tested]"))
    ended = chain.run("pipelines/first.yml")
    assert pipelines(chain) == ["first"]
    assert "tested" in ended.err


def test_a_stage_that_was_skipped_stops_the_chain(chain):
    chain.write("pipelines/first.yml", FIRST.replace("- stage: check", "- stage: check\n      condition: false"))
    ended = chain.run("pipelines/first.yml")
    assert (ended.code, pipelines(chain)) == (0, ["first"])
    assert "check" in ended.err


def test_a_failed_run_starts_nothing(chain):
    chain.write("pipelines/first.yml", FIRST.replace("steps: [{bash: echo}]", "steps: [{bash: exit 1}]"))
    assert chain.run("pipelines/first.yml").code == 1
    assert pipelines(chain) == ["first"]


def test_a_failed_follower_fails_the_whole(chain):
    chain.write("pipelines/second.yml", SECOND.replace('echo "##vso[build.addbuildtag]blue"', "exit 1"))
    ended = chain.run("pipelines/first.yml")
    assert (ended.code, pipelines(chain)) == (1, ["first", "second"])
    assert [record["result"] for record in ended.records] == ["Succeeded", "Failed"]


def test_no_follow(chain):
    ended = chain.run("pipelines/first.yml", "--no-follow")
    assert (ended.code, pipelines(chain)) == (0, ["first"])
    assert isinstance(json.loads(ended.out), dict)


def test_no_trigger_key_is_no_trigger_and_enabled_false_neither(chain):
    (chain.folder / "pipelines/third.yml").unlink()
    chain.write("pipelines/second.yml", """\
        resources: {pipelines: [{pipeline: up, source: first}]}
        steps: [{bash: echo}]
        """)  # fmt: skip
    chain.write("pipelines/none.yml", """\
        resources: {pipelines: [{pipeline: up, source: first, trigger: none}]}
        steps: [{bash: echo}]
        """)  # fmt: skip
    chain.write("pipelines/off.yml", """\
        resources: {pipelines: [{pipeline: up, source: first, trigger: {enabled: false}}]}
        steps: [{bash: echo}]
        """)  # fmt: skip
    chain.write("pipelines/any.yml", """\
        resources: {pipelines: [{pipeline: up, source: first, trigger: true}]}
        steps: [{bash: echo}]
        """)  # fmt: skip
    assert chain.run("pipelines/first.yml", "--branch", "whatever").code == 0
    assert pipelines(chain) == ["first", "any"]


def test_two_pipelines_that_start_each_other_come_to_an_end(project):
    for name, other in (("one", "two"), ("two", "one")):
        project.write(f"{name}.yml", f"""\
            resources: {{pipelines: [{{pipeline: up, source: {other}, trigger: true}}]}}
            steps: [{{bash: echo}}]
            """)  # fmt: skip
    project.write("zero.yml", "steps: [{bash: echo}]\n")
    project.write("one.yml", project.read("one.yml").replace("source: two", "source: zero"))
    project.write("two.yml", project.read("two.yml"))
    project.write("three.yml", "resources: {pipelines: [{pipeline: up, source: two, trigger: true}]}\nsteps: [{bash: echo}]\n")
    ended = project.run("zero.yml")
    assert ended.code == 0, ended.err
    assert pipelines(project) == ["zero", "one", "two", "three"]


def test_without_a_completed_run_it_is_refused(chain):
    ended = chain.run("pipelines/second.yml")
    assert ended.code == 4
    assert "second.yml:" in ended.err
    assert "'up'" in ended.err
    assert "--resource up=RUN" in ended.err
    chain.write("pipelines/first.yml", FIRST.replace("steps: [{bash: echo}]", "steps: [{bash: exit 1}]"))
    assert chain.run("pipelines/first.yml", "--no-follow").code == 1
    assert chain.run("pipelines/second.yml").code == 4
    assert len(list(chain.runs.iterdir())) == 1


@pytest.mark.long
def test_the_newest_run_counts_unless_another_is_chosen(chain):
    for _ in range(2):
        assert chain.run("pipelines/first.yml", "--no-follow").code == 0
    ended = chain.run("pipelines/second.yml", "--no-follow")
    assert ended.log("__default/Job/3")[:3] == ["of run 2", "2 first-2 first", "2 refs/heads/main"]
    chosen = chain.run("pipelines/second.yml", "--no-follow", "--resource", "UP=1")
    assert chosen.log("__default/Job/3")[:3] == ["of run 1", "1 first-1 first", "1 refs/heads/main"]
    missing = chain.run("pipelines/second.yml", "--resource", "up=9")
    assert missing.code == 4
    assert "no run 9" in missing.err
    wrong = chain.run("pipelines/second.yml", "--resource", "up=newest")
    assert wrong.code == 2
    assert "newest" in wrong.err


def test_a_resource_that_the_file_does_not_declare_is_refused(chain):
    assert chain.run("pipelines/first.yml", "--no-follow").code == 0
    ended = chain.run("pipelines/second.yml", "--resource", "down=1", "--no-follow")
    assert ended.code in {2, 4}
    assert "down" in ended.err


def test_a_run_of_another_pipeline_is_no_run_of_the_resource(chain):
    assert chain.run("pipelines/first.yml", "--no-follow").code == 0
    chain.write("pipelines/other.yml", "steps: [{bash: echo}]\n")
    assert chain.run("pipelines/other.yml").code == 0
    ended = chain.run("pipelines/second.yml", "--resource", "up=2", "--no-follow")
    assert ended.code in {2, 4}
    assert "other" in ended.err
    assert "first" in ended.err


@pytest.mark.long
def test_version_branch_and_tags_of_a_resource_choose_its_run(chain):
    for branch in ("main", "side", "main"):
        assert chain.run("pipelines/first.yml", "--no-follow", "--branch", branch).code == 0
    text = """\
        resources: {{pipelines: [{{pipeline: up, source: first, {choice}}}]}}
        steps: [{{bash: 'echo "$(resources.pipeline.up.runID)"'}}]
        """
    for choice, wanted in (("branch: side", "2"), ("version: first-1", "1"), ("tags: [green]", "3")):
        ended = chain.run_text(text.format(choice=choice), name="pipelines/choose.yml")
        assert ended.log()[-1] == wanted
    assert chain.run_text(text.format(choice="tags: [absent]"), name="pipelines/choose.yml").code == 4


def test_artifacts_across_pipelines_by_task(chain):
    assert chain.run("pipelines/first.yml", "--no-follow").code == 0
    ended = chain.run_text("""\
        steps:
        - task: DownloadPipelineArtifact@2
          inputs: {source: specific, project: shop, pipeline: first, runVersion: latest, artifact: drop, path: got}
        - bash: cat got/f.txt
        - task: DownloadPipelineArtifact@2
          inputs: {source: specific, project: shop, pipeline: first, runVersion: latestFromBranch, runBranch: refs/heads/none, artifact: drop}
        """, name="pipelines/by-task.yml")  # fmt: skip
    assert ended.log("__default/Job/3")[-1] == "of run 1"
    assert ended.status["__default/Job/4"] == "Failed"
