"""The whole way on real data, in copies of this repository: what `./run` does, and what the docs say."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.long


def copy_repository(target: Path) -> Path:
    """What git would hand out, with the changes of the working tree."""
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True)
    for name in listed.stdout.splitlines():
        if (ROOT / name).exists():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, target / name)
    return target


def lockgate(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "lockgate", *arguments], cwd=folder, capture_output=True, text=True, check=False, timeout=600
    )


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, subprocess.CompletedProcess[str]]]:
    folder = copy_repository(tmp_path_factory.mktemp("flights"))
    yield folder, lockgate(folder, "up", "--train", "--plain", "--set", "inputs.search_seconds=15")
    lockgate(folder, "down")


def test_flights_go_from_csv_to_a_registered_model_and_a_scored_request(trained) -> None:
    folder, done = trained
    assert done.returncode == 0, done.stdout + done.stderr
    assert "PASSED: the model is registered" in done.stdout
    report = folder / re.search(r"^report +(\S+)$", done.stdout, re.MULTILINE)[1]
    assert report.read_text().count("data:image/png;base64,") == 5
    predictions = json.loads(re.search(r"→ (\{.*\})$", done.stdout, re.MULTILINE)[1])["predictions"]
    assert len(predictions) == 4
    metrics = json.loads((report.parent / "metrics.json").read_text())
    automl, forest = (metrics["candidates"][name]["metrics"]["rmse"]["value"] for name in ("automl", "forest"))
    assert metrics["winner"] == "automl"
    assert automl < forest, "the search must beat the accelerator's forest"


def test_an_unchanged_second_run_reuses_every_node_and_registers_nothing(trained) -> None:
    folder, _ = trained
    done = lockgate(folder, "run", "mlops-pipelines/train/dev-train.yml", "--set", "inputs.search_seconds=15", "--json")
    outcome = json.loads(done.stdout)
    assert len(outcome["reused"]) == 7
    assert outcome["models"] == [{"name": "flight-delay", "version": "1"}]


def test_the_registered_model_passes_the_stage_test_by_its_own_recipe(trained) -> None:
    folder, _ = trained
    done = lockgate(folder, "run", "mlops-pipelines/test/stage-test.yml", "--json")
    assert done.returncode == 0, done.stderr
    outputs = json.loads(done.stdout)["outputs"]
    decision = json.loads((Path(outputs["evaluate"]["evaluation"]) / "decision.json").read_text())
    assert decision["verdict"] == "passed"
    assert "drift" in {check["name"] for check in decision["checks"]}
    model = folder / ".lockgate/workspaces/dev/model/flight-delay/1"
    assert (Path(outputs["stageprep"]["recipe"]) / "recipe.json").read_bytes() == (model / "recipe.json").read_bytes()


def test_a_champion_is_bound_and_compared_on_the_same_rows(trained) -> None:
    folder, _ = trained
    champion = "jobs.evaluate.inputs.champion.path=azureml:flight-delay:1"
    job = ("run", "mlops-pipelines/train/dev-train.yml", "--set", "inputs.search_seconds=15", "--set", champion, "--json")
    done = lockgate(folder, *job)
    assert done.returncode == 0, done.stderr
    outcome = json.loads(done.stdout)
    assert "train" in outcome["reused"]
    assert "evaluate" not in outcome["reused"]
    decision = json.loads((Path(outcome["outputs"]["evaluate"]["evaluation"]) / "decision.json").read_text())
    check = next(check for check in decision["checks"] if check["name"] == "champion")
    assert "against the champion's" in check["sentence"]
    assert check["passed"], "the same model is not worse than itself"


def test_a_refused_model_is_reported_and_not_registered(trained) -> None:
    folder, _ = trained
    project = folder / "data-science/project.yml"
    before = project.read_text()
    project.write_text(before.replace("rmse: {max: 25}", "rmse: {max: 1}"))
    try:
        done = lockgate(folder, "up", "--train", "--plain", "--set", "inputs.search_seconds=2")
    finally:
        project.write_text(before)
    assert done.returncode == 1
    assert "REFUSED: the model is not registered" in done.stdout
    assert "✘ rmse is" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
    models = folder / ".lockgate/workspaces/dev/model/flight-delay"
    assert {path.name for path in models.iterdir()} <= {"1", "2"}


def code_blocks(page: str) -> list[str]:
    """The indented code of docs/your-own-data.md, in its order."""
    blocks: list[list[str]] = []
    inside = False
    for line in page.splitlines():
        if line.startswith("        "):
            if not inside:
                blocks.append([])
            blocks[-1].append(line[8:])
            inside = True
        elif line.strip():
            inside = False
        elif inside:
            blocks[-1].append("")
    return ["\n".join(block) for block in blocks]


def test_the_page_on_your_own_data_works_as_it_is_written(tmp_path: Path) -> None:
    folder = copy_repository(tmp_path)
    make, project, features, request = code_blocks((ROOT / "docs/your-own-data.md").read_text())
    subprocess.run([sys.executable, "-c", make], cwd=folder, check=True)
    (folder / "data-science/project.yml").write_text(project)
    (folder / "data-science/src/features.py").write_text(features)
    (folder / "data-science/data/request.json").write_text(request)
    try:
        done = lockgate(folder, "up", "--train", "--plain", "--set", "inputs.search_seconds=5")
    finally:
        lockgate(folder, "down")
    assert done.returncode == 0, done.stdout + done.stderr
    answer = json.loads(re.search(r"→ (\{.*\})$", done.stdout, re.MULTILINE)[1])
    assert answer["predictions"] == ["malignant"]
    assert set(answer["probabilities"][0]) == {"benign", "malignant"}
    report = folder / re.search(r"^report +(\S+)$", done.stdout, re.MULTILINE)[1]
    assert {path.name for path in report.parent.glob("*.png")} >= {
        "confusion_matrix.png", "roc.png", "precision_recall.png", "calibration.png", "importance.png", "model_comparison.png",
    }  # fmt: skip


def test_more_than_two_classes_go_the_same_way(tmp_path: Path) -> None:
    from sklearn.datasets import load_iris

    folder = copy_repository(tmp_path)
    table = load_iris(as_frame=True).frame
    table["target"] = table["target"].map({0: "setosa", 1: "versicolor", 2: "virginica"})
    table = table.drop_duplicates()
    table.to_csv(folder / "data-science/data/data.csv", index=False)
    names = [name for name in table.columns if name != "target"]
    columns = "\n".join(f"  {name}: {{type: number, unit: cm, missing: false}}" for name in names)
    (folder / "data-science/project.yml").write_text(
        f"name: iris\ntask: classification\ntarget: target\ncolumns:\n{columns}\n"
        "  target: {type: category, levels: [setosa, versicolor, virginica], missing: false}\n"
        "split: {train: 0.5, validation: 0.25, test: 0.25}\ngates:\n  thresholds:\n    accuracy: {min: 0.8}\n"
    )
    (folder / "data-science/src/features.py").write_text("def derive(row):\n    return {}\n")
    row = dict.fromkeys(names, 5.0)
    (folder / "data-science/data/request.json").write_text(json.dumps({"input_data": [row]}))
    try:
        done = lockgate(folder, "up", "--train", "--plain", "--set", "inputs.search_seconds=5")
    finally:
        lockgate(folder, "down")
    assert done.returncode == 0, done.stdout + done.stderr
    answer = json.loads(re.search(r"→ (\{.*\})$", done.stdout, re.MULTILINE)[1])
    assert set(answer["probabilities"][0]) == {"setosa", "versicolor", "virginica"}
    assert abs(sum(answer["probabilities"][0].values()) - 1) < 1e-5
