"""Every Azure Pipelines file of the repository, held against Microsoft's language service; and that it can tell right from wrong."""

from __future__ import annotations

import json
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import yaml

from microsoft import checker
from microsoft.checker import MARKETPLACE_TASKS, problems, unknown_tasks

ROOT = Path(__file__).parents[2]
CASES = ROOT / "tests" / "cases" / "microsoft"
REPOSITORY_CASES = ROOT / "tests" / "cases" / "pipelines" / "repository"
FOLDERS = [ROOT / "mlops-pipelines", ROOT / "aml-cli-v2", ROOT / "infrastructure", REPOSITORY_CASES]
MISTAKEN = sorted(path.stem for path in (CASES / "err").glob("*.yml"))
RIGHT = sorted(path.stem for path in (CASES / "ok").glob("*.yml"))


def is_pipeline(file: Path) -> bool:
    """Whether this is a pipeline or a template of Azure Pipelines. Azure ML's job files have `jobs` too, but as a mapping."""
    try:
        root = yaml.compose(file.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    except yaml.YAMLError:
        return True  # whatever it is, it should be looked at
    if not isinstance(root, yaml.MappingNode):
        return False
    for key, value in root.value:
        if key.value in {"stages", "steps", "extends", "variables"} or key.value.startswith("${{"):
            return True
        if key.value == "jobs" and not isinstance(value, yaml.MappingNode):
            return True
    return False


def pipeline_files(folders: list[Path] = FOLDERS) -> list[Path]:
    return [file for folder in folders for file in sorted(folder.rglob("*.yml")) if is_pipeline(file)]


def test_every_pipeline_file_of_the_repository_is_right():
    files = pipeline_files()
    if not files:
        pytest.skip("NOT CHECKED: the repository has no Azure Pipelines files, and no tests/cases/pipelines/repository/")
    assert {file.relative_to(ROOT).as_posix(): found for file, found in problems(files).items() if found} == {}


@pytest.fixture(scope="module")
def found():
    """What one run says of all the cases."""
    return problems(sorted(CASES.rglob("*.yml")))


@pytest.mark.parametrize("name", MISTAKEN)
def test_a_mistake_is_found_at_its_place(name, found):
    assert found[CASES / "err" / f"{name}.yml"] == (CASES / "err" / f"{name}.txt").read_text(encoding="utf-8").splitlines()


def test_there_are_mistakes_to_find():
    assert {path.stem for path in (CASES / "err").glob("*.txt")} == set(MISTAKEN)
    assert {"unknown-step-key", "unknown-task-input", "wrong-enum"} <= set(MISTAKEN)
    assert all((CASES / "err" / f"{name}.txt").read_text(encoding="utf-8").strip() for name in MISTAKEN)
    assert RIGHT


@pytest.mark.parametrize("name", RIGHT)
def test_a_file_without_mistakes_has_no_problems(name, found):
    assert found[CASES / "ok" / f"{name}.yml"] == []


def test_the_allow_list_holds_what_the_schema_does_not_know_and_nothing_else():
    assert unknown_tasks(["AzureCLI@2", "ManualValidation@1", *MARKETPLACE_TASKS]) == MARKETPLACE_TASKS


def test_a_marketplace_task_is_allowed_by_its_whole_name_only(tmp_path):
    file = tmp_path / "file.yml"
    file.write_text("steps:\n  - task: AzureMLJobWaitTask@2\n")
    assert [line.split(": ", 2)[:2] for line in problems([file])[file]] == [
        ["2:11", 'String does not match the pattern of "^PowerShell@2$".'],
        ["2:11", "Value is not accepted. Valid values"],
    ]


def test_azure_ml_files_are_no_pipelines(tmp_path):
    texts = {
        "pipeline": "parameters: []\nstages: []\n",
        "jobs": "jobs:\n  - job: a\n",
        "jobs-from-a-parameter": "jobs: ${{ parameters.jobs }}\n",
        "steps": "steps: []\n",
        "extends": "extends: {template: a.yml}\n",
        "variables": "variables: {a: b}\n",
        "expression": "${{ if parameters.a }}:\n  stages: []\n",
        "broken": "a: [\n",
        "azureml-job": "type: pipeline\njobs:\n  prep:\n    type: command\n",
        "azureml-component": "type: command\ninputs: {}\n",
        "list": "- steps\n",
        "empty": "",
    }
    for name, text in texts.items():
        (tmp_path / f"{name}.yml").write_text(text)
    found = {file.stem for file in pipeline_files([tmp_path, tmp_path / "nowhere"])}
    assert found == texts.keys() - {"azureml-job", "azureml-component", "list", "empty"}


def test_without_node_the_check_is_skipped_with_the_reason(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(pytest.skip.Exception, match="no node or no npm on PATH"):
        problems([CASES / "ok" / "variables.yml"])


def npm_that_fails(folder: Path, sentence: str) -> str:
    npm = folder / "npm"
    npm.write_text(f"#!/bin/sh\necho '{sentence}' >&2\nexit 1\n")
    npm.chmod(0o755)
    return str(npm)


def test_only_a_missing_network_excuses_a_failed_install(tmp_path):
    reason = checker._installed(npm_that_fails(tmp_path, "npm error code EAI_AGAIN"), tmp_path / "cache")
    assert str(reason) == "npm ci has no network: EAI_AGAIN"
    with pytest.raises(RuntimeError, match="EINTEGRITY"):
        checker._installed(npm_that_fails(tmp_path, "npm error code EINTEGRITY"), tmp_path / "other-cache")
    assert list((tmp_path / "cache").iterdir()) == list((tmp_path / "other-cache").iterdir()) == []


def test_two_installs_at_once_leave_one_folder(tmp_path):
    problems([CASES / "ok" / "variables.yml"])  # skips where no install is to be had
    npm = str(shutil.which("npm"))
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda _: checker._installed.__wrapped__(npm, tmp_path), range(2))
    assert first == second
    assert list(tmp_path.iterdir()) == [first]
    assert (first / "node_modules" / "azure-pipelines-language-service" / "package.json").is_file()


@pytest.mark.parametrize("schema", ["{}", '"{}"', "null"])
def test_a_schema_that_would_let_everything_pass_is_refused(tmp_path, schema):
    file = CASES / "err" / "wrong-enum.yml"
    problems([file])
    (tmp_path / "schema.json").write_text(schema)
    node, modules = checker._ready()
    command = [node, str(Path(checker.__file__).parent / "check.mjs"), str(tmp_path / "schema.json"), str(file)]
    done = subprocess.run(command, cwd=modules, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode != 0
    assert done.stdout == ""
    assert "is it that of Azure Pipelines?" in done.stderr


def test_versions_are_exact_and_no_address_is_locked():
    folder = Path(checker.__file__).parent
    package = json.loads((folder / "package.json").read_text())
    lock = json.loads((folder / "package-lock.json").read_text())
    assert package["private"] is True
    for name, version in package["dependencies"].items():
        assert lock["packages"][f"node_modules/{name}"]["version"] == version
    assert all("integrity" in entry and "resolved" not in entry for name, entry in lock["packages"].items() if name)
    assert not any("registry." in path.read_text() for path in folder.iterdir() if path.is_file() and path != Path(__file__))


NOT_IN_ITS_SCHEMA = {
    "job-parallel.expected": "maxParallel beside parallel",
    "step-keys.expected": "target of a task",
    "step-target-restricted.expected": "target of a task",
    "task-results.expected": "PublishCodeCoverageResults@2",
}
"""What Azure documents and the checker's schema does not have."""


def test_every_expansion_of_ours_is_right_to_it():
    """`lockgate expand` writes what Microsoft's checker takes."""
    found = problems(sorted((ROOT / "tests/cases/pipelines/ok").glob("*.expected.yml")))
    assert len(found) > 150
    assert {file.stem for file, messages in found.items() if messages} == set(NOT_IN_ITS_SCHEMA)
