"""Output variables: from step to step, job to job, stage to stage, out of deployments and legs."""

from __future__ import annotations

SET = 'echo "##vso[task.setvariable variable=v;isOutput=true]{}"'


def test_an_output_is_no_plain_variable_of_its_job(project):
    """Source of the agent: only `step.name` is set, not `name` (C-E06-052)."""
    ended = project.run_text("""\
        variables: {v: own}
        steps:
        - bash: echo "##vso[task.setvariable variable=v;isOutput=true]out"
          name: s
        - bash: |
            echo "##vso[task.setvariable variable=both]plain"
            echo "##vso[task.setvariable variable=both;isOutput=true]out"
          name: t
        - bash: |
            echo '$(v) $(s.v) $(both) $(t.both) $(none)'
            echo "$V $S_V $BOTH $T_BOTH"
        """)
    assert ended.log("__default/Job/4")[-2:] == ["own out plain out $(none)", "own out plain out"]


def test_outputs_cross_jobs_and_stages_in_every_documented_form(project):
    ended = project.run_text("""\
        stages:
        - stage: A
          jobs:
          - job: plain
            steps: [{bash: 'echo "##vso[task.setvariable variable=v;isOutput=true]p"', name: s}]
          - deployment: dep
            environment: dev
            strategy:
              runOnce:
                preDeploy:
                  steps: [{bash: 'echo "##vso[task.setvariable variable=v;isOutput=true]pre"', name: s}]
                deploy:
                  steps: [{bash: 'echo "##vso[task.setvariable variable=v;isOutput=true]d"', name: s}]
          - job: legs
            strategy:
              matrix: {one: {x: 1}, two: {x: 2}}
            steps: [{bash: 'echo "##vso[task.setvariable variable=v;isOutput=true]$(x)"', name: s}]
          - job: near
            dependsOn: [plain, dep, legs]
            variables:
              all: $[ format('{0} {1} {2} {3}', dependencies.plain.outputs['s.v'], dependencies.dep.outputs['dep.s.v'],
                      dependencies.legs.outputs['one.s.v'], dependencies.legs.outputs['two.s.v']) ]
              ofHook: $[ dependencies.dep.outputs['preDeploy.s.v'] ]
            steps: [{bash: 'echo "$(all)"'}, {bash: 'echo "$(ofHook)"'}]
        - stage: B
          condition: and(eq(dependencies.A.outputs['plain.s.v'], 'p'), eq(dependencies.A.outputs['dep.dep.s.v'], 'd'))
          jobs:
          - job: far
            variables:
              all: $[ format('{0} {1} {2}', stageDependencies.A.plain.outputs['s.v'], stageDependencies.A.dep.outputs['dep.s.v'],
                      stageDependencies.A.legs.outputs['two.s.v']) ]
            steps: [{bash: 'echo "$(all)"'}]
        - stage: C
          dependsOn: [A, B]
          variables: {all: "$[ stageDependencies.A.plain.outputs['s.v'] ]"}
          jobs:
          - job: far
            steps: [{bash: 'echo "$(all)"'}]
        """, "--jobs", "4")  # fmt: skip
    assert ended.code == 0, ended.err
    assert ended.log("A/near/2")[-1] == "p d 1 2"
    assert ended.log("A/near/3")[-1] == "pre"
    assert ended.log("B/far/2")[-1] == "p d 2"
    assert ended.log("C/far/2")[-1] == "p"


def test_an_output_of_a_deployment_to_a_resource(project):
    """Microsoft's deployment-jobs.md: `dependencies.A.outputs['Deploy_<resource>.step.variable']`."""
    ended = project.run_text("""\
        jobs:
        - deployment: vm
          environment: {name: dev, resourceName: machine}
          strategy:
            runOnce:
              deploy:
                steps: [{bash: 'echo "##vso[task.setvariable variable=v;isOutput=true]r"', name: s}]
        - job: near
          dependsOn: vm
          variables: {x: "$[ dependencies.vm.outputs['Deploy_machine.s.v'] ]"}
          steps: [{bash: 'echo "x=$(x)"'}]
        """)
    assert ended.log("__default/near/2")[-1] == "x=r"


def test_names_in_dependencies_ignore_case(project):
    ended = project.run_text("""\
        jobs:
        - job: First
          steps: [{bash: 'echo "##vso[task.setvariable variable=Value;isOutput=true]1"', name: Step}]
        - job: second
          dependsOn: first
          variables: {x: "$[ dependencies.FIRST.outputs['step.value'] ]"}
          steps: [{bash: 'echo "x=$(x)"'}]
        """)
    assert ended.log("__default/second/2")[-1] == "x=1"


