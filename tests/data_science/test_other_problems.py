"""Changing project.yml and the CSV alone moves the steps to another problem: two classes, three classes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from sklearn.datasets import load_breast_cancer, load_iris

from data_science.support import done, prep_arguments, step, write_csv
from tabular.scoring import Scorer

pytestmark = pytest.mark.long

ASKED = 1.0  # an accuracy that no model has to reach: the package is made either way


@pytest.mark.parametrize("load", [load_breast_cancer, load_iris], ids=["binary", "three classes"])
def test_a_bundled_table_goes_from_csv_to_a_scored_request(tmp_path: Path, load: Any) -> None:
    bunch = load()
    names = [f"c{i}" for i in range(4)]
    classes = [str(name) for name in bunch.target_names]
    rows = [[i, *x[:4], classes[y]] for i, (x, y) in enumerate(zip(bunch.data.tolist(), bunch.target.tolist(), strict=True))]
    raw = write_csv(tmp_path / "raw.csv", ["id", *names, "kind"], rows)
    columns = "".join(f"  {name}: {{type: number, range: [0, null]}}\n" for name in names)
    project = tmp_path / "project.yml"
    project.write_text(
        "name: bundled\ntask: classification\ntarget: kind\nkey: [id]\ncolumns:\n  id: {type: integer, feature: false, missing: false}\n"
        f"{columns}  kind: {{type: category, levels: [{', '.join(classes)}], missing: false}}\n"
        "split: {train: 0.6, validation: 0.2, test: 0.2}\nsearch: {metric: log_loss}\n"
        f"gates: {{thresholds: {{accuracy: {{min: {ASKED}}}, roc_auc: {{min: 0.8}}}}}}\nslices: [{{column: c0, edges: [6]}}]\n"
    )
    done(step("prep.py", *prep_arguments(raw, project, tmp_path), cwd=tmp_path))
    common: list[object] = ["--project", project, "--recipe", "recipe"]
    sides = ["--train", "train", "--validation", "validation", "--model", "model"]
    done(step("train2.py", *common, *sides, "--n-estimators", 30, "--class-weight", "balanced", cwd=tmp_path))
    given = ["--model", "model", "--name", "forest", "--test", "test", "--predictions", "predictions"]
    assert "servable: yes" in done(step("predict.py", *common, *given, cwd=tmp_path))
    done(step("evaluate.py", *common, "--candidate", "predictions", "--test", "test", "--evaluation", "evaluation", cwd=tmp_path))
    metrics = json.loads((tmp_path / "evaluation" / "metrics.json").read_text())
    figures = metrics["candidates"]["forest"]["metrics"]
    assert sum(map(sum, metrics["confusion"])) == metrics["rows"]
    assert figures["roc_auc"]["value"] > 0.8
    assert figures["accuracy"]["low"] <= figures["accuracy"]["value"] <= figures["accuracy"]["high"]
    for plot in ("confusion_matrix", "roc", "precision_recall", "calibration", "slices", "importance", "model_comparison"):
        assert (tmp_path / "evaluation" / f"{plot}.png").read_bytes()[:4] == b"\x89PNG"
    decision = json.loads((tmp_path / "evaluation" / "decision.json").read_text())
    assert decision["passed"] is (figures["accuracy"]["value"] >= ASKED)
    folders = ["--candidate", "forest", "model", "--evaluation", "evaluation", "--test", "test", "--package", "p", "--registration", "r"]
    database = f"sqlite:///{tmp_path / 'mlflow.db'}"
    done(step("register.py", *common, *folders, cwd=tmp_path, MLFLOW_TRACKING_URI=database))
    scorer = Scorer(tmp_path / "p")
    body = json.dumps({"input_data": [dict(zip(names, row[1:5], strict=True)) for row in rows]})
    answer = scorer.score(body)
    right = [found == row[5] for found, row in zip(answer["predictions"], rows, strict=True)]
    assert sum(right) / len(right) > 0.8
    for label, chances in zip(answer["predictions"], answer["probabilities"], strict=True):
        assert set(chances) == set(classes)
        assert sum(chances.values()) == pytest.approx(1, abs=1e-5)
        assert label == max(chances, key=lambda name: chances[name])
