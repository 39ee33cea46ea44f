"""The packaged model: registered, loadable by MLflow, proof against tampering, served without what trained it."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from data_science.conftest import Flight, sample
from data_science.support import DATA, done, process, step
from tabular.batch import BatchScorer
from tabular.contract import ISO_FORMATS, parse_datetime
from tabular.errors import PackageError, RequestError
from tabular.request import parse
from tabular.scoring import Scorer, find_package

REQUEST = json.loads((DATA / "request.json").read_text())


def registered(flight: Flight) -> list[dict[str, Any]]:
    code = (
        "import json\nfrom mlflow.tracking import MlflowClient\n"
        "c = MlflowClient()\n"
        "print(json.dumps([{'name': v.name, 'version': str(v.version), 'tags': v.tags, 'run': v.run_id, 'source': v.source}"
        " for v in c.search_model_versions()]))"
    )
    output = done(process("-c", code, cwd=flight.root, MLFLOW_TRACKING_URI=flight.database))
    versions: list[dict[str, Any]] = json.loads(output.splitlines()[-1])
    return versions


def judge(flight: Flight, evaluation: Path, *more: object, project: Path | None = None) -> subprocess.CompletedProcess[str]:
    root = flight.root
    both = [part for name in ("automl", "forest") for part in ("--candidate", root / f"predictions-{name}")]
    common = ["--test", root / "test", "--recipe", root / "recipe", "--project", project or flight.project]
    return step("evaluate.py", *both, *common, "--evaluation", evaluation, *more, cwd=evaluation.parent)


def test_every_step_says_what_it_did(flight: Flight) -> None:
    output = flight.output
    assert "left out, unknown at prediction: arr_time, air_time" in output["prep"]
    assert "missing value" in output["prep"]
    assert "★" in output["train"]
    assert "random forest on" in output["train2"]
    assert "servable: yes" in output["predict automl"]
    assert output["evaluate"].splitlines()[-1].startswith("PASSED")
    assert "registered flight-delay version 1" in output["register"]


def test_prep_accounts_for_every_row_of_the_file(flight: Flight) -> None:
    prep = json.loads((flight.root / "recipe" / "prep.json").read_text())
    rows, left_out = prep["rows"], [f["count"] for f in prep["findings"] if f["action"] in ("row left out", "first one kept")]
    assert rows["file"] == 6000
    lost = rows["file"] - rows["train"] - rows["validation"] - rows["test"]
    assert max(left_out) <= lost <= sum(left_out)  # a cancelled flight has neither delay


def test_the_package_is_registered_with_its_lineage(flight: Flight) -> None:
    (version,) = registered(flight)
    info = flight.info
    assert (version["name"], version["version"]) == ("flight-delay", "1") == (info["name"], info["version"])
    assert info["registered"] is True
    assert info["reasons"] == []
    assert version["run"] == info["run_id"]
    tags = version["tags"]
    assert len(tags["manifest_sha256"]) == 64
    assert tags["manifest_sha256"] == info["manifest_sha256"]
    assert {"commit", "data_sha256", "environment", "family", "rmse", "r2"} <= set(tags)
    metrics = json.loads((flight.root / "evaluation" / "metrics.json").read_text())
    assert float(tags["rmse"]) == pytest.approx(metrics["candidates"][info["winner"]]["metrics"]["rmse"]["value"], rel=1e-4)


def test_the_registered_bytes_are_the_packaged_ones(flight: Flight) -> None:
    (version,) = registered(flight)
    code = f"import mlflow.artifacts; print(mlflow.artifacts.download_artifacts({version['source']!r}, dst_path='downloaded'))"
    folder = Path(done(process("-c", code, cwd=flight.root, MLFLOW_TRACKING_URI=flight.database)).splitlines()[-1])
    listed = json.loads((flight.package / "manifest.json").read_text())["files"]
    for name in listed:
        assert (flight.root / folder / name).read_bytes() == (flight.package / name).read_bytes(), name
    assert Scorer(flight.root / folder).score(json.dumps(REQUEST)) == Scorer(flight.package).score(json.dumps(REQUEST))


def test_the_package_holds_no_pickle(flight: Flight) -> None:
    files = [f for f in flight.package.rglob("*") if f.is_file()]
    assert len(files) > 15
    assert not [f.name for f in files if f.suffix in (".pkl", ".pickle", ".joblib", ".npy")]
    assert not [f.name for f in files if f.read_bytes()[:1] == b"\x80"]


def test_the_report_stands_alone_and_opens_with_the_verdict(flight: Flight) -> None:
    text = (flight.root / "evaluation" / "report.html").read_text(encoding="utf-8")
    assert "data:image/png;base64," in text
    assert 'src="http' not in text
    assert "<script src" not in text
    summary = json.loads((flight.root / "evaluation" / "decision.json").read_text())
    assert summary["verdict"] == "passed"
    assert summary["winner"] in text
    for plot in ("predicted_against_actual", "residuals", "slices", "model_comparison", "importance"):
        assert (flight.root / "evaluation" / f"{plot}.png").read_bytes()[:4] == b"\x89PNG"


def test_mlflow_gives_the_answers_of_score(flight: Flight) -> None:
    code = f"""
