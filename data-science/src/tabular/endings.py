"""The two endings of a search: `fast`, a few members fitted once more on all rows, and `accurate`, the bags with those refits among them."""

from __future__ import annotations

import dataclasses
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from .ensemble import Ensemble, blend, fit_temperature, greedy, tempered
from .families import Budget, Model, module
from .folds import Problem
from .leaderboard import Fitted
from .metrics import METRICS, as_error
from .onnx_session import session_of
from .pace import Pace
from .project import Search

Ending = Literal["accurate", "fast"]
ACCURATE_MS: Final = 1.9
"""Milliseconds that one row may cost in `accurate`; bags, then members are left out until it does."""
ACCURATE_MB: Final = 40.0
"""Megabytes that its bags may have in the graph."""
FAST_MS: Final = 0.28
"""Milliseconds of one row in `fast`, if the project's limit is not lower."""
_PLANNED: Final = {"fast": 0.85, "accurate": 0.93}
"""Share of the limit that is planned with, because what a tree costs is not known to the percent: `accurate` has the measured `fast` to go by."""
FAST_MB: Final = 25.0
"""Megabytes that `fast` may have in the graph."""
_FAST_MEMBERS: Final = 3
"""Members of `fast` at most: each is fitted once more."""
_MORE_ROUNDS: Final = 1.1
"""A refit has the rows that a fold held back, and needs so many more iterations."""
_AGREEMENT: Final = 5e-5
"""Largest difference of graph and native models in deviations of the target, or in probability; half of what `predict` allows."""
_COMPARED: Final = 300
"""Rows on which graph and native models are compared."""
_TREE_US: Final = {"lightgbm": 0.08, "xgboost": 0.08, "catboost": 0.08, "extra_trees": 0.3}
"""Microseconds of a tree for one row, until it is measured. A tree that adds to every class takes `_WIDE_US`."""
_WIDE_US: Final = 0.25
_LEAF_US: Final = 7e-5
"""More of it for each of a tree's leaves: the further apart they lie, the less of them is in the processor's caches."""
_LAYERS_MS: Final = 0.015
"""Milliseconds of one row through a model of layers."""
_TREE_S: Final = 0.00015
"""Seconds that a tree takes to be exported and measured; a leaf takes more, and in a forest, which is written leaf by leaf, most."""
_LEAF_S: Final = 1.2e-6
"""Seconds of a leaf of boosted trees."""
_FOREST_LEAF_S: Final = 3e-6
"""The same of a forest."""
_FOREST_LEAVES: Final = 300_000
"""Leaves of all bags of a forest that are kept: each bag is a mean of many trees already, and takes its megabytes."""


@dataclass
class Built:
    """An ending with its ONNX file.

    Attributes:
        row_ms: median of one row through it.
        cost_ms: the same; of `accurate` with a budget of trials what is expected, because that decides, and what is measured differs.
        score: of its members on the rows that are judged, as they were before any refit.
        weights: number of a member in the order fitted → its weight.
    """

    ensemble: Ensemble
    onnx: bytes
    row_ms: float
    score: float
    weights: dict[int, float]
    cost_ms: float


