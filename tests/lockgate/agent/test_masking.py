"""Secrets: in nothing that is shown and in nothing that is kept, except the work folder of the job itself."""

from __future__ import annotations

import base64
import json

import pytest

SET = '- bash: echo "##vso[task.setvariable variable=pw;isSecret=true]{}"\n'


def leaks(ended, *secrets):
    """Where a secret stands: in what was shown, or in a file of the run outside of the work folders."""
    found = [f"shown: {secret}" for secret in secrets if secret in ended.shown]
    for path in ended.folder.rglob("*"):
        inside = path.relative_to(ended.folder)
        if inside.parts[0] == "work":
            continue
        if any(secret in str(inside) for secret in secrets):
            found.append(f"name of {inside}")
        if path.is_file():
            data = path.read_bytes()
            found += [f"{inside}: {secret}" for secret in secrets if secret.encode() in data]
    return sorted(found)


def test_a_secret_is_hidden_wherever_it_comes_up(project):
    secret = "Tr0ub4dor-and-3"
    ended = project.run_text(f"""\
        steps:
        - bash: echo "##vso[task.setvariable variable=pw;isSecret=true]{secret[:7]}""{secret[7:]}"
          displayName: set
        - bash: |
            echo "plain $(pw)"
            echo "twice $(pw)$(pw)"
            echo "err $(pw)" >&2
            echo "##vso[task.logissue type=error]issue $(pw)"
            echo "##vso[task.logissue type=warning;sourcepath=$(pw)]w"
            echo "##vso[task.setprogress value=50]doing $(pw)"
            echo "# sum $(pw)" > sum.md
            echo "##vso[task.uploadsummary]$PWD/sum.md"
            echo "text $(pw)" > notes.txt
            echo "##vso[task.uploadfile]$PWD/notes.txt"
            echo "##vso[task.addattachment type=t;name=n]$PWD/notes.txt"
            echo "##vso[task.nosuch]$(pw)"
            echo "##vso[nosuch.$(pw)]x"
            echo "##vso[task.complete result=SucceededWithIssues]done $(pw)"
            echo "##vso[task.debug]inner $(pw)"
          displayName: says
          name: s
        - bash: exit 3 # $(pw)
          displayName: fails
        - bash: echo
          condition: eq(variables.pw, '{secret[:5]}')
        - script: echo
          workingDirectory: /no/$(pw)
          condition: always()
        - publish: no/such/$(pw)
          artifact: x
          displayName: publish
          condition: always()
        """, "-v", "System.Debug=true")  # fmt: skip
    text = project.read("p.yml")
    assert secret not in text
    assert ended.code == 1
    assert "plain ***" in ended.log("__default/Job/3")
    # The repository's own copies hold what the file says; no secret stands there as a whole.
    assert "\n".join(leaks(ended, secret)) == ""


def test_a_secret_in_titles(project):
    ended = project.run_text("""\
        steps:
        - bash: echo "##vso[task.setvariable variable=pw;isSecret=true]title""-value-9"
        - bash: echo
          displayName: title with $(pw)
        - bash: 'echo $(pw)'
        - publish: no/such/$(pw)
          artifact: x
        """)
    assert "\n".join(leaks(ended, "title-value-9")) == ""


def test_a_secret_in_the_value_of_a_variable_that_is_none(project):
    ended = project.run_text("""\
        steps:
        - bash: echo "##vso[task.setvariable variable=pw;isSecret=true]inner""-value-9"
        - bash: echo "##vso[task.setvariable variable=plain]has $(pw)"
          displayName: set
        - bash: echo "##vso[task.setvariable variable=out;isOutput=true]has $(pw)"
          displayName: set
          name: s
        """)
    assert "\n".join(leaks(ended, "inner-value-9")) == ""


def test_a_secret_in_a_tag(project):
    ended = project.run_text("""\
        steps:
        - bash: echo "##vso[task.setvariable variable=pw;isSecret=true]tag""-value-9"
        - bash: echo "##vso[build.addbuildtag]tag-$(pw)"
        """)
    assert "\n".join(leaks(ended, "tag-value-9")) == ""