import json
import mlflow.pyfunc, pandas as pd
model = mlflow.pyfunc.load_model({str(flight.package)!r})
request = json.load(open({str(DATA / "request.json")!r}))
frame = pd.DataFrame(request["input_data"])
for column in model.metadata.signature.inputs.inputs:
    if column.name in ("distance", "dep_delay", "temp"):
        frame[column.name] = frame[column.name].astype("float64")
print(json.dumps(model.predict(frame)["prediction"].tolist()))
"""
    found = json.loads(done(process("-c", code, cwd=flight.root)).splitlines()[-1])
    assert found == Scorer(flight.package).score(json.dumps(REQUEST))["predictions"]


def test_mlflow_takes_a_data_frame_made_of_the_request_as_it_is(flight: Flight) -> None:
    code = f"""
import json
import mlflow.pyfunc, pandas as pd
model = mlflow.pyfunc.load_model({str(flight.package)!r})
request = json.load(open({str(DATA / "request.json")!r}))
print(json.dumps(model.predict(pd.DataFrame(request["input_data"]))["prediction"].tolist()))
"""
    found = json.loads(done(process("-c", code, cwd=flight.root)).splitlines()[-1])
    assert found == Scorer(flight.package).score(json.dumps(REQUEST))["predictions"]


def test_the_stored_answers_of_the_native_model_are_given_again(flight: Flight) -> None:
    body = (flight.package / "input_example.json").read_text()
    stored = json.loads((flight.package / "expected.json").read_text())
    answers = Scorer(flight.package).score(body)["predictions"]
    assert answers == pytest.approx(stored["native"], abs=1e-4 * stored["scale"])


def test_one_changed_byte_of_any_file_is_noticed(flight: Flight, tmp_path: Path) -> None:
    folder = tmp_path / "package"
    shutil.copytree(flight.package, folder)
    Scorer(folder)
    files = sorted(f for f in folder.rglob("*") if f.is_file() and f.name != "manifest.json" and "__pycache__" not in f.parts)
    for file in files:
        data = file.read_bytes()
        place = len(data) // 2
        file.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
        with pytest.raises(PackageError, match=file.name):
            Scorer(folder)
        file.write_bytes(data)
    Scorer(folder)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"files": 3}', "\ufeff{}"])
def test_a_damaged_manifest_is_a_damaged_package(flight: Flight, tmp_path: Path, text: str) -> None:
    folder = tmp_path / "package"
    shutil.copytree(flight.package, folder)
    (folder / "manifest.json").write_text(text, encoding="utf-8")
    with pytest.raises(PackageError, match="manifest"):
        Scorer(folder)


def test_added_and_removed_files_are_noticed(flight: Flight, tmp_path: Path) -> None:
    folder = tmp_path / "package"
    shutil.copytree(flight.package, folder)
    (folder / "extra.txt").write_text("x")
    with pytest.raises(PackageError, match=r"extra\.txt"):
        Scorer(folder)
    (folder / "extra.txt").unlink()
    (folder / "model_card.md").unlink()
    with pytest.raises(PackageError, match=r"model_card\.md"):
        BatchScorer(folder)
    (folder / "manifest.json").unlink()
    with pytest.raises(PackageError, match=r"no manifest\.json"):
        Scorer(folder)


def test_the_package_is_found_directly_or_one_folder_down_and_never_guessed(flight: Flight, tmp_path: Path) -> None:
    assert find_package(str(flight.package)) == flight.package
    with pytest.raises(PackageError, match="found 0 models"):
        find_package(str(tmp_path))
    for name in ("a", "b"):
        shutil.copytree(flight.package, tmp_path / name)
        if name == "a":
            assert find_package(str(tmp_path)) == tmp_path / "a"
    with pytest.raises(PackageError, match="found 2 models"):
        find_package(str(tmp_path))


GUARD = """
import io, json, pickle, sys
def refuse(*_, **__):
    raise AssertionError("a pickle was read")
