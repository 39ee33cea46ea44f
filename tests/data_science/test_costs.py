"""What models are expected to cost in a graph, and how what was measured puts it right."""

from __future__ import annotations

import dataclasses
import time
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_diabetes

from data_science.test_search import training
from tabular import endings as endings_module
from tabular.costs import Costs, row_cost
from tabular.endings import Endings
from tabular.ensemble import Member
from tabular.families import Budget, module
from tabular.folds import problem_of
from tabular.leaderboard import FittedMember, Trial
from tabular.pace import Pace
from tabular.portfolio import portfolio
from tabular.project import Search


def model(family: str = "lightgbm", *, size: int = 1000, leaves: int = 31_000, weights: int = 0) -> Any:
    """As much of a model as costs are told from."""
    return SimpleNamespace(family=family, size=size, leaves=leaves, weights=weights)


def expected_row(costs: Costs, models: list[Any]) -> float:
    return row_cost(costs.trees_ms(models), costs.megabytes(models))


@pytest.mark.parametrize(("slower", "learned"), [(1.0, 1.0), (1.5, 1.5), (0.8, 0.8), (9.0, 2.0), (0.1, 0.7)])
def test_a_measured_graph_tells_what_this_machine_takes_within_reason(slower: float, learned: float) -> None:
    models = [model()]
    costs, before = Costs(0), Costs(0)
    nothing = row_cost(0.0, 0.0)
    costs.learn([models], nothing + slower * (expected_row(before, models) - nothing), 0.5)
    assert costs.trees_ms(models) == pytest.approx(learned * before.trees_ms(models))
    # And what is in the next graph is expected to take as much longer, whatever family it is of.
    assert costs.trees_ms([model("catboost")]) == pytest.approx(learned * before.trees_ms([model("catboost")]))
    assert costs.state != before.state or learned == 1.0


def test_a_graph_of_next_to_nothing_tells_nothing_of_a_tree() -> None:
    """Most of its time is that of any call: ten times as long on a busy machine, it must not make trees twice as dear."""
    costs, before = Costs(0), Costs(0)
    costs.learn([[model(size=10, leaves=300)]], 0.1, 0.05)
    assert costs.trees_ms([model()]) == before.trees_ms([model()])


@pytest.mark.parametrize(("factor", "learned"), [(1.5, 1.5), (20.0, 2.0), (0.01, 0.7)])
def test_a_measured_export_tells_what_the_next_takes_within_reason(factor: float, learned: float) -> None:
    models = [model(size=10_000, leaves=310_000)]
    costs, before = Costs(0), Costs(0)
    whole = before.export_seconds(models) + 0.05  # What a graph of nothing takes.
    costs.learn([models], 1.0, factor * whole)
    assert costs.export_seconds(models) == pytest.approx(learned * before.export_seconds(models))


def test_a_wide_network_costs_more_than_a_narrow_one() -> None:
    """All models of layers once cost the same, so that a bag of networks of a million weights was taken for one of ten thousand."""
    costs = Costs(0)
    narrow, wide = model("neural", size=30, leaves=0, weights=10_000), model("neural", size=30, leaves=0, weights=1_000_000)
    assert costs.trees_ms([wide]) > 3 * costs.trees_ms([narrow])
    assert costs.megabytes([wide]) == pytest.approx(4.0)


def test_leaves_of_many_classes_take_megabytes() -> None:
    assert Costs(10).megabytes([model("catboost")]) > 2 * Costs(0).megabytes([model("catboost")])
    assert Costs(10).megabytes([model("lightgbm")]) == Costs(0).megabytes([model("lightgbm")])


@pytest.mark.parametrize(("seconds", "graphs"), [(600.0, 3), (0.0, 2)])
def test_accurate_is_made_a_third_time_only_if_there_is_time(monkeypatch: pytest.MonkeyPatch, seconds: float, graphs: int) -> None:
    """Each graph of thousands of trees takes seconds, and a second one that is still too slow used to be made again whatever the clock said."""
    data = training(load_diabetes, "rmse")
    options = Search(metric="rmse", families=("lightgbm",), seconds=600)
    pace = Pace(options, None)
    problem = problem_of(data, options, 5, holdout=False)
    endings = Endings(problem, options, pace, None)
    configuration = portfolio(("lightgbm",), classes=0, log=False)[0]
    target, shift, scale = problem.target("identity")
    models = []
    oof = np.zeros(len(problem.pool.target))
    for train, watched in problem.folds:
        rows = dataclasses.replace(data, train=problem.rows(train, target), validation=problem.rows(watched, target))
        models.append(module("lightgbm").fit(rows, dict(configuration.settings), Budget(None)))
        oof[watched] = scale * models[-1].raw(problem.pool.features[watched])[:, 0] + shift
    member = Member("lightgbm", dict(configuration.settings), models, "identity", shift, scale)
    trial = Trial(1, "lightgbm", 50.0, 0.1, 1, stopped=False, settings=dict(configuration.settings))
    endings.add(FittedMember(member, oof, trial, 0.02))
    made: list[int] = []

    def slow(session: Any, features: Any) -> float:
        made.append(len(features))
        return 5.0

    monkeypatch.setattr(endings_module, "_row_ms", slow)
    pace.end = time.monotonic() + seconds
    built = endings.finish()
    assert len(made) == 1 + graphs  # One of `fast`.
    assert sum(len(member.models) for member in built["accurate"].ensemble.members) < len(models)
