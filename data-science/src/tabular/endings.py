"""The two endings of a search: `fast`, a few members fitted once more on all rows, and `accurate`, the bags with those refits among them."""

from __future__ import annotations

import dataclasses
import statistics
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from .costs import Costs, row_cost
from .ensemble import Ensemble, Member, blend, fit_temperature, greedy, tempered
from .factors import fit_factors, score_called
from .families import Model
from .folds import Problem
from .leaderboard import FittedMember
from .metrics import METRICS, as_counted, as_error
from .onnx_session import session_of
from .pace import Pace
from .portfolio import Configuration, shortened
from .project import Search
from .refits import MORE_ROUNDS, Refits

Ending = Literal["accurate", "fast"]
ACCURATE_MS: Final = 1.4
"""Milliseconds that one row may cost in `accurate`; bags, then members are left out until it does. Well below 2, since a large graph that other programs push out of the processor's cache takes at least a fifth more than is measured here."""
ACCURATE_MB: Final = 40.0
"""Megabytes that its bags may have in the graph."""
FAST_MS: Final = 0.26
"""Milliseconds of one row in `fast`, if the project's limit is not lower."""
_PLANNED: Final = 0.85
"""Share of a limit of milliseconds that is planned with, because what a tree costs is not known to the percent."""
_REFIT_SHARE: Final = 0.2
"""Share of the search's time that is kept for fitting the members of `fast` once more."""
_EXPORT_SHARE: Final = 0.1
"""Share of the search's time that exporting and measuring `accurate` may take."""
FAST_MB: Final = 25.0
"""Megabytes that `fast` may have in the graph."""
_SHARES: Final = tuple(float(share) for share in np.geomspace(1.0, 0.01, 60))
"""Of a member's iterations that are tried where all of them cost too much."""
_FAST_MEMBERS: Final = 3
"""Members of `fast` at most: each is fitted once more."""
_AGREEMENT: Final = 5e-5
"""Largest difference of graph and native models in deviations of the target, or in probability; half of what `predict` allows."""
_COMPARED: Final = 300
"""Rows spread over the table on which graph and native models are compared, at least."""
_EXTREMES: Final = 50
"""Rows of the largest targets on which they are compared, too."""
_FOREST_LEAVES: Final = 300_000
"""Leaves of all bags of a forest that are kept: each bag is a mean of many trees already, and takes its megabytes."""


@dataclass
class Built:
    """An ending with its ONNX file.

    Attributes:
        row_ms: median of one row through it.
        cost_ms: the same; of `accurate` with a budget of trials what is expected, because that decides, and what is measured differs.
        score: of its members on the rows that are judged, as they were before any refit; these rows chose weights, temperature and factors, too.
        weights: number of a member in the order fitted → its weight.
        difference: largest one of graph and native models on some rows, in the unit of `_AGREEMENT`.
        refits: number of a member that was to be fitted once more on all rows → why it was not; None if it was.
        refit_seconds: what all refits took.
    """

    ensemble: Ensemble
    onnx: bytes
    row_ms: float
    score: float
    weights: dict[int, float]
    cost_ms: float
    difference: float = 0.0
    refits: dict[int, str | None] = dataclasses.field(default_factory=dict)
    refit_seconds: float = 0.0