pickle.load = pickle.loads = pickle.Unpickler = pickle._Unpickler = pickle._load = pickle._loads = refuse
import _pickle
_pickle.load = _pickle.loads = _pickle.Unpickler = refuse
try:
    pickle.loads(b"N.")
except AssertionError:
    pass
else:
    raise SystemExit("the guard does not work")
"""
REPORT = """
forbidden = ("pandas", "sklearn", "mlflow", "lightgbm", "catboost", "xgboost", "skops", "joblib", "matplotlib", "scipy")
print(json.dumps({"found": [n for n in forbidden if n in sys.modules], "answer": answer}))
"""


def test_score_serves_without_the_training_libraries_and_without_a_pickle(flight: Flight) -> None:
    body = f"body = open({str(DATA / 'request.json')!r}).read()\n"
    code = GUARD + body + "import score\nscore.init()\nanswer = score.run(body)\n" + REPORT
    result = json.loads(done(process("-c", code, cwd=flight.root, AZUREML_MODEL_DIR=str(flight.package))).splitlines()[-1])
    assert result["found"] == []
    assert result["answer"] == Scorer(flight.package).score(json.dumps(REQUEST))
    assert len(result["answer"]["predictions"]) == len(REQUEST["input_data"])


def test_score_does_not_import_polars_either(flight: Flight) -> None:
    code = "import json, sys, score\nscore.init()\nprint([n for n in ('polars', 'narwhals', 'yaml') if n in sys.modules])"
    assert done(process("-c", code, cwd=flight.root, AZUREML_MODEL_DIR=str(flight.package))).splitlines()[-1] == "[]"


def test_the_batch_driver_serves_without_the_training_libraries_and_without_a_pickle(flight: Flight) -> None:
    code = GUARD + f"import batch_driver\nbatch_driver.init()\nanswer = batch_driver.run([{str(DATA / 'batch.csv')!r}])[:3]\n" + REPORT
    result = json.loads(done(process("-c", code, cwd=flight.root, AZUREML_MODEL_DIR=str(flight.package))).splitlines()[-1])
    assert result["found"] == []
    assert [json.loads(line)["row"] for line in result["answer"]] == [0, 1, 2]


def test_run_before_init_says_so(tmp_path: Path) -> None:
    for name in ("score", "batch_driver"):
        result = process("-c", f"import {name}; {name}.run('')", cwd=tmp_path)
        assert "call init() first" in result.stderr


def records(path: Path, columns: list[str], rows: int) -> list[dict[str, Any]]:
    frame = pl.read_csv(path, infer_schema_length=None, null_values=["NA", ""], n_rows=rows).select(columns)
    return frame.to_dicts()


def test_batch_answers_equal_those_of_single_requests(flight: Flight) -> None:
    scorer = Scorer(flight.package)
    names = [c.name for c in scorer.contract.inputs]
    rows = records(DATA / "batch.csv", names, 300)
    lines = [json.loads(line) for line in BatchScorer(flight.package).score_file(DATA / "batch.csv")]
    assert [line["row"] for line in lines] == list(range(len(lines)))
    assert {line["file"] for line in lines} == {"batch.csv"}
    assert len(lines) == len((DATA / "batch.csv").read_text(encoding="utf-8").splitlines()) - 1
    for row, line in zip(rows, lines[:300], strict=True):
        (single,) = scorer.score(json.dumps({"input_data": [row]}))["predictions"]
        assert line["prediction"] == pytest.approx(single, abs=1e-3), row


def test_bad_batch_rows_are_reported_with_their_line_and_the_others_scored(flight: Flight, tmp_path: Path) -> None:
    header, *lines = (DATA / "batch.csv").read_text(encoding="utf-8").splitlines()[:9]
    names = header.split(",")

    def spoil(row: int, **values: str) -> None:
        cells = lines[row].split(",")
        for name, value in values.items():
            cells[names.index(name)] = value
        lines[row] = ",".join(cells)

    clean = [json.loads(line) for line in BatchScorer(flight.package).score_file(written(tmp_path / "clean.csv", header, lines))]
    spoil(1, carrier="ZZ")
    spoil(3, distance="far", humid="101")
    spoil(4, dep_delay="NA")
    spoil(6, time_hour="yesterday")
    found = [json.loads(line) for line in BatchScorer(flight.package).score_file(written(tmp_path / "dirty.csv", header, lines))]
    assert [line["row"] for line in found] == list(range(8))
    errors = {line["line"]: line["error"] for line in found if "error" in line}
    assert sorted(errors) == [3, 5, 6, 8]
    assert "field 'carrier': found 'zz'; allowed: one of 9E, AA" in errors[3]
    assert "field 'distance': found 'far'; allowed: a number from 0 to 6000" in errors[5]
    assert "field 'humid': found 101" in errors[5]
    assert "field 'dep_delay': found nothing; allowed: a number" in errors[6]
    assert "field 'time_hour': found 'yesterday'; allowed: a date like" in errors[8]
    for row in (0, 2, 5, 7):
        assert found[row]["prediction"] == clean[row]["prediction"]


def written(path: Path, header: str, lines: list[str]) -> Path:
    path.write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
    return path


def test_a_batch_file_may_be_lines_of_json(flight: Flight, tmp_path: Path) -> None:
    scorer = BatchScorer(flight.package)
    frame = pl.read_csv(DATA / "batch.csv", null_values=["NA"], infer_schema_length=None).head(20)
    lines = [json.dumps(row) for row in frame.to_dicts()]
    (tmp_path / "clean.jsonl").write_text("\n".join(lines))
    (tmp_path / "dirty.ndjson").write_text(
        "\n".join([lines[0], "", "no json", "[1]", lines[1].replace('"origin": ', '"origin": 7, "was": '), lines[2]]) + "\n"
    )
    expected = [json.loads(line)["prediction"] for line in scorer.score_file(DATA / "batch.csv")[:20]]
    assert [json.loads(line)["prediction"] for line in scorer.score_file(tmp_path / "clean.jsonl")] == pytest.approx(expected, abs=1e-3)
    found = [json.loads(line) for line in scorer.score_file(tmp_path / "dirty.ndjson")]
    assert [(line["row"], line.get("line")) for line in found] == [(0, None), (1, 3), (2, 4), (3, 5), (4, None)]
    assert found[1]["error"].startswith("is no JSON (")
    assert found[2]["error"] == "found [1]; allowed: an object, one per line"
    assert found[3]["error"] == "field 'origin': found '7'; allowed: one of EWR, JFK, LGA; it may not be missing"
    assert [found[0]["prediction"], found[4]["prediction"]] == pytest.approx([expected[0], expected[2]], abs=1e-3)


def test_a_batch_file_may_have_its_columns_in_any_order_and_be_parquet(flight: Flight, tmp_path: Path) -> None:
    frame = pl.read_csv(DATA / "batch.csv", infer_schema_length=None, null_values=["NA", ""], n_rows=50)
    frame.select(reversed(frame.columns)).write_csv(tmp_path / "turned.csv", null_value="NA")
    frame.write_parquet(tmp_path / "batch.parquet")
    scorer = BatchScorer(flight.package)
    expected = [json.loads(line)["prediction"] for line in scorer.score_file(DATA / "batch.csv")[:50]]
    for name in ("turned.csv", "batch.parquet"):
        assert [json.loads(line)["prediction"] for line in scorer.score_file(tmp_path / name)] == pytest.approx(expected, abs=1e-3)


def test_a_batch_file_that_lacks_a_column_is_named(flight: Flight, tmp_path: Path) -> None:
    from tabular.errors import DataError

    (tmp_path / "short.csv").write_text("carrier,origin\nAA,JFK\n")
    with pytest.raises(DataError, match=r"short\.csv: missing columns time_hour, tailnum"):
        BatchScorer(flight.package).score_file(tmp_path / "short.csv")


def test_stageprep_applies_the_recipe_of_the_package_and_reports_how_far_columns_moved(flight: Flight, tmp_path: Path) -> None:
    raw = sample(DATA / "stage.csv", tmp_path / "stage.csv", 2000)
    arguments = ["--raw", raw, "--model", flight.package, "--stage", tmp_path / "stage", "--recipe", tmp_path / "recipe"]
    output = done(step("stageprep.py", *arguments, "--project", flight.project, cwd=tmp_path))
    for name in ("recipe.json", "contract.json", "profile.json"):
        assert (tmp_path / "recipe" / name).read_bytes() == (flight.package / name).read_bytes()
    moved = json.loads((tmp_path / "stage" / "stability.json").read_text())
    assert {"temp", "carrier", "dep_delay"} <= set(moved)
    assert all(value >= 0 for value in moved.values())
    assert moved["temp"] > moved["distance"]
    assert "population stability index" in output
    prep = json.loads((tmp_path / "recipe" / "prep.json").read_text())
    left_out = [f["count"] for f in prep["findings"] if f["action"] == "row left out"]
    assert prep["rows"]["file"] == 2000
    assert max(left_out) <= 2000 - prep["rows"]["stage"] <= sum(left_out)  # a cancelled flight has neither delay


@pytest.mark.long
def test_the_package_itself_as_champion_is_not_worse_and_nothing_is_better_than_itself(flight: Flight, tmp_path: Path) -> None:
    result = judge(flight, tmp_path / "same", "--champion", flight.package)
    decision = json.loads((tmp_path / "same" / "decision.json").read_text())
    (check,) = [c for c in decision["checks"] if c["name"] == "champion"]
    assert result.returncode == 0
    assert decision["passed"] is True, decision["summary"]
    assert check["value"] == pytest.approx(0, abs=1e-4)
    assert "champion" in (tmp_path / "same" / "report.html").read_text(encoding="utf-8")
    strict = tmp_path / "project.yml"
    strict.write_text(flight.project.read_text(encoding="utf-8").replace("require: not_worse", "require: better"), encoding="utf-8")
    result = judge(flight, tmp_path / "better", "--champion", flight.package, project=strict)
    decision = json.loads((tmp_path / "better" / "decision.json").read_text())
    assert result.returncode == 0
    assert decision["passed"] is False
    assert "require: better" in decision["summary"]


@pytest.fixture(scope="module")
def weak(flight: Flight, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An evaluation of a poor forest against a clearly better champion."""
    root, folder = flight.root, tmp_path_factory.mktemp("weak")
    common = ["--recipe", root / "recipe", "--project", flight.project]
    sides = ["--train", root / "train", "--validation", root / "validation"]
    done(step("train2.py", *sides, *common, "--model", folder / "forest", "--n-estimators", 1, "--max-depth", 1, cwd=folder))
    predict = ["--model", folder / "forest", "--name", "forest", "--predictions", folder / "predictions", "--test", root / "test"]
    done(step("predict.py", *predict, *common, cwd=folder))
    arguments = ["--candidate", folder / "predictions", "--test", root / "test", "--champion", flight.package]
    done(step("evaluate.py", *arguments, *common, "--evaluation", folder / "evaluation", cwd=folder))
    return folder


