"""The AutoML search: a portfolio of configurations, each bagged over folds, and an ensemble of what they predict out of fold.

Configurations come in the fixed order of `portfolio`; with time left, neighbours of what works are tried. Every member's out-of-fold
predictions are kept, and greedy selection on them gives the weights (as in AutoGluon-Tabular, Erickson et al. 2020). The search ends in two
forms: `fast` is a few members fitted once more on all rows, `accurate` the bagged ensemble with those refits among its models. Small
tables get more folds; a large one, or one that is split by time, is judged on its validation rows alone, and so is one of too many
columns or classes for the time.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from .endings import Built, Ending, Endings
from .ensemble import Ensemble, Member, fit_temperature, from_raw
from .errors import DataError
from .factors import score_called
from .families import Budget, Model, TrainingData, module
from .folds import is_long_tailed, problem_of
from .leaderboard import FittedMember, Trial
from .metrics import as_error
from .pace import LEAST, Pace
from .portfolio import Configuration, neighbour, portfolio
from .project import Search


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


_INEXACT: Final = "its ONNX graph differs: the target's tail is too long for float32"
_LATE: Final = 0.25
"""Share of the time with which nothing is refused for being slow any more, if there is no member yet."""
Progress = Callable[[float, str, Trial | None, str], None]
"""Called with seconds used, what is being tried, the best so far, and the metric of its score (see `Found.metric`)."""


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
        DataError: the target has one value only, no class has two rows, or no family gave a model.
    """
    return _Search(data, options, begun, progress, row_ms, holdout=holdout).run()


