"""The repository's own jobs: the desk takes or refuses them by name, and Azure's library takes them all."""

from __future__ import annotations

import contextlib
import io
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import yaml

from lockgate.execution.job_file import load_job
from lockgate.execution.overrides import parse_override
from lockgate.execution.specification import PathInput

ROOT = Path(__file__).parents[2]
PIPELINES = ROOT / "mlops-pipelines"
AUTOML = PIPELINES / "train" / "dev-train-azure-automl.yml"
JOBS = [PIPELINES / "train" / "dev-train.yml", AUTOML, PIPELINES / "test" / "stage-test.yml"]
COMPONENTS = sorted((PIPELINES / "components").glob("*.yml"))
CHAMPION = "azureml:flight-delay:3"


def plain(path):
    return yaml.safe_load(path.read_text(encoding="utf-8"))


@contextlib.contextmanager
def azure():
    """Azure's library, without its own warnings and what it prints of experiments."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        import azure.ai.ml

        yield azure.ai.ml


def test_the_desk_takes_the_training():
    job = load_job(JOBS[0], root=ROOT)
    assert list(job.nodes) == ["prep", "train", "train2", "predict_automl", "predict_forest", "evaluate", "register"]
    assert job.nodes["evaluate"].needs() == {"prep", "predict_automl", "predict_forest"}
    assert job.continue_on_failure is False
    assert "champion" not in job.nodes["evaluate"].inputs


def test_the_desk_takes_the_stage_test():
    job = load_job(JOBS[2], root=ROOT)
    assert list(job.nodes) == ["stageprep", "predict", "evaluate"]


@pytest.mark.parametrize("path", [JOBS[0], JOBS[2]], ids=lambda path: path.stem)
def test_the_desk_binds_the_champion(path):
    job = load_job(path, [parse_override(f"jobs.evaluate.inputs.champion.path={CHAMPION}")], ROOT)
    champion = job.nodes["evaluate"].inputs["champion"]
    assert isinstance(champion, PathInput)
    assert (champion.reference.kind, champion.reference.name, champion.reference.version) == ("asset", "flight-delay", "3")


def test_the_desk_runs_an_automl_node_by_the_projects_own_script():
    train = load_job(AUTOML, root=ROOT).nodes["train"].component
    assert train.code == ROOT / "data-science"
    assert train.command == (
        "python src/train.py --train ${{inputs.training_data}} --validation ${{inputs.validation_data}} --model ${{outputs.best_model}} "
        "--task regression --target arr_delay --metric rmse --patience 20 --seconds 1800 --trial-seconds 600 --trials 20"
    )


@pytest.mark.parametrize("path", JOBS, ids=lambda path: path.stem)
def test_azure_takes_the_job(path):
    with azure() as library:
        result = library.load_job(path)._validate()
    assert result.passed, result.error_messages


@pytest.mark.parametrize("path", COMPONENTS, ids=lambda path: path.stem)
def test_azure_takes_the_component(path):
    with azure() as library:
        result = library.load_component(path)._validate()
    assert result.passed, result.error_messages


@pytest.mark.parametrize("path", JOBS, ids=lambda path: path.stem)
def test_azure_binds_the_champion(path):
    with azure() as library:
        job = library.load_job(path, params_override=[{"jobs.evaluate.inputs.champion.path": CHAMPION}])
        assert job._validate().passed
        bound = job._to_dict()["jobs"]["evaluate"]["inputs"]["champion"]
    assert bound["path"] in {CHAMPION, CHAMPION.removeprefix("azureml:")}


def test_the_automl_node_asks_for_what_project_yml_says():
    project = plain(ROOT / "data-science" / "project.yml")
    node = plain(AUTOML)["jobs"]["train"]
    assert node["type"] == "automl"
    assert (node["task"], node["target_column_name"]) == (project["task"], project["target"])


def test_the_two_trainings_differ_in_their_search_alone():
    ours, theirs = plain(JOBS[0])["jobs"], plain(AUTOML)["jobs"]
    assert list(ours) == list(theirs)
    same = ("prep", "train2", "predict_forest", "evaluate")
    assert {name: ours[name] for name in same} == {name: theirs[name] for name in same}


@pytest.mark.parametrize("path", COMPONENTS, ids=lambda path: path.stem)
def test_a_component_runs_in_the_image_of_the_training_environment(path):
    environment = plain(ROOT / "data-science" / "environment" / "train-env.yml")
    component = plain(path)
    assert component["environment"]["image"] == environment["image"]
    conda = (path.parent / component["environment"]["conda_file"]).resolve()
    assert conda == ROOT / "data-science" / "environment" / environment["conda_file"]


def test_the_conda_files_are_those_of_the_locks():
    done = subprocess.run(
        [sys.executable, "tools/write_conda_files.py", "--check"], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_every_job_and_component_of_the_repository_is_looked_at_here():
    found = {path for path in PIPELINES.rglob("*.yml") if "$schema" in plain(path) and "ipeline" in plain(path)["$schema"]}
    assert found == set(JOBS)
    used = {
        (job.parent / node["component"]).resolve()
        for job in JOBS
        for node in plain(job)["jobs"].values()
        if isinstance(node.get("component"), str)
    }
    assert used == set(COMPONENTS)