@pytest.mark.long
def test_a_candidate_clearly_worse_than_the_champion_is_refused(weak: Path) -> None:
    decision = json.loads((weak / "evaluation" / "decision.json").read_text())
    assert decision["verdict"] == "refused"
    (check,) = [c for c in decision["checks"] if c["name"] == "champion"]
    assert check["passed"] is False
    assert check["value"] > 0.05
    assert "against the champion's" in check["sentence"]


@pytest.mark.long
def test_a_refused_model_is_kept_and_reported_and_nothing_is_registered(flight: Flight, weak: Path) -> None:
    root = flight.root
    before = registered(flight)
    given = ["--candidate", "forest", weak / "forest", "--evaluation", weak / "evaluation", "--test", root / "test"]
    folders = ["--recipe", root / "recipe", "--package", weak / "package", "--registration", weak / "registration"]
    result = step("register.py", *given, *folders, "--project", flight.project, cwd=weak, MLFLOW_TRACKING_URI=flight.database)
    output = done(result)
    info = json.loads((weak / "registration" / "model_info.json").read_text())
    assert (info["registered"], info["version"]) == (False, None)
    assert any("against the champion's" in reason for reason in info["reasons"])
    assert "not registered: " in output
    assert registered(flight) == before


def test_register_refuses_a_winner_that_it_was_not_given(flight: Flight, tmp_path: Path) -> None:
    root = flight.root
    loser = next(name for name in ("automl", "forest") if name != flight.info["winner"])
    given = ["--candidate", loser, root / loser, "--evaluation", root / "evaluation", "--test", root / "test"]
    folders = ["--recipe", root / "recipe", "--package", tmp_path / "p", "--registration", tmp_path / "r", "--project", flight.project]
    result = step("register.py", *given, *folders, cwd=tmp_path)
    assert result.returncode == 2
    assert result.stderr.startswith("error: --candidate: decision.json names")


