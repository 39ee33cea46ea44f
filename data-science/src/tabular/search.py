"""The AutoML search: a portfolio of configurations, each bagged over folds, and an ensemble of what they predict out of fold.

Configurations come in the fixed order of `portfolio`; with time left, neighbours of what works are tried. Every member's out-of-fold
predictions are kept, and greedy selection on them gives the weights (as in AutoGluon-Tabular, Erickson et al. 2020). The search ends in two
forms: `fast` is a few members fitted once more on all rows, `accurate` the bagged ensemble with those refits among its models. Small
tables get more folds; a large one, or one that is split by time, is judged on its validation rows alone.
"""

from __future__ import annotations

import dataclasses
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from .contract import Task
from .ensemble import Ensemble, Member, Predictions, blend, fit_temperature, from_raw, greedy, tempered
from .errors import DataError
from .families import Budget, Model, Table, TrainingData, module
from .graph import Link
from .metrics import METRICS, as_error
from .onnx_session import session_of
from .portfolio import NEEDED, Configuration, neighbour, portfolio
from .project import RISING, Search

Ending = Literal["accurate", "fast"]
ACCURATE_MS: Final = 1.7
"""Milliseconds that one row may cost in `accurate`; members are left out until it does."""
FAST_MS: Final = 0.25
"""The same of `fast`, if the project's limit is not lower."""
_FAST_MEMBERS: Final = 3
_MORE_ROUNDS: Final = 1.1
"""A refit has the rows that a fold held back, and needs so many more iterations."""
_HOLDOUT_ROWS: Final = 250_000
_FOLDS: Final = ((5_000, 8), (30_000, 5), (_HOLDOUT_ROWS, 4))
"""Up to so many rows, so many folds."""
_SKEWED: Final = 1.0
_LEAST: Final = 0.3
_AGREEMENT: Final = 5e-5
"""Largest difference of graph and native models in deviations of the target, or in probability; half of what `predict` allows."""
_COMPARED: Final = 300
_TREE_US: Final = {"lightgbm": 0.08, "xgboost": 0.08, "catboost": 0.08, "extra_trees": 0.4}
"""Microseconds of a tree for one row, until it is measured; 15 for a model of layers."""
_EXPORT_S: Final = 0.00015
"""Seconds that a tree takes to be exported and measured."""


@dataclass(frozen=True)
class Trial:
    """A line of the leaderboard: a member, or one of the two endings.

    Attributes:
        number: in the order tried, from 1; 0 for an ending.
        family: with "(log)" if it was fitted on a log scale; "ensemble (accurate)" and "ensemble (fast)" for the endings.
        score: the project's metric on rows that no model of it was trained on; NaN if it failed. What was fitted once more on all rows
            has no such rows: an ending's score is that of its members as they were before.
        seconds: wall-clock time of the fit.
        trees: how many the model has.
        stopped: whether the time was up before early stopping said enough.
        failure: why it gave no model; None if it did.
        weight: in the accurate ensemble, 0 to 1.
        row_ms: median time of one row through the ONNX graph, in milliseconds; of endings alone.
        megabytes: of the ONNX file; of endings alone.
    """

    number: int
    family: str
    score: float
    seconds: float
    trees: int
    stopped: bool
    settings: dict[str, Any] = field(default_factory=dict)
    failure: str | None = None
    weight: float = 0.0
    row_ms: float | None = None
    megabytes: float | None = None


@dataclass
class Built:
    """An ending with its ONNX file."""

    ensemble: Ensemble
    onnx: bytes
    row_ms: float
    score: float
    weights: dict[int, float]
    """Number of a member in the order fitted → its weight."""


@dataclass
class Found:
    """What a search found.

    Attributes:
        model: the ending chosen.
        best: its line of the leaderboard.
        leaderboard: the endings, then every member, best first.
        endings: both.
        metric: of all scores: the one asked for, or another where that one is no number on the rows that are judged.
    """

    model: Ensemble
    ending: Ending
    best: Trial
    leaderboard: list[Trial]
    endings: dict[Ending, Built]
    seconds: float
    metric: str