def test_a_secret_in_the_number_of_the_run(project):
    ended = project.run_text("""\
        steps:
        - bash: echo "##vso[task.setvariable variable=pw;isSecret=true]run""-name-9"
        - bash: echo "##vso[build.updatebuildnumber]n-$(pw)"
        """)
    assert "\n".join(leaks(ended, "run-name-9")) == ""


@pytest.mark.parametrize("way", ["setsecret", "isSecret", "group", "env"])
def test_a_secret_is_hidden_however_it_became_one(way, project):
    secret = f"very-hidden-{way}"
    project.write("groups.yml", f"g: {{pw: {{value: {secret}, isSecret: true}}}}\n")
    first, second = secret[:6], secret[6:]
    steps = {
        "setsecret": [f'echo "##vso[task.setsecret]{first}""{second}"; echo {first}""{second}', f"echo {first}''{second}"],
        "isSecret": [f'echo "##vso[task.setvariable variable=pw;isSecret=true]{first}""{second}"; echo {first}""{second}', "echo $(pw)"],
        "group": ["echo $(pw)", f"echo {first}''{second}"],
        "env": ["echo $GIVEN", "echo ${GIVEN}x"],
    }[way]
    body = "".join(f"- bash: |\n    {step}\n  displayName: x\n  env: {{GIVEN: $(pw)}}\n" for step in steps)
    ended = project.run_text(f"variables:\n- group: g\nsteps:\n{body}", "--variable-groups", "groups.yml")
    # The run's snapshot of the repository holds groups.yml, which the person put there.
    (ended.folder / "sources" / "self.bytes").unlink()
    assert ended.code == 0, ended.err
    assert "\n".join(leaks(ended, secret)) == ""
    assert "***" in ended.logs


def test_a_secret_of_several_lines(project):
    lines = ["-----BEGIN KEY-----", "MIIEpAIBAAKCAQEA7bq", "tyuiopasdfghjkl", "-----END KEY-----"]
    body = "".join(f"      {line}\n" for line in lines)
    project.write("groups.yml", f"g:\n  key:\n    value: |\n{body}    isSecret: true\n")
    (project.folder / ".git/info").mkdir(exist_ok=True)
    project.write(".git/info/exclude", "groups.yml\n")
    ended = project.run_text("""\
        variables: [{group: g}]
        steps:
        - bash: |
            printf '%s\\n' "$KEY" > $(Agent.TempDirectory)/key
            cat $(Agent.TempDirectory)/key
            sed -n 2p $(Agent.TempDirectory)/key
            tr -d '\\n' < $(Agent.TempDirectory)/key; echo
            base64 -w0 $(Agent.TempDirectory)/key; echo
          env: {KEY: $(key)}
        """, "--variable-groups", "groups.yml")  # fmt: skip
    assert ended.code == 0, ended.err
    assert "\n".join(leaks(ended, lines[1], lines[2])) == ""


def test_setting_a_secret_of_several_lines_is_an_error_and_does_not_leak_it(project):
    ended = project.run_text("""\
        steps:
        - bash: |
            echo "##vso[task.setvariable variable=pw;isSecret=true]first-half%0Asecond-half"
            printf 'first''-half\\nsecond''-half\\n'
          displayName: x
        """)
    assert ended.code == 1
    assert "lines" in ended.err
    assert "first-half" not in "\n".join(ended.log()) + ended.shown
    assert "second-half" not in "\n".join(ended.log()) + ended.shown