def test_register_refuses_a_package_whose_onnx_is_not_the_native_model(flight: Flight, tmp_path: Path) -> None:
    root, winner = flight.root, str(flight.info["winner"])
    loser = next(name for name in ("automl", "forest") if name != winner)
    shutil.copytree(root / winner, tmp_path / winner)
    shutil.copyfile(root / loser / "model.onnx", tmp_path / winner / "model.onnx")
    given = ["--candidate", winner, tmp_path / winner, "--evaluation", root / "evaluation", "--test", root / "test"]
    folders = ["--recipe", root / "recipe", "--package", tmp_path / "p", "--registration", tmp_path / "r", "--project", flight.project]
    result = step("register.py", *given, *folders, cwd=tmp_path, MLFLOW_TRACKING_URI=f"sqlite:///{tmp_path / 'other.db'}")
    assert result.returncode == 2
    assert "differ by" in result.stderr
    assert "it is not registered" in result.stderr


def test_evaluate_refuses_predictions_of_other_rows_and_two_candidates_of_one_name(flight: Flight, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(flight.root / "predictions-forest", other)
    frame = pl.read_parquet(other / "predictions.parquet")
    frame.head(10).write_parquet(other / "predictions.parquet")
    result = judge(flight, tmp_path / "a", "--candidate", other)
    assert result.returncode == 2
    assert "not of the rows in" in result.stderr
    result = judge(flight, tmp_path / "b", "--candidate", flight.root / "predictions-forest")
    assert result.returncode == 2
    assert "two have the same name" in result.stderr


@pytest.mark.long
def test_predict_takes_a_model_of_another_origin_and_says_that_it_is_not_servable(flight: Flight, tmp_path: Path) -> None:
    code = """
import mlflow.pyfunc
class Mean(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        return model_input.iloc[:, 0].to_numpy() * 0 + 7.0
mlflow.pyfunc.save_model("foreign", python_model=Mean(), pip_requirements=[])
"""
    done(process("-c", code, cwd=tmp_path))
    root = flight.root
    arguments = ["--model", tmp_path / "foreign", "--name", "foreign", "--predictions", tmp_path / "predictions", "--test", root / "test"]
    output = done(step("predict.py", *arguments, "--recipe", root / "recipe", "--project", flight.project, "--trust", "yes", cwd=tmp_path))
    assert "servable: no" in output
    assert set(pl.read_parquet(tmp_path / "predictions" / "predictions.parquet")["prediction"]) == {7.0}


def test_a_batch_file_with_malformed_lines_is_scored_but_for_them(flight: Flight, tmp_path: Path) -> None:
    header, *lines = (DATA / "batch.csv").read_text(encoding="utf-8").splitlines()[:9]
    scorer = BatchScorer(flight.package)
    clean = [json.loads(line) for line in scorer.score_file(written(tmp_path / "clean.csv", header, lines))]
    lines[2] += ",one,more"
    lines[5] = lines[5][: lines[5].rindex(",")]
    data = "\n".join([header, *lines]).encode() + b"\n"
    (tmp_path / "dirty.csv").write_bytes(data.replace(lines[7].split(",")[3].encode(), b"N\xff\xfe", 1))
    found = [json.loads(line) for line in scorer.score_file(tmp_path / "dirty.csv")]
    wrong = {line["line"]: line["error"] for line in found if "error" in line}
    fields = len(header.split(","))
    assert wrong == {
        4: f"found {fields + 2} fields; allowed: {fields}, as the header has",
        7: f"found {fields - 1} fields; allowed: {fields}, as the header has",
        9: "found bytes that are not UTF-8; allowed: UTF-8",
    }
    good = [line for line in found if "error" not in line]
    assert [line["row"] for line in good] == [0, 1, 3, 4, 6]
    expected = [clean[line["row"]]["prediction"] for line in good]
    assert [line["prediction"] for line in good] == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("text", ["", "   ", "NA", "null"])
def test_a_files_word_for_missing_is_no_level_in_a_request(flight: Flight, text: str) -> None:
    row = {**REQUEST["input_data"][0], "tailnum": text}
    with pytest.raises(RequestError, match=r"row 0, field 'tailnum': found '.*'; allowed: text, or null"):
        Scorer(flight.package).score(json.dumps({"input_data": [row]}))


@pytest.mark.parametrize("text", ["2013-01-31T14:05+01", "2013-01-31T14:05+01Z", "20130131T140500.123", "2013-1-31T14:05:00Z"])
def test_a_time_that_is_not_written_as_declared_is_refused_and_not_moved(text: str) -> None:
    with pytest.raises(ValueError, match="2013"):
        parse_datetime(text, ISO_FORMATS)


def test_a_champion_with_another_split_is_not_compared_with(flight: Flight, tmp_path: Path) -> None:
    recipe = tmp_path / "recipe"
    shutil.copytree(flight.root / "recipe", recipe)
    split = json.loads((recipe / "split.json").read_text())
    (recipe / "split.json").write_text(json.dumps({**split, "seed": 7}))
    predictions = next(path for path in sorted(flight.root.iterdir()) if (path / "predictions.json").exists())
    result = step(
        "evaluate.py", "--candidate", predictions, "--test", flight.root / "test", "--recipe", recipe,
        "--champion", flight.package, "--evaluation", tmp_path / "evaluation", cwd=tmp_path,
    )  # fmt: skip
    assert result.returncode == 2
    assert "split.seed of project.yml is 7, and was 0 when the champion was trained" in result.stderr


def test_another_librarys_model_is_loaded_only_when_that_is_allowed(flight: Flight, tmp_path: Path) -> None:
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "MLmodel").write_text("flavors: {python_function: {loader_module: os}}\n")
    result = step(
        "predict.py", "--model", foreign, "--name", "x", "--test", flight.root / "test", "--recipe", flight.root / "recipe",
        "--predictions", tmp_path / "p", cwd=tmp_path,
    )  # fmt: skip
    assert result.returncode == 2
    assert "loading it runs code that is in it, so it has to be allowed: --trust yes" in result.stderr


