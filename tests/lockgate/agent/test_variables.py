"""Variables of a run: which value counts, how macros and the environment come about, counters, numbers, groups, predefined ones."""

from __future__ import annotations

import re
from datetime import datetime, timezone

import pytest

from lockgate.agent.predefined import VARIABLES

NOT_IN_A_PLAIN_JOB = {
    "Build.TriggeredBy.BuildId",
    "Build.TriggeredBy.BuildNumber",
    "Build.TriggeredBy.DefinitionName",
    "Build.TriggeredBy.ProjectID",
    "Environment.Id",
    "Environment.Name",
    "Environment.ResourceName",
    "Strategy.CycleName",
    "Strategy.Name",
    "System.Debug",
    "resources.triggeringAlias",
    "resources.triggeringCategory",
    "System.JobPositionInPhase",
    "System.TotalJobsInPhase",
}


def test_the_nearest_scope_counts(project):
    ended = project.run_text("""\
        variables: {a: root, b: root, c: root}
        stages:
        - stage: s
          variables: {b: stage, c: stage}
          jobs:
          - job: j
            variables:
            - {name: c, value: first}
            - {name: C, value: job}
            steps:
            - bash: echo "$(a) $(b) $(c) $(d) ${{ variables.a }} ${{ variables.b }} ${{ variables.c }}"
            - bash: echo "##vso[task.setvariable variable=a]step"
            - bash: echo "$(a) $A"
          - job: sibling
            steps: [{bash: 'echo "$(a) $(b) $(c)"'}]
        - stage: other
          jobs: [{job: j, steps: [{bash: 'echo "$(a) $(b) $(c)"'}]}]
        """, "-v", "d=start")  # fmt: skip
    assert ended.log("s/j/2")[-1] == "root stage job start root stage job"
    assert ended.log("s/j/4")[-1] == "step step"
    assert ended.log("s/sibling/2")[-1] == "root stage stage"
    assert ended.log("other/j/2")[-1] == "root root root"


def test_macros(project):
    ended = project.run_text("""\
        variables:
          one: 1$(two)
          two: 2$(three)
          three: 3$(not.there)
          self: a$(self)
          ping: $(pong)
          pong: $(ping)
          hasCommand: $(ls -d /)
        steps:
        - bash: |
            echo '1: $(one)'
            echo '2: $(ONE) $( one )'
            echo '3: $(self)'
            echo '4: $(ping)'
            echo '5: $(nobody) $(no body) $() $(unfinished'
            echo "6: $(hasCommand) $(echo shell)"
            echo "7: $ONE"
            echo '8: $$(three) \\$(three)'
        """)
    log = {line[0]: line[3:] for line in ended.log() if re.match(r"\d: ", line)}
    assert log["1"] == "123$(not.there)"
    assert log["2"].startswith("123$(not.there) ")
    assert log["3"] == "a$(self)"
    assert log["4"] in {"$(ping)", "$(pong)"}
    assert log["5"] == "$(nobody) $(no body) $() $(unfinished"
    assert log["6"] == "/ shell"
    assert log["7"] == "123$(not.there)"


def test_a_long_chain_of_macros_and_a_long_value_end_well(project):
    chain = "".join(f"  v{number}: $(v{number + 1})\n" for number in range(60))
    ended = project.run_text(f"variables:\n{chain}  v60: end\n  short: $(v55)\nsteps:\n- bash: echo '$(short) $(v0)' | tail -c 40\n")
    assert ended.code == 0
    assert ended.log()[-1].startswith("end ")


def test_the_environment_of_scripts(project):
    ended = project.run_text("""\
        variables:
          some.dotted.name: dots
          with space: spaces
          with-dash: dash
          ünï: letters
        steps:
        - bash: |
            echo "$SOME_DOTTED_NAME $WITH_SPACE"
            env | grep '^WITH-DASH='
            echo "$BUILD_BUILDID $TF_BUILD"
            echo "inherited $FROM_OUTSIDE"
            env | grep -c '^LOCKGATE_SECRET=' || true
        """, FROM_OUTSIDE="yes", LOCKGATE_SECRET="x")  # fmt: skip
    assert ended.log() [-5:] == ["dots spaces", "WITH-DASH=dash", "1 True", "inherited yes", "0"]  # fmt: skip


