"""One packaged flight model for all tests that need one, made by the step scripts as processes."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from data_science.support import DATA, PROJECT, SOURCE, done, prep_arguments, step

SEARCH_SECONDS = 3


@dataclass(frozen=True)
class Flight:
    """A run of the steps over a part of the flights, from raw CSV to a registered model."""

    root: Path
    project: Path
    database: str
    output: dict[str, str]

    @property
    def package(self) -> Path:
        return self.root / "package"

    @property
    def info(self) -> dict[str, Any]:
        return dict(json.loads((self.root / "registration" / "model_info.json").read_text()))

    def candidates(self) -> list[object]:
        return [part for name in ("automl", "forest") for part in ("--candidate", name, self.root / name)]


def sample(source: Path, target: Path, rows: int) -> Path:
    """A CSV with the header and some random rows of another."""
    header, *lines = source.read_text(encoding="utf-8").splitlines()
    chosen = random.Random(7).sample(lines, rows)
    target.write_text("\n".join([header, *chosen]) + "\n", encoding="utf-8")
    return target


@pytest.fixture(scope="session")
def flight(tmp_path_factory: pytest.TempPathFactory) -> Flight:
    root = tmp_path_factory.mktemp("flight")
    raw = sample(DATA / "data.csv", root / "data.csv", 6000)
    text = PROJECT.read_text(encoding="utf-8")
    project = root / "project.yml"
    project.write_text(text.replace("rmse: {max: 25}", "rmse: {max: 60}").replace("r2: {min: 0.7}", "r2: {min: 0.3}"), encoding="utf-8")
    output = {"prep": done(step("prep.py", *prep_arguments(raw, project, root, SOURCE / "features.py"), cwd=root))}
    common = ["--train", root / "train", "--validation", root / "validation", "--recipe", root / "recipe", "--project", project]
    output["train"] = done(step("train.py", *common, "--model", root / "automl", "--seconds", SEARCH_SECONDS, cwd=root))
    output["train2"] = done(step("train2.py", *common, "--model", root / "forest", "--n-estimators", 40, cwd=root))
    judge: list[object] = ["--test", root / "test", "--recipe", root / "recipe", "--project", project]
    for name in ("automl", "forest"):
        folders: list[object] = ["--model", root / name, "--name", name, "--predictions", root / f"predictions-{name}"]
        output[f"predict {name}"] = done(step("predict.py", *folders, *judge, cwd=root))
    both = [part for name in ("automl", "forest") for part in ("--candidate", root / f"predictions-{name}")]
    output["evaluate"] = done(step("evaluate.py", *both, *judge, "--evaluation", root / "evaluation", cwd=root))
    database = f"sqlite:///{root / 'mlflow.db'}"
    made = Flight(root, project, database, output)
    given = [*made.candidates(), "--evaluation", root / "evaluation", *judge, "--package", root / "package"]
    output["register"] = done(step("register.py", *given, "--registration", root / "registration", cwd=root, MLFLOW_TRACKING_URI=database))
    return made