def test_the_lineage_has_the_parameters(flight: Flight) -> None:
    assert json.loads((flight.package / "native" / "settings.json").read_text())


def test_the_request_contract_of_a_package_is_tried_and_a_scorer_that_breaks_it_is_found(flight: Flight) -> None:
    """As the stage test does; what is wrong is found by making the scorer wrong."""
    from tabular.request_contract import check_contract

    scorer = Scorer(flight.package)
    tried, problems = check_contract(flight.package, scorer)
    assert problems == []
    assert tried > 30

    class Lenient(Scorer):
        """Takes a missing field for null, as pandas would, and sees no field that is too much."""

        def typed_rows(self, rows: Sequence[Any]) -> list[dict[str, Any]]:
            names = [column.name for column in self.contract.inputs]
            return super().typed_rows([{name: row.get(name) for name in names} if isinstance(row, dict) else row for row in rows])

        def score(self, body: str | bytes) -> dict[str, Any]:
            return self.answer(self.typed_rows(parse(body)))

    _, problems = check_contract(flight.package, Lenient(flight.package))
    assert any("no_such_column" in one or "a field that is no column" in one for one in problems)
    assert any("is missing: answered as if it were right" in one for one in problems)

    class Positional(Scorer):
        """Goes by the order of the first row's fields."""

        def typed_rows(self, rows: Sequence[Any]) -> list[dict[str, Any]]:
            typed = super().typed_rows(rows)
            return typed if next(iter(rows[0])) == next(iter(typed[0])) else typed[::-1]

    assert "the order of the fields changes the answer" in check_contract(flight.package, Positional(flight.package))[1]


