"""Every `##vso[…]` command: what it does, what is refused, and lines that are none."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lockgate.agent.logging_commands import COMMANDS, escaped, parse_command


def test_every_command_has_a_test_here():
    text = Path(__file__).read_text(encoding="utf-8")
    assert [known.name for known in COMMANDS if f"{known.name}" not in text] == []


@pytest.mark.parametrize("name", [known.name for known in COMMANDS if known.desk == "refused"])
def test_a_refused_command_fails_its_step_and_says_why(name, project):
    """task.setendpoint, task.setsecretvariable, artifact.associate, release.updatereleasename, results.publish, codecoverage.publish."""
    ended = project.run_text(f"""\
        steps:
        - bash: |
            echo "##vso[{name} id=x;field=url]text"
            echo went on
        """)
    known = next(known for known in COMMANDS if known.name == name)
    assert ended.code == 1
    assert name in ended.err
    assert known.why in ended.err
    assert ended.log()[-1] == "went on"


def test_commands_without_effect_on_the_desk_are_taken_silently(project):
    ended = project.run_text("steps: [{bash: 'echo \"##vso[task.logdetail id=1;name=x;type=build]t\"; echo after', displayName: x}]\n")
    assert ended.code == 0
    assert [line for line in ended.log() if "logdetail" in line] == []


def test_files_that_are_kept(project):
    ended = project.run_text("""\
        steps:
        - bash: |
            mkdir -p out; echo '# one' > out/one.md; echo two > out/two.log; printf '\\1\\2' > out/three.bin
            echo "##vso[task.uploadsummary]$PWD/out/one.md"
            echo "##vso[build.uploadsummary]out/one.md"
            echo "##vso[task.uploadfile]$PWD/out/two.log"
            echo "##vso[build.uploadlog]$PWD/out/two.log"
            echo "##vso[task.addattachment type=my.type;name=n]$PWD/out/three.bin"
            echo "##vso[artifact.upload containerfolder=x;artifactname=arti]$PWD/out"
        """)
    assert ended.code == 0, ended.err
    files = {str(path.relative_to(ended.folder)) for path in ended.folder.rglob("*") if path.is_file() and path.parts[-3] != "work"}
    for name in (
        "summary/one.md",
        "summary/one-2.md",
        "logs/files/two.log",
        "logs/files/two-2.log",
        "artifacts/arti/one.md",
        "artifacts/arti/three.bin",
    ):
        assert name in files
    assert [name for name in files if name.startswith("attachments/my.type/n/")] == ["attachments/my.type/n/three.bin"]


@pytest.mark.parametrize(
    "line",
    [
        "##vso[task.uploadsummary]/no/such/file.md",
        "##vso[task.uploadfile]",
        "##vso[build.uploadlog]nothing.log",
        "##vso[task.addattachment type=t]readme.txt",
        "##vso[task.addattachment type=t;name=n]nothing",
        "##vso[artifact.upload]readme.txt",
        "##vso[artifact.upload artifactname=x]nothing",
        "##vso[artifact.upload artifactname=../x]readme.txt",
        "##vso[task.setvariable variable=]x",
        "##vso[task.setvariable isSecret=true]x",
        "##vso[task.logissue type=fatal]x",
        "##vso[task.complete result=Wonderful]x",
        "##vso[task.prependpath]",
        "##vso[task.setprogress value=many]x",
        "##vso[build.addbuildtag]",
        "##vso[build.addbuildtag]a:b",
    ],
)
def test_a_command_that_cannot_be_done_fails_its_step(line, many):
    ended = many(line)
    assert ended[0] == "Failed"
    assert ended[1].startswith("##vso[")
    assert not (ended[2].parent / "x").exists()


@pytest.fixture(scope="module")
def many(request, new_project):
    """One run with a job per line, since each needs a job of its own."""
    lines = [item.callspec.params["line"] for item in request.session.items if "many" in item.fixturenames]
    project = new_project()
    body = "".join(
        f"- job: j{number}\n  steps: [{{checkout: none}}, {{bash: {json.dumps('echo ' + repr(line))}}}]\n"
        for number, line in enumerate(lines)
    )
    ended = project.run_text(f"jobs:\n{body}", "--jobs", "2")

    def of(line):
        path = f"__default/j{lines.index(line)}/2"
        return ended.status[path], ended.details[path], ended.folder

    return of


def test_missing_type_of_an_issue_is_a_warning_only(project):
    """Source of the agent (C-E06-063): without a type the issue is not made and the step goes on."""
    ended = project.run_text("steps: [{bash: 'echo \"##vso[task.logissue]text\"', displayName: x}]\n")
    assert ended.code == 0


def test_issues_are_kept_with_their_place(project):
    ended = project.run_text("""\
        steps:
        - bash: |
            echo "##vso[task.logissue type=error;sourcepath=src/a.py;linenumber=3;columnnumber=7;code=E1]bad thing"
            echo "##vso[task.issue type=warning]old name"
            for i in $(seq 30); do echo "##vso[task.logissue type=warning]w$i"; done
            echo "##vso[task.logissue type=error]late error"
        """)
    issues = ended.issues["__default/Job/2"]
    assert ended.code == 0
    assert issues[0] == {
        "type": "error",
        "message": "bad thing",
        "sourcepath": "src/a.py",
        "linenumber": "3",
        "columnnumber": "7",
        "code": "E1",
    }
    assert issues[1] == {"type": "warning", "message": "old name"}
    # The first ten of each kind are kept (C-E06-063).
    assert sum(1 for issue in issues if issue["type"] == "warning") == 10
    assert issues[-1] == {"type": "error", "message": "late error"} or {"type": "error", "message": "late error"} in issues


def test_complete(project):
    ended = project.run_text("""\
        jobs:
        - job: worst
          steps: [{bash: 'echo "##vso[task.complete result=Failed]"; echo "##vso[task.complete result=Succeeded]"'}]
        - job: none
          steps: [{bash: 'echo "##vso[task.complete]"'}]
        - job: skipped
          steps: [{bash: 'echo "##vso[task.complete result=Skipped]"'}, {bash: echo}]
        - job: issues
          continueOnError: true
          steps: [{bash: 'echo "##vso[task.complete result=succeededwithissues;done=true]why it is so"'}]
        """)
    status = ended.status
    assert status["__default/worst/2"] == "Failed"
    assert status["__default/none/2"] == "Succeeded"
    assert status["__default/skipped/2"] == "Skipped"
    assert status["__default/skipped/3"] == "Succeeded"
    assert status["__default/issues/2"] == "SucceededWithIssues"
    assert ended.log("__default/issues/2")[-1] == "why it is so"


def test_numbers_and_tags(project):
    ended = project.run_text("""\
        steps:
        - bash: |
            echo "##vso[build.addbuildtag] one "
            echo "##vso[build.addbuildtag]one"
            echo "##vso[build.addbuildtag]two words"
            echo "##vso[build.updatebuildnumber]v1.2"
        - bash: echo "$(Build.BuildNumber) $BUILD_BUILDNUMBER"
        """)
    assert ended.record["tags"] == ["one", "two words"]
    assert ended.record["number"] == "v1.2"
    assert ended.log("__default/Job/3")[-1] == "v1.2 v1.2"


def test_a_number_reaches_jobs_that_begin_later(project):
    ended = project.run_text("""\
        stages:
        - stage: a
          jobs: [{job: j, steps: [{bash: 'echo "##vso[build.updatebuildnumber]v1.2"'}]}]
        - stage: b
          jobs: [{job: j, steps: [{bash: 'echo "$(Build.BuildNumber)"'}]}]
        """)
    assert ended.log("b/j/2")[-1] == "v1.2"


def test_progress_and_debug(project):
    project.write("p.yml", """\
        steps:
        - bash: |
            echo "##vso[task.setprogress value=30;currentOperation=loading]"
            echo "##vso[task.debug]deep inside"
            echo "##[debug]shown as it is"
        """)  # fmt: skip
    plain = project.run()
    assert "##[debug]deep inside" not in plain.log()
    assert "##[debug]shown as it is" in plain.log()
    assert "##[debug]deep inside" in project.run("p.yml", "-v", "system.debug=true").log()


def test_a_secret_can_be_set_without_a_variable(project):
    ended = project.run_text('steps: [{bash: \'echo "##vso[task.setsecret]hide-me-now"; echo "[hide-me-now]"\', displayName: x}]\n')
    assert ended.log()[-1] == "[***]"


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("##vso[a.b]", ("a.b", {}, "")),
        ("##vso[A.B X=y;Z=1=2;;]text", ("a.b", {"x": "y", "z": "1=2"}, "text")),
        ("before ##vso[a.b]text", ("a.b", {}, "text")),
        ("##vso[a.b x=%3B%5D%0A%0D%AZP25]%0Aq%AZP253B", ("a.b", {"x": ";]\n\r%"}, "\nq%3B")),
        ("##vso[a.b x=1] two ]", ("a.b", {"x": "1"}, " two ]")),
        ("##vso[a.b x=1]##vso[c.d]e", ("a.b", {"x": "1"}, "##vso[c.d]e")),
        ("##vso[a.b  x=1]", ("a.b", {"x": "1"}, "")),
        ("##vso[a.b x]", ("a.b", {}, "")),
        ("## vso[a.b]", None),
        ("##vso", None),
        ("##[error]x", None),
    ],
)
def test_how_a_line_is_read(line, wanted):
    found = parse_command(line)
    assert (found and (found.name, found.properties, found.text)) == wanted


@pytest.mark.parametrize("text", ["a;b]c\r\nd%e", "%3B", "%AZP25", "", "grüße"])
def test_what_is_escaped_is_read_as_it_was(text):
    found = parse_command(f"##vso[a.b x={escaped(text)}]{escaped(text)}")
    assert found is not None
    assert (found.properties.get("x"), found.text) == (text, text)


@pytest.mark.parametrize("line", ["##vso[task.setvariable variable=x", "##vso[]x", "##vso[task]x", "##vso[.]x", "##vso[ task.debug]x"])
def test_a_malformed_line_is_shown_or_warned_of_and_fails_nothing(line, project):
    """Source of the agent (C-E06-048): malformed text is a warning, and the step goes on."""
    ended = project.run_text(f"steps: [{{bash: {json.dumps('echo ' + repr(line) + '; echo after')}, displayName: x}}]\n")
    assert ended.code == 0, ended.err
    assert ended.log()[-1] == "after"
    assert any("vso[" in entry or "##[warning]" in entry for entry in ended.log())


def test_commands_in_a_line_that_comes_in_pieces(project):
    ended = project.run_text("""\
        steps:
        - bash: printf '##vso[task.setvar'; sleep 0.1; printf 'iable variable=x]val'; sleep 0.1; printf 'ue'
        - bash: echo "$(x)"
        """)
    assert ended.log("__default/Job/3")[-1] == "value"


def test_windows_line_ends_are_no_part_of_a_value(project):
    ended = project.run_text("""\
        steps:
        - bash: printf '##vso[task.setvariable variable=x]value\\r\\n'
        - bash: echo "[$(x)]"
        """)
    assert ended.log("__default/Job/3")[-1] == "[value]"
