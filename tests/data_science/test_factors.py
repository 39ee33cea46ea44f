"""Which class rows are called: factors that make F1 good, and every place that calls rows doing it alike."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_digits
from sklearn.metrics import f1_score, recall_score

from data_science.support import done, prep_arguments, process, step, write_csv
from tabular import ensemble
from tabular.batch import BatchScorer
from tabular.calling import called, rule
from tabular.factors import attainable, fit_factors, is_tuned
from tabular.families import Table, TrainingData
from tabular.leaderboard import baseline
from tabular.metrics import METRICS
from tabular.onnx_session import open_session
from tabular.project import Search
from tabular.scoring import Scorer
from tabular.search import search


def chances_of(rows: int, shares: tuple[float, ...], seed: int = 0) -> tuple[Any, Any]:
    """Right probabilities of classes that are hard to tell apart, and a class drawn from them."""
    random = np.random.default_rng(seed)
    logits = np.log(shares) + random.normal(size=(rows, len(shares)))
    chances = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    target = (chances.cumsum(axis=1) < random.random(rows)[:, None]).sum(axis=1)
    return chances, target.astype(np.float64)


def test_the_threshold_is_nearly_the_best_one_on_other_rows() -> None:
    chances, target = chances_of(20_000, (0.95, 0.05))
    later, actual = chances_of(20_000, (0.95, 0.05), seed=1)
    factors = fit_factors("f1", target, chances)
    threshold = factors[0] / (factors[0] + factors[1])
    scores = {t: f1_score(actual, later[:, 1] >= t) for t in np.linspace(0.01, 0.6, 60)}
    assert f1_score(actual, called(later, factors)) > 0.98 * max(scores.values())
    assert max(scores.values()) > 1.5 * f1_score(actual, later.argmax(axis=1))
    assert threshold == pytest.approx(max(scores, key=scores.__getitem__), abs=0.06)
    assert np.array_equal(called(later, factors), later[:, 1] > threshold)


def test_a_mean_over_several_classes_is_better_on_other_rows_too() -> None:
    shares = (0.8, 0.15, 0.05)
    chances, target = chances_of(9_000, shares)
    later, actual = chances_of(9_000, shares, seed=1)
    for metric, score in (("f1", f1_score), ("recall", recall_score)):
        factors = fit_factors(metric, target, chances)
        assert factors[0] == 1
        with_them, without = (score(actual, found, average="macro") for found in (called(later, factors), later.argmax(axis=1)))
        assert with_them > without + 0.05


def test_what_greedy_selection_sees_is_the_best_of_all_thresholds() -> None:
    chances, target = chances_of(2_000, (0.9, 0.1))
    # Thresholds of the grid are 18 % apart in their odds.
    best = max(f1_score(target, chances[:, 1] >= t) for t in np.unique(chances[:, 1]))
    assert best - 0.02 < attainable("f1", target, chances) <= best + 1e-9
    assert attainable("recall", target, chances) == METRICS["recall"](target, chances)


@pytest.mark.parametrize("metric", ["accuracy", "precision", "recall", "log_loss", "roc_auc"])
def test_other_metrics_of_two_classes_have_no_threshold(metric: str) -> None:
    chances, target = chances_of(2_000, (0.9, 0.1))
    assert not is_tuned(metric, 2)
    assert fit_factors(metric, target, chances) == ()


def test_a_threshold_that_helps_on_no_other_rows_is_not_set() -> None:
    target = np.repeat([0.0, 1.0], [20, 20])
    sure = np.column_stack([1 - target, target]) * 0.8 + 0.1
    assert fit_factors("f1", target, sure) == ()
    none = np.zeros(40)
    assert fit_factors("f1", none, np.column_stack([1 - none, none])) == ()
    # Five classes that are as frequent and as easy have nothing to gain; on the same rows something always seems to be.
    found = [fit_factors("recall", *chances_of(300, (0.2,) * 5, seed)[::-1]) for seed in range(30)]
    assert sum(map(bool, found)) <= 4
    assert np.isfinite([value for factors in found for value in factors]).all()


def test_a_class_that_no_judged_row_has_keeps_its_factor() -> None:
    """Calling it cost the metric every time, so that it would never have been called."""
    chances, target = chances_of(3_000, (0.7, 0.2, 0.1))
    rows = target != 1
    factors = fit_factors("recall", target[rows], chances[rows])
    assert factors[1] > 0.5
    assert factors[2] > 1


def test_very_many_classes_have_none() -> None:
    chances, target = chances_of(500, (1 / 60,) * 60)
    assert fit_factors("f1", target, chances) == ()


def test_the_rule_is_said_in_a_sentence() -> None:
    assert rule(("no", "yes"), (1.0, 3.0)) == "A row is called yes if that has a probability above 0.25."
    assert rule(("no", "yes"), ()) == "A row is called by the class of the largest probability."
    assert "b 2, c 0.5" in rule(("a", "b", "c"), (1.0, 2.0, 0.5))


def eights(seed: int) -> tuple[Any, Any]:
    """A tenth of the digits is to be found, from a few pixels."""
    x, y = load_digits(return_X_y=True)
    order = np.random.default_rng(seed).permutation(len(y))
    return x[order][:, 18:40:5].astype(np.float32), (y[order] == 8).astype(np.float64)


@pytest.mark.long
def test_a_search_for_f1_finds_rare_rows_that_the_largest_probability_misses(tmp_path: Path) -> None:
    x, y = eights(0)
    data = TrainingData("classification", 2, "f1", Table(x[:900], y[:900]), Table(x[900:1200], y[900:1200]))
    options = Search(metric="f1", families=("lightgbm", "extra_trees", "linear"), budget_trials=3)
    found = search(data, options)
    later, actual = x[1200:], y[1200:]
    for name, built in found.endings.items():
        factors = built.ensemble.factors
        chances = built.ensemble.predict(later)
        assert f1_score(actual, called(chances, factors)) > f1_score(actual, chances.argmax(axis=1)) + 0.03
        # The probabilities are still probabilities.
        assert chances[:, 1].mean() == pytest.approx(actual.mean(), abs=0.04)
        path = tmp_path / f"{name}.onnx"
        path.write_bytes(built.onnx)
        assert json.loads(open_session(path).get_modelmeta().custom_metadata_map["class_factors"]) == list(factors)
        ensemble.save(built.ensemble, tmp_path / name)
        again = ensemble.load(tmp_path / name)
        assert isinstance(again, ensemble.Ensemble)
        assert again.factors == factors
    assert found.best.score == pytest.approx(max(t.score for t in found.leaderboard[2:]), abs=0.08)
    # Always saying "it is" has the F1 to be beaten, not 0.
    share = data.validation.target.mean()
    assert baseline("classification", data, "f1") == pytest.approx(2 * share / (1 + share))
    plain = search(data, Search(metric="log_loss", families=("extra_trees",), budget_trials=1)).model
    assert plain.factors == ()


@pytest.mark.long
def test_steps_endpoint_batch_and_mlflow_call_rows_alike(tmp_path: Path) -> None:
    x, y = eights(1)
    names = [f"p{i}" for i in range(x.shape[1])]
    rows = [[i, *values, "eight" if is_it else "other"] for i, (values, is_it) in enumerate(zip(x.tolist(), y.tolist(), strict=True))]
    raw = write_csv(tmp_path / "raw.csv", ["id", *names, "kind"], rows)
    columns = "".join(f"  {name}: {{type: number, range: [0, 16], missing: false}}\n" for name in names)
    project = tmp_path / "project.yml"
    project.write_text(
        "name: eights\ntask: classification\ntarget: kind\npositive: eight\nkey: [id]\ncolumns:\n"
        f"  id: {{type: integer, feature: false, missing: false}}\n{columns}  kind: {{type: category, levels: [other, eight], missing: false}}\n"
        "split: {train: 0.6, validation: 0.2, test: 0.2}\nsearch: {metric: f1, families: [extra_trees, linear], budget_trials: 2}\n"
        "gates: {thresholds: {f1: {min: 0.2}}}\nslices: [{column: p0, edges: [8]}]\n"
    )
    done(step("prep.py", *prep_arguments(raw, project, tmp_path), cwd=tmp_path))
    common: list[object] = ["--project", project, "--recipe", "recipe"]
    sides = ["--train", "train", "--validation", "validation", "--model", "model"]
    sentence = "A row is called eight if that has a probability above 0."
    assert sentence in done(step("train.py", *common, *sides, cwd=tmp_path))
    given = ["--model", "model", "--name", "automl", "--test", "test", "--predictions", "predictions"]
    done(step("predict.py", *common, *given, cwd=tmp_path))
    done(step("evaluate.py", *common, "--candidate", "predictions", "--test", "test", "--evaluation", "evaluation", cwd=tmp_path))
    assert sentence in (tmp_path / "evaluation" / "report.html").read_text()
    metrics = json.loads((tmp_path / "evaluation" / "metrics.json").read_text())
    judged = metrics["candidates"]["automl"]
    table = np.array(metrics["confusion"])
    (_, wrong), (missed, hits) = table
    assert judged["metrics"]["f1"]["value"] == pytest.approx(2 * hits / (2 * hits + wrong + missed))
    assert judged["metrics"]["recall"]["value"] == pytest.approx(hits / (hits + missed))
    assert len(judged["factors"]) == 2
    folders = ["--candidate", "automl", "model", "--evaluation", "evaluation", "--test", "test", "--package", "p", "--registration", "r"]
    done(step("register.py", *common, *folders, cwd=tmp_path, MLFLOW_TRACKING_URI=f"sqlite:///{tmp_path / 'mlflow.db'}"))
    assert sentence in (tmp_path / "p" / "model_card.md").read_text()
    stored = json.loads((tmp_path / "p" / "expected.json").read_text())
    # The endpoint, a file and MLflow.
    scorer = Scorer(tmp_path / "p")
    answer = scorer.score(json.dumps({"input_data": [dict(zip(names, row[1:-1], strict=True)) for row in rows]}))
    chances = np.array([[row["other"], row["eight"]] for row in answer["probabilities"]])
    threshold = judged["factors"][0] / sum(judged["factors"])
    assert answer["predictions"] == ["eight" if p > threshold else "other" for p in chances[:, 1]]
    example = scorer.score((tmp_path / "p" / "input_example.json").read_bytes())
    assert [label for label in stored["called"] if label is not None]
    assert all(label in (None, found) for label, found in zip(stored["called"], example["predictions"], strict=True))
    assert answer["predictions"].count("eight") > 1.2 * int((chances[:, 1] > 0.5).sum())
    lines = [json.loads(line) for line in BatchScorer(tmp_path / "p").score_file(raw)]
    assert [line["prediction"] for line in lines] == answer["predictions"]
    frame = tmp_path / "rows.json"
    frame.write_text(pd.DataFrame(x.tolist(), columns=names).to_json())
    code = "import sys, pandas, mlflow.pyfunc; m = mlflow.pyfunc.load_model('p'); print(m.predict(pandas.read_json('rows.json'))['prediction'].tolist())"
    out = done(process("-c", code, cwd=tmp_path))
    assert str(answer["predictions"]) in out
    # A package is judged as it serves.
    done(step("predict.py", *common, "--model", "p", "--name", "served", "--test", "test", "--predictions", "again", cwd=tmp_path))
    done(step("evaluate.py", *common, "--candidate", "again", "--test", "test", "--evaluation", "second", "--champion", "p", cwd=tmp_path))
    second = json.loads((tmp_path / "second" / "metrics.json").read_text())
    assert second["candidates"]["served"]["metrics"]["f1"] == judged["metrics"]["f1"]
    assert second["comparison"]["champion"] == pytest.approx(judged["metrics"]["f1"]["value"])