@pytest.mark.parametrize("width", [3, 5, 7, 9, 11, 20])
def test_a_secret_that_is_folded_into_lines(width, project):
    """Whatever `fold -w` makes of it: what is left between two lines' ends joins to no more than a few characters of the secret."""
    secret = "Abc123Def456Ghi789Jkl012"
    ended = project.run_text(f"""\
        steps:
        - bash: echo "##vso[task.setvariable variable=pw;isSecret=true]{secret[:9]}""{secret[9:]}"
        - bash: |
            echo "before it"
            printf '%s\\n' "$PW" | fold -w {width}
            echo "after it"
          env: {{PW: $(pw)}}
        """)
    joined = "".join(ended.log("__default/Job/3"))
    assert secret not in joined
    pieces = [secret[at : at + 8] for at in range(len(secret) - 7)]
    assert [piece for piece in pieces if piece in joined] == []
    assert ended.log("__default/Job/3")[-1] == "after it"
    assert "before it" in ended.log("__default/Job/3")


def test_encodings_of_a_secret(project):
    secret = 'quo"te&slash/back\\x'
    forms = [base64.b64encode(secret.encode()).decode(), json.dumps(secret)[1:-1], "quo%22te%26slash%2Fback%5Cx"]
    project.write(".git/info/exclude", "*.txt\ngroups.yml\n")
    project.write("groups.yml", json.dumps({"g": {"pw": {"value": secret, "isSecret": True}}}))
    project.write("forms.txt", "\n".join(forms) + "\n")
    ended = project.run_text("""\
        variables: [{group: g}]
        steps:
        - bash: cat "$HERE/forms.txt"; printf '%s\\n' "$PW"; printf '%s' "$PW" | base64; printf '%s\\n' "$PW" | base64
          env: {PW: $(pw)}
        """, "--variable-groups", "groups.yml")  # fmt: skip
    log = ended.log()
    assert "***" in log
    assert "\n".join(leaks(ended, secret, *forms)) == ""


def test_a_secret_that_other_secrets_contain_is_hidden_whole(project):
    ended = project.run_text("""\
        steps:
        - bash: |
            echo "##vso[task.setsecret]abc"
            echo "##vso[task.setsecret]abcdef"
            echo "##vso[task.setsecret]"
            echo "##vso[task.setsecret]   "
        - bash: echo "xabcdefy xabcy plain text"
          displayName: x
        """)
    assert ended.log("__default/Job/3")[-1] == "x***y x***y plain text"


def test_overlapping_and_adjacent_secrets_leave_no_rest(project):
    """Source of the agent: overlapping and adjacent matches become one `***` (C-E06-122 to 128)."""
    ended = project.run_text("""\
        steps:
        - bash: |
            echo "##vso[task.setsecret]alpha-beta"
            echo "##vso[task.setsecret]beta-gamma"
        - bash: echo "[alpha-beta-gamma]"; echo "[alpha-betabeta-gamma]"
          displayName: x
        """)
    assert ended.log("__default/Job/3")[-2:] == ["[***]", "[***]"]


def test_a_secret_stays_secret_when_it_is_set_again(project):
    ended = project.run_text("""\
        steps:
        - bash: echo "##vso[task.setvariable variable=pw;isSecret=true]first-value"
        - bash: echo "##vso[task.setvariable variable=PW]second""-value"
        - bash: |
            echo "[${PW:-none}] $(pw)"
        """)
    assert ended.log("__default/Job/4")[-1] == "[none] ***"
    assert ended.variables()["pw"] == "***"
    assert "second-value" not in ended.logs


def test_secrets_of_one_job_are_hidden_in_others_too(project):
    ended = project.run_text("""\
        jobs:
        - job: a
          steps: [{bash: 'echo "##vso[task.setvariable variable=pw;isOutput=true;isSecret=true]cross-job-9"', name: s}]
        - job: b
          dependsOn: a
          variables: {got: "$[ dependencies.a.outputs['s.pw'] ]"}
          steps: [{bash: 'echo "[$(got)]"; test "$(got)" = cross-""job-9 && echo same', displayName: x}]
        """)
    assert "cross-job-9" not in "\n".join(ended.log("__default/b/2"))
    assert "cross-job-9" not in json.dumps(json.loads((ended.folder / "variables.json").read_text()))
    assert "cross-job-9" not in "".join(path.read_text() for path in (ended.folder / "state").iterdir())