Progress = Callable[[float, str, Trial | None], None]
"""Called with seconds used, what is being tried, and the best so far."""


def search(
    data: TrainingData, options: Search, *, begun: float | None = None, progress: Progress | None = None, row_ms: float | None = None,
    holdout: bool = False,
) -> Found:  # fmt: skip
    """Search within `options.seconds` of wall-clock time, or `options.budget_trials` members if they are given: then the same each time.

    Args:
        data: training and validation rows; all are trained on, each is judged by models that were not.
        options: the `search` section of project.yml.
        begun: `time.monotonic()` from which the budget counts; now, if None.
        progress: told before each trial.
        row_ms: milliseconds that one row may cost: `accurate` is chosen if it keeps them.
        holdout: judge by the validation rows alone, because they are later ones.

    Raises:
        DataError: the target has one value only.
        RuntimeError: no family gave a model.
    """
    return _Search(data, options, begun, progress, row_ms, holdout=holdout).run()


@dataclass
class _Fitted:
    member: Member
    oof: Predictions
    trial: Trial
    model_seconds: float


class _Search:
    def __init__(
        self, data: TrainingData, options: Search, begun: float | None, progress: Progress | None, row_ms: float | None, *, holdout: bool
    ) -> None:
        self.options = options
        self.start = time.monotonic() if begun is None else begun
        self.timed = options.budget_trials is None
        # What is left is for writing the candidate.
        self.end = self.start + max(0.97 * options.seconds - 0.7, 0.5 * options.seconds)
        self.progress = progress
        self.limit = row_ms
        self.data = data
        self.pool = _pooled(data, balanced=options.class_weight == "balanced")
        _check(self.pool.target, data.task)
        self.folds, self.judged = _folds(data, self.pool.target, options.seed, self._most_folds(), holdout=holdout)
        self.truth = self.pool.target[self.judged]
        self.metric = _selectable(options.metric, data, self.truth)
        self.fast_kept: dict[float, dict[int, float]] = {}
        self.selection_seconds = 0.0
        self.random = np.random.default_rng(options.seed)
        self.fitted: list[_Fitted] = []
        self.trials: list[Trial] = []
        self.weights = np.zeros(0)
        self.score = float("nan")
        self.since_better = 0
        self.speed: dict[str, tuple[float, float]] = {}
        self.cost_factor = 1.0

    def _most_folds(self) -> int:
        """By the number of rows; fewer where the time would not be enough for several members."""
        rows = len(self.pool.target)
        if rows > _HOLDOUT_ROWS:
            return 1
        count = next(folds for most, folds in _FOLDS if rows <= most)
        if not self.timed or "lightgbm" not in self.options.families:
            return count
        family, settings = module("lightgbm"), dict(portfolio(("lightgbm",), log=False)[0].settings)
        begun = time.monotonic()
        try:
            family.fit(self.data, settings, Budget(None, self.options.threads, trees=20))
        except Exception:  # noqa: BLE001 - the trial itself will say why
            return count
        fit = (time.monotonic() - begun) * NEEDED["lightgbm"] / settings["learning_rate"] / 20
        least = 5 if rows <= _FOLDS[0][0] else 3  # Of a small table a fold takes rows that are missed more than the time.
        while count > least and fit * count > 0.12 * self.options.seconds:
            count -= 1
        return count

    # The loop ---------------------------------------------------------------------------------------------------------

    def run(self) -> Found:
        waiting = portfolio(self.options.families, log=self._is_long_tailed())
        count = 0
        while not self._is_enough(count):
            configuration = self._next(waiting)
            if configuration is None:
                break
            if self.progress:
                best = Trial(0, "ensemble", self.score, 0.0, 0, stopped=False) if self.fitted else None
                self.progress(time.monotonic() - self.start, configuration.name, best)
            count += 1
            self._try(configuration, count)
            if not self.fitted and not waiting:
                break
        if not self.fitted:
            raise RuntimeError(f"no model family could be trained: {self._reasons()}")
        if self.progress:
            best = Trial(0, "ensemble", self.score, 0.0, 0, stopped=False)
            self.progress(time.monotonic() - self.start, "both endings", best)
        return self._finish()

    def _reasons(self) -> str:
        return "; ".join(f"{t.family}: {t.failure}" for t in self.trials)

    def _left(self) -> float:
        return self.end - self._reserve() - time.monotonic() if self.timed else float("inf")

    def _reserve(self) -> float:
        """Seconds that the endings will need."""
        if not self.fitted:
            return 0.1 * self.options.seconds
        selection = 3 * self.selection_seconds
        refits = sum(1.35 * self.fitted[i].model_seconds for i in self._fast(self._row_limit()))
        trees = sum(f.member.size for f, w in zip(self.fitted, self.weights, strict=True) if w > 0)
        return 0.4 + selection + 0.02 * self.options.seconds + min(refits, 0.15 * self.options.seconds) + trees * _EXPORT_S

    def _is_enough(self, count: int) -> bool:
        options = self.options
        if count and options.budget_trials is not None and count >= options.budget_trials:
            return True
        if not self.fitted:
            return False
        if options.trials is not None and count >= options.trials:
            return True
        if options.exit_score is not None and as_error(self.metric, self.score) <= as_error(self.metric, options.exit_score):
            return True
        if options.patience is not None and self.since_better >= options.patience:
            return True
        return self._left() < _LEAST

    def _next(self, waiting: list[Configuration]) -> Configuration | None:
        """The next configuration that there is time for."""
        while waiting:
            configuration = waiting.pop(0)
            if not self.fitted or 0.6 * self._expected(configuration) <= self._left():
                return configuration
        order = [int(i) for i in np.argsort(-self.weights, kind="stable") if self.fitted[i].member.family != "linear"]
        for _ in range(20 if order else 0):
            rank = min(int(self.random.geometric(0.4)) - 1, len(order) - 1)
            parent = self.fitted[order[rank]]
            configuration = neighbour(Configuration(parent.member.family, parent.trial.settings, parent.member.link), self.random)
            if 0.8 * self._expected(configuration) <= self._left():
                return configuration
        return None

    def _expected(self, configuration: Configuration) -> float:
        """Seconds that a member takes, going by those that were not cut short, or by the first one."""
        if not self.timed or not self.fitted:
            return 0.0
        if configuration.family == "linear":
            # Up to 200 passes over the features for every class, at a few billion operations per second; a regression takes one.
            cells = self.pool.features.size * len(self.folds)
            return cells * (200 * self.data.classes if self.data.classes else 20) / 1e9
        same = [f.trial.seconds for f in self.fitted if f.member.family == configuration.family]
        whole = [f.trial.seconds for f in self.fitted if f.member.family == configuration.family and not f.trial.stopped]
        if same:
            return statistics.median(whole) if whole else 0.7 * max(same)
        return self.fitted[0].trial.seconds

    def _allowance(self, configuration: Configuration) -> float:
        """Seconds that a member may take: a share of what is left, so that a long one does not starve those after it, or what it needs."""
        left = self._left()
        if not self.fitted:
            return left * (0.25 if len(self.options.families) > 1 else 0.7)
        share = 0.4 if configuration.family == "catboost" else 0.25
        return max(left * share, min(left, 1.3 * self._expected(configuration)))

    def _is_long_tailed(self) -> bool:
        target = self.pool.target
        if self.data.task != "regression" or np.min(target) < 0:
            return False
        skew, log_skew = _skewness(target), _skewness(np.log1p(target))
        return skew > _SKEWED and abs(log_skew) < skew

    # A member ---------------------------------------------------------------------------------------------------------

    def _try(self, configuration: Configuration, number: int) -> None:
        begun = time.monotonic()
        try:
            fitted = self._fit(configuration, number)
        except Exception as error:  # noqa: BLE001 - one library's failure on a strange table must not end the search; it is on the leaderboard
            words = str(error).splitlines()[0] if str(error) else ""
            failure = f"{type(error).__name__}: {words}"
            seconds = time.monotonic() - begun
            settings = configuration.settings
            self.trials.append(
                Trial(number, configuration.name, float("nan"), seconds, 0, stopped=False, settings=settings, failure=failure)
            )
            return
        if not np.isfinite(fitted.oof).all():
            self.trials.append(dataclasses.replace(fitted.trial, score=float("nan"), failure="predicts what is not a number"))
            return
        self.trials.append(fitted.trial)
        self.fitted.append(fitted)
        metric = self.metric
        now = time.monotonic()
        self.weights = greedy([f.oof for f in self.fitted], self.truth, metric)
        self.selection_seconds = time.monotonic() - now
        self.fast_kept.clear()
        score = METRICS[metric](self.truth, blend([f.oof for f in self.fitted], self.weights))
        better = not np.isfinite(self.score) or as_error(metric, score) < as_error(metric, self.score)
        self.since_better = 0 if better else self.since_better + 1
        self.score = score

    def _fit(self, configuration: Configuration, number: int) -> _Fitted:
        begun = time.monotonic()
        family = module(configuration.family)
        until = begun + max(self._allowance(configuration), _LEAST)
        target, shift, scale = self._target(configuration.link)
        settings = self._affordable(family, configuration, target, (until - begun) / len(self.folds))
        oof = np.full((len(target), self.data.classes) if self.data.classes else len(target), np.nan)
        models: list[Model] = []
        stopped = False
        for fold, (train, watched) in enumerate(self.folds):
            now = time.monotonic()
            deadline = now + max(until - now, 0.02) / (len(self.folds) - fold) if self.timed else None
            if deadline is not None and self.options.trial_seconds is not None:
                deadline = min(deadline, begun + self.options.trial_seconds * (fold + 1) / len(self.folds))
            budget = Budget(deadline, self.options.threads, self.options.seed + 1000 * number + fold)
            rows = dataclasses.replace(self.data, train=_rows(self.pool, train, target), validation=_rows(self.pool, watched, target))
            model: Model = family.fit(rows, dict(settings), budget)
            stopped |= deadline is not None and time.monotonic() >= deadline
            models.append(model)
            raw = model.raw(self.pool.features[watched])
            predicted = from_raw(raw, model.transform, configuration.link, shift, scale)
            if predicted.shape != oof[watched].shape:
                raise ValueError("the rows it was trained on lack a class")
            oof[watched] = predicted
        member = Member(configuration.family, dict(settings), models, configuration.link, shift, scale)
        judged = oof[self.judged]
        score = METRICS[self.metric](self.truth, judged)
        seconds = time.monotonic() - begun
        trial = Trial(number, configuration.name, score, seconds, member.size, stopped, dict(settings))
        return _Fitted(member, judged, trial, seconds / len(self.folds))

    def _target(self, link: Link) -> tuple[NDArray[np.float64], float, float]:
        """The target as the models see it, and how theirs becomes the project's: of mean 0 and deviation 1 for a regression."""
        target = self.pool.target
        if self.data.task != "regression":
            return target, 0.0, 1.0
        values = np.log1p(target) if link == "log" else target
        shift, scale = float(values.mean()), float(values.std())
        return (values - shift) / scale, shift, scale

    def _affordable(self, family: Any, configuration: Configuration, target: NDArray[np.float64], seconds: float) -> dict[str, Any]:
        """The settings, with a learning rate at which a fit is done in its time: half a fit at a small rate is worse than all of one at a larger."""
        settings = dict(configuration.settings)
        if not self.timed or configuration.family not in NEEDED:
            return settings
        form = settings.get("num_leaves") or settings.get("depth") or settings.get("max_depth")
        key = f"{configuration.family} {form}"
        if key not in self.speed:
            train, _ = self.folds[0]
            rows = dataclasses.replace(self.data, train=_rows(self.pool, train, target))
            taken, rounds = [], []
            for trees in (3, 13):
                now = time.monotonic()
                model = family.fit(rows, dict(settings), Budget(now + 0.3 * seconds, self.options.threads, trees=trees))
                taken.append(time.monotonic() - now)
                rounds.append(model.rounds)
            each = max((taken[1] - taken[0]) / max(rounds[1] - rounds[0], 1), 1e-5)
            self.speed[key] = max(taken[0] - rounds[0] * each, 0.0), each
        fixed, each = self.speed[key]
        possible = max((seconds - fixed) / (1.15 * each), 10.0)
        needed = NEEDED[configuration.family] / settings["learning_rate"]
        settings["learning_rate"] = float(min(max(settings["learning_rate"] * needed / possible, settings["learning_rate"]), 0.3))
        return settings

    # The endings ------------------------------------------------------------------------------------------------------

    def _row_limit(self) -> float:
        return min(FAST_MS, self.limit or FAST_MS)

    def _cost(self, index: int, *, bags: bool) -> float:
        """Milliseconds for one row."""
        member = self.fitted[index].member
        if member.family in ("linear", "neural"):
            return 0.015 * (len(member.models) if bags else 1) * self.cost_factor
        trees = member.size if bags else member.size / len(member.models) * _MORE_ROUNDS
        wide = max(1, self.data.classes) if member.family == "catboost" and self.data.classes > 2 else 1
        return trees * wide * _TREE_US[member.family] / 1000 * self.cost_factor

    def _fast(self, limit: float) -> dict[int, float]:
        """Members of `fast` with their weights: those of most weight whose cost together is below the limit."""
        if limit in self.fast_kept:
            return self.fast_kept[limit]
        order = [int(i) for i in np.argsort(-self.weights, kind="stable") if self.weights[i] > 0]
        others = sorted((i for i in range(len(self.fitted)) if i not in order), key=self._error)
        chosen: list[int] = []
        spent = 0.02
        for index in (*order, *others):
            cost = self._cost(index, bags=False)
            if len(chosen) < _FAST_MEMBERS and spent + cost <= limit and (self.weights[index] > 0 or not chosen):
                chosen.append(index)
                spent += cost
        if not chosen:
            chosen = [min(range(len(self.fitted)), key=lambda i: self._cost(i, bags=False))]
        weights = greedy([self.fitted[i].oof for i in chosen], self.truth, self.metric)
        self.fast_kept[limit] = {index: float(weight) for index, weight in zip(chosen, weights, strict=True) if weight > 0}
        return self.fast_kept[limit]

    def _error(self, index: int) -> float:
        return as_error(self.metric, self.fitted[index].trial.score)

    def _accurate(self, limit: float) -> tuple[dict[int, float], dict[int, list[Model]]]:
        """Members of `accurate` with their weights, and their bags: fewer of the dearest until one row costs less than the limit."""
        kept = {i: float(w) for i, w in enumerate(self.weights) if w > 0}
        models = {i: list(self.fitted[i].member.models) for i in kept}
        while self._bagged_cost(models) > limit:
            many = [i for i in models if len(models[i]) > 1]
            if many:
                models[max(many, key=lambda i: self._bagged_cost({i: models[i]}))].pop()
            elif len(kept) > 1:
                least = min(kept, key=lambda i: kept[i] / self._bagged_cost({i: models[i]}))
                del models[least]
                names = list(models)
                weights = greedy([self.fitted[i].oof for i in names], self.truth, self.metric)
                kept = {i: float(w) for i, w in zip(names, weights, strict=True) if w > 0}
                models = {i: models[i] for i in kept}
            else:
                break
        return kept, models

    def _bagged_cost(self, models: dict[int, list[Model]]) -> float:
        """Milliseconds for one row through these bags."""
        return 0.02 + sum(self._cost(i, bags=True) * len(m) / len(self.fitted[i].member.models) for i, m in models.items())

    def _build(self, members: dict[int, float], models: dict[int, list[Model]], whole: dict[int, Model] | None = None) -> Built:
        """An ending. Of a member that was fitted on all rows as well (`whole`), that model has half the weight."""
        chosen = []
        for i, weight in members.items():
            member = self.fitted[i].member
            share = weight / 2 if whole and i in whole else weight
            if whole and i in whole:
                chosen.append(dataclasses.replace(member, weight=share, models=[whole[i]]))
            chosen.append(dataclasses.replace(member, weight=share, models=models[i]))
        together = blend([self.fitted[i].oof for i in members], np.array(list(members.values())))
        temperature = fit_temperature(together, self.truth) if self.data.classes else 1.0
        if self.data.classes:
            together = tempered(together, temperature)
        ensemble = Ensemble(chosen, self.data.classes, temperature)
        onnx = ensemble.to_onnx(self.pool.features.shape[1]).SerializeToString()
        row_ms, difference = self._measured(ensemble, onnx)
        logs = [i for i in members if self.fitted[i].member.link == "log"]
        others = [i for i in members if i not in logs] or [i for i in range(len(self.fitted)) if self.fitted[i].member.link != "log"][:1]
        if difference > _AGREEMENT and logs and others:
            # The exponential of a float32 can be that far off where the tail is very long: without what is on a log scale.
            weights = greedy([self.fitted[i].oof for i in others], self.truth, self.metric)
            left = {i: float(w) for i, w in zip(others, weights, strict=True) if w > 0}
            return self._build(left, {i: models.get(i, self.fitted[i].member.models[:1]) for i in left}, whole)
        return Built(ensemble, onnx, row_ms, METRICS[self.metric](self.truth, together), dict(members))

    def _measured(self, ensemble: Ensemble, onnx: bytes) -> tuple[float, float]:
        """Milliseconds of one row, and the largest difference of the graph and the native models on some rows, in the unit of `_AGREEMENT`."""
        session = session_of(onnx)
        every = max(1, len(self.pool.features) // _COMPARED)
        some = np.ascontiguousarray(self.pool.features[::every])
        native = ensemble.predict(some)
        served = session.run(None, {"features": some})[0].astype(np.float64).reshape(native.shape)
        scale = 1.0 if self.data.classes else float(np.std(self.pool.target)) or 1.0
        return _row_ms(session, some), float(np.abs(served - native).max()) / scale

    def _finish(self) -> Found:
        fast = self._fast(self._row_limit())
        whole = {i: self._refit(self.fitted[i], position, len(fast)) for position, i in enumerate(fast)}
        built_fast = self._build(fast, {i: [model] for i, model in whole.items()})
        whole = {i: model for i, model in whole.items() if model is not self.fitted[i].member.models[0]}
        fast = built_fast.weights
        # What is measured differs from run to run, so that a budget of trials goes by the estimate.
        while self.timed and built_fast.row_ms > self._row_limit() and len(fast) > 1:
            # The estimate was too low on this machine: without the dearest.
            dearest = max(fast, key=lambda i: self._cost(i, bags=False))
            left = [i for i in fast if i != dearest]
            kept = {i: m.models for i, m in zip(fast, built_fast.ensemble.members, strict=True)}
            weights = greedy([self.fitted[i].oof for i in left], self.truth, self.metric)
            built_fast = self._build({i: float(w) for i, w in zip(left, weights, strict=True) if w > 0}, kept)
            fast = built_fast.weights
        accurate, bags = self._accurate(ACCURATE_MS)
        built = self._build(accurate, bags, whole)
        if self.timed and built.row_ms > ACCURATE_MS:
            self.cost_factor *= built.row_ms / self._bagged_cost(bags)
            accurate, bags = self._accurate(ACCURATE_MS)
            built = self._build(accurate, bags, whole)
        accurate = built.weights
        endings: dict[Ending, Built] = {"accurate": built, "fast": built_fast}
        cost = built.row_ms if self.timed else self._bagged_cost({i: bags[i] for i in accurate if i in bags})
        ending: Ending = "accurate" if self.limit is None or cost <= self.limit else "fast"
        if self.options.ending != "auto":
            ending = self.options.ending
        lines = {name: self._line(name, one, accurate if name == "accurate" else fast) for name, one in endings.items()}
        members = [dataclasses.replace(t, weight=self._weight_of(t, accurate)) for t in self.trials]
        metric = self.metric
        members.sort(key=lambda t: (not np.isfinite(t.score), as_error(metric, t.score) if np.isfinite(t.score) else 0.0))
        board = [lines[ending], *(line for name, line in lines.items() if name != ending), *members]
        return Found(endings[ending].ensemble, ending, lines[ending], board, endings, time.monotonic() - self.start, self.metric)

    def _line(self, name: str, built: Built, members: dict[int, float]) -> Trial:
        seconds = sum(self.fitted[i].trial.seconds for i in members)
        settings = {"members": [{"family": self.fitted[i].trial.family, "weight": round(w, 4)} for i, w in members.items()]}
        size = len(built.onnx) / 1e6
        return Trial(0, f"ensemble ({name})", built.score, seconds, built.ensemble.size, stopped=False, settings=settings, weight=1.0,
                     row_ms=round(built.row_ms, 4), megabytes=round(size, 3))  # fmt: skip

    def _weight_of(self, trial: Trial, members: dict[int, float]) -> float:
        return next((round(w, 4) for i, w in members.items() if self.fitted[i].trial.number == trial.number), 0.0)

    def _refit(self, fitted: _Fitted, position: int, count: int) -> Model:
        """One model on all rows, or where there is no time for it the model of the first fold."""
        first = fitted.member.models[0]
        deadline = None
        if self.timed:
            left = self.end - time.monotonic() - 0.01 * self.options.seconds
            if left / (count - position) < 0.7 * fitted.model_seconds:
                return first
            deadline = time.monotonic() + left / (count - position)
        target, _, _ = self._target(fitted.member.link)
        everything = np.arange(len(target))
        rows = dataclasses.replace(self.data, train=_rows(self.pool, everything, target))
        budget = Budget(
            deadline, self.options.threads, self.options.seed + fitted.trial.number, max(1, round(_MORE_ROUNDS * fitted.member.rounds))
        )
        model: Model = module(fitted.member.family).fit(rows, dict(fitted.trial.settings), budget)
        return model if model.rounds > 0.8 * fitted.member.rounds else first


def _selectable(metric: str, data: TrainingData, truth: NDArray[np.float64]) -> str:
    """The metric, or the task's usual one if it is no number on these rows, as ROC-AUC where a class is absent or R² of a constant."""
    random = np.random.default_rng(0)
    any_answer = random.dirichlet(np.ones(data.classes), len(truth)) if data.classes else random.normal(size=len(truth))
    return metric if np.isfinite(METRICS[metric](truth, any_answer)) else "log_loss" if data.classes else "rmse"


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


def _pooled(data: TrainingData, *, balanced: bool) -> Table:
    """Training and validation rows as one table, in that order."""
    features = np.concatenate([data.train.features, data.validation.features])
    target = np.concatenate([data.train.target, data.validation.target])
    if not balanced or not data.classes:
        return Table(features, target)
    counts = np.bincount(target.astype(np.int64), minlength=data.classes)
    weights = len(target) / (np.maximum(counts, 1) * max(1, int((counts > 0).sum())))
    return Table(features, target, weights[target.astype(np.int64)])


def _rows(pool: Table, rows: NDArray[np.int64], target: NDArray[np.float64]) -> Table:
    return Table(pool.features[rows], target[rows], None if pool.weights is None else pool.weights[rows])


def _check(target: NDArray[np.float64], task: Task) -> None:
    if len(np.unique(target[:1000])) == 1 and np.all(target == target[0]):
        what = f"the value {target[0]:g}" if task == "regression" else "one class"
        raise DataError(
            f"the target has {what} in all {len(target):,} rows that can be trained on, so there is nothing to learn; look at the data"
        )


def _folds(
    data: TrainingData, target: NDArray[np.float64], seed: int, most: int, *, holdout: bool
) -> tuple[list[tuple[NDArray[np.int64], NDArray[np.int64]]], NDArray[np.int64]]:
    """Rows to fit and rows to predict of every fold, and the rows that are judged."""
    rows, known = len(target), len(data.train.target)
    everything = np.arange(rows)
    if holdout or rows > _HOLDOUT_ROWS:
        return [(everything[:known], everything[known:])], everything[known:]
    count = min(most, rows)
    if data.classes:
        # At least two classes have a row in every fold.
        count = max(2, min(count, int(np.sort(np.bincount(target.astype(np.int64), minlength=data.classes))[-2])))
    random = np.random.default_rng(seed)
    # Neighbours in the target's order go to different folds: every fold has its share of each class and of the long tail.
    order = np.lexsort((random.permutation(rows), target))
    fold = np.empty(rows, dtype=np.int64)
    for start in range(0, rows, count):
        block = order[start : start + count]
        fold[block] = random.permutation(count)[: len(block)]
    if data.classes:
        # A class with fewer rows than folds is always trained on: a fold without it would know fewer classes.
        sizes = np.bincount(target.astype(np.int64), minlength=data.classes)
        fold[sizes[target.astype(np.int64)] < count] = -1
        for label in range(data.classes):
            mine = target == label
            if len(np.unique(fold[mine])) == 1:  # All of its rows in one fold, which would be predicted by models that do not know it.
                fold[mine] = -1
    folds = [(np.flatnonzero(fold != k), np.flatnonzero(fold == k)) for k in range(count)]
    return [pair for pair in folds if len(pair[1])], np.flatnonzero(fold >= 0)


def _skewness(values: NDArray[np.float64]) -> float:
    deviation = values.std()
    return float(np.mean(((values - values.mean()) / deviation) ** 3)) if deviation > 0 else 0.0


def leaderboard_table(trials: Sequence[Trial], metric: str, unit: str) -> str:
    """The leaderboard as aligned text, best first."""
    arrow = "higher is better" if metric in RISING else "lower is better"
    head = f"{'':2}{'#':>3}  {'model':<21}  {f'{metric} {unit}'.strip():>14}  {'weight':>6}  {'fit s':>6}  {'trees':>6}  {'row ms':>6}  {'MB':>6}"
    lines = [f"{metric} on rows not trained on ({arrow})", head]
    for rank, t in enumerate(trials):
        mark = "★ " if rank == 0 else "  "
        note = f"  failed: {t.failure}" if t.failure else "  time was up" if t.stopped else ""
        weight = f"{t.weight:.2f}" if t.weight else ""
        row = f"{t.row_ms:.3f}" if t.row_ms is not None else ""
        size = f"{t.megabytes:.1f}" if t.megabytes is not None else ""
        line = f"{mark}{t.number or '':>3}  {t.family:<21}  {t.score:>14.4f}  {weight:>6}  {t.seconds:>6.1f}  {t.trees:>6}  {row:>6}  {size:>6}{note}"
        lines.append(line.rstrip())
    return "\n".join(lines)


def baseline(task: Task, data: TrainingData, metric: str) -> float:
    """The metric on the validation rows of always saying the training mean (or the class shares)."""
    target, actual = data.train.target, data.validation.target
    if task == "regression":
        constant = np.full(len(actual), np.median(target) if metric in ("mae", "median_absolute_error") else target.mean())
    else:
        shares = np.bincount(target.astype(np.int64), minlength=data.classes) / len(target)
        constant = np.tile(shares, (len(actual), 1))
    return METRICS[metric](actual, constant)