class _Search:
    def __init__(
        self, data: TrainingData, options: Search, begun: float | None, progress: Progress | None, row_ms: float | None, *, holdout: bool
    ) -> None:
        self.options = options
        self.pace = Pace(options, begun)
        folds = 1 if holdout else self.pace.folds(data)
        self.problem = problem_of(data, options, folds, holdout=folds == 1)
        self.endings = Endings(self.problem, options, self.pace, row_ms)
        self.progress = progress
        self.limit = row_ms
        self.random = np.random.default_rng(options.seed)
        self.trials: list[Trial] = []
        self.since_better = 0
        self.waiting: list[Configuration] = []
        self.failed: set[str] = set()  # Families of which some member gave no model.
        self.slow: set[str] = set()  # Of these, the ones that there was no time for.

    @property
    def fitted(self) -> list[FittedMember]:
        return self.endings.fitted

    # The loop ---------------------------------------------------------------------------------------------------------

    def run(self) -> Found:
        problem = self.problem
        self.waiting = portfolio(self.options.families, classes=problem.classes, log=is_long_tailed(problem.data, problem.pool.target))
        count = 0
        while not self._is_enough(count):
            configuration = self._next()
            if configuration is None:
                break
            self._tell(configuration.name)
            count += 1
            self._try(configuration, count)
            if not self.fitted and not self.waiting:
                break
        if not self.fitted:
            reasons = "; ".join(f"{t.family}: {t.failure}" for t in self.trials)
            raise DataError(f"no model family could be trained: {reasons}")
        left = self._left() + self.endings.for_shorter
        shorter = self.endings.shorter(left) if self.options.ending != "accurate" and left >= LEAST else None
        if shorter is not None:
            self._tell(shorter.name)
            self._try(shorter, count + 1)
        self._tell("both endings")
        return self._finish()

    def _tell(self, what: str) -> None:
        if self.progress:
            best = Trial(0, "ensemble", self.endings.score, 0.0, 0, stopped=False) if self.fitted else None
            self.progress(self.pace.used(), what, best, self.problem.metric)

    def _left(self) -> float:
        return self.pace.left() - self.endings.reserve

    def _expected(self, configuration: Configuration) -> float:
        return self.pace.expected(configuration, self.fitted, self.problem)

    def _is_enough(self, count: int) -> bool:
        options, metric, score = self.options, self.problem.metric, self.endings.score
        if count and options.budget_trials is not None and count >= options.budget_trials:
            return True
        if options.trials is not None and count >= options.trials:
            return True
        if not self.fitted:
            return count > 0 and not self.waiting  # A late model is better than none.
        # What was asked for is a number of the metric asked for, which another may stand for.
        asked = options.exit_score if metric == options.metric else None
        if asked is not None and as_error(metric, score) <= as_error(metric, asked):
            return True
        if options.patience is not None and self.since_better >= options.patience:
            return True
        return self._left() < LEAST

    def _next(self) -> Configuration | None:
        """The next configuration that there is time for."""
        while self.waiting:
            configuration = self.waiting.pop(0)
            new = configuration.family not in {f.member.family for f in self.fitted}
            if configuration.family in self.slow and new and not self._needed(configuration):
                continue
            # What can be cut off needs most of its time, but a linear model a few of its many passes.
            share = 0.6
            if configuration.family == "linear":
                share = 0.1 if self.problem.classes else 1.0
            if not self.fitted or share * self._expected(configuration) <= self._left():
                return configuration
        order = [int(i) for i in np.argsort(-self.endings.weights, kind="stable") if self._has_neighbours(self.fitted[i].member.family)]
        for _ in range(20 if order else 0):
            rank = min(int(self.random.geometric(0.4)) - 1, len(order) - 1)
            parent = self.fitted[order[rank]]
            configuration = neighbour(Configuration(parent.member.family, parent.trial.settings, parent.member.link), self.random)
            if 0.8 * self._expected(configuration) <= self._left():
                return configuration
        return None

    def _has_neighbours(self, family: str) -> bool:
        """Those of a linear model differ from it in nothing, and of a family that was too slow they are too slow, too."""
        return family != "linear" and family not in self.slow

    def _needed(self, configuration: Configuration) -> bool:
        """Whether a member has to do however slow it is: there is none yet, and it is late, or none will come of a family that did not fail."""
        last = self.options.trials is not None and len(self.trials) + 1 >= self.options.trials
        failed = {configuration.family, *self.failed}
        late = self.pace.left() < _LATE * self.options.seconds
        return not self.fitted and (last or late or all(c.family in failed for c in self.waiting))

    # A member ---------------------------------------------------------------------------------------------------------

    def _try(self, configuration: Configuration, number: int) -> None:
        begun = time.monotonic()
        self.since_better += 1
        try:
            fitted = self._fit(configuration, number)
            flaw = self._flaw(fitted)
        except Exception as error:  # noqa: BLE001 - one library's failure on a strange table must not end the search; it is on the leaderboard
            words = str(error).splitlines()[0] if str(error) else ""
            failure = f"{type(error).__name__}: {words}"
            self.failed.add(configuration.family)
            if isinstance(error, TimeoutError):
                self.slow.add(configuration.family)
            seconds = time.monotonic() - begun
            settings = configuration.settings
            self.trials.append(
                Trial(number, configuration.name, float("nan"), seconds, 0, stopped=False, settings=settings, failure=failure)
            )
            return
        if flaw:
            self.failed.add(configuration.family)
            self.trials.append(dataclasses.replace(fitted.trial, score=float("nan"), failure=flaw))
            return
        self.trials.append(fitted.trial)
        if self.endings.add(fitted):
            self.since_better = 0

    def _flaw(self, fitted: FittedMember) -> str | None:
        """Why a member can't be used; None if it can."""
        if not np.isfinite(fitted.oof).all():
            return "predicts what is not a number"
        if fitted.member.link == "log":
            return None if self.endings.rehearse(fitted) else _INEXACT
        if not self.endings.learned and fitted.member.models[0].leaves:
            self.endings.rehearse(fitted)  # It tells what this machine takes for a tree.
        return None

    def _fit(self, configuration: Configuration, number: int) -> FittedMember:
        begun = time.monotonic()
        problem, pace, options = self.problem, self.pace, self.options
        family = module(configuration.family)
        left = self._left() + (self.endings.for_shorter if configuration.rounds is not None else 0.0)
        until = begun + pace.allowance(configuration, self.fitted, problem, left)
        target, shift, scale = problem.target(configuration.link)
        settings = pace.affordable(configuration, problem, (until - begun) / len(problem.folds), needed=self._needed(configuration))
        oof = np.full((len(target), problem.classes) if problem.classes else len(target), np.nan)
        models: list[Model] = []
        stopped = False
        fitting = time.monotonic()  # What `affordable` measures is not the models' own.
        for fold, (train, watched) in enumerate(problem.folds):
            now = time.monotonic()
            deadline = now + max(until - now, 0.02) / (len(problem.folds) - fold) if pace.timed else None
            if deadline is not None and options.trial_seconds is not None:
                deadline = min(deadline, begun + options.trial_seconds * (fold + 1) / len(problem.folds))
            budget = Budget(deadline, options.threads, options.seed + 1000 * number + fold, configuration.rounds)
            rows = dataclasses.replace(problem.data, train=problem.rows(train, target), validation=problem.rows(watched, target))
            model: Model = family.fit(rows, dict(settings), budget)
            stopped |= deadline is not None and time.monotonic() >= deadline
            models.append(model)
            raw = model.raw(problem.pool.features[watched])
            predicted = from_raw(raw, model.transform, configuration.link, shift, scale)
            if predicted.shape != oof[watched].shape:
                raise ValueError("the rows it was trained on lack a class")
            oof[watched] = predicted
        member = Member(configuration.family, dict(settings), models, configuration.link, shift, scale)
        judged = oof[problem.judged]
        if problem.classes and np.isfinite(judged).all():
            if models[0].transform == "probability":
                member.smoothing = 1 / (member.rounds + 1)  # As if one more tree gave every class the same.
            member.temperature = fit_temperature(member.calibrated(judged), problem.truth)
            judged = member.calibrated(judged)
        done = time.monotonic()
        score = score_called(problem.metric, problem.truth, judged)
        trial = Trial(number, configuration.name, score, time.monotonic() - begun, member.size, stopped, dict(settings))
        return FittedMember(member, judged, trial, (done - fitting) / len(problem.folds))

    # The end ----------------------------------------------------------------------------------------------------------

    def _finish(self) -> Found:
        endings = self.endings.finish()
        accurate = endings["accurate"]
        ending: Ending = "accurate" if self.limit is None or accurate.cost_ms <= self.limit else "fast"
        if self.options.ending != "auto":
            ending = self.options.ending
        lines = {name: self._line(name, built) for name, built in endings.items()}
        weights = {self.fitted[i].trial.number: round(w, 4) for i, w in accurate.weights.items()}
        members = [dataclasses.replace(t, weight=weights.get(t.number, 0.0)) for t in self.trials]
        inexact = {self.fitted[i].trial.number for i in self.endings.left_out}
        members = [dataclasses.replace(t, score=float("nan"), failure=_INEXACT) if t.number in inexact else t for t in members]
        metric = self.problem.metric
        members.sort(key=lambda t: (not np.isfinite(t.score), as_error(metric, t.score) if np.isfinite(t.score) else 0.0))
        board = [lines[ending], *(line for name, line in lines.items() if name != ending), *members]
        return Found(endings[ending].ensemble, ending, lines[ending], board, endings, self.pace.used(), metric)

    def _line(self, name: str, built: Built) -> Trial:
        members = [self.fitted[i].trial for i in built.weights]
        settings = {
            "members": [
                {"family": t.family, "weight": round(weight, 4), "refit": _refit(built, i)}
                for t, (i, weight) in zip(members, built.weights.items(), strict=True)
            ]
        }
        seconds = sum(t.seconds for t in members) + built.refit_seconds
        return Trial(0, f"ensemble ({name})", built.score, seconds, built.ensemble.size, stopped=False, settings=settings,
                     weight=1.0, row_ms=round(built.row_ms, 4), megabytes=round(len(built.onnx) / 1e6, 3))  # fmt: skip


def _refit(built: Built, index: int) -> str:
    """Whether a member of an ending is fitted on all rows as well: "yes", "no" with the reason, or "none" if that was not meant to be."""
    if index not in built.refits:
        return "none"
    failure = built.refits[index]
    return "yes" if failure is None else f"no: {failure}"
