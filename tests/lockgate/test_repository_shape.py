"""A project that takes its steps from another repository, as Azure/mlops-v2 with Azure/mlops-templates does: it is checked, planned, and run."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SHAPE = Path(__file__).parents[1] / "cases" / "pipelines" / "repository"
AZ = """\
#!/bin/sh
echo "az $*" >>"$AZ_CALLS"
case "$*" in
  "ml job create"*) echo brave_river ;;
  "ml job show"*) echo '{"name": "brave_river", "status": "Completed"}' ;;
  "account show"*) cat "$AZURE_CONFIG_DIR/azureProfile.json" ;;
esac
"""


class Team:
    """The two repositories, and an `az` that writes down how it was called."""

    def __init__(self, folder: Path, branch: str) -> None:
        self.project = folder / "project"
        self.templates = folder / "mlops-templates"
        for repository in (self.project, self.templates):
            shutil.copytree(SHAPE / repository.name, repository)
            self.git(repository, "init", "--quiet", "--initial-branch", branch)
            self.git(repository, "add", "-A")
            self.git(repository, "-c", "user.name=Somebody", "-c", "user.email=somebody@example.com", "commit", "-qm", "all of it")
        az = folder / "bin" / "az"
        az.parent.mkdir()
        az.write_text(AZ)
        az.chmod(0o755)
        self.calls = folder / "calls.txt"
        self.environment = {**os.environ, "LOCKGATE_AZ": str(az.parent), "AZ_CALLS": str(self.calls)}

    @staticmethod
    def git(folder: Path, *words: str) -> None:
        subprocess.run(["git", "-C", str(folder), *words], check=True, capture_output=True)

    def lockgate(self, command: str, file: str, *options: str) -> subprocess.CompletedProcess[str]:
        words = [
            sys.executable,
            "-m",
            "lockgate",
            command,
            f"mlops-pipelines/{file}.yml",
            "--repo",
            f"mlops-templates={self.templates}",
            *options,
        ]
        return subprocess.run(words, cwd=self.project, env=self.environment, capture_output=True, text=True, timeout=100, check=False)


@pytest.fixture
def team(tmp_path):
    return Team(tmp_path, "main")


def test_both_pipelines_are_without_mistakes(team):
    for file in ("dev-model-training", "stage-register-in-staging"):
        done = team.lockgate("check", file)
        assert (done.returncode, done.stderr) == (0, "")


def test_without_the_other_repository_it_says_how_to_name_it(team):
    done = subprocess.run(
        [sys.executable, "-m", "lockgate", "plan", "mlops-pipelines/dev-model-training.yml"],
        cwd=team.project, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 3
    assert "repository 'mlops-templates' is not on this machine; say where it is: --repo mlops-templates=FOLDER" in done.stderr


def test_it_runs_and_starts_the_pipeline_that_waits_for_it(team):
    done = team.lockgate("run", "dev-model-training", "--json", "--plain", "--jobs", "2")
    assert done.returncode == 0, done.stderr
    training, staging = json.loads(done.stdout)
    assert (training["pipeline"], training["result"], training["tags"]) == ("dev-model-training", "Succeeded", ["released"])
    assert (staging["pipeline"], staging["reason"], staging["resources"]) == (
        "stage-register-in-staging",
        "ResourceTrigger",
        {"training": training["id"]},
    )
    calls = team.calls.read_text().splitlines()
    assert calls[:4] == [
        "az account show",
        "az configure --defaults group=rg-flights-dev workspace=mlw-flights-dev",
        "az ml compute create --name cpu-cluster --min-instances 0 --max-instances 4 --tier low_priority --type amlcompute",
        "az ml job create --file mlops-pipelines/train/dev-train.yml --set display_name=training_1 --query name --output tsv",
    ]
    assert "az ml job show --name brave_river --resource-group rg-flights-dev --workspace-name mlw-flights-dev --output json" in calls
    log = (team.project / ".lockgate/runs/2/logs").rglob("*.txt")
    assert any('{"job": "brave_river"}' in path.read_text() for path in log)


def test_a_parameter_chooses_the_other_job(team):
    done = team.lockgate("run", "dev-model-training", "-p", "automl=azure", "--no-follow", "--plain")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "--file mlops-pipelines/train/dev-train-azure-automl.yml" in team.calls.read_text()


def test_another_branch_does_not_release(tmp_path):
    team = Team(tmp_path, "feature/main")
    done = team.lockgate("run", "dev-model-training", "--json", "--plain")
    assert done.returncode == 0, done.stderr
    record = json.loads(done.stdout)
    assert (record["result"], record["tags"], record["sourceBranch"]) == ("Succeeded", [], "refs/heads/feature/main")
    steps = {step["title"]: step["status"] for step in record["stages"][0]["jobs"][0]["steps"]}
    assert steps["Hand on the release"] == "Skipped"