def test_results_of_jobs_and_stages_can_be_read(project):
    ended = project.run_text("""\
        stages:
        - stage: A
          jobs:
          - job: bad
            steps: [{script: exit 1}]
          - job: off
            condition: false
            steps: [{script: echo}]
          - job: near
            dependsOn: [bad, off]
            condition: always()
            variables: {x: "$[ format('{0} {1}', dependencies.bad.result, dependencies.off.result) ]"}
            steps: [{script: 'echo "$(x)"'}]
        - stage: B
          condition: always()
          variables: {x: "$[ format('{0} {1}', dependencies.A.result, stageDependencies.A.bad.result) ]"}
          jobs: [{job: j, steps: [{script: 'echo "$(x)"'}]}]
        """)
    assert ended.log("A/near/2")[-1] == "Failed Skipped"
    assert ended.log("B/j/2")[-1] == "Failed Failed"


def test_a_matrix_made_at_run_time(project):
    project.write("p.yml", """\
        jobs:
        - job: plan
          steps:
          - bash: |
              echo '##vso[task.setvariable variable=legs;isOutput=true]{"a": {"word": "x", "more": "1"}, "b": {"word": "y", "more": "2"}}'
              echo '##vso[task.setvariable variable=none;isOutput=true]{}'
              echo '##vso[task.setvariable variable=broken;isOutput=true]{"a":'
            name: s
        - job: work
          dependsOn: plan
          strategy:
            maxParallel: 1
            matrix: $[ dependencies.plan.outputs['s.legs'] ]
          steps:
          - bash: echo "$(word)$(more) $(Agent.JobName)"
          - bash: echo "##vso[task.setvariable variable=v;isOutput=true]$(word)"
            name: s
        - job: after
          dependsOn: work
          variables: {v: "$[ dependencies.work.outputs['b.s.v'] ]"}
          steps: [{bash: 'echo "v=$(v)"'}]
        - job: broken
          dependsOn: plan
          strategy:
            matrix: $[ dependencies.plan.outputs['s.broken'] ]
          steps: [{script: echo}]
        - job: missing
          dependsOn: plan
          strategy:
            matrix: $[ dependencies.plan.outputs['s.nothing'] ]
          steps: [{script: echo}]
        """)  # fmt: skip
    ended = project.run("p.yml", "--jobs", "2")
    assert ended.log("__default/work a/2")[-1] == "x1 work a"
    assert ended.log("__default/work b/2")[-1] == "y2 work b"
    assert ended.log("__default/after/2")[-1] == "v=y"
    for job in ("broken", "missing"):
        assert ended.status[f"__default/{job}"] in {"Failed", "Abandoned"}
        assert "matrix" in ended.details[f"__default/{job}"].lower() or "JSON" in ended.details[f"__default/{job}"]


def test_equal_legs_split_work(project):
    ended = project.run_text("""\
        variables: {count: 3}
        jobs:
        - job: p
          strategy: {parallel: $(count)}
          steps:
          - bash: echo "$(System.JobPositionInPhase)/$(System.TotalJobsInPhase)"
          - bash: echo "##vso[task.setvariable variable=v;isOutput=true]$(System.JobPositionInPhase)"
            name: s
        """, "--jobs", "3")  # fmt: skip
    assert ended.code == 0, ended.err
    assert [ended.log(f"__default/p Job{number}/2")[-1] for number in (1, 2, 3)] == ["1/3", "2/3", "3/3"]


def test_max_parallel_is_kept(project):
    """Each leg adds a line when it begins and one when it ends: never two begun at once."""
    ended = project.run_text("""\
        jobs:
        - job: p
          strategy:
            maxParallel: 1
            matrix: {a: {x: 1}, b: {x: 1}, c: {x: 1}}
          steps:
          - checkout: none
          - bash: echo begin >> "$HERE/order"; for i in 1 2 3 4 5 6 7 8; do ls / > /dev/null; done; echo end >> "$HERE/order"
        """, "--jobs", "3")  # fmt: skip
    assert ended.code == 0
    assert project.read("order").split() == ["begin", "end"] * 3


def test_a_secret_output_is_hidden_and_reaches_the_same_job_only_by_macro(project):
    ended = project.run_text("""\
        steps:
        - bash: echo "##vso[task.setvariable variable=pw;isOutput=true;isSecret=true]open-sesame"
          name: s
        - bash: |
            test "$(s.pw)" = open-sesame && echo "it is [$(s.pw)]"
            echo "env [${S_PW:-none}]"
        """)
    assert ended.log("__default/Job/3")[-2:] == ["it is [***]", "env [none]"]


def test_an_output_of_a_step_without_a_name_is_refused_with_a_sentence(project):
    ended = project.run_text("""\
        steps: [{bash: 'echo "##vso[task.setvariable variable=v;isOutput=true]1"'}]
        """)
    assert ended.code == 1
    assert "name:" in ended.err
