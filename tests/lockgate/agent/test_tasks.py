"""Every task that the desk runs."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from lockgate.agent.tasks import TASKS


def test_bash_from_a_file_and_inline(project):
    project.write("scripts/say.sh", 'echo "args: $1|$2|$3 in ${PWD##*/}"; exit ${CODE:-0}\n')
    ended = project.run_text("""\
        steps:
        - task: Bash@3
          inputs: {filePath: scripts/say.sh, arguments: one "two words" $(three), workingDirectory: scripts}
        - task: bash@3
          inputs: {TARGETTYPE: Inline, Script: 'echo inline $0 | sed "s,.*/,,"'}
        - task: Bash@3
          inputs: {targetType: inline, script: 'echo oops >&2', failOnStderr: true}
          continueOnError: true
        - task: Bash@3
          inputs: {filePath: scripts/say.sh}
          env: {CODE: 7}
          continueOnError: true
        - task: Bash@3
          inputs: {filePath: scripts/nothing.sh}
          continueOnError: true
        - task: Bash@3
          inputs: {targetType: inline, script: 'echo "$FROM_ENV_FILE"', bashEnvValue: $(System.DefaultWorkingDirectory)/scripts/env.sh}
        """, "-v", "three=3")  # fmt: skip
    assert ended.log()[-1] == "args: one|two words|3 in scripts"
    assert ended.log("__default/Job/4")[-2:-1] == ["oops"]
    assert [ended.status[f"__default/Job/{n}"] for n in (2, 3, 4, 5, 6)] == ["Succeeded", "Succeeded", *["SucceededWithIssues"] * 3]
    assert "7" in ended.details["__default/Job/5"]
    assert "nothing.sh" in ended.details["__default/Job/6"]


def test_command_line(project):
    ended = project.run_text("""\
        steps:
        - task: CmdLine@2
          inputs: {script: "echo $0 | sed 's,.*[.],,'; false; echo goes on"}
        - task: CmdLine@2
          inputs: {script: 'echo x >&2', failOnStderr: true}
        """)
    assert ended.log()[-1] == "goes on"
    assert ended.status["__default/Job/3"] == "Failed"


def test_python_scripts(project):
    project.write("say.py", "import sys, os\nprint(sys.argv[1:], os.path.basename(os.getcwd()))\n")
    ended = project.run_text("""\
        steps:
        - bash: mkdir deep
        - task: PythonScript@0
          inputs: {scriptPath: say.py, arguments: a "b c" --d=$(x), workingDirectory: deep}
        - task: PythonScript@0
          inputs:
            scriptSource: inline
            script: |
              import sys
              print("grüße", sys.argv[1:])
            arguments: 1
        - task: PythonScript@0
          inputs: {scriptSource: inline, script: "import sys; print('e', file=sys.stderr)", failOnStderr: true}
          continueOnError: true
        - task: PythonScript@0
          inputs: {scriptSource: inline, script: "raise SystemExit(3)"}
          continueOnError: true
        - task: PythonScript@0
          inputs: {scriptPath: none.py}
        """, "-v", "x=1")  # fmt: skip
    assert ended.log("__default/Job/3")[-1] == "['a', 'b c', '--d=1'] deep"
    assert ended.log("__default/Job/4")[-1] == "grüße ['1']"
    assert [ended.status[f"__default/Job/{n}"] for n in (5, 6, 7)] == ["SucceededWithIssues", "SucceededWithIssues", "Failed"]


def test_use_python_version(project):
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    ended = project.run_text(f"""\
        steps:
        - task: UsePythonVersion@0
          name: py
          inputs: {{versionSpec: '{version}'}}
        - bash: python3 --version; test -x "$(py.pythonLocation)/python3" && echo there
        - task: UsePythonVersion@0
        - task: UsePythonVersion@0
          inputs: {{versionSpec: '>=3.8'}}
        - task: UsePythonVersion@0
          inputs: {{versionSpec: '3.99'}}
          continueOnError: true
        - task: UsePythonVersion@0
          inputs: {{versionSpec: 'latest please'}}
        """)
    log = ended.log("__default/Job/3")
    assert log[-2].startswith(f"Python {version}.")
    assert log[-1] == "there"
    assert [ended.status[f"__default/Job/{n}"] for n in (4, 5, 6, 7)] == ["Succeeded", "Succeeded", "SucceededWithIssues", "Failed"]
    assert "3.99" in ended.details["__default/Job/6"]
    assert version in ended.details["__default/Job/6"]


@pytest.fixture
def az(project):
    """A program in the place of az that says how it was called, first on PATH."""
    project.program("bin/az", """\
        #!/bin/bash
        echo "az $*" >> "$HERE/calls"
        case "$*" in
          *"job show"*)
            count=$(grep -c "job show" "$HERE/calls")
            if test "$count" -ge "${DONE_AFTER:-1}"; then echo "{\\"status\\": \\"${ENDS_AS:-Completed}\\"}"; else echo '{"status": "Running"}'; fi;;
          fail) echo "az is unhappy" >&2; exit 5;;
          *) echo "az $*";;
        esac
        """)  # fmt: skip
    return {"LOCKGATE_AZ": f"{project.folder}/bin"}


def test_azure_cli(project, az):
    project.write("scripts/call.sh", 'echo "$1|$2|${PWD##*/}"; az account show\n')
    ended = project.run_text("""\
        steps:
        - task: AzureCLI@2
          inputs:
            azureSubscription: my connection
            scriptType: bash
            scriptLocation: inlineScript
            inlineScript: |
              az group list --name $(x)
              echo "config ${AZURE_CONFIG_DIR#$(Agent.TempDirectory)/}"
              echo "spn [${servicePrincipalId:-none}] [${tenantId:-none}]"
              echo "args $1"
            arguments: first
        - task: AzureCLI@2
          inputs:
            connectedServiceNameARM: my connection
            scriptType: bash
            scriptLocation: inlineScript
            addSpnToEnvironment: true
            inlineScript: |
              test -n "$servicePrincipalId" && test -n "$tenantId" && echo both
              test -n "$idToken$servicePrincipalKey" && echo one of both
        - task: AzureCLI@2
          inputs: {azureSubscription: c, scriptType: bash, scriptPath: scripts/call.sh, arguments: a "b c", workingDirectory: made/here}
        - task: AzureCLI@2
          inputs: {azureSubscription: c, scriptType: bash, scriptLocation: inlineScript, inlineScript: az fail, failOnStandardError: false}
          continueOnError: true
        - task: AzureCLI@2
          inputs: {azureSubscription: c, scriptType: bash, scriptLocation: inlineScript, inlineScript: echo x >&2, failOnStandardError: true}
          continueOnError: true
        - task: AzureCLI@2
          inputs: {azureSubscription: c, scriptType: bash, scriptLocation: inlineScript, useGlobalConfig: true,
                   inlineScript: 'echo "config [${AZURE_CONFIG_DIR:-default}]"'}
        - bash: echo "after [${AZURE_CONFIG_DIR:-none}] [${servicePrincipalId:-none}]"
        """, "-v", "x=y", **az)  # fmt: skip
    log = ended.log()
    assert "az group list --name y" in log
    assert "config .azclitask" in log
    assert "spn [none] [none]" in log
    assert log[-1] == "args first"
    assert ended.log("__default/Job/3")[-2:] == ["both", "one of both"]
    assert ended.log("__default/Job/4")[-2:] == ["a|b c|here", "az account show"]
    assert [ended.status[f"__default/Job/{n}"] for n in (5, 6)] == ["SucceededWithIssues"] * 2
    assert "5" in ended.details["__default/Job/5"]
    assert ended.log("__default/Job/7")[-1] == "config [default]"
    assert ended.log("__default/Job/8")[-1] == "after [none] [none]"


def test_azure_cli_for_powershell_is_refused(project):
    ended = project.run_text("""\
        steps:
        - task: AzureCLI@2
          inputs: {azureSubscription: c, scriptType: pscore, scriptLocation: inlineScript, inlineScript: az version}
        """)
    assert ended.code == 3
    assert "bash" in ended.err


WAIT = """\
    jobs:
    - job: w
      pool: server
      steps:
      - task: AzureMLJobWaitTask@1
        inputs: {serviceConnection: c, resourceGroupName: rg, azureMLWorkspaceName: ws, azureMLJobName: $(jobName)}
    """


@pytest.mark.parametrize(("ends", "code"), [("Completed", 0), ("Failed", 1), ("Canceled", 1)])
def test_waiting_for_an_azure_ml_job(ends, code, project, az):
    ended = project.run_text(WAIT, "-v", "jobName=train-7", ENDS_AS=ends, **az)
    assert ended.code == code
    assert "--name train-7" in project.read("calls")
    assert "--workspace-name ws" in project.read("calls")
    assert "--resource-group rg" in project.read("calls")
    assert ends in " ".join(ended.log("__default/w/1"))


def test_waiting_for_an_azure_ml_job_that_takes_a_while(project, az):
    ended = project.run_text(WAIT, "-v", "jobName=train-7", DONE_AFTER="2", **az)
    assert ended.code == 0
    assert project.read("calls").count("job show") == 2
    assert [line for line in ended.log("__default/w/1") if "train-7" in line] == ["job train-7: Running", "job train-7: Completed"]


def test_a_wait_task_outside_of_a_server_job_is_a_mistake(project):
    ended = project.run_text("steps:\n- task: AzureMLJobWaitTask@1\n  inputs: {serviceConnection: c, resourceGroupName: r, "
                             "azureMLWorkspaceName: w, azureMLJobName: j}\n")  # fmt: skip
    assert ended.code == 2
    assert "server" in ended.err


def test_a_script_in_a_server_job_is_a_mistake(project):
    ended = project.run_text("jobs:\n- job: j\n  pool: server\n  steps: [{bash: echo}]\n")
    assert ended.code == 2
    assert "p.yml:4:11" in ended.err
    assert "a job with an agent" in ended.err


def test_artifacts(project):
    ended = project.run_text("""\
        jobs:
        - job: a
          steps:
          - bash: mkdir -p out/in .git/x; echo 1 > out/a.txt; echo 2 > out/in/b.txt; echo 3 > out/.hidden; mkdir empty
          - task: PublishPipelineArtifact@1
            inputs: {targetPath: out, artifact: folder}
          - publish: out/a.txt
            artifact: file
          - publish: empty
            artifact: nothing
          - publish: out
          - publish: out
            artifact: 'bad/name'
            continueOnError: true
          - bash: echo "##vso[artifact.upload artifactname=uploaded]$PWD/out/in/b.txt"
        - job: b
          dependsOn: a
          steps:
          - checkout: none
          - download: current
          - bash: cd "$(Pipeline.Workspace)"; find folder file uploaded -type f | LC_ALL=C sort
          - task: DownloadPipelineArtifact@2
            inputs: {artifactName: folder, targetPath: $(Build.BinariesDirectory)/got, itemPattern: "**/*.txt\\n!**/b.txt"}
          - bash: cd $(Build.BinariesDirectory)/got; find . -type f
          - task: DownloadPipelineArtifact@2
            inputs: {artifact: nobody}
        """)
    assert ended.status["__default/a"] == "SucceededWithIssues"
    assert [line for line in ended.log("__default/b/3") if not line.startswith("##")] == [
        "file/a.txt", "folder/.hidden", "folder/a.txt", "folder/in/b.txt", "uploaded/b.txt",
    ]  # fmt: skip
    assert ended.log("__default/b/5")[-1] == "./a.txt"
    assert ended.status["__default/b/6"] == "Failed"
    assert "nobody" in ended.details["__default/b/6"]
    assert sorted(path.name for path in (ended.folder / "artifacts").iterdir()) == ["a", "file", "folder", "nothing", "uploaded"]


@pytest.mark.long
def test_test_results_of_a_real_pytest(project):
    project.write("tests/test_it.py", """\
        import pytest
        def test_good(): pass
        def test_bad(): assert 1 == 2, "they differ"
        @pytest.mark.skip
        def test_off(): pass
        @pytest.fixture
        def broken(): raise ValueError("broken fixture")
        def test_error(broken): pass
        """)  # fmt: skip
    ended = project.run_text(f"""\
        steps:
        - bash: '"{sys.executable}" -m pytest -q -p no:cacheprovider --rootdir=. -c /dev/null tests --junit-xml=out/TEST-one.xml; true'
        - task: PublishTestResults@2
          inputs: {{testRunTitle: unit tests}}
        - task: PublishTestResults@2
          inputs: {{testResultsFiles: '**/none-*.xml'}}
        - task: PublishTestResults@2
          inputs: {{testResultsFiles: '**/none-*.xml', failTaskOnMissingResultsFile: true}}
          continueOnError: true
        - task: PublishTestResults@2
          inputs:
            testResultsFiles: |
              **/*.xml
              !**/TEST-*.xml
        - task: PublishTestResults@2
          inputs: {{failTaskOnFailedTests: true}}
        """)
    (first, *_) = json.loads((ended.folder / "tests.json").read_text())
    assert {key: first[key] for key in ("title", "total", "passed", "failed", "skipped")} == {
        "title": "unit tests", "total": 4, "passed": 1, "failed": 2, "skipped": 1,
    }  # fmt: skip
    assert any("test_bad" in one["name"] for one in first["failures"])
    assert [ended.status[f"__default/Job/{n}"] for n in (3, 4, 5, 6, 7)] == [
        "Succeeded",
        "Succeeded",
        "SucceededWithIssues",
        "Succeeded",
        "Failed",
    ]
    assert [issue["type"] for issue in ended.issues["__default/Job/4"]] == ["warning"]


def test_test_results_that_are_none(project):
    project.write("TEST-broken.xml", "<testsuite><testcase")
    project.write("TEST-laughs.xml", '<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]><testsuite><testcase name="&b;"/></testsuite>')
    project.write("TEST-other.xml", "<html/>")
    ended = project.run_text("""\
        jobs:
        - job: a
          steps: [{task: PublishTestResults@2, inputs: {testResultsFiles: TEST-broken.xml}}]
        - job: b
          steps: [{task: PublishTestResults@2, inputs: {testResultsFiles: TEST-laughs.xml}}]
        - job: c
          steps: [{task: PublishTestResults@2, inputs: {testResultsFiles: TEST-other.xml}}]
        """)
    for job, name in (("a", "broken"), ("b", "laughs"), ("c", "other")):
        assert ended.status[f"__default/{job}/2"] == "Failed"
        assert f"TEST-{name}.xml" in ended.details[f"__default/{job}/2"]


def test_code_coverage(project):
    project.write("one.xml", '<coverage lines-covered="3" lines-valid="4"/>')
    project.write("jacoco.xml", '<report><counter type="LINE" missed="1" covered="1"/></report>')
    ended = project.run_text("""\
        steps:
        - task: PublishCodeCoverageResults@2
          inputs: {summaryFileLocation: '*.xml'}
        - task: PublishCodeCoverageResults@1
          inputs: {codeCoverageTool: Cobertura, summaryFileLocation: $(System.DefaultWorkingDirectory)/one.xml}
        - task: PublishCodeCoverageResults@2
          inputs: {summaryFileLocation: none.xml}
        - task: PublishCodeCoverageResults@2
          inputs: {summaryFileLocation: none.xml, failIfCoverageEmpty: true}
        """)
    found = json.loads((ended.folder / "coverage.json").read_text())
    assert [(one["covered"], one["lines"]) for one in found] == [(4, 6), (3, 4)]
    assert [ended.status[f"__default/Job/{n}"] for n in (4, 5)] == ["Succeeded", "Failed"]


def test_copy_files(project):
    ended = project.run_text("""\
        steps:
        - bash: |
            mkdir -p in/deep in/empty; echo 1 > in/a.txt; echo 2 > in/deep/b.txt; echo 3 > in/c.md; echo 4 > in/.dot
            mkdir -p kept; echo old > kept/a.txt; echo old > kept/other.txt
        - task: CopyFiles@2
          inputs: {SourceFolder: in, Contents: "**\\n!**/*.md", TargetFolder: $(Build.ArtifactStagingDirectory)}
        - bash: cd $(Build.ArtifactStagingDirectory); find . | sort
        - task: CopyFiles@2
          inputs: {SourceFolder: in, Contents: '**/*.txt', TargetFolder: flat, flattenFolders: true}
        - bash: ls flat
        - task: CopyFiles@2
          inputs: {SourceFolder: in, Contents: a.txt, TargetFolder: kept}
        - bash: cat kept/a.txt
        - task: CopyFiles@2
          inputs: {SourceFolder: in, Contents: a.txt, TargetFolder: kept, OverWrite: true}
        - bash: cat kept/a.txt
        - task: CopyFiles@2
          inputs: {SourceFolder: in, Contents: nothing, TargetFolder: kept, CleanTargetFolder: true}
        - bash: ls kept
        - task: CopyFiles@2
          inputs: {SourceFolder: in, Contents: a.txt, TargetFolder: kept, CleanTargetFolder: true}
        - bash: ls kept
        - task: CopyFiles@2
          inputs: {SourceFolder: nowhere, TargetFolder: kept}
        """)

    def said(number):
        return [line for line in ended.log(f"__default/Job/{number}") if not line.startswith("##")]

    assert said(4) == [".", "./.dot", "./a.txt", "./deep", "./deep/b.txt"]
    assert said(6) == ["a.txt", "b.txt"]
    assert (said(8), said(10)) == (["old"], ["1"])
    assert (said(12), said(14)) == (["a.txt", "other.txt"], ["a.txt"])
    assert ended.status["__default/Job/15"] == "Failed"


def test_delete_files(project, tmp_path):
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/kept.txt").write_text("kept")
    ended = project.run_text(f"""\
        jobs:
        - job: inside
          steps:
          - bash: |
              mkdir -p d/deep/er d/only/folders; touch d/a.txt d/b.md d/.dot.txt d/deep/c.txt d/deep/er/e.md
              ln -s "{tmp_path}/outside" d/link
          - task: DeleteFiles@1
            inputs: {{SourceFolder: d, Contents: '*.txt'}}
          - bash: cd d; find . | sort
          - task: DeleteFiles@1
            inputs: {{SourceFolder: d, Contents: '**', RemoveDotFiles: true, RemoveSourceFolder: true}}
          - bash: test ! -e d && echo gone
          - task: DeleteFiles@1
            inputs: {{SourceFolder: nowhere, Contents: '**'}}
        - job: above
          steps:
          - task: DeleteFiles@1
            inputs: {{SourceFolder: '{tmp_path}/outside', Contents: '**'}}
        - job: dots
          steps:
          - task: DeleteFiles@1
            inputs: {{SourceFolder: ../../../../../../.., Contents: 'readme.txt'}}
        - job: patterns
          steps:
          - task: DeleteFiles@1
            inputs: {{Contents: "../../../../../../readme.txt\\n/**/kept.txt\\n{tmp_path}/outside/*"}}
        - job: links
          steps:
          - bash: ln -s "{tmp_path}/outside" way
          - task: DeleteFiles@1
            inputs: {{SourceFolder: way, Contents: '**'}}
        """)
    said = [line for line in ended.log("__default/inside/4") if not line.startswith("##")]
    assert said == [".", "./.dot.txt", "./b.md", "./deep", "./deep/er", "./deep/er/e.md", "./link", "./only", "./only/folders"]
    assert ended.log("__default/inside/6")[-1] == "gone"
    assert ended.status["__default/inside/7"] == "Succeeded"
    assert [ended.status[f"__default/{job}"] for job in ("above", "dots", "links")] == ["Failed"] * 3
    assert (tmp_path / "outside/kept.txt").read_text() == "kept"
    assert (project.folder / "readme.txt").exists()


CACHE = """\
    jobs:
    - job: c
      steps:
      - task: Cache@2
        inputs: {{key: '"deps" | v1 | lock.txt', restoreKeys: '"deps" | v1', path: $(Pipeline.Workspace)/cached, cacheHitVar: hit}}
      - bash: |
          echo "hit=$(hit) $(cat $(Pipeline.Workspace)/cached/f 2>/dev/null)"
          mkdir -p $(Pipeline.Workspace)/cached; echo "$(mark)" > $(Pipeline.Workspace)/cached/f
      - bash: {last}
    """


@pytest.mark.long
def test_cache(project):
    project.write("lock.txt", "1\n")

    def run(mark, last="'true'"):
        ended = project.run_text(CACHE.format(last=last), "-v", f"mark={mark}")
        return next(line for line in ended.log("__default/c/3") if line.startswith("hit="))

    assert run("one", "exit 1") == "hit=false "
    assert run("two") == "hit=false "
    assert run("three") == "hit=true two"
    project.write("lock.txt", "2\n")
    assert run("four") == "hit=inexact two"
    assert run("five") == "hit=true four"
    project.write("lock.txt", "1\n")
    assert run("six") == "hit=true two"


def test_cache_keys(project):
    ended = project.run_text("""\
        jobs:
        - job: a
          steps: [{task: Cache@2, inputs: {key: 'x | missing-file.txt', path: c}}]
        - job: b
          steps: [{task: Cache@2, inputs: {key: '**', path: c}}]
        - job: c
          steps: [{task: Cache@2, inputs: {key: 'x | **/*.none', path: c}}]
        - job: d
          steps: [{task: Cache@2, inputs: {key: '"missing-file.txt" | $(Agent.OS) | readme.txt, !other.txt', path: c, cacheHitVar: h}}, {bash: 'echo "h=$(h)"'}]
        """)
    assert [ended.status[f"__default/{job}"] for job in "abcd"] == ["Failed", "Failed", "Failed", "Succeeded"]
    assert "missing-file.txt" in ended.details["__default/a/2"]
    assert ended.log("__default/d/3")[-1] == "h=false"


VALIDATE = """\
    jobs:
    - job: ask
      pool: server
      timeoutInMinutes: 4320
      steps:
      - task: ManualValidation@1
        timeoutInMinutes: 1440
        inputs: {notifyUsers: '', instructions: 'Look at $(what)', onTimeout: reject}
    - job: after
      dependsOn: ask
      steps: [{bash: echo}]
    """


@pytest.mark.parametrize(("answer", "code"), [("approve", 0), ("reject", 1)])
def test_manual_validation(answer, code, project):
    project.write("p.yml", VALIDATE)
    process = project.start("p.yml", "-v", "what=it", "--jobs", "1")
    file = project.wait_until(lambda: list(project.runs.glob("1/approvals/[!.]*.json")), "the question")[0]
    assert json.loads(file.read_text())["instructions"] == "Look at it"
    assert project.call(answer, "1", "--stage", "__default").code == 0
    ended = project.end_of(process)
    assert ended.code == code
    assert ended.status["__default/after"] == ("Succeeded" if code == 0 else "Skipped")


def test_manual_validation_with_yes(project):
    ended = project.run_text(VALIDATE, "--yes", "-v", "what=it")
    assert ended.code == 0
    assert json.loads(next(ended.folder.glob("approvals/[!.]*.json")).read_text())["how"] == "--yes"


def test_manual_validation_takes_no_agent_and_delay_neither(project):
    """Jobs without an agent run beside as many jobs with one as --jobs says."""
    project.write("p.yml", VALIDATE.replace("dependsOn: ask", "dependsOn: []").replace("{bash: echo}", '{bash: echo > "$HERE/ran"}'))
    process = project.start("p.yml", "-v", "what=it", "--jobs", "1")
    project.wait_for("ran")
    project.call("approve", "1", "--all")
    assert project.end_of(process).code == 0


def test_a_job_timeout_ends_a_manual_validation(project):
    ended = project.run_text(VALIDATE.replace("timeoutInMinutes: 4320", "timeoutInMinutes: 0.003"), "-v", "what=it")
    assert ended.code == 1
    assert ended.status["__default/ask/1"] == "Canceled"


def test_delay(project):
    ended = project.run_text("""\
        jobs:
        - job: d
          pool: server
          steps: [{task: Delay@1, inputs: {delayForMinutes: '0'}}]
        """)
    assert ended.status["__default/d/1"] == "Succeeded"


def test_a_mapped_task(project):
    project.program(".lockgate/tasks/MyTask@1", """\
        #!/bin/sh
        echo "inputs: $INPUT_SOME_INPUT|$INPUT_OTHER"
        echo "##vso[task.setvariable variable=v]set by it"
        exit ${INPUT_CODE:-0}
        """)  # fmt: skip
    project.write(".lockgate/tasks/Broken@2", "no program\n")
    ended = project.run_text("""\
        steps:
        - task: MyTask@1
          inputs: {some.input: $(x) y, other: 2}
        - bash: echo "$(v)"
        - task: mytask@1
          inputs: {code: 4}
          continueOnError: true
        - task: Broken@2
        """, "-v", "x=1")  # fmt: skip
    assert "inputs: 1 y|2" in ended.log()
    assert ended.log("__default/Job/3")[-1] == "set by it"
    assert [ended.status[f"__default/Job/{n}"] for n in (4, 5)] == ["SucceededWithIssues", "Failed"]
    assert "chmod" in ended.details["__default/Job/5"]


def test_unknown_tasks_and_versions_are_refused_with_what_exists(project):
    ended = project.run_text("""\
        steps:
        - task: NoSuchTask@1
        - task: Bash@9
        """)
    assert ended.code in {2, 3}
    assert "NoSuchTask@1" in ended.err
    assert ".lockgate/tasks" in ended.err
    assert "Bash@9" in ended.err
    assert "PublishTestResults" in ended.err
    assert not project.runs.exists()


def test_unknown_and_missing_inputs_are_mistakes(project):
    ended = project.run_text("""\
        steps:
        - task: Bash@3
          inputs: {targetTyp: inline}
        - task: CmdLine@2
        - task: AzureCLI@2
          inputs: {azureSubscription: c, scriptType: zsh, scriptLocation: inlineScript, inlineScript: x}
        """)
    assert ended.code == 2
    for word in ("p.yml:3:", "targetTyp", "targetType", "script", "zsh", "bash"):
        assert word in ended.err


def test_every_task_has_a_test_here():
    text = Path(__file__).read_text(encoding="utf-8")
    names = {task.specification.name for task in TASKS}
    assert [name for name in sorted(names) if f"{name}@" not in text] == []


def test_publish_build_artifacts(project):
    ended = project.run_text("""\
        steps:
        - bash: echo 1 > $(Build.ArtifactStagingDirectory)/f.txt
        - task: PublishBuildArtifacts@1
        - task: PublishBuildArtifacts@1
          inputs: {PathtoPublish: readme.txt, ArtifactName: other}
        """)
    assert ended.code == 0, ended.err
    assert sorted(str(path.relative_to(ended.folder / "artifacts")) for path in (ended.folder / "artifacts").rglob("*.txt")) == [
        "drop/f.txt",
        "other/readme.txt",
    ]