class Endings:
    """The members that were fitted, their weights, and what they end in."""

    def __init__(self, problem: Problem, options: Search, pace: Pace, limit: float | None) -> None:
        self.fitted: list[Fitted] = []
        self.weights: NDArray[np.float64] = np.zeros(0)
        self.score = float("nan")
        self._problem, self._options, self._pace = problem, options, pace
        self._row_limit = min(FAST_MS, limit or FAST_MS)
        self._selection_seconds = 0.0
        self._needed = self._export = 0.0
        self._fast_kept: tuple[tuple[int, float], dict[int, float]] = ((0, 0.0), {})
        self._machine = 1.0  # What this machine takes of the milliseconds that are expected.

    def add(self, fitted: Fitted) -> bool:
        """Take a member, and weigh all of them anew. Whether the ensemble got better."""
        problem = self._problem
        models = fitted.member.models
        while fitted.member.family == "extra_trees" and len(models) > 1 and sum(m.leaves for m in models) > _FOREST_LEAVES:
            models.pop()
        self.fitted.append(fitted)
        begun = time.monotonic()
        self.weights = self._weigh(range(len(self.fitted)))
        self._selection_seconds = time.monotonic() - begun
        score = METRICS[problem.metric](problem.truth, blend([f.oof for f in self.fitted], self.weights))
        better = not np.isfinite(self.score) or as_error(problem.metric, score) < as_error(problem.metric, self.score)
        self.score = score
        if self._pace.timed:
            fast, (_, bags) = self._fast(), self._accurate()
            models = [m for some in bags.values() for m in some]
            models += [self.fitted[i].member.models[0] for _ in ("in fast", "in accurate") for i in fast]
            refits = sum(self.fitted[i].model_seconds for i in fast)
            self._export = sum(m.size * _TREE_S + m.leaves * (_FOREST_LEAF_S if m.family == "extra_trees" else _LEAF_S) for m in models)
            self._needed = 0.3 + 3 * self._selection_seconds + min(refits, 0.15 * self._options.seconds) + self._export
        return better

    @property
    def reserve(self) -> float:
        """Seconds that making both endings takes."""
        if not self.fitted:
            return 0.1 * self._options.seconds
        return self._needed + 0.01 * self._options.seconds

    def finish(self) -> dict[Ending, Built]:
        """Both."""
        chosen = self._fast()
        whole = {i: self._refit(self.fitted[i], position, len(chosen)) for position, i in enumerate(chosen)}
        fast = self._build(chosen, {i: [model] for i, model in whole.items()})
        # What is measured differs from run to run, so that a budget of trials goes by the estimate.
        while self._pace.timed and fast.row_ms > self._row_limit and len(fast.weights) > 1:
            # The estimate was too low on this machine: without the dearest.
            members = dict(zip(fast.weights, fast.ensemble.members, strict=True))
            dearest = max(members, key=lambda i: self._cost(i, members[i].models))
            left = [i for i in members if i != dearest]
            fast = self._build(self._weighed(left), {i: members[i].models for i in left})
        whole = {i: model for i, model in whole.items() if model is not self.fitted[i].member.models[0]}
        if self._pace.timed:
            expected = 0.02 + sum(self._cost(i, member.models) for i, member in zip(fast.weights, fast.ensemble.members, strict=True))
            self._machine *= min(max(fast.row_ms / expected, 0.7), 2.0)
        weights, bags = self._accurate()
        accurate = self._build(weights, bags, whole)
        for _ in range(2):
            if not self._pace.timed or accurate.row_ms <= ACCURATE_MS:
                break
            self._machine *= max(accurate.row_ms / self._bagged(bags)[0], 1.1)
            weights, bags = self._accurate()
            accurate = self._build(weights, bags, whole)
        if not self._pace.timed:
            accurate.cost_ms = self._bagged(bags)[0]
        return {"accurate": accurate, "fast": fast}

    # Choosing ---------------------------------------------------------------------------------------------------------

    def _weigh(self, members: Sequence[int]) -> NDArray[np.float64]:
        return greedy([self.fitted[i].oof for i in members], self._problem.truth, self._problem.metric)

    def _weighed(self, members: Sequence[int]) -> dict[int, float]:
        return {i: float(weight) for i, weight in zip(members, self._weigh(members), strict=True) if weight > 0}

    def _fast(self) -> dict[int, float]:
        """Members of `fast` with their weights: those of most weight whose cost together is below the limit."""
        key = (len(self.fitted), self._machine)
        if self._fast_kept[0] != key:
            self._fast_kept = (key, self._chosen_for_fast())
        return self._fast_kept[1]

    def _chosen_for_fast(self) -> dict[int, float]:
        order = [int(i) for i in np.argsort(-self.weights, kind="stable") if self.weights[i] > 0]
        others = sorted((i for i in range(len(self.fitted)) if i not in order), key=self._error)
        chosen: list[int] = []
        spent, size = 0.02, 0.0
        for index in (*order, *others):
            cost, megabytes = self._refitted(index)
            fits = spent + cost <= _PLANNED["fast"] * self._row_limit and size + megabytes <= FAST_MB
            if len(chosen) < _FAST_MEMBERS and fits and (self.weights[index] > 0 or not chosen):
                chosen.append(index)
                spent, size = spent + cost, size + megabytes
        return self._weighed(chosen or [min(range(len(self.fitted)), key=lambda i: self._refitted(i)[0])])

    def _error(self, index: int) -> float:
        return as_error(self._problem.metric, self.fitted[index].trial.score)

    def _accurate(self) -> tuple[dict[int, float], dict[int, list[Model]]]:
        """Members of `accurate` with their weights, and their bags: fewer of the dearest until both limits are kept."""
        kept = {i: float(w) for i, w in enumerate(self.weights) if w > 0}
        models = {i: list(self.fitted[i].member.models) for i in kept}
        planned = _PLANNED["accurate"] * ACCURATE_MS
        while True:
            milliseconds, megabytes = self._bagged(models)
            if milliseconds <= planned and megabytes <= ACCURATE_MB:
                return kept, models
            which = 0 if milliseconds / planned > megabytes / ACCURATE_MB else 1
            share = {i: (self._cost(i, bags), self._megabytes(bags))[which] for i, bags in models.items()}
            many = [i for i in models if len(models[i]) > 1 and share[i] > 0]
            if many:
                models[max(many, key=share.__getitem__)].pop()
            elif len(kept) > 1:
                del models[min(kept, key=lambda i: kept[i] / max(share[i], 1e-9))]
                kept = self._weighed(list(models))
                models = {i: models[i] for i in kept}
            else:
                return kept, models

    def _cost(self, index: int, models: Sequence[Model]) -> float:
        """Milliseconds of one row through models of a member."""
        family = self.fitted[index].member.family
        if family not in _TREE_US:
            return _LAYERS_MS * len(models) * self._machine
        each = _WIDE_US if family == "catboost" and self._problem.classes > 2 else _TREE_US[family]
        return sum(m.size * each + m.leaves * _LEAF_US for m in models) / 1000 * self._machine

    def _megabytes(self, models: Sequence[Model]) -> float:
        """Of models in the graph: a leaf with its node takes 28 bytes, and 4 more for each class that it has a value of."""
        wide = 4 * self._problem.classes if models[0].family in ("catboost", "extra_trees") and self._problem.classes else 0
        return sum(m.leaves for m in models) * (28 + wide) / 1e6

    def _refitted(self, index: int) -> tuple[float, float]:
        """Milliseconds and megabytes of a member that is fitted on all rows."""
        models = self.fitted[index].member.models
        share = _MORE_ROUNDS / len(models)
        return self._cost(index, models) * share, self._megabytes(models) * share

    def _bagged(self, models: dict[int, list[Model]]) -> tuple[float, float]:
        """Milliseconds of one row through these bags and the refits that go with them, and megabytes of the bags."""
        refits = sum(self._refitted(i)[0] for i in self._fast() if i in models)
        return 0.02 + refits + sum(self._cost(i, m) for i, m in models.items()), sum(self._megabytes(m) for m in models.values())

    # Making -----------------------------------------------------------------------------------------------------------

    def _build(self, members: dict[int, float], models: dict[int, list[Model]], whole: dict[int, Model] | None = None) -> Built:
        """An ending. Of a member that was fitted on all rows as well (`whole`), that model has half the weight."""
        problem = self._problem
        chosen = []
        for i, weight in members.items():
            member = self.fitted[i].member
            share = weight / 2 if whole and i in whole else weight
            if whole and i in whole:
                chosen.append(dataclasses.replace(member, weight=share, models=[whole[i]]))
            chosen.append(dataclasses.replace(member, weight=share, models=models[i]))
        together = blend([self.fitted[i].oof for i in members], np.array(list(members.values())))
        temperature = fit_temperature(together, problem.truth) if problem.classes else 1.0
        if problem.classes:
            together = tempered(together, temperature)
        ensemble = Ensemble(chosen, problem.classes, temperature)
        onnx = ensemble.to_onnx(problem.pool.features.shape[1]).SerializeToString()
        row_ms, difference = self._measured(ensemble, onnx)
        logs = [i for i in members if self.fitted[i].member.link == "log"]
        others = [i for i in members if i not in logs] or [i for i in range(len(self.fitted)) if self.fitted[i].member.link != "log"][:1]
        if difference > _AGREEMENT and logs and others:
            # The exponential of a float32 can be that far off where the tail is very long: without what is on a log scale.
            left = self._weighed(others)
            return self._build(left, {i: models.get(i, self.fitted[i].member.models[:1]) for i in left}, whole)
        return Built(ensemble, onnx, row_ms, METRICS[problem.metric](problem.truth, together), dict(members), row_ms)

    def _measured(self, ensemble: Ensemble, onnx: bytes) -> tuple[float, float]:
        """Milliseconds of one row, and the largest difference of the graph and the native models on some rows, in the unit of `_AGREEMENT`."""
        session = session_of(onnx)
        pool = self._problem.pool
        every = max(1, len(pool.features) // _COMPARED)
        some = np.ascontiguousarray(pool.features[::every])
        native = ensemble.predict(some)
        served = session.run(None, {"features": some})[0].astype(np.float64).reshape(native.shape)
        scale = 1.0 if self._problem.classes else float(np.std(pool.target)) or 1.0
        return _row_ms(session, some), float(np.abs(served - native).max()) / scale

    def _refit(self, fitted: Fitted, position: int, count: int) -> Model:
        """One model on all rows, or where there is no time for it the model of the first fold."""
        first = fitted.member.models[0]
        deadline = None
        if self._pace.timed:
            each = (self._pace.left() - self._export - 0.3) / (count - position)
            if each < 0.7 * fitted.model_seconds:
                return first
            deadline = time.monotonic() + each
        target, _, _ = self._problem.target(fitted.member.link)
        rows = dataclasses.replace(self._problem.data, train=self._problem.rows(None, target))
        trees = max(1, round(_MORE_ROUNDS * fitted.member.rounds))
        budget = Budget(deadline, self._options.threads, self._options.seed + fitted.trial.number, trees)
        model: Model = module(fitted.member.family).fit(rows, dict(fitted.trial.settings), budget)
        return model if model.rounds > 0.8 * fitted.member.rounds else first


def _row_ms(session: Any, features: NDArray[np.float32]) -> float:
    """Median milliseconds of one row, of up to 200 rows and a quarter of a second."""
    times: list[float] = []
    end = time.perf_counter() + 0.25
    for number in range(200):
        row = features[number % len(features)][None]
        begun = time.perf_counter()
        session.run(None, {"features": row})
        times.append(time.perf_counter() - begun)
        if times and time.perf_counter() > end:
            break
    return 1000 * statistics.median(times)
