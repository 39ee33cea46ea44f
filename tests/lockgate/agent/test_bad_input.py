"""Mistakes of files and of the command line: one sentence each, nothing started, nothing left behind."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import pytest

GOOD = 'stages: [{stage: a, jobs: [{job: j, steps: [{bash: echo > "$HERE/ran"}]}]}]\n'


@pytest.fixture(scope="module")
def outcomes(request, new_project):
    """What became of every text, list of options and file below: as many run at once as there are cores."""

    def run(given):
        project = new_project()
        if isinstance(given, str):
            return project.run_text(given)
        if "name" in given:
            if given["content"] is not None:
                (project.folder / given["name"]).write_bytes(given["content"])
            return project.run(given["name"])
        project.write("list.yml", "- a\n")
        return project.run_text(f"variables: {{fixed: 1}}\n{GOOD}", *given["options"])

    asked = [item.callspec.params for item in request.session.items if "outcomes" in item.fixturenames]
    keys = [
        one["text"] if "text" in one else (one["content"], one["name"]) if "name" in one else tuple(one["options"])  # as the tests ask
        for one in asked
    ]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        yield {key: pool.submit(run, one.get("text", one)) for key, one in zip(keys, asked, strict=True)}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("steps:\n- bsh: echo\n", ["p.yml:2:3", "bsh", "bash"]),
        ("steps:\n- bash: echo\n  displayname: x\n", ["p.yml:3:3", "displayname", "displayName"]),
        ("steps: echo\n", ["p.yml:1:"]),
        ("steps:\n- bash: echo\n  condition: eq(1\n", ["p.yml:3:"]),
        ("steps:\n- bash: echo\n  condition: nosuch()\n", ["p.yml:3:", "nosuch"]),
        ("jobs:\n- job: a\n  dependsOn: b\n  steps: [{bash: echo}]\n", ["p.yml:3:", "b"]),
        ("jobs:\n- job: a\n  dependsOn: a\n  steps: [{bash: echo}]\n", ["p.yml:"]),
        ("jobs:\n- job: a\n  steps: [{bash: echo}]\n- job: A\n  steps: [{bash: echo}]\n", ["p.yml:4:"]),
        ("jobs:\n- job: a b\n  steps: [{bash: echo}]\n", ["p.yml:2:", "a b"]),
        ("steps:\n- template: nothing.yml\n", ["p.yml:2:", "nothing.yml"]),
        ("steps:\n- bash: ${{ nosuch }}\n", ["p.yml:2:", "nosuch"]),
        ("parameters: [{name: x, type: string}]\nsteps: [{bash: echo}]\n", ["x", "-p x="]),
        ("steps:\n- bash: echo\n  retryCountOnTaskFailure: many\n", ["p.yml:3:", "many"]),
        ("steps:\n- bash: [a]\n", ["p.yml:2:"]),
        ("steps:\n\t- bash: echo\n", ["p.yml:2:"]),
        ("steps: [\n", ["p.yml:"]),
        ("steps:\n- &a {bash: echo}\n- *a\n", ["p.yml:2:"]),
        ("steps:\n- bash: a\n  bash: b\n", ["p.yml:3:", "bash"]),
        ("stages: []\n", ["p.yml:1:"]),
        ("steps: []\nstages: []\n", ["p.yml:"]),
    ],
)
def test_mistakes_in_the_file_start_nothing(text, words, outcomes):
    ended = outcomes[text].result()
    project = ended.project
    assert ended.code == 2, ended.shown
    assert [word for word in words if word not in ended.err] == [], ended.err
    assert ended.out == ""
    assert not (project.folder / ".lockgate").exists()


def test_a_variable_group_that_nobody_gave_is_refused_by_name(project):
    ended = project.run_text("variables: [{group: g}]\nsteps: [{bash: echo}]\n")
    assert ended.code == 3
    assert "'g'" in ended.err
    assert "--variable-groups" in ended.err
    assert not (project.folder / ".lockgate").exists()


def test_all_mistakes_are_told_at_once(project):
    project.write("t.yml", "steps:\n- bsh: echo\n")
    ended = project.run_text("""\
        variables: {a: b}
        steps:
        - template: t.yml
        - bash: echo
          displayname: x
        - task: Bash@3
          inputs: {nothing: 1}
        """)
    assert ended.code == 2
    for word in ("t.yml:2:3", "p.yml:3:", "p.yml:5:3", "displayname", "p.yml:7:", "nothing"):
        assert word in ended.err
    assert not (project.folder / ".lockgate").exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["-p", "name"], ["-p", "name", "NAME=VALUE"]),
        (["-p", "=x"], ["-p", "NAME=VALUE"]),
        (["-v", "name"], ["-v", "name", "NAME=VALUE"]),
        (["-p", "nosuch=1"], ["nosuch"]),
        (["--stage", "nosuch"], ["nosuch", "a"]),
        (["--repo", "x"], ["--repo", "NAME=VALUE"]),
        (["--repo", "x=/no/such/folder"], ["--repo", "/no/such/folder"]),
        (["--jobs", "0"], ["--jobs", "0", "1"]),
        (["--jobs", "two"], ["--jobs", "two"]),
        (["--variable-groups", "nothing.yml"], ["nothing.yml"]),
        (["--variable-groups", "list.yml"], ["list.yml:1:"]),
        (["--resource", "up"], ["--resource", "up"]),
        (["--nosuch"], ["--nosuch"]),
        (["--set", "a=b"], ["--set"]),
        (["-v", "Build.BuildId=7"], ["Build.BuildId"]),
        (["-v", "fixed=2"], ["fixed"]),
    ],
)
def test_wrong_options_start_nothing(options, words, outcomes):
    ended = outcomes[tuple(options)].result()
    project = ended.project
    assert ended.code == 2, ended.shown
    assert [word for word in words if word not in ended.err] == [], ended.err
    assert not (project.folder / ".lockgate").exists()
    assert not (project.folder / "ran").exists()


def test_a_repository_that_the_file_does_not_have_is_refused(project):
    ended = project.run_text(GOOD, "--repo", "nobody=.")
    assert ended.code == 2
    assert "nobody" in ended.err


def test_parameters_of_the_wrong_type_or_value(project):
    text = """\
        parameters:
        - {name: flag, type: boolean, default: true}
        - {name: size, type: number, default: 1}
        - {name: where, type: string, default: dev, values: [dev, prod]}
        steps: [{bash: echo}]
        """
    project.write("p.yml", text)
    for option, words in (
        ("flag=maybe", ["flag", "maybe"]),
        ("size=big", ["size", "big"]),
        ("where=test", ["where", "test", "dev", "prod"]),
    ):
        ended = project.run("p.yml", "-p", option)
        assert ended.code == 2
        assert [word for word in words if word not in ended.err] == []
    assert not (project.folder / ".lockgate").exists()


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (None, "nothing.yml"),
        (b"", "empty.yml"),
        (b"# only a comment\n", "comment.yml"),
        (b"\xff\xfe\x00bad", "bytes.yml"),
        (b"just text\n", "text.yml"),
        (b"- a\n- list\n", "list.yml"),
        (b"steps:\n- bash: \x00\n", "nul.yml"),
        (b"a: " + b"[" * 5000 + b"\n", "deep.yml"),
        (b"steps:\n- bash: echo\n---\nsteps: []\n", "two.yml"),
    ],
)
def test_files_that_are_no_pipelines(content, name, outcomes):
    ended = outcomes[content, name].result()
    project = ended.project
    assert ended.code == 2, ended.shown
    assert name in ended.err
    assert len(ended.err) < 2000
    assert not (project.folder / ".lockgate").exists()


def test_a_folder_in_the_place_of_a_file(project):
    (project.folder / "folder.yml").mkdir()
    ended = project.run("folder.yml")
    assert ended.code == 2
    assert "folder.yml" in ended.err


def test_a_state_folder_that_cannot_be_written_is_one_sentence(project):
    project.write(".lockgate", "a file\n")
    ended = project.run_text(GOOD)
    assert ended.code not in {0, 130}
    assert ".lockgate" in ended.err


def test_a_damaged_record_is_one_sentence(project):
    assert project.run_text(GOOD).code == 0
    project.write(".lockgate/runs/1/run.json", "{broken\n")
    ended = project.run("p.yml", "--resume")
    assert ended.code == 4
    assert "run.json" in ended.err


def test_a_matrix_or_parallel_that_comes_to_nothing_sensible_is_said_at_run_time(project):
    ended = project.run_text("""\
        variables: {count: many}
        jobs:
        - job: p
          strategy: {parallel: $(count)}
          steps: [{bash: echo}]
        - job: t
          timeoutInMinutes: $(count)
          steps: [{bash: echo}]
        """)
    assert ended.code == 1
    assert "many" in ended.details["__default/p"]
    assert any("many" in issue["message"] for issue in ended.issues["__default/t"])


def test_names_that_try_to_leave_the_run_folder(project):
    """A leg's name or a step's becomes part of a path."""
    ended = project.run_text("""\
        jobs:
        - job: plan
          steps:
          - bash: |
              echo '##vso[task.setvariable variable=legs;isOutput=true]{"../../../../escaped": {"x": "1"}}'
            name: s
        - job: work
          dependsOn: plan
          strategy: {matrix: "$[ dependencies.plan.outputs['s.legs'] ]"}
          steps: [{bash: 'true'}]
        """)
    assert ended.code == 1
    assert not list(project.folder.parent.rglob("escaped*"))
    assert "escaped" in ended.details["__default/work"]


def test_an_approval_without_a_project(project):
    ended = project.call("approve", "1")
    assert ended.code == 4
    assert "no run 1" in ended.err
    assert not (project.folder / ".lockgate").exists()


def test_no_pipeline_given(project):
    ended = project.call("run")
    assert ended.code == 2
    assert "file" in ended.err.lower()