def test_readonly_variables(project):
    ended = project.run_text("""\
        variables:
        - {name: fixed, value: 1, readonly: true}
        jobs:
        - job: set
          steps:
          - bash: echo "##vso[task.setvariable variable=FIXED]2"
          - {bash: 'echo "$(fixed)"', condition: always()}
        - job: made
          steps:
          - bash: echo "##vso[task.setvariable variable=mine;isReadOnly=true]1"
          - bash: echo "##vso[task.setvariable variable=mine]2"
          - {bash: 'echo "$(mine)"', condition: always()}
        - job: output
          steps:
          - {bash: 'echo "##vso[task.setvariable variable=v;isOutput=true]1"', name: s}
          - bash: echo "##vso[task.setvariable variable=s.v]2"
          - {bash: 'echo "$(s.v)"', condition: always()}
        - job: system
          steps:
          - bash: echo "##vso[task.setvariable variable=Agent.TempDirectory]/"
          - bash: echo "##vso[task.setvariable variable=System.DefaultWorkingDirectory]/"
            condition: always()
        """)
    status = ended.status
    assert [status[f"__default/{path}"] for path in ("set/2", "made/3", "output/3", "system/2", "system/3")] == ["Failed"] * 5
    assert ended.log("__default/set/3")[-1] == "1"
    assert ended.log("__default/made/4")[-1] == "1"
    assert ended.log("__default/output/4")[-1] == "1"
    assert "read-only" in ended.details["__default/set/2"]


@pytest.mark.long
def test_counters_count_over_runs_and_by_prefix(project):
    text = """\
        variables:
          major: {major}
          minor: $[ counter(variables['major'], 100) ]
          all: $[ counter('', 1) ]
        steps: [{{bash: 'echo "$(major).$(minor) $(all)"'}}]
        """
    said = [project.run_text(text.format(major=major)).log()[-1] for major in ("1", "1", "2", "1")]
    assert said == ["1.100 1", "1.101 2", "2.100 3", "1.102 4"]
    other = project.run_text(text.format(major="1"), name="other.yml")
    assert other.log()[-1] == "1.100 1"


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("$(Date:yyyyMMdd)$(Rev:.r)", ["{day:%Y%m%d}.1", "{day:%Y%m%d}.2"]),
        ("v$(Rev:rrr)", ["v001", "v002"]),
        ("$(Build.DefinitionName)_$(SourceBranchName)_$(BuildID)", ["p_main_1", "p_main_2"]),
        ("$(Year:yyyy).$(DayOfYear)", ["{day:%Y}.{yearday}", "{day:%Y}.{yearday}"]),
        ("a/b:c", ["a_b_c", "a_b_c"]),
        ("", ["{day:%Y%m%d}.1", "{day:%Y%m%d}.2"]),
    ],
)
def test_names_of_runs(name, wanted, project):
    before = datetime.now(timezone.utc)
    head = f"name: {name}\n" if name else ""
    said = [
        project.run_text(f"{head}variables: {{mine: own}}\nsteps: [{{bash: 'echo \"$(Build.BuildNumber)\"', displayName: x}}]\n")
        for _ in wanted
    ]
    days = (before, datetime.now(timezone.utc))
    expected = [[text.format(day=day, yearday=day.timetuple().tm_yday) for text in wanted] for day in days]
    assert [one.log()[-1] for one in said[-1:]] == [said[-1].record["number"]]
    assert [project.record(run)["number"] for run in (1, 2)] in expected


@pytest.mark.long
def test_rev_begins_anew_when_the_rest_changes(project):
    text = "name: {word}.$(Rev:r)\nsteps: [{{script: 'true'}}]\n"
    numbers = [project.run_text(text.format(word=word)).record["number"] for word in ("a", "a", "b", "a")]
    assert numbers == ["a.1", "a.2", "b.1", "a.3"]