class Endings:
    """The members that were fitted, their weights, and what they end in.

    Attributes:
        left_out: numbers of the members whose graph was found to differ from the model when the endings were made.
        for_shorter: seconds of `reserve` that `shorter` takes.
        learned: whether a graph of trees was measured.
    """

    def __init__(self, problem: Problem, options: Search, pace: Pace, limit: float | None) -> None:
        self.fitted: list[FittedMember] = []
        self.weights: NDArray[np.float64] = np.zeros(0)
        self.score = float("nan")
        self._problem, self._options, self._pace = problem, options, pace
        self._row_limit = min(FAST_MS, limit or FAST_MS)
        self._selection_seconds = 0.0
        self._needed = self._export = 0.0
        self._fast_kept: tuple[tuple[int, int, float], dict[int, float]] = ((0, 0, 0.0), {})
        self._costs = Costs(problem.classes)
        self._refits = Refits(problem, options, pace)
        self.left_out: set[int] = set()
        self.for_shorter = 0.0
        self.learned = False

    def add(self, fitted: FittedMember) -> bool:
        """Take a member, and weigh all of them anew. Whether the ensemble got better."""
        problem = self._problem
        models = fitted.member.models
        while fitted.member.family == "extra_trees" and len(models) > 1 and sum(m.leaves for m in models) > _FOREST_LEAVES:
            models.pop()
        self.fitted.append(fitted)
        begun = time.monotonic()
        self.weights = self._weigh(range(len(self.fitted)))
        score = score_called(problem.metric, problem.truth, blend([f.oof for f in self.fitted], self.weights))
        self._selection_seconds = time.monotonic() - begun
        better = not np.isfinite(self.score) or as_error(problem.metric, score) < as_error(problem.metric, self.score)
        self.score = score
        if self._pace.timed:
            fast = self._fast()
            _, bags = self._accurate(fast)
            models = [m for some in bags.values() for m in some]
            models += [self.fitted[i].member.models[0] for _ in ("in fast", "in accurate") for i in fast]
            refits = sum(self.fitted[i].model_seconds for i in fast)
            self._export = self._costs.export_seconds(models)
            self._needed = 0.3 + 3 * self._selection_seconds + min(refits, _REFIT_SHARE * self._options.seconds) + self._export
            shares = [self._share(i) for i in range(len(self.fitted))]
            longest = max(s * f.trial.seconds * (f.member.models[0].leaves > 0) for s, f in zip(shares, self.fitted, strict=True))
            wanted = max(shares) < 1 and self._options.ending != "accurate"
            self.for_shorter = min(longest, _REFIT_SHARE * self._options.seconds) if wanted else 0.0
        return better

    def rehearse(self, fitted: FittedMember) -> bool:
        """Make a graph of a member's first model: whether it says what the model says. Of the first trees also learn what this machine takes."""
        import onnx  # noqa: F401 - loading it takes longer than the graph

        begun = time.monotonic()
        models = fitted.member.models[:1]
        row_ms, difference = self._measured(*self._graph([dataclasses.replace(fitted.member, models=models)], 1.0))
        first = not self.learned and models[0].leaves > 0
        self.learned = self.learned or first
        if first and self._pace.timed:
            self._costs.learn([models], row_ms, time.monotonic() - begun)
        return difference <= _AGREEMENT

    @property
    def reserve(self) -> float:
        """Seconds that making both endings takes."""
        if not self.fitted:
            return 0.1 * self._options.seconds
        return self._needed + self.for_shorter + 0.01 * self._options.seconds

    def shorter(self, seconds: float) -> Configuration | None:
        """A member of fewer iterations that `fast` has need of; None if some member keeps the limits as it is, or none could.

        It is made of the member of which most is left, and of several the best one.

        Args:
            seconds: that it may take.
        """
        shares = {i: self._share(i) for i in range(len(self.fitted))}
        if max(shares.values()) == 1:
            return None
        # Layers have no iterations to leave out.
        shares = {i: share for i, share in shares.items() if share and self.fitted[i].member.models[0].leaves}
        if not shares:
            return None
        index = max(shares, key=lambda i: (shares[i], -self._error(i)))
        member, trial = self.fitted[index].member, self.fitted[index].trial
        # Fewer, where there is no time for all of these: cut off at a rate that is meant for more, they are worse.
        share = min(shares[index], 0.9 * seconds / max(trial.seconds, 1e-9))
        rounds = max(1, int(share * member.rounds))
        return shortened(Configuration(member.family, trial.settings, member.link), rounds, share)

    def _share(self, index: int) -> float:
        """How much of a member there may be in `fast`, 0.01 to 1; 0 if that is too much, too."""
        cost, megabytes = self._refitted(index)
        return next((share for share in _SHARES if self._fits(share * cost, share * megabytes)), 0.0)

    def _fits(self, milliseconds: float, megabytes: float) -> bool:
        return row_cost(milliseconds, megabytes) <= _PLANNED * self._row_limit and megabytes <= FAST_MB

    def finish(self) -> dict[Ending, Built]:
        """Make both endings; without the members on a log scale, if a graph with them differs from the models."""
        both = self._both()
        logs = {i for i, fitted in enumerate(self.fitted) if fitted.member.link == "log"}
        inexact = [built for built in both.values() if not built.difference <= _AGREEMENT and logs & built.weights.keys()]
        if inexact and len(logs) < len(self.fitted):
            # Each agreed alone, in its first model, but the exponential of a float32 can be that far off where the tail is very long.
            self.left_out = logs
            self.weights = self._weigh(range(len(self.fitted)))
            both = self._both()
        return both

    def _both(self) -> dict[Ending, Built]:
        chosen = self._fast()
        refits = self._refits.make({i: self.fitted[i] for i in chosen}, chosen, self._export + 3 * self._selection_seconds + 0.3)
        begun = time.monotonic()
        fast = self._build(chosen, {i: [refit.model] for i, refit in refits.items()})
        if self._pace.timed:
            self._costs.learn([member.models for member in fast.ensemble.members], fast.row_ms, time.monotonic() - begun)
        # What is measured differs from run to run, so that a budget of trials goes by the estimate.
        while self._pace.timed and fast.row_ms > self._row_limit and len(fast.weights) > 1:
            # The estimate was too low on this machine: without the dearest.
            members = dict(zip(fast.weights, fast.ensemble.members, strict=True))
            dearest = max(members, key=lambda i: self._costs.trees_ms(members[i].models))
            left = [i for i in members if i != dearest]
            fast = self._build(self._weighed(left), {i: members[i].models for i in left})
        whole = {i: refit.model for i, refit in refits.items() if refit.failure is None}
        weights, bags = self._accurate(whole)
        begun = time.monotonic()
        accurate = self._build(weights, bags, whole)
        for again in (1, 2):
            took = time.monotonic() - begun
            if not self._pace.timed or accurate.row_ms <= ACCURATE_MS or (again > 1 and self._pace.left() < took):
                break
            self._costs.raise_row(max(1.1 * accurate.row_ms / self._bagged(bags, whole)[0], 1.2))
            weights, bags = self._accurate(whole)
            begun = time.monotonic()
            accurate = self._build(weights, bags, whole)
        if not self._pace.timed:
            accurate.cost_ms = self._bagged(bags, whole)[0]
        for built in (accurate, fast):
            built.refits = {i: refits[i].failure for i in built.weights if i in refits}
            built.refit_seconds = self._refits.seconds
        return {"accurate": accurate, "fast": fast}

    # Choosing ---------------------------------------------------------------------------------------------------------

    def _weigh(self, members: Sequence[int]) -> NDArray[np.float64]:
        weights = np.zeros(len(members))
        usable = [place for place, i in enumerate(members) if i not in self.left_out]
        weights[usable] = greedy([self.fitted[members[place]].oof for place in usable], self._problem.truth, self._problem.metric)
        return weights

    def _weighed(self, members: Sequence[int]) -> dict[int, float]:
        return {i: float(weight) for i, weight in zip(members, self._weigh(members), strict=True) if weight > 0}

    def _fast(self) -> dict[int, float]:
        """Members of `fast` with their weights: those of most weight whose cost together is below the limit."""
        key = (len(self.fitted), len(self.left_out), self._costs.state)
        if self._fast_kept[0] != key:
            self._fast_kept = (key, self._chosen_for_fast())
        return self._fast_kept[1]

    def _chosen_for_fast(self) -> dict[int, float]:
        order = [int(i) for i in np.argsort(-self.weights, kind="stable") if self.weights[i] > 0]
        usable = [i for i in range(len(self.fitted)) if i not in self.left_out]
        others = sorted((i for i in usable if i not in order), key=self._error)
        chosen: list[int] = []
        spent, size = 0.0, 0.0
        for index in (*order, *others):
            cost, megabytes = self._refitted(index)
            fits = self._fits(spent + cost, size + megabytes)
            if len(chosen) < _FAST_MEMBERS and fits and (self.weights[index] > 0 or not chosen):
                chosen.append(index)
                spent, size = spent + cost, size + megabytes
        return self._weighed(chosen or [min(usable, key=lambda i: self._refitted(i)[0])])

    def _error(self, index: int) -> float:
        return as_error(self._problem.metric, self.fitted[index].trial.score)

    def _accurate(self, refits: Collection[int]) -> tuple[dict[int, float], dict[int, list[Model]]]:
        """Members of `accurate` with their weights, and their bags beside these refits: fewer where that loses least until the limits are kept."""
        kept = {i: float(w) for i, w in enumerate(self.weights) if w > 0}
        models = {i: list(self.fitted[i].member.models) for i in kept}
        limits = (_PLANNED * ACCURATE_MS, ACCURATE_MB, _EXPORT_SHARE * self._options.seconds if self._pace.timed else float("inf"))
        while True:
            over = [found / limit for found, limit in zip(self._bagged(models, refits), limits, strict=True)]
            if max(over) <= 1:
                return kept, models
            which = int(np.argmax(over))
            share = {
                i: (self._costs.trees_ms(bags), self._costs.megabytes(bags), self._costs.export_seconds(bags))[which]
                for i, bags in models.items()
            }
            many = [i for i in models if len(models[i]) > 1 and share[i] > 0]
            if many:
                # The mean of n bags has a variance of 1 / n of one's: what the ensemble loses for what it saves.
                loss = {i: kept[i] ** 2 / (len(models[i]) * (len(models[i]) - 1)) / (share[i] / len(models[i])) for i in many}
                models[min(many, key=loss.__getitem__)].pop()
            elif len(kept) > 1:
                del models[min(kept, key=lambda i: kept[i] / max(share[i], 1e-9))]
                kept = self._weighed(list(models))
                models = {i: models[i] for i in kept}
            else:
                return kept, models

    def _refitted(self, index: int) -> tuple[float, float]:
        """Milliseconds and megabytes of a member that is fitted on all rows."""
        models = self.fitted[index].member.models
        share = MORE_ROUNDS / len(models)
        return self._costs.trees_ms(models) * share, self._costs.megabytes(models) * share

    def _bagged(self, models: dict[int, list[Model]], refits: Collection[int]) -> tuple[float, float, float]:
        """Milliseconds of one row through these bags and the refits that go with them; megabytes of the bags; seconds of their export."""
        milliseconds = more = megabytes = seconds = 0.0
        for i in refits:
            if i in models:
                cost, size = self._refitted(i)
                milliseconds, more = milliseconds + cost, more + size
        for bags in models.values():
            milliseconds += self._costs.trees_ms(bags)
            megabytes += self._costs.megabytes(bags)
            seconds += self._costs.export_seconds(bags)
        return row_cost(milliseconds, megabytes + more), megabytes, seconds

    # Making -----------------------------------------------------------------------------------------------------------

    def _build(self, members: dict[int, float], models: dict[int, list[Model]], whole: dict[int, Model] | None = None) -> Built:
        """An ending. Of a member that was fitted on all rows as well (`whole`), that model has half the weight, and that of bags left out."""
        problem = self._problem
        chosen = []
        for i, weight in members.items():
            member = self.fitted[i].member
            share = weight
            if whole and i in whole:
                share = weight / 2 * len(models[i]) / len(problem.folds)
                chosen.append(dataclasses.replace(member, weight=weight - share, models=[whole[i]]))
            chosen.append(dataclasses.replace(member, weight=share, models=models[i]))
        together = blend([self.fitted[i].oof for i in members], np.array(list(members.values())))
        temperature = fit_temperature(together, problem.truth) if problem.classes else 1.0
        if problem.classes:
            together = tempered(together, temperature)
        factors = fit_factors(problem.metric, problem.truth, together)
        score = METRICS[problem.metric](problem.truth, as_counted(problem.metric, together, factors))
        ensemble, onnx = self._graph(chosen, temperature, factors)
        row_ms, difference = self._measured(ensemble, onnx)
        return Built(ensemble, onnx, row_ms, score, dict(members), row_ms, difference)

    def _graph(self, members: list[Member], temperature: float, factors: tuple[float, ...] = ()) -> tuple[Ensemble, bytes]:
        ensemble = Ensemble(members, self._problem.classes, temperature, factors)
        return ensemble, ensemble.to_onnx(self._problem.pool.features.shape[1]).SerializeToString()

    def _measured(self, ensemble: Ensemble, onnx: bytes) -> tuple[float, float]:
        """Milliseconds of one row, and the largest difference of the graph and the native models on some rows, in the unit of `_AGREEMENT`."""
        session = session_of(onnx)
        pool = self._problem.pool
        some = np.ascontiguousarray(pool.features[self._compared])
        native = ensemble.predict(some)
        served = session.run(None, {"features": some})[0].astype(np.float64).reshape(native.shape)
        scale = 1.0 if self._problem.classes else float(np.std(pool.target)) or 1.0
        return _row_ms(session, some), float(np.abs(served - native).max()) / scale

    @cached_property
    def _compared(self) -> NDArray[np.int64]:
        """Rows spread over the table, and those of the largest targets, where a float32 is coarsest."""
        target = self._problem.pool.target
        spread = np.arange(0, len(target), max(1, len(target) // _COMPARED))
        if self._problem.classes:
            return spread
        most = min(_EXTREMES, len(target))
        return np.concatenate([spread, np.argpartition(np.abs(target), -most)[-most:]])


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
