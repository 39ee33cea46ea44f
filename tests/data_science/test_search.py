"""The AutoML search: budget, leaderboard, seed, and what happens when a family fails."""

from __future__ import annotations

import dataclasses
import json
import math
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine

from data_science.support import prep_arguments, step, write_csv
from tabular import costs, ensemble, families
from tabular.endings import Endings
from tabular.ensemble import Member
from tabular.errors import DataError
from tabular.families import Budget, Table, TrainingData, module
from tabular.folds import problem_of
from tabular.graph import Part, build
from tabular.leaderboard import FittedMember, Trial, baseline, leaderboard_table
from tabular.metrics import METRICS, as_error
from tabular.onnx_session import open_session, run_session
from tabular.pace import Pace
from tabular.portfolio import portfolio
from tabular.project import Search
from tabular.search import search
from tabular.trees import Tree, Trees

pytestmark = pytest.mark.spread

QUICK = ("lightgbm", "extra_trees", "neural", "linear")
"""Without a time limit the others take long on tables as small as these."""
ALL = ("lightgbm", "catboost", "xgboost", "extra_trees", "neural", "linear")


def training(load: Any = load_diabetes, metric: str = "rmse", rows: int = 150) -> TrainingData:
    """A table on which a search of a few trials takes a second: what is found there does not hang on its size."""
    x, y = load(return_X_y=True)
    order = np.random.default_rng(1).permutation(len(y))[:rows]
    x, y = x[order, :5].astype(np.float32), y[order].astype(np.float64)
    half = len(y) * 2 // 3
    classes = 0 if load is load_diabetes else len(set(y))
    kind: Any = "classification" if classes else "regression"
    return TrainingData(kind, classes, metric, Table(x[:half], y[:half]), Table(x[half:], y[half:]))