def test_secrets_in_test_results_and_logs_on_the_terminal(project):
    project.write("TEST-a.xml", """\
        <testsuite><testcase classname="c" name="t"><failure message="got junit-secret-5"/></testcase></testsuite>
        """)  # fmt: skip
    project.write(".git/info/exclude", "*.xml\n")
    ended = project.run_text("""\
        steps:
        - bash: echo "##vso[task.setsecret]junit-""secret-5"; cp "$HERE/TEST-a.xml" .
        - task: PublishTestResults@2
          inputs: {failTaskOnFailedTests: true}
        """, "--logs")  # fmt: skip
    assert ended.code == 1
    assert "***" in ended.err
    assert "\n".join(leaks(ended, "junit-secret-5")) == ""


def test_variables_given_with_v_are_kept_for_resume_but_a_secret_of_the_same_text_is_hidden(project):
    ended = project.run_text("""\
        steps:
        - bash: echo "##vso[task.setsecret]given-""secret-7"
        """, "-v", "word=given-secret-7")  # fmt: skip
    assert "given-secret-7" not in (ended.folder / "run.json").read_text()


def test_secrets_in_what_is_said_of_jobs_stages_and_questions(project):
    """Where a value of a job is wrong, or a person is asked, what is said holds no secret."""
    project.write(".git/info/exclude", "groups.yml\n")
    project.write("groups.yml", "g: {pw: {value: said-value-9, isSecret: true}}\n")
    project.write("p.yml", """\
        variables: [{group: g}]
        stages:
        - stage: a
          jobs:
          - job: parallel
            strategy: {parallel: $(pw)}
            steps: [{bash: echo}]
          - job: minutes
            timeoutInMinutes: $(pw)
            steps: [{bash: 'exit 1', continueOnError: $(pw), retryCountOnTaskFailure: 0}]
          - job: ask
            pool: server
            steps:
            - task: ManualValidation@0
              displayName: ask for $(pw)
              inputs: {notifyUsers: $(pw), instructions: $(pw)}
          - job: error
            condition: gt(1, variables.pw)
            steps: [{bash: echo}]
          - job: step
            steps: [{bash: echo, condition: 'gt(1, variables.pw)'}]
          - job: expression
            variables: {x: "$[ gt(1, variables.pw) ]"}
            steps: [{bash: echo}]
        - stage: b
          dependsOn: []
          condition: gt(1, variables.pw)
          jobs: [{job: j, steps: [{bash: echo}]}]
        """)  # fmt: skip
    ended = project.run("p.yml", "--variable-groups", "groups.yml", "--yes")
    assert "\n".join(leaks(ended, "said-value-9")) == ""


def test_a_secret_of_a_root_variable_that_fails_to_evaluate(project):
    project.write("groups.yml", "g: {pw: {value: said-value-9, isSecret: true}}\n")
    ended = project.run_text("""\
        variables:
        - group: g
        - {name: x, value: "$[ gt(1, variables.pw) ]"}
        steps: [{bash: echo}]
        """, "--variable-groups", "groups.yml")  # fmt: skip
    assert ended.code != 0
    assert "said-value-9" not in ended.shown


def test_a_secret_in_a_folder_that_is_put_on_path(project):
    ended = project.run_text("""\
        steps:
        - bash: echo "##vso[task.setvariable variable=pw;isSecret=true]path""-value-9"
        - bash: echo "##vso[task.prependpath]/opt/$(pw)"
          displayName: x
        """)
    assert "\n".join(leaks(ended, "path-value-9")) == ""


def test_a_secret_in_the_names_of_what_is_kept(project):
    ended = project.run_text("""\
        steps:
        - bash: echo "##vso[task.setvariable variable=pw;isSecret=true]name""-value-9"
        - bash: |
            cp readme.txt "$(pw).md"
            echo "##vso[task.uploadsummary]$PWD/$(pw).md"
            echo "##vso[task.addattachment type=t;name=$(pw)]$PWD/readme.txt"
          displayName: x
        """)
    assert "\n".join(leaks(ended, "name-value-9")) == ""
