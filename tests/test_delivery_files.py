"""The delivery's files: pipelines, templates and job files, held against what Azure takes and against the rules that they keep."""

from __future__ import annotations

import itertools
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import jmespath
import pytest
import yaml

from delivery_scripts import AZ, CONFIGURATIONS, PIPELINES, SCRIPT_KEYS, SCRIPTS, TEMPLATES, document, scripts_of, walk
from lockgate.az.arguments import check_required, find_command, parse
from lockgate.az.table import lines, options_of
from microsoft.checker import problems

ROOT = Path(__file__).parents[1]
FILES = [*PIPELINES, *TEMPLATES, *CONFIGURATIONS.values()]
CHAIN = [
    "dev-model-training",
    "stage-register-in-staging",
    "stage-model-testing",
    "stage-batch-endpoint",
    "stage-online-endpoint",
    "prod-register-in-production",
    "prod-online-endpoint",
    "prod-batch-endpoint",
]
MACRO = re.compile(r"\$\(([\w.]+)\)")
OF_THE_AGENT = ("Agent.", "Build.", "Pipeline.", "System.")
"""How the names of predefined variables begin."""
MACROS_ARE_FINE = {"azureSubscription", "publish", "default", "env", "parameters", "name"}
"""Keys that have macros below them: a parameter's value, an environment variable, a folder, a connection. No shell reads them."""
OF_BASH = {
    "BASHPID",
    "BASH_REMATCH",
    "EUID",
    "GROUPS",
    "HISTCMD",
    "HOME",
    "IFS",
    "LINENO",
    "OPTARG",
    "OPTIND",
    "PATH",
    "PPID",
    "PWD",
    "RANDOM",
    "SECONDS",
    "UID",
}


def named(paths: list[Path]) -> list[Any]:
    return [pytest.param(path, id=path.stem) for path in paths]


EVERY_SCRIPT = [pytest.param(script, id=f"{script.file.stem}: {script.title}") for script in SCRIPTS]


# Pipelines