def test_every_predefined_variable_is_set_in_a_plain_job(project):
    names = sorted(variable.name for variable in VARIABLES)
    lines = "\n".join(f"    echo '{name}=$({name})'" for name in names if name != "System.AccessToken")
    ended = project.run_text(f'steps:\n- bash: |\n{lines}\n- bash: test "$(System.AccessToken)" != "$""(System.AccessToken)"\n')
    found = dict(line.split("=", 1) for line in ended.log() if "=" in line)
    missing = {name for name, text in found.items() if text in {"", f"$({name})"}}
    assert missing == NOT_IN_A_PLAIN_JOB
    assert ended.status["__default/Job/3"] == "Succeeded"
    assert found["Build.SourceVersion"] == project.git("rev-parse", "HEAD")
    assert found["Build.SourceBranch"] == "refs/heads/main"
    assert found["Build.SourceVersionMessage"] == "the first commit"
    assert found["Build.RequestedFor"] == "Ada"
    assert found["Build.Repository.Name"] == "shop"
    assert (found["Agent.JobName"], found["System.JobName"], found["System.StageName"]) == ("Job", "Job", "__default")
    assert found["System.JobId"]
    assert (found["Build.DefinitionName"], found["Build.Reason"], found["Agent.JobStatus"]) == ("p", "Manual", "Succeeded")


def test_predefined_variables_of_a_branch_with_slashes_and_of_a_detached_head(project):
    project.git("checkout", "--quiet", "-b", "feature/deep/er")
    text = "steps: [{bash: 'echo \"$(Build.SourceBranch) $(Build.SourceBranchName)\"'}]\n"
    assert project.run_text(text).log()[-1] == "refs/heads/feature/deep/er er"
    assert project.run_text(text, "--branch", "main").log()[-1] == "refs/heads/main main"
    assert project.run_text(text, "--branch", "refs/tags/v1").log()[-1] == "refs/tags/v1 v1"
    project.git("checkout", "--quiet", "--detach")
    sha = project.git("rev-parse", "HEAD")
    assert sha in project.run_text(text).log()[-1]


def test_variable_groups(project):
    project.write("groups.yml", """\
        common:
          plain: from group
          both: from group
          pw: {value: group-secret-1, isSecret: true}
        more:
          both: from more
        """)  # fmt: skip
    ended = project.run_text("""\
        variables:
        - group: common
        - {name: own, value: 'own of $(plain)'}
        - group: more
        jobs:
        - job: a
          steps:
          - bash: |
              echo "$(own) $(both) $PLAIN [${PW:-none}]"
              test "$GIVEN" = group-secret-1 && echo given
            env: {GIVEN: $(pw)}
        - job: b
          variables: {both: nearer}
          steps:
          - bash: echo "$(both)"
          - bash: echo ran
            condition: eq(variables.pw, 'group-secret-1')
        """, "--variable-groups", "groups.yml")  # fmt: skip
    assert ended.log("__default/a/2")[-2:] == ["own of from group from more from group [none]", "given"]
    assert ended.log("__default/b/2")[-1] == "nearer"
    assert "group-secret-1" not in ended.shown + ended.logs


def test_a_variable_made_of_a_secret_is_secret_too(project):
    """Secrecy goes on through macros (C-E06-018 to 024)."""
    project.write("groups.yml", "g: {pw: {value: hidden-value-1, isSecret: true}}\n")
    ended = project.run_text("""\
        variables:
        - group: g
        - {name: url, value: 'https://u:$(pw)@host'}
        steps: [{bash: 'echo "env [${URL:-none}] $(url)"'}]
        """, "--variable-groups", "groups.yml")  # fmt: skip
    assert ended.log()[-1].startswith("env [none] ")
    assert "hidden-value-1" not in ended.logs


def test_runtime_expressions_see_resources_and_the_start(project):
    ended = project.run_text("""\
        variables:
          ref: $[ resources.repositories.self.ref ]
          day: $[ format('{0:yyyyMMdd}', pipeline.startTime) ]
          name: $[ resources.repositories['self'].name ]
        steps: [{bash: 'echo "$(ref) $(day) $(name)"'}]
        """)
    ref, day, name = ended.log()[-1].split()
    assert ref == "refs/heads/main"
    assert re.fullmatch(r"20\d{6}", day)
    assert name == "shop"


def test_secret_variables_can_be_in_conditions_but_are_not_shown_there(project):
    ended = project.run_text("""\
        steps:
        - bash: echo "##vso[task.setvariable variable=pw;isSecret=true]quiet-please"
        - bash: echo
          condition: eq(variables.pw, 'other')
        - bash: echo
          condition: eq(variables.pw, 'quiet-please')
        """)
    assert [ended.status[f"__default/Job/{number}"] for number in (3, 4)] == ["Skipped", "Succeeded"]
    assert "quiet-please" not in ended.err