@pytest.fixture(autouse=True)
def small_forests(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forests of a sixth of the trees: a search grows some thirty of them, which is most of its time."""
    for name in ("tabular.families.extra_trees.forest_trees", "tabular.pace.forest_trees"):
        monkeypatch.setattr(name, lambda rows: families.forest_trees(rows) // 6)


@pytest.mark.parametrize(("load", "metric"), [(load_diabetes, "rmse"), (load_breast_cancer, "roc_auc"), (load_wine, "log_loss")])
def test_the_search_keeps_its_budget_and_ranks_what_it_tried(load: Any, metric: str) -> None:
    data = training(load, metric)
    found = search(data, Search(metric=metric, seconds=5, families=ALL))
    assert found.seconds <= 5 + 3
    endings, members = found.leaderboard[:2], found.leaderboard[2:]
    assert endings[0] == found.best
    assert {line.family for line in endings} == {"ensemble (accurate)", "ensemble (fast)"}
    assert all(line.row_ms and line.megabytes for line in endings)
    assert members[0].failure is None
    errors = [as_error(metric, trial.score) for trial in members]
    assert errors == sorted(errors)
    assert sorted(trial.number for trial in members) == list(range(1, len(members) + 1))
    assert sum(trial.weight for trial in members) == pytest.approx(1, abs=0.01)
    # Selection can always take the best member alone.
    accurate = next(line for line in endings if line.family == "ensemble (accurate)")
    assert as_error(metric, accurate.score) <= errors[0] * (1 + 1e-6)
    assert as_error(metric, accurate.score) < as_error(metric, baseline(data.task, data, metric))


@pytest.mark.parametrize(
    ("load", "metric", "tried_families", "trials"),
    [
        (load_diabetes, "mae", ("lightgbm", "extra_trees", "linear"), 4),
        pytest.param(load_diabetes, "rmse", QUICK, 6, marks=pytest.mark.long),
        pytest.param(load_breast_cancer, "log_loss", QUICK, 6, marks=pytest.mark.long),
    ],
)
def test_with_a_budget_of_trials_the_result_is_the_same_each_time(
    load: Any, metric: str, tried_families: tuple[str, ...], trials: int
) -> None:
    data = training(load, metric)

    def tried(seed: int) -> Any:
        # One second would never do: the seconds do not count.
        return search(data, Search(metric=metric, seconds=1, families=tried_families, seed=seed, budget_trials=trials))

    first, again, other = tried(1), tried(1), tried(2)

    def what(found: Any) -> list[Any]:
        return [(t.number, t.family, t.score, t.trees, t.weight, t.settings) for t in found.leaderboard]

    assert what(first) == what(again)
    assert first.endings["accurate"].onnx == again.endings["accurate"].onnx
    assert first.endings["fast"].onnx == again.endings["fast"].onnx
    assert what(first) != what(other)
    assert max(t.number for t in first.leaderboard) == trials


def long_tailed() -> TrainingData:
    random = np.random.default_rng(3)
    x = random.normal(size=(400, 3)).astype(np.float32)
    x[random.random(x.shape) < 0.05] = np.nan
    y = np.exp(1.5 * np.nan_to_num(x[:, 0]) + np.nan_to_num(x[:, 1]) ** 2 / 2 + random.normal(size=400) * 0.3)
    return TrainingData("regression", 0, "rmse", Table(x[:300], y[:300]), Table(x[300:], y[300:]))


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(training(), id="number"),
        pytest.param(training(load_breast_cancer, "log_loss"), id="two", marks=pytest.mark.long),
        pytest.param(training(load_wine, "log_loss"), id="three", marks=pytest.mark.long),
        pytest.param(long_tailed(), id="log"),
    ],
)
def test_the_graph_of_either_ending_is_the_native_ensemble_on_every_row_and_so_is_what_was_saved(
    tmp_path: Path, data: TrainingData
) -> None:
    found = search(data, Search(metric=data.metric, families=QUICK, budget_trials=5))
    rows = np.vstack([data.train.features, data.validation.features, np.full((1, data.train.features.shape[1]), np.nan, dtype=np.float32)])
    scale = 1.0 if data.classes else data.train.target.std()
    for name, built in found.endings.items():
        path = tmp_path / f"{name}.onnx"
        path.write_bytes(built.onnx)
        native = built.ensemble.predict(rows)
        served = run_session(open_session(path), rows).reshape(native.shape)
        assert np.abs(served - native).max() / scale < 1e-4
        ensemble.save(built.ensemble, tmp_path / name)
        np.testing.assert_array_equal(ensemble.load(tmp_path / name).predict(rows), native)
        if data.classes:
            np.testing.assert_allclose(served.sum(axis=1), 1, atol=1e-5)


@pytest.mark.parametrize(("data", "log"), [(training(), False), (long_tailed(), True)])
def test_a_long_tailed_target_is_tried_on_a_log_scale_too(data: TrainingData, log: bool) -> None:
    found = search(data, Search(families=("lightgbm",), budget_trials=2))
    assert ("lightgbm (log)" in {t.family for t in found.leaderboard}) is log


@pytest.mark.long
def test_every_member_family_in_one_graph_is_the_native_ensemble(tmp_path: Path) -> None:
    """Whatever selection takes on a table: here all families have a weight."""
    for data in (training(), training(load_wine, "log_loss"), training(load_breast_cancer, "log_loss"), long_tailed()):
        members = []
        for number, configuration in enumerate(portfolio(ALL, classes=data.classes, log=True)):
            link: Any = configuration.link if data.task == "regression" else "identity"
            target = np.log1p(data.train.target) if link == "log" else data.train.target
            shift, scale = (float(target.mean()), float(target.std())) if data.task == "regression" else (0.0, 1.0)
            rows = dataclasses.replace(data, train=Table(data.train.features, (target - shift) / scale))
            models = [
                families.module(configuration.family).fit(rows, dict(configuration.settings), Budget(None, seed=s, trees=9)) for s in (0, 1)
            ]
            calibration = {"smoothing": 0.1 * (models[0].transform == "probability"), "temperature": 0.4} if data.classes else {}
            members.append(ensemble.Member(configuration.family, {}, models, link, shift, scale, (number + 1) / 10, **calibration))
        total = sum(m.weight for m in members)
        for member in members:
            member.weight /= total
        together = ensemble.Ensemble(members, data.classes, 1.2 if data.classes else 1.0)
        path = tmp_path / "model.onnx"
        path.write_bytes(together.to_onnx(data.train.features.shape[1]).SerializeToString())
        features = data.validation.features
        native = together.predict(features)
        scale = 1.0 if data.classes else data.train.target.std()
        assert np.abs(run_session(open_session(path), features).reshape(native.shape) - native).max() / scale < 1e-4


def test_a_small_chance_survives_the_graph_and_a_temperature(tmp_path: Path) -> None:
    """1 - sigmoid(17.5) is 0 in float32 to the last bit but one, and the root of it is not."""
    leaf = Tree(*(np.zeros(0, dtype=kind) for kind in (np.int64, np.float32, np.int64, np.int64, np.bool_)), np.array([17.5]))
    part = Part([Trees(1, 1, "BRANCH_LEQ", "sigmoid", np.zeros(1), [leaf])], temperature=2.0)
    path = tmp_path / "model.onnx"
    path.write_bytes(build([part], 1, 2).SerializeToString())
    assert run_session(open_session(path), np.zeros((1, 1), dtype=np.float32))[0, 0] == pytest.approx(1 / (1 + np.exp(17.5 / 2)), rel=1e-3)


def test_fast_is_fitted_on_all_rows_and_accurate_has_that_model_among_its_bags() -> None:
    found = search(training(load_wine, "log_loss"), Search(metric="log_loss", families=("extra_trees", "linear"), budget_trials=3))
    whole = [member.models for member in found.endings["fast"].ensemble.members]
    accurate = [member.models for member in found.endings["accurate"].ensemble.members]
    assert all(len(models) == 1 and models in accurate for models in whole)
    bags = [models for models in accurate if models not in whole]
    assert bags
    assert not any(models[0] in bag for models in whole for bag in bags)


@pytest.mark.parametrize(
    ("seconds", "linear", "refitted"),
    [(11.0, 0.5, {"lightgbm", "linear"}), (5.0, 0.5, {"linear"}), (0.1, 0.5, set()), (14.0, 10.0, {"lightgbm", "linear"})],
)
def test_refits_get_the_time_that_they_need_and_what_one_leaves_is_the_next_one_s(
    seconds: float, linear: float, refitted: set[str]
) -> None:
    """The time used to be parted evenly, so that the member that needs most of it had the model of its first fold.

    The last case: both together were expected to take 20 of 14 s, but the first is done at once. The second used to be given up beforehand.
    """
    data = training(load_diabetes, "rmse")
    options = Search(metric="rmse", families=("lightgbm", "linear"), seconds=600)
    pace = Pace(options, None)
    problem = problem_of(data, options, 3, holdout=False)
    endings = Endings(problem, options, pace, None)
    for configuration in portfolio(("lightgbm", "linear"), classes=0, log=False)[:2]:
        models = []
        oof = np.zeros(len(problem.pool.target))
        target, shift, scale = problem.target("identity")
        for train, watched in problem.folds:
            rows = dataclasses.replace(data, train=problem.rows(train, target), validation=problem.rows(watched, target))
            models.append(module(configuration.family).fit(rows, dict(configuration.settings), Budget(None)))
            oof[watched] = scale * models[-1].raw(problem.pool.features[watched])[:, 0] + shift
        member = Member(configuration.family, dict(configuration.settings), models, "identity", shift, scale)
        # As if boosting had taken nearly all of the time that there will be.
        needed = 10.0 if configuration.family == "lightgbm" else linear
        trial = Trial(1, configuration.family, 50.0, needed, 1, stopped=False, settings=dict(configuration.settings))
        endings.add(FittedMember(member, oof, trial, needed))
    pace.end = time.monotonic() + seconds
    members = endings.finish()["fast"].ensemble.members
    bags = {fitted.member.family: fitted.member.models for fitted in endings.fitted}
    assert {member.family for member in members} == {"lightgbm", "linear"}
    assert {member.family for member in members if member.models[0] not in bags[member.family]} == refitted


def test_a_refit_that_fails_leaves_the_model_of_the_fold_and_says_why() -> None:
    """A library may refuse what only rows hold that no fold trained on: it took the whole search with it, in a traceback."""
    data = training()
    data.validation.features[3, 2] = np.inf
    found = search(data, Search(families=("extra_trees",), budget_trials=2), holdout=True)
    fast = next(line for line in found.leaderboard if line.family == "ensemble (fast)")
    assert {member["refit"][:14] for member in fast.settings["members"]} == {"no: ValueError"}
    table = leaderboard_table(found.leaderboard, "rmse", "").splitlines()
    noted = [line for line in table if "a fold's model instead of one of all rows: extra_trees (ValueError: " in line]
    assert len(noted) == 1
    assert "ensemble (fast)" in noted[0]
    assert np.isfinite(found.model.predict(data.train.features)).all()
    whole = search(training(), Search(families=("extra_trees",), budget_trials=2), holdout=True)
    assert {member["refit"] for member in whole.best.settings["members"]} == {"yes"}


@pytest.mark.parametrize("family", ["lightgbm", "catboost", "xgboost", "extra_trees"])
def test_where_no_member_is_fast_enough_one_is_made_shorter(family: str) -> None:
    """With one family alone, whose row takes longer than project.yml allows, `fast` was that member all the same."""
    data = training()
    options = Search(families=(family,), budget_trials=1)
    long = search(data, options)
    (whole,) = long.endings["fast"].ensemble.members
    graph, nothing = (costs.row_cost(found, 0.0) for found in (costs.Costs(0).trees_ms(whole.models), 0.0))
    found = search(data, options, row_ms=(nothing + (graph - nothing) / 3) / 0.85)
    (short,) = found.endings["fast"].ensemble.members
    assert 0.15 * whole.size < short.size < 0.36 * whole.size
    assert found.ending == "fast"
    line = next(t for t in found.leaderboard if t.family == f"{family} (short)")
    assert line.number == 2
    # It is judged as every member is, and not by what the longer one said.
    assert found.best.score == pytest.approx(line.score)
    assert found.best.score < 0.9 * baseline(data.task, data, "rmse")
    if family != "extra_trees":
        assert line.settings["learning_rate"] > 1.2 * whole.settings["learning_rate"]


@pytest.mark.alone
def test_a_shorter_member_is_made_within_the_time_and_only_if_fast_may_be_chosen() -> None:
    data = training()
    options = Search(families=("lightgbm",), seconds=8, trials=1)
    found = search(data, options, row_ms=0.014)
    assert found.seconds <= 8 + 2
    assert "lightgbm (short)" in {t.family for t in found.leaderboard}
    assert {member["family"] for member in found.best.settings["members"]} == {"lightgbm (short)"}
    accurate = search(data, dataclasses.replace(options, ending="accurate", seconds=2), row_ms=0.014)
    assert "lightgbm (short)" not in {t.family for t in accurate.leaderboard}


def test_rows_that_warm_a_library_up_may_all_have_the_same_target() -> None:
    """Every second row, of which CatBoost refuses to learn: then all of its members failed."""
    random = np.random.default_rng(0)
    x = random.normal(size=(4300, 3)).astype(np.float32)
    y = np.where(np.arange(4300) % 2, x[:, 0] + 3.0, 0.0)
    data = TrainingData("regression", 0, "rmse", Table(x[:4000], y[:4000]), Table(x[4000:], y[4000:]))
    found = search(data, Search(families=("catboost",), seconds=4), holdout=True)
    assert not any("equal" in (t.failure or "") for t in found.leaderboard)
    assert found.leaderboard[2].family == "catboost"


def test_a_limit_below_that_of_an_empty_graph_makes_nothing_shorter() -> None:
    found = search(training(), Search(families=("lightgbm",), budget_trials=1), row_ms=0.001)
    assert [t.family for t in found.leaderboard if t.number] == ["lightgbm"]


@pytest.mark.long
def test_a_class_without_a_row_takes_no_family_out_of_the_search() -> None:
    data = training(load_wine, "log_loss")
    more = dataclasses.replace(data, classes=4)
    found = search(more, Search(metric="log_loss", families=ALL, budget_trials=6), holdout=True)
    assert [t.failure for t in found.leaderboard] == [None] * 8
    chances = found.model.predict(data.validation.features)
    assert chances.shape[1] == 4
    assert chances[:, 3].max() < 0.05


def test_rare_positives_choose_weights_too_where_not_all_rows_can() -> None:
    """A sample without one has no ROC-AUC, and then the first member had all of the weight."""
    rows = 200_000
    target = np.zeros(rows)
    target[np.random.default_rng(0).permutation(rows)[-10:]] = 1
    noise = np.random.default_rng(1).random(rows)
    good = 0.4 * noise + 0.3 * target
    weights = ensemble.greedy([np.column_stack([1 - p, p]) for p in (noise, good)], target, "roc_auc")
    assert weights[1] > weights[0]


def test_where_all_call_the_same_the_better_probabilities_have_the_weight() -> None:
    """F1 is 0 for each member that calls nothing the rare class."""
    target = (np.arange(400) % 20 == 0).astype(np.float64)
    blind, seeing = np.full(400, 0.05), np.where(target == 1, 0.4, 0.03)
    weights = ensemble.greedy([np.column_stack([1 - p, p]) for p in (blind, seeing)], target, "f1")
    assert weights.tolist() == [0.0, 1.0]


@pytest.mark.parametrize("metric", ["log_loss", "accuracy", "roc_auc"])
def test_hundreds_of_classes_are_weighed_by_a_part_of_their_probabilities(monkeypatch: pytest.MonkeyPatch, metric: str) -> None:
    """Every class's for every row took 8 s for a weighing of six members by log loss, 18 by accuracy and six minutes by ROC-AUC."""
    random = np.random.default_rng(0)
    rows, classes = 8_000, 300
    target = random.integers(0, classes, rows)
    members = {}
    for name, right in (("dull", 0.5), ("sharp", 2.0), ("noise", 0.0)):
        said = random.normal(size=(rows, classes))
        said[np.arange(rows), target] += right
        members[name] = np.exp(said) / np.exp(said).sum(axis=1, keepdims=True)
    seen = []
    counted = METRICS[metric]

    def counting(actual: Any, predicted: Any) -> float:
        seen.append(predicted.size)
        return counted(actual, predicted)

    monkeypatch.setitem(METRICS, metric, counting)
    weights = dict(zip(members, ensemble.greedy(list(members.values()), target.astype(np.float64), metric), strict=True))
    assert max(weights, key=weights.__getitem__) == "sharp"
    assert weights["noise"] < 0.5 * weights["sharp"]
    assert max(seen) <= 1_000_000  # of 2.4 million


def test_a_class_that_is_rare_among_many_is_seen_by_a_metric_in_which_it_counts_like_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(0)
    rows, classes = 30_000, 300
    target = np.minimum(random.zipf(1.3, rows) - 1, classes - 1)
    there = np.bincount(target, minlength=classes)
    seen: list[int] = []

    def counting(actual: Any, predicted: Any) -> float:
        seen[:] = np.bincount(actual.astype(int), minlength=classes).tolist()
        return 0.5

    monkeypatch.setitem(METRICS, "f1", counting)
    chances = np.full((rows, classes), 1 / classes)
    ensemble.greedy([chances, chances], target.astype(np.float64), "f1")
    assert sum(seen) < rows / 4
    assert all(some >= min(10, all_) for some, all_ in zip(seen, there, strict=True))


def test_what_log_loss_sees_of_the_right_class_gives_the_weights_that_all_probabilities_give() -> None:
    random = np.random.default_rng(0)
    target = random.integers(0, 5, 3_000)
    members = []
    for right in (0.8, 1.0, 1.2):
        said = np.exp(random.normal(size=(3_000, 5)) + right * np.eye(5)[target])
        members.append(said / said.sum(axis=1, keepdims=True))
    counts, total = np.zeros(3), np.zeros((3_000, 5))
    rounds = []
    for number in range(1, 41):
        losses = [METRICS["log_loss"](target, (total + member) / number) for member in members]
        chosen = int(np.argmin(losses))
        counts[chosen] += 1
        total += members[chosen]
        rounds.append((losses[chosen], counts / number))
    assert ensemble.greedy(members, target.astype(np.float64), "log_loss") == pytest.approx(min(rounds, key=lambda r: r[0])[1])


def test_a_forest_of_single_rows_is_calibrated() -> None:
    """Its votes of 25 trees say 0 of what may be, and far too little of what is."""
    found = search(training(load_wine, "log_loss"), Search(metric="log_loss", families=("extra_trees",), budget_trials=1))
    (member,) = found.endings["fast"].ensemble.members
    assert member.smoothing == pytest.approx(1 / 26)
    assert member.temperature < 0.8
    raw = member.models[0].predict(training(load_wine).validation.features)
    assert raw.min() == 0
    assert member.predict(training(load_wine).validation.features).min() > 0


def test_boosting_whose_iterations_take_long_gets_the_highest_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two or three iterations at the usual rate would have learned nothing."""

    class Slow:
        @staticmethod
        def fit(_: TrainingData, __: Any, budget: Budget) -> Any:
            rounds = 0
            while rounds < (budget.trees or 0):
                time.sleep(0.03)
                rounds += 1
                if budget.deadline is not None and time.monotonic() > budget.deadline:
                    break
            return SimpleNamespace(rounds=rounds)

    monkeypatch.setattr("tabular.pace.module", lambda _: Slow)
    options = Search(seconds=30, families=("lightgbm",))
    problem = problem_of(training(), options, 5, holdout=False)
    configuration = portfolio(("lightgbm",), classes=0, log=False)[0]
    assert Pace(options, None).affordable(configuration, problem, 0.05)["learning_rate"] == pytest.approx(0.3)
    assert Pace(options, None).affordable(configuration, problem, 600.0)["learning_rate"] == configuration.settings["learning_rate"]
    # Where there is another member, so few iterations are not worth their time.
    with pytest.raises(TimeoutError, match=r"the first iteration ends after [0-9.]+ s, .*where a model may take 0\.05 s"):
        Pace(options, None).affordable(configuration, problem, 0.05, needed=False)


def many_classes(classes: int, rows: int) -> TrainingData:
    """Classes around centres of their own, which a linear model can tell."""
    random = np.random.default_rng(0)
    target = random.integers(0, classes, rows).astype(np.float64)
    x = (random.normal(size=(classes, 12))[target.astype(int)] + random.normal(size=(rows, 12))).astype(np.float32)
    most = rows * 4 // 5
    return TrainingData("classification", classes, "log_loss", Table(x[:most], target[:most]), Table(x[most:], target[most:]))


@pytest.mark.long
@pytest.mark.alone
def test_hundreds_of_classes_leave_time_for_what_does_not_take_trees_for_each() -> None:
    """Boosting had all of the time, for one or two iterations: 300 classes came to a loss of 4.6, and come to 2.4 now; a linear model alone took 57 of 30 s."""
    data = many_classes(150, 6000)
    found = search(data, Search(metric="log_loss", seconds=8, families=ALL))
    assert found.seconds <= 8 + 4
    assert found.best.score < 0.75 * baseline(data.task, data, "log_loss")
    alone = search(data, Search(metric="log_loss", seconds=6, families=("linear",)))
    assert alone.seconds <= 6 + 4
    assert alone.best.score < 0.75 * baseline(data.task, data, "log_loss")


@pytest.mark.alone
def test_thousands_of_columns_leave_time_for_what_does_not_put_them_into_bins_for_each_fold() -> None:
    """Each fold of LightGBM took longer than the first member may, before its first iteration: 2,000 columns took 40 of 30 s, for a single tree."""
    random = np.random.default_rng(0)
    x = random.normal(size=(9000, 1200)).astype(np.float32)
    y = x[:, :20].sum(axis=1) + random.normal(size=9000)
    data = TrainingData("regression", 0, "rmse", Table(x[:8000], y[:8000]), Table(x[8000:], y[8000:]))
    found = search(data, Search(seconds=8, families=ALL))
    assert found.seconds <= 8 + 4
    assert found.best.score < baseline(data.task, data, "rmse")


class Slow:
    """Boosting whose iterations take long, and that takes time at once."""

    def __init__(self, at_once: float, each: float) -> None:
        self.at_once, self.each, self.fits = at_once, each, 0

    def fit(self, data: TrainingData, settings: Any, budget: Budget) -> Any:
        self.fits += 1
        share = len(data.train.target) / 295
        time.sleep(self.at_once * share)
        trees, grown = budget.trees or 5, 0
        while grown < trees and (not grown or budget.deadline is None or time.monotonic() < budget.deadline):
            time.sleep(self.each * share)
            grown += 1
        return module("lightgbm").fit(data, settings, Budget(None, 1, 0, grown))


@pytest.mark.parametrize(("each", "begun"), [(0.004, True), (0.1, False)])
def test_what_a_fit_takes_at_once_does_not_count_for_every_iteration(monkeypatch: pytest.MonkeyPatch, each: float, begun: bool) -> None:
    """Bins of many columns take half of the time of a model, and after that its iterations are quick."""
    monkeypatch.setattr("tabular.pace.module", lambda _: Slow(0.4, each))
    problem = problem_of(training(rows=442), Search(), 5, holdout=False)
    configuration = portfolio(("lightgbm",), classes=0, log=False)[0]
    pace = Pace(Search(seconds=30, families=("lightgbm",)), None)
    if begun:
        pace.affordable(configuration, problem, 1.0, needed=False)
    else:
        with pytest.raises(TimeoutError):
            pace.affordable(configuration, problem, 1.0, needed=False)


class ByRows:
    """Boosting of which every row takes its time, once and for each iteration."""

    def __init__(self, at_once: float, each: float, *, refuses: int = 0, ends: int = 0) -> None:
        self.at_once, self.each, self.refuses, self.ends, self.rows = at_once, each, refuses, ends, list[int]()

    def fit(self, data: TrainingData, _: Any, budget: Budget) -> Any:
        rows = len(data.train.target)
        self.rows.append(rows)
        if rows <= self.refuses:
            raise ValueError("one target alone")
        time.sleep(self.at_once * rows)
        rounds = 0
        while rounds < (budget.trees or 50) and (not rounds or budget.deadline is None or time.monotonic() < budget.deadline):
            time.sleep(self.each * rows)
            rounds += 1
            if rows <= self.ends:
                break
        return SimpleNamespace(rounds=rounds)


@pytest.mark.parametrize(("rows", "folds"), [(6000, 1), (2400, 5)])
@pytest.mark.parametrize("refuses", [0, 200])
def test_columns_too_many_for_folds_are_found_out_by_one_fit_of_few_rows(
    monkeypatch: pytest.MonkeyPatch, rows: int, folds: int, refuses: int
) -> None:
    """A first fit on 200 rows only warms up: CatBoost refuses rows of one target, as those of a rare class may be."""
    boosting = ByRows(0.7 / rows, 1e-8, refuses=refuses)
    monkeypatch.setattr("tabular.pace.module", lambda _: boosting)
    data = table(rows)
    options = Search(seconds=3, families=("lightgbm",))
    pace = Pace(options, None)
    assert pace.folds(data) == folds  # 2,000 validation rows judge by themselves, 800 do not.
    few = min(2000, len(data.train.target))
    tried = [200, few] if refuses else [200, 200, few]
    assert boosting.rows == tried
    configuration = portfolio(("lightgbm",), classes=0, log=False)[0]
    problem = problem_of(data, options, folds, holdout=folds == 1)
    with pytest.raises(TimeoutError, match=r"the first iteration ends after 0\.[0-9]+ s, where a model may take 0\.4 s"):
        pace.affordable(configuration, problem, 0.4, needed=False)
    assert boosting.rows == tried
    # It is the putting into bins that takes long: with the time for that the iterations are quick.
    assert pace.affordable(configuration, problem, 3.0, needed=False)["learning_rate"] == configuration.settings["learning_rate"]


def test_few_rows_that_end_after_an_iteration_do_not_make_a_slow_family_quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """All of the time seemed to be for putting columns into bins, and the iterations to take none."""
    monkeypatch.setattr("tabular.pace.module", lambda _: ByRows(0.0, 3e-5, ends=2000))
    options = Search(seconds=30, families=("lightgbm",))
    problem = problem_of(table(6000), options, 1, holdout=True)
    with pytest.raises(TimeoutError):
        Pace(options, None).affordable(portfolio(("lightgbm",), classes=0, log=False)[0], problem, 0.3, needed=False)


def test_where_boosting_is_too_slow_for_others_it_is_fitted_once_and_not_tried_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neighbours of the one that had to do were drawn for as long as there was time, and each refused at once."""
    slow = Slow(0.0, 0.25)
    usual = module
    for name in ("pace", "search", "refits"):
        monkeypatch.setattr(f"tabular.{name}.module", lambda family: slow if family == "lightgbm" else usual(family))
    found = search(training(), Search(seconds=8, families=("lightgbm",)), holdout=True)
    assert found.seconds < 8 + 3
    assert len(found.leaderboard) < 10
    assert slow.fits < 40


def test_a_search_whose_time_went_into_finding_out_what_is_slow_still_gives_a_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a machine with much other work the first look at LightGBM took all of the time, and the search ended with no model at all."""
    slow = Slow(0.0, 1.0)
    usual = module
    for name in ("pace", "search", "refits"):
        monkeypatch.setattr(f"tabular.{name}.module", lambda family: slow if family == "lightgbm" else usual(family))
    found = search(training(), Search(seconds=2, families=("lightgbm", "linear")), holdout=True)
    assert any(t.number and t.failure is None for t in found.leaderboard)
    assert np.isfinite(found.best.score)


def test_the_only_trial_is_not_refused_for_being_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    slow = Slow(0.0, 0.25)
    usual = module
    for name in ("pace", "search", "refits"):
        monkeypatch.setattr(f"tabular.{name}.module", lambda family: slow if family == "lightgbm" else usual(family))
    found = search(training(), Search(seconds=5, families=("lightgbm", "linear"), trials=1), holdout=True)
    assert [t.family for t in found.leaderboard if t.number] == ["lightgbm"]


def test_a_linear_model_of_many_classes_ends_with_its_time() -> None:
    data = many_classes(300, 6000)
    model = module("linear").fit(data, {"strength": 1.0}, Budget(time.monotonic() + 0.2))  # All passes take 7 s and more.
    # Half of the passes are no whole model, which a refit has to be.
    assert model.rounds < 100
    assert module("linear").fit(training(), {}, Budget(None)).rounds == 1
    assert METRICS["accuracy"](data.validation.target, model.predict(data.validation.features)) > 0.02


def test_rare_classes_are_judged_too_unless_there_is_one_row_of_them() -> None:
    data = table(400, classes=2)
    target = np.repeat(np.arange(11), [200, 100, *[11] * 8, 1])[:389].astype(np.float64)
    target = np.concatenate([target, np.zeros(400 - len(target))])
    order = np.random.default_rng(0).permutation(400)
    features = np.concatenate([data.train.features, data.validation.features])[order]
    sides = Table(features[:300], target[order][:300]), Table(features[300:], target[order][300:])
    problem = problem_of(TrainingData("classification", 11, "log_loss", *sides), Search(metric="log_loss"), 8, holdout=False)
    assert len(problem.judged) == 399
    for fitted, _ in problem.folds:
        assert len(np.unique(problem.pool.target[fitted])) == 11


@pytest.mark.parametrize("classes", [2, 3, 6])
def test_classes_of_one_row_each_are_refused_in_a_sentence(classes: int) -> None:
    side = Table(np.zeros((classes, 2), dtype=np.float32), np.arange(classes, dtype=np.float64))
    nothing = Table(np.zeros((0, 2), dtype=np.float32), np.zeros(0))
    with pytest.raises(DataError, match="no class has two rows"):
        search(TrainingData("classification", classes, "log_loss", side, nothing), Search(metric="log_loss", seconds=2))


def test_no_more_trials_than_asked_are_begun_also_if_they_fail() -> None:
    data = training()
    broken = dataclasses.replace(data, train=Table(np.full_like(data.train.features, np.inf), data.train.target))
    with pytest.raises(DataError, match=r"^no model family could be trained: extra_trees: [^;]*$"):
        search(broken, Search(seconds=20, families=("extra_trees",), trials=1))


def test_greedy_selection_finds_the_mixture_that_is_better_than_any_member() -> None:
    random = np.random.default_rng(0)
    truth = random.normal(size=2000)
    noise = random.normal(size=(3, 2000))
    predictions = [truth + noise[0], truth + noise[1], truth + 3 * noise[2]]
    weights = ensemble.greedy(predictions, truth, "rmse")
    assert weights.sum() == pytest.approx(1)
    assert weights[:2] == pytest.approx([0.47, 0.47], abs=0.06)
    assert METRICS["rmse"](truth, ensemble.blend(predictions, weights)) < 0.8
    # A metric whose best is large, and one that the sums of many rounds may not leave.
    chances = [np.column_stack([1 - p, p]) for p in (0.5 + 0.4 * np.sign(truth) * (random.random((2, 2000)) > 0.3))]
    auc = ensemble.greedy(chances, (truth > 0).astype(float), "roc_auc")
    assert METRICS["roc_auc"](truth > 0, ensemble.blend(chances, auc)) >= max(METRICS["roc_auc"](truth > 0, c) for c in chances)


def test_probabilities_are_tempered_only_where_it_helps_on_other_rows() -> None:
    random = np.random.default_rng(0)
    honest = random.uniform(0.02, 0.98, 4000)
    actual = (random.random(4000) < honest).astype(float)
    right = np.column_stack([1 - honest, honest])
    assert ensemble.fit_temperature(right, actual) == 1.0
    too_sure = ensemble.tempered(right, 0.5)
    assert ensemble.fit_temperature(too_sure, actual) > 1.4
    assert ensemble.fit_temperature(ensemble.tempered(right, 1.8), actual) < 0.75


def test_the_ending_is_chosen_by_what_a_row_may_cost_or_by_name() -> None:
    data = table(60, classes=0)
    options = Search(families=("extra_trees",), budget_trials=1)
    assert search(data, options).ending == "accurate"
    assert search(data, options, row_ms=5.0).ending == "accurate"
    found = search(data, options, row_ms=1e-6)
    assert found.ending == "fast"
    assert found.model is found.endings["fast"].ensemble
    assert found.leaderboard[0].family == "ensemble (fast)"
    assert search(data, dataclasses.replace(options, ending="fast"), row_ms=5.0).ending == "fast"
    assert search(data, dataclasses.replace(options, ending="accurate"), row_ms=1e-6).ending == "accurate"
    for member in found.endings["fast"].ensemble.members:
        assert len(member.models) == 1


def test_later_rows_are_judged_alone_if_the_table_is_split_by_time() -> None:
    data = training()
    found = search(data, Search(families=("lightgbm",), budget_trials=1), holdout=True)
    member = found.endings["accurate"].ensemble.members[-1]
    assert len(member.models) == 1
    score = METRICS["rmse"](data.validation.target, member.predict(data.validation.features))
    assert found.leaderboard[-1].score == pytest.approx(score)


def test_balanced_classes_make_a_rare_one_likelier() -> None:
    x, y = load_breast_cancer(return_X_y=True)
    keep = np.concatenate([np.flatnonzero(y == 0), np.flatnonzero(y == 1)[:30]])
    keep = np.random.default_rng(0).permutation(keep)
    x, y = x[keep][:, :4].astype(np.float32), y[keep].astype(np.float64)
    half = len(y) // 2
    data = TrainingData("classification", 2, "f1", Table(x[:half], y[:half]), Table(x[half:], y[half:]))
    options = Search(metric="f1", families=("lightgbm",), budget_trials=1)
    plain, balanced = (search(data, dataclasses.replace(options, class_weight=w)) for w in ("none", "balanced"))
    assert balanced.model.predict(x)[:, 1].mean() > 1.2 * plain.model.predict(x)[:, 1].mean()


def test_a_family_that_fails_is_on_the_leaderboard_with_its_reason_and_the_search_goes_on() -> None:
    data = training()
    features = data.train.features.copy()
    features[3, 2] = np.inf  # scikit-learn refuses infinity, LightGBM takes it
    strange = dataclasses.replace(data, train=Table(features, data.train.target))
    found = search(strange, Search(families=("extra_trees", "lightgbm"), budget_trials=3))
    failed = [t for t in found.leaderboard if t.family == "extra_trees"]
    assert len(failed) == 1
    assert math.isnan(failed[0].score)
    assert "infinity" in str(failed[0].failure)
    assert found.leaderboard[-1] == failed[0]
    table = leaderboard_table(found.leaderboard, "rmse", "min")
    assert "lower is better" in table
    assert "failed: ValueError" in table.splitlines()[-1]
    assert table.splitlines()[2].startswith("★")


def test_if_every_family_fails_their_reasons_are_told() -> None:
    data = training()
    features = np.full_like(data.train.features, np.inf)
    with pytest.raises(Exception, match="no model family could be trained: extra_trees: ValueError"):
        search(dataclasses.replace(data, train=Table(features, data.train.target)), Search(seconds=2, families=("extra_trees",)))


@pytest.mark.long
def test_progress_is_told_before_each_trial_with_the_best_so_far() -> None:
    told: list[tuple[float, str, Any, str]] = []
    found = search(training(), Search(families=("extra_trees",), budget_trials=4), progress=lambda *values: told.append(values))
    assert {metric for *_, metric in told} == {"rmse"}
    assert [what for _, what, *_ in told] == ["extra_trees"] * 4 + ["both endings"]
    assert len(told) == len(found.leaderboard) - 1
    assert told[0][2] is None
    assert [used for used, *_ in told] == sorted(used for used, *_ in told)
    best = [b.score for _, _, b, _ in told[1:]]
    assert best == sorted(best, reverse=True)


def test_a_budget_below_a_trial_still_gives_a_model() -> None:
    found = search(training(), Search(seconds=0.05, families=("extra_trees", "lightgbm")))
    assert len(found.leaderboard) == 3
    assert found.model.size >= 1


def table(rows: int, columns: int = 3, classes: int = 0) -> TrainingData:
    random = np.random.default_rng(0)
    x = random.normal(size=(rows, columns)).astype(np.float32)
    y = x[:, 0] * 2.0 + random.normal(size=rows) if not classes else (np.arange(rows) % classes).astype(np.float64)
    kind: Any = "classification" if classes else "regression"
    half = max(1, rows * 2 // 3)
    return TrainingData(kind, classes, "log_loss" if classes else "rmse", Table(x[:half], y[:half]), Table(x[half:], y[half:]))


def test_a_fold_without_a_class_is_no_model_that_is_always_right() -> None:
    """A forest of one class gives one column, which must not stand for two."""
    random = np.random.default_rng(0)
    x = random.normal(size=(60, 3)).astype(np.float32)
    later = random.integers(0, 2, 20).astype(np.float64)
    data = TrainingData("classification", 2, "log_loss", Table(x[:40], np.zeros(40)), Table(x[40:], later))
    found = search(data, Search(metric="log_loss", families=("lightgbm", "extra_trees"), budget_trials=2), holdout=True)
    forest = next(t for t in found.leaderboard if t.family == "extra_trees")
    assert forest.failure is None
    assert forest.score > 1  # It is nearly sure of the class that it knows.
    rare = np.concatenate([np.zeros(51), np.ones(2)])
    few = TrainingData("classification", 2, "log_loss", Table(x[:40], rare[:40]), Table(x[40:53], rare[40:]))
    for seed in range(4):
        model = search(few, Search(metric="log_loss", families=("extra_trees",), budget_trials=1, seed=seed)).model
        assert model.predict(x).shape == (60, 2)


@pytest.mark.long
def test_a_metric_that_is_no_number_on_the_judged_rows_gives_way_to_the_usual_one() -> None:
    data = table(90, classes=3)
    target = data.train.target.copy()
    target[target == 2] = 0
    target[5] = 2
    rare = dataclasses.replace(
        data, train=Table(data.train.features, target), validation=Table(data.validation.features, data.validation.target % 2)
    )
    told: list[str] = []
    # Log loss is below 0.95 at once, and a ROC-AUC of 0.95 was asked for.
    options = Search(metric="roc_auc", families=QUICK, budget_trials=4, exit_score=0.95)
    found = search(rare, options, progress=lambda *values: told.append(values[3]))
    assert found.metric == "log_loss"
    assert len(found.leaderboard) == 2 + 4
    assert set(told) == {"log_loss"}
    assert np.isfinite([t.score for t in found.leaderboard]).all()
    assert search(data, Search(metric="roc_auc", families=QUICK, budget_trials=1)).metric == "roc_auc"


def test_a_budget_of_trials_that_all_failed_says_why() -> None:
    data = training()
    data.train.features[3, 2] = np.inf
    with pytest.raises(DataError, match="no model family could be trained: extra_trees: ValueError"):
        search(data, Search(families=("extra_trees",), budget_trials=1))


def test_what_a_row_was_measured_to_take_changes_nothing_with_a_budget_of_trials(monkeypatch: pytest.MonkeyPatch) -> None:
    data = training()
    options = Search(families=("extra_trees", "linear"), budget_trials=2)
    usual = search(data, options, row_ms=1.0)
    monkeypatch.setattr("tabular.endings._row_ms", lambda *_: 40.0)
    slow = search(data, options, row_ms=1.0)
    assert slow.ending == usual.ending
    assert [slow.endings[e].onnx for e in ("accurate", "fast")] == [usual.endings[e].onnx for e in ("accurate", "fast")]


@pytest.mark.parametrize("when", ["never", "fitted", "finished"])
def test_a_tail_too_long_for_the_graph_is_not_fitted_on_a_log_scale(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, when: str) -> None:
    """Mostly it is found out when a member is fitted, from its first model; if not, when the endings are made."""
    if when == "finished":
        monkeypatch.setattr(Endings, "rehearse", lambda *_: True)
    if when != "never":  # How far off the exponential of a float32 is depends on the processor: here it is too far.
        measured = Endings._measured

        def far_off(self: Endings, native: ensemble.Ensemble, onnx: bytes) -> tuple[float, float]:
            row_ms, difference = measured(self, native, onnx)
            return row_ms, 1.0 if any(member.link == "log" for member in native.members) else difference

        monkeypatch.setattr(Endings, "_measured", far_off)
    random = np.random.default_rng(0)
    x = random.normal(size=(1500, 4)).astype(np.float32)
    y = 100 * np.exp((1 if when == "never" else 7) * (x[:, 0] + x[:, 1] / 2)).astype(np.float64)
    data = TrainingData("regression", 0, "rmse", Table(x[:1200], y[:1200]), Table(x[1200:], y[1200:]))
    found = search(data, Search(families=("linear", "extra_trees"), budget_trials=3))
    failed = {t.family: t.failure for t in found.leaderboard if t.failure}
    assert ("linear (log)" in failed) is (when != "never")
    assert set(failed.values()) <= {"its ONNX graph differs: the target's tail is too long for float32"}
    # What is left is an ensemble of all bags; it used to be the first bag of the first other member.
    assert max(len(member.models) for member in found.endings["accurate"].ensemble.members) > 1
    for name, built in found.endings.items():
        path = tmp_path / f"{name}.onnx"
        path.write_bytes(built.onnx)
        served = run_session(open_session(path), x)[:, 0]
        assert np.abs(served - built.ensemble.predict(x)).max() / y[1200:].std() < 1e-4


@pytest.mark.parametrize("rows", [3, 7, 30])
@pytest.mark.parametrize("classes", [0, 2])
def test_a_table_of_a_few_rows_gives_a_model(rows: int, classes: int) -> None:
    found = search(table(rows, classes=classes), Search(metric="log_loss" if classes else "rmse", seconds=4, families=ALL))
    assert np.isfinite(found.model.predict(np.zeros((2, 3), dtype=np.float32))).all()


def test_a_class_of_one_row_is_trained_on_and_never_judged() -> None:
    data = table(90, classes=3)
    target = data.train.target.copy()
    target[target == 2] = 0
    target[5] = 2
    rare = dataclasses.replace(
        data, train=Table(data.train.features, target), validation=Table(data.validation.features, data.validation.target % 2)
    )
    found = search(rare, Search(metric="log_loss", families=ALL, budget_trials=6))
    assert not [t.failure for t in found.leaderboard if t.failure]
    assert found.model.predict(rare.validation.features).shape == (30, 3)


@pytest.mark.long
@pytest.mark.alone
def test_two_thousand_columns_and_one_that_is_all_missing() -> None:
    data = table(200, columns=2000)
    for side in (data.train, data.validation):
        side.features[:, 7] = np.nan
    found = search(data, Search(families=ALL, seconds=8))
    assert found.seconds < 8 + 3
    assert np.isfinite(found.model.predict(data.validation.features)).all()


@pytest.mark.parametrize(
    ("classes", "words"), [(0, "the target has the value 3 in all 60 rows"), (2, "the target has one class in all 60 rows")]
)
def test_a_target_without_two_values_is_refused_in_a_sentence(classes: int, words: str) -> None:
    data = table(60, classes=classes)
    sides = [Table(side.features, np.full(len(side.target), 3.0 if not classes else 1.0)) for side in (data.train, data.validation)]
    with pytest.raises(DataError, match=words):
        search(dataclasses.replace(data, train=sides[0], validation=sides[1]), Search(families=ALL))


PROJECT = """\
name: diabetes
task: regression
target: y
columns:
  age: {type: number}
  bmi: {type: number}
  y: {type: number, missing: false}
"""


@pytest.mark.parametrize("seconds", ["0", "-3", "nan", "1e9"])
def test_train_refuses_a_budget_out_of_range(tmp_path: Path, seconds: str) -> None:
    (tmp_path / "project.yml").write_text(PROJECT)
    sides = ["--train", "a", "--validation", "b", "--recipe", "c", "--model", "d"]
    result = step("train.py", *sides, "--project", "project.yml", f"--seconds={seconds}", cwd=tmp_path)
    assert result.returncode == 2
    assert result.stderr.startswith("error: --seconds: found ")
    assert not (tmp_path / "d").exists()


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--n-estimators", "0"], "--n-estimators: found 0; allowed: at least 1"),
        (["--max-features", "most"], "--max-features: found 'most'; allowed: sqrt, log2, or a share"),
        (["--max-features", "nan"], "--max-features: found 'nan'"),
        (["--class-weight", "balanced"], "--class-weight: found balanced; allowed: none"),
    ],
)
def test_train2_refuses_flags_out_of_range(tmp_path: Path, flags: list[str], words: str) -> None:
    (tmp_path / "project.yml").write_text(PROJECT)
    result = step(
        "train2.py", "--train", "a", "--validation", "b", "--recipe", "c", "--model", "d", "--project", "project.yml", *flags, cwd=tmp_path
    )
    assert result.returncode == 2
    assert result.stderr.startswith(f"error: {words}")


def test_trainers_on_a_folder_that_prep_did_not_write_say_so(tmp_path: Path) -> None:
    (tmp_path / "project.yml").write_text(PROJECT)
    for script in ("train.py", "train2.py"):
        result = step(
            script, "--train", "a", "--validation", "b", "--recipe", "c", "--model", "d", "--project", "project.yml", cwd=tmp_path
        )
        assert result.returncode == 2
        assert "c: has no contract.json; pass a folder that prep wrote" in result.stderr


def test_the_shortest_budget_gives_a_candidate_that_mlflow_could_load(tmp_path: Path) -> None:
    x, y = load_diabetes(return_X_y=True)
    raw = write_csv(tmp_path / "raw.csv", ["age", "bmi", "y"], [[a[0], a[2], b] for a, b in zip(x.tolist(), y.tolist(), strict=True)])
    (tmp_path / "project.yml").write_text(PROJECT)
    assert step("prep.py", *prep_arguments(raw, tmp_path / "project.yml", tmp_path), cwd=tmp_path).returncode == 0
    sides = ["--train", "train", "--validation", "validation", "--recipe", "recipe", "--model", "model", "--project", "project.yml"]
    result = step("train.py", *sides, "--seconds", "1", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert {"MLmodel", "candidate.json", "model.onnx", "contract.json"} <= {f.name for f in (tmp_path / "model").iterdir()}
    assert "not logged: no MLflow run" in result.stdout


@pytest.mark.long
def test_ten_thousand_levels_and_numbers_beyond_float32_give_a_candidate(tmp_path: Path) -> None:
    """A number that float32 can't hold used to be infinite for the models, and scikit-learn refuses what is infinite."""
    random = np.random.default_rng(0)
    places = random.permutation(np.concatenate([np.arange(10_000), random.integers(0, 10_000, 2_000)]))
    size = random.normal(size=len(places))
    target = size + (places % 7) / 3 + random.normal(size=len(places)) / 4
    rows = [
        [f"place {place}", "1e39" if number % 500 == 3 else round(float(x), 4), round(float(y), 4)]
        for number, (place, x, y) in enumerate(zip(places.tolist(), size, target, strict=True))
    ]
    raw = write_csv(tmp_path / "raw.csv", ["place", "size", "y"], rows)
    columns = "columns:\n  place: {type: category}\n  size: {type: number}\n  y: {type: number, missing: false}\n"
    cleaning = "cleaning: {missing_numbers: keep}\n"
    (tmp_path / "project.yml").write_text(f"name: places\ntask: regression\ntarget: y\n{columns}{cleaning}")
    prepared = step("prep.py", *prep_arguments(raw, tmp_path / "project.yml", tmp_path), cwd=tmp_path)
    assert prepared.returncode == 0, prepared.stderr
    sides = ["--train", "train", "--validation", "validation", "--recipe", "recipe", "--model", "model", "--project", "project.yml"]
    result = step("train.py", *sides, "--families", "extra_trees,linear", "--budget-trials", "2", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    found = json.loads((tmp_path / "model" / "candidate.json").read_text())
    assert not [line["failure"] for line in found["leaderboard"] if line["failure"]]
    assert found["validation"] < 0.9 * found["baseline"]