@pytest.fixture(scope="module")
def checked() -> dict[str, list[str]]:
    """What `lockgate check` says of each pipeline."""
    command = [sys.executable, "-m", "lockgate", "check", "--json", *map(str, PIPELINES)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.stdout, done.stderr
    return {Path(one["file"]).stem: [mistake["message"] for mistake in one["mistakes"]] for one in json.loads(done.stdout)}


@pytest.mark.parametrize("path", named(PIPELINES))
def test_the_desk_finds_no_mistake_in_a_pipeline(path, checked):
    assert checked[path.stem] == []


@pytest.fixture(scope="module")
def planned() -> dict[str, tuple[int, str, str]]:
    """Exit code, output and errors of `lockgate plan` on main, for each pipeline."""
    command = [sys.executable, "-m", "lockgate", "plan", "--branch", "refs/heads/main", "--json"]
    running = {
        path.stem: subprocess.Popen([*command, str(path)], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for path in PIPELINES
    }
    found = {}
    for name, process in running.items():
        out, err = process.communicate(timeout=120)
        found[name] = (process.returncode, out, err)
    return found


@pytest.mark.parametrize("path", named(PIPELINES))
def test_on_main_every_stage_of_a_pipeline_is_planned_to_run(path, planned):
    code, out, err = planned[path.stem]
    assert (code, err) == (0, "")
    assert {stage["verdict"] for stage in json.loads(out)["stages"]} == {"runs"}


@pytest.fixture(scope="module")
def by_microsoft() -> dict[Path, list[str]]:
    """What Microsoft's language service says of each file; skips where it is not to be had."""
    return problems(FILES)


@pytest.mark.parametrize("path", named(FILES))
def test_microsoft_s_checker_takes_the_file(path, by_microsoft):
    assert by_microsoft[path] == []


def test_the_pipelines_are_those_of_the_chain_and_those_beside_it():
    assert sorted(path.stem for path in PIPELINES) == sorted(
        [*CHAIN, "rollback-online-endpoint", "retire-online-deployment", "pr-validation", "bicep-ado-deploy-infra"]
    )


@pytest.mark.parametrize(("before", "after"), list(itertools.pairwise(CHAIN)))
def test_a_pipeline_starts_on_the_released_tag_of_the_one_before_it(before, after):
    found = document(ROOT / f"mlops-pipelines/{after}.yml")
    (upstream,) = found["resources"]["pipelines"]
    assert upstream["pipeline"] == "upstream"
    assert upstream["source"] == before
    assert upstream["trigger"] == {"branches": {"include": ["main"]}, "tags": ["released"]}
    assert (found["trigger"], found["pr"]) == ("none", "none")


@pytest.mark.parametrize("after", CHAIN[1:])
def test_a_pipeline_that_is_started_by_hand_takes_no_other_branch_s_release(after):
    """Without `branch`, a manual run takes the newest run of its source, whatever branch that ran on."""
    (upstream,) = document(ROOT / f"mlops-pipelines/{after}.yml")["resources"]["pipelines"]
    assert upstream.get("branch") in ("main", "refs/heads/main")


def test_only_training_starts_on_commits_and_rollback_on_nothing():
    training = document(ROOT / "mlops-pipelines/dev-model-training.yml")
    assert training["trigger"] == {"branches": {"include": ["*"]}}
    assert "resources" not in training
    rollback = document(ROOT / "mlops-pipelines/rollback-online-endpoint.yml")
    assert (rollback["trigger"], rollback["pr"]) == ("none", "none")
    assert "resources" not in rollback
    assert "schedules" not in rollback


@pytest.mark.parametrize("path", named(PIPELINES))
def test_a_pipeline_locks(path):
    assert document(path)["lockBehavior"] == ("sequential" if path.stem in [*CHAIN, "bicep-ado-deploy-infra"] else "runLatest")


@pytest.mark.parametrize("path", named(PIPELINES))
def test_a_branch_is_compared_by_its_whole_name(path):
    """`Build.SourceBranchName` of refs/heads/feature/main is main."""
    text = path.read_text(encoding="utf-8")
    assert "SourceBranchName" not in text
    conditions = [value for keys, value in walk(document(path)) if keys[-1:] == ("condition",)]
    # A pull request is of any branch, and releases nothing.
    assert path.stem == "pr-validation" or any(
        "eq(variables['Build.SourceBranch'], 'refs/heads/main')" in condition for condition in conditions
    )


@pytest.mark.parametrize("name", CHAIN)
def test_a_pipeline_of_the_chain_takes_its_environment_s_names_and_locks_and_approval(name):
    root = document(ROOT / f"mlops-pipelines/{name}.yml")
    stage = name.split("-", 1)[0]
    assert root["variables"] == [{"template": f"/infrastructure/env-variables/config-infra-{stage}.yml"}]
    jobs = [job for one in root["stages"] for job in one["jobs"]]
    assert [job["environment"] for job in jobs] == [stage] * len(jobs)


@pytest.mark.parametrize("path", named(PIPELINES))
def test_a_job_runs_in_the_pool_that_the_configuration_names(path, expanded):
    pools = [job.get("pool") for stage in expanded[path.stem]["stages"] for job in stage["jobs"]]
    # A macro: what the variables files give is not known yet where a file's own pool is read.
    assert pools == [{"name": "$(agent_pool)"}] * len(pools)


# Templates and their scripts


def test_there_are_scripts_to_look_at():
    assert len(SCRIPTS) > 20
    assert {script.file for script in SCRIPTS} >= {path for path in TEMPLATES if path.stem != "hand-on"}


@pytest.mark.parametrize("script", EVERY_SCRIPT)
def test_a_script_is_bash_that_stops_at_the_first_error(script):
    shell = script.text.splitlines()
    assert len(shell) == 1 or shell[0] == "set -euo pipefail"
    done = subprocess.run(["bash", "-n"], input=script.text, capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("script", EVERY_SCRIPT)
def test_nothing_is_written_into_a_script(script):
    """What a parameter or a variable holds reaches a script by its environment only, where no shell reads it as code."""
    assert "${{" not in script.text
    assert MACRO.findall(script.text) == []
    assert "$[" not in script.text


@pytest.mark.parametrize("script", EVERY_SCRIPT)
def test_a_script_uses_the_variables_that_it_is_given_and_no_others(script):
    without_python = re.sub(r"(?ms)<<'PYTHON'$.*?^\s*PYTHON$", "", script.text)
    own = set(re.findall(r"\b([A-Z][A-Z0-9_]+)=", without_python))
    used = set(re.findall(r"\$\{?([A-Z][A-Z0-9_]+)\b", without_python)) | set(re.findall(r"os\.environ\[\"(\w+)\"\]", script.text))
    if "os.environ.items()" in script.text:
        # It takes all that begin so.
        used |= {name for name in script.env if name.startswith("IN_")}
    assert used - own - OF_BASH <= set(script.env) <= used


@pytest.mark.parametrize("path", named([*TEMPLATES, *PIPELINES]))
def test_no_step_may_fail_and_no_version_is_the_latest(path):
    root = document(path)
    assert not [keys for keys, _ in walk(root) if keys[-1:] == ("continueOnError",)]
    assert "@latest" not in path.read_text(encoding="utf-8")


@pytest.mark.parametrize("path", named([*TEMPLATES, *PIPELINES]))
def test_macros_stand_only_where_no_shell_reads_them(path):
    for keys, value in walk(document(path)):
        if isinstance(value, str) and MACRO.search(value):
            assert MACROS_ARE_FINE & set(keys), f"{'.'.join(keys)}: {value}"


@pytest.mark.parametrize("path", named([*TEMPLATES, *PIPELINES]))
def test_no_environment_variable_of_a_step_collides_with_a_variable(path):
    """An agent gives every variable to every script, upper-cased, dots as underscores."""
    variables = {one["name"] for file in CONFIGURATIONS.values() for one in document(file)["variables"]}
    taken = {re.sub(r"[. ]", "_", name).upper() for name in variables} | OF_BASH
    for script in scripts_of(path):
        assert not taken & set(script.env), script.title
        assert not [name for name in script.env if name.startswith(("AGENT_", "BUILD_", "SYSTEM_", "PIPELINE_", "AZUREML_", "AZURE_"))]


@pytest.fixture(scope="module")
def expanded() -> dict[str, dict[str, Any]]:
    """Each pipeline without its templates."""
    command = [sys.executable, "-m", "lockgate", "expand"]
    running = {
        path.stem: subprocess.Popen([*command, str(path)], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for path in PIPELINES
    }
    found = {}
    for name, process in running.items():
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
        found[name] = yaml.safe_load(out)
    return found


RELEASE_OUTPUTS = ["model", "version", "sha256", "environment_version", "batch_environment_version", "commit"]
BICEP_OUTPUTS = re.findall(r"(?m)^output (\w+) ", (ROOT / "infrastructure/main.bicep").read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", named(PIPELINES))
def test_every_macro_of_a_pipeline_is_a_variable_that_a_step_before_it_sets_or_a_file_has(path, expanded):
    root = expanded[path.stem]
    template = document(path)["variables"][0]["template"].replace("${{ parameters.environment }}", "dev")
    known = {one["name"] for one in document(ROOT / template.lstrip("/"))["variables"]}
    for stage in root["stages"]:
        for job in stage["jobs"]:
            steps = job["steps"] if "steps" in job else job["strategy"]["runOnce"]["deploy"]["steps"]
            there = set(known)
            for step in steps:
                outside = {**step, "inputs": {key: part for key, part in step.get("inputs", {}).items() if key not in SCRIPT_KEYS}}
                used = {name for _, value in walk(outside) if isinstance(value, str) for name in MACRO.findall(value)}
                # Nobody may have set the champion: run-pipeline leaves such a change out.
                missing = {name for name in used - there if not name.startswith(OF_THE_AGENT)} - {"champion_reference"}
                assert missing == set(), step.get("displayName")
                inputs = step.get("inputs", {})
                text = str(inputs.get("inlineScript") or inputs.get("script") or "")
                for name, output in re.findall(r"task\.setvariable variable=([\w{}]+)(;isOutput=true)?\]", text):
                    many = BICEP_OUTPUTS if step.get("name") == "infrastructure" else RELEASE_OUTPUTS
                    for one in many if name == "{name}" else [name]:
                        there.add(f"{step['name']}.{one}" if output else one)


# Command lines of az


def test_every_az_of_the_scripts_is_looked_at():
    """Each is found, with all kinds of endpoints and all places that it may have."""
    known = {name for name, _ in AZ}
    assert known == {
        script.file.stem
        for script in SCRIPTS
        if re.search(r"\baz (ml|extension|version|rest|deployment|bicep|resource|storage|acr|keyvault)\b", script.text)
    }
    shown = [" ".join(words[1:4]) for name, words in AZ if name == "create-deployment"]
    assert sorted(set(shown)) == [
        "ml batch-deployment create",
        "ml batch-deployment show",
        "ml online-deployment create",
        "ml online-deployment list",
        "ml online-deployment show",
        "ml online-deployment update",
    ]
    promoted = [words for name, words in AZ if name == "promote-model" and words[2:4] == ("model", "download")]
    assert any("--registry-name" in words for words in promoted)
    assert any("--workspace-name" in words for words in promoted)
    rolled = [words for name, words in AZ if name == "safe-rollout" and words[2:4] == ("online-endpoint", "update")]
    assert any("--mirror-traffic" in words for words in rolled)
    assert any("--traffic" in words for words in rolled)


@pytest.mark.parametrize(("name", "words"), [pytest.param(*one, id=f"{one[0]}: {' '.join(one[1][1:5])} {n}") for n, one in enumerate(AZ)])
def test_a_command_line_of_az_is_one_that_azure_s_reference_has(name, words):
    assert words[0] == "az"
    command, rest = find_command(list(words[1:]))
    assert command in lines(), f"{command} is a group"
    found = parse(command, rest)
    check_required(found, options_of(command))
    registry, workspace = found.has("registry_name"), found.has("workspace_name")
    if {"--registry-name", "--workspace-name"} <= {option.name for option in options_of(command)}:
        assert registry or workspace, "neither a workspace nor a registry is named"
        assert found.has("resource_group") == workspace
    query = found.text("query")
    if query and "$" not in query:
        jmespath.compile(query)


# What Azure Machine Learning loads

LOADED = {
    "component": sorted((ROOT / "mlops-pipelines/components").glob("*.yml")),
    "job": [*sorted((ROOT / "mlops-pipelines/train").glob("*.yml")), *sorted((ROOT / "mlops-pipelines/test").glob("*.yml"))],
    "online_endpoint": [ROOT / "mlops-pipelines/deploy/online/endpoint.yml"],
    "online_deployment": [ROOT / "mlops-pipelines/deploy/online/deployment.yml"],
    "batch_endpoint": [ROOT / "mlops-pipelines/deploy/batch/endpoint.yml"],
    "model_batch_deployment": [ROOT / "mlops-pipelines/deploy/batch/deployment.yml"],
    "environment": sorted((ROOT / "data-science/environment").glob("*-env.yml")),
    "data": sorted((ROOT / "data-science/data").glob("*.yml")),
}
LOADER = """\
import json, sys, warnings
warnings.simplefilter("ignore")
from azure.ai.ml.entities import _load_functions as functions
found = {}
for kind, paths in json.loads(sys.argv[1]).items():
    for path in paths:
        try:
            loaded = getattr(functions, "load_" + kind)(path)
            message = ""
            if kind == "job":
                verdict = loaded._validate()
                message = "" if verdict.passed else str(verdict.error_messages)
            again = loaded._to_dict() if hasattr(loaded, "_to_dict") else {}
            found[path] = [message, json.loads(json.dumps(again, default=str))]
        except Exception as error:
            found[path] = [f"{type(error).__name__}: {error}", {}]
print(json.dumps(found))
"""
AZUREML = [(kind, path) for kind, paths in LOADED.items() for path in paths]


@pytest.fixture(scope="module")
def by_azure() -> dict[str, list[Any]]:
    """What azure-ai-ml says of each file, and what it read from it."""
    files = {kind: [str(path) for path in paths] for kind, paths in LOADED.items()}
    done = subprocess.run(
        [sys.executable, "-c", LOADER, json.dumps(files)], cwd=ROOT, capture_output=True, text=True, timeout=180, check=False
    )
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize(("kind", "path"), [pytest.param(*one, id=f"{one[0]}: {one[1].parent.name}/{one[1].stem}") for one in AZUREML])
def test_azure_s_library_takes_the_file(kind, path, by_azure):
    assert by_azure[str(path)][0] == ""


def test_every_file_of_azure_machine_learning_is_loaded():
    deep = {path for path in (ROOT / "mlops-pipelines").rglob("*.yml") if path not in PIPELINES}
    assert deep == {path for _, path in AZUREML if path.is_relative_to(ROOT / "mlops-pipelines")}


@pytest.mark.parametrize("kind", ["online", "batch"])
def test_azure_s_library_reads_all_that_a_deployment_says(kind, by_azure):
    """A key that it passed over would be missing in what it writes."""
    path = ROOT / f"mlops-pipelines/deploy/{kind}/deployment.yml"
    written = document(path)
    read = by_azure[str(path)][1]
    for keys, value in walk({key: part for key, part in written.items() if key != "$schema"}):
        if keys and not isinstance(value, (dict, list)):
            found = read
            for key in keys:
                found = found[key]
            assert found == value, ".".join(keys)


def test_the_code_of_a_deployment_is_there():
    for kind in ("online", "batch"):
        path = ROOT / f"mlops-pipelines/deploy/{kind}/deployment.yml"
        code = document(path)["code_configuration"]
        assert (path.parent / code["code"] / code["scoring_script"]).is_file()


def test_a_deployment_is_given_the_environment_that_was_registered():
    """By name: the one in the file is what the pipeline replaces."""
    names = {path.stem: document(path)["name"] for path in LOADED["environment"]}
    used = {name for path in PIPELINES for name in re.findall(r"/environments/([\w-]+)/versions/", path.read_text(encoding="utf-8"))}
    assert used == {names["serve-env"], names["batch-env"]}
    for kind, environment in (("online", "serve-env"), ("batch", "batch-env")):
        deployment = document(ROOT / f"mlops-pipelines/deploy/{kind}/deployment.yml")
        assert deployment["environment"] == f"azureml:{names[environment]}:1"


def test_the_server_listens_where_the_environment_says_it_does():
    environment = document(ROOT / "data-science/environment/serve-env.yml")
    text = (ROOT / "data-science/environment/serve/Dockerfile").read_text(encoding="utf-8")
    port = re.search(r"SERVE_PORT=(\d+)", text)
    assert port is not None
    assert {route["port"] for route in environment["inference_config"].values()} == {int(port[1])}
    assert f"EXPOSE {port[1]}" in text
    assert environment["inference_config"]["scoring_route"]["path"] == "/score"
    assert environment["inference_config"]["liveness_route"]["path"] == environment["inference_config"]["readiness_route"]["path"] == "/"


# Configuration


def configuration(name: str) -> dict[str, Any]:
    found = document(CONFIGURATIONS[name])["variables"]
    names = [one["name"] for one in found]
    assert len(names) == len(set(names))
    return {one["name"]: one["value"] for one in found}


def test_each_environment_has_the_names_of_the_one_before_it_and_more():
    dev, stage, prod = map(configuration, CONFIGURATIONS)
    assert dev.keys() < stage.keys() < prod.keys()


def test_the_environments_share_what_they_should_and_nothing_else():
    dev, stage, prod = map(configuration, CONFIGURATIONS)
    for name in ("production_registry", "production_registry_resource_group"):
        assert dev[name] == stage[name] == prod[name]
    assert prod["registry"] == prod["production_registry"] != stage["registry"]
    assert prod["resource_group"] == prod["production_registry_resource_group"]
    for name in ("environment_name", "service_connection", "resource_group", "workspace", "online_endpoint", "batch_endpoint"):
        assert len({dev[name], stage[name], prod[name]}) == 3, name
    assert [one["environment_name"] for one in (dev, stage, prod)] == ["dev", "stage", "prod"]


def test_a_release_comes_from_the_environment_before():
    dev, stage, prod = map(configuration, CONFIGURATIONS)
    for name in ("service_connection", "resource_group", "workspace"):
        assert stage[f"source_{name}"] == dev[name]
        assert prod[f"source_{name}"] == stage[name]
    assert prod["source_registry"] == stage["registry"]


NOT_USED = {"environment_name"}
"""Names of a configuration that say what it is about, to a reader."""


def test_every_variable_of_a_configuration_is_used():
    text = "\n".join(one.read_text(encoding="utf-8") for one in [*PIPELINES, *TEMPLATES])
    variables = {variable for name in CONFIGURATIONS for variable in configuration(name)}
    assert {one for one in variables if f"$({one})" not in text and f"variables.{one} " not in text} == NOT_USED


def test_the_release_s_figures_are_ones_that_a_release_can_have():
    prod = configuration("prod")
    assert 1 <= prod["canary_percent"] <= 50
    assert 0 <= prod["mirror_percent"] <= 50  # Azure mirrors half of the traffic at most
    assert prod["canary_answers"] > 0
    assert prod["instance_count"] >= 1