def test_the_stage_test_judges_the_request_contract(flight: Flight) -> None:
    from tabular.gates import check_contract as check
    from tabular.predictions import Judged

    judged = Judged("registered", "lightgbm", 1, servable=True, reason="")
    assert check(judged) == []
    judged.contract_tried = 9
    (held,) = check(judged)
    assert held.passed
    assert "holds in 9 requests" in held.sentence
    judged.contract_problems = ["a is missing: answered as if it were right"]
    (broken,) = check(judged)
    assert not broken.passed
    assert "broken in 1 of 9 requests: a is missing" in broken.sentence


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"MLFLOW_RUN_ID": "nobody", "MLFLOW_TRACKING_URI": "sqlite:///m.db"}, "MLflow: Run with id=nobody not found; look at MLFLOW_"),
        ({"MLFLOW_TRACKING_URI": "sqlite:////dev/null/m.db"}, "error: MLflow: "),
    ],
)
@pytest.mark.long
def test_a_store_that_is_not_there_is_named_and_the_model_is_kept(
    flight: Flight, tmp_path: Path, environment: dict[str, str], words: str
) -> None:
    """It said that a process in the pool was terminated abruptly."""
    sides = [part for side in ("train", "validation", "recipe") for part in (f"--{side}", flight.root / side)]
    arguments = [*sides, "--project", flight.project, "--model", tmp_path / "model", "--n-estimators", 5]
    result = step("train2.py", *arguments, cwd=tmp_path, **environment)
    assert result.returncode == 2
    assert words in result.stderr
    assert "Traceback" not in result.stderr
    assert (tmp_path / "model" / "model.onnx").exists()
