"""The time of a search: what is left, what a member may take of it, and what makes a member fit into it."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import statistics
import time
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from .families import Budget, Table, TrainingData, forest_trees, linear_seconds, module
from .folds import Problem, most_folds
from .layers import LINEAR_BINS, NETWORK_BINS, batch_rows, fit_bins
from .leaderboard import FittedMember
from .portfolio import NEEDED, Configuration, portfolio
from .project import Search

LEAST: Final = 0.3
"""Seconds below which nothing is begun."""
_FOLD_SHARE: Final = 0.12
"""Share of the budget that the first member may take; with more, there are fewer folds."""

_FEWEST: Final = 12
"""Iterations of boosting below which it says next to nothing."""
_LOOKED_AT: Final = 2_000
"""Rows that tell how many bins there will be, and what all of them may take."""
_JUDGES: Final = 1_000
"""Validation rows that judge well enough by themselves, where there is no time for folds."""
_WARMING: Final = 200
"""Rows that warm a library up."""


class Pace:
    """A search's clock. With `budget_trials` there is none: everything is allowed, and nothing measured decides.

    Attributes:
        timed: whether there is a clock.
        start: `time.monotonic()` from which the budget counts.
        end: when both endings have to be made; what is left is for writing the candidate.
    """

    def __init__(self, options: Search, begun: float | None) -> None:
        self._options = options
        self.timed = options.budget_trials is None
        self.start = time.monotonic() if begun is None else begun
        self.end = self.start + max(0.98 * options.seconds - 0.8, 0.5 * options.seconds)
        self._encoded: dict[str, int] = {}
        self._speed: dict[str, tuple[float, float]] = {}
        self._first: dict[str, float] = {}  # Seconds until the first iteration is over, where that was too long.

    def used(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self.start

    def left(self) -> float:
        """Seconds until the end."""
        return self.end - time.monotonic() if self.timed else float("inf")

    def folds(self, data: TrainingData) -> int:
        """How many: by the number of rows, and fewer where the time would not be enough for several members; 1 judges by the validation rows.

        These do where the first iteration of boosting alone takes longer than the first member may: that is thousands of columns or hundreds of
        classes, and what else there is takes its time for each fold, too.
        """
        count, least = most_folds(len(data.train.target) + len(data.validation.target))
        if count == 1 or not self.timed or "lightgbm" not in self._options.families:
            return count
        configuration = portfolio(("lightgbm",), classes=data.classes, log=False)[0]
        try:
            fixed, each = self._measured(configuration, data, 0.02 * self._options.seconds, _FOLD_SHARE * self._options.seconds)
        except Exception:  # noqa: BLE001 - the trial itself will say why
            return count
        if fixed + each > _FOLD_SHARE * self._options.seconds:
            self._first[_form(configuration)] = fixed + each
            known = bool(np.isin(data.train.target, data.validation.target).all()) if data.classes else True
            return 1 if known and len(data.validation.target) >= _JUDGES else least
        fit = fixed + each * NEEDED["lightgbm"] / configuration.settings["learning_rate"]
        while count > least and fit * count > _FOLD_SHARE * self._options.seconds:
            count -= 1
        return count

    def expected(self, configuration: Configuration, fitted: Sequence[FittedMember], problem: Problem) -> float:
        """Seconds that a member takes, going by those that were not cut short, or by the first one."""
        if not self.timed or not fitted:
            return 0.0
        same = [f for f in fitted if f.member.family == configuration.family]
        if same and configuration.family not in ("linear", "extra_trees"):
            whole = [f.trial.seconds for f in same if not f.trial.stopped]
            return statistics.median(whole) if whole else 0.7 * max(f.trial.seconds for f in same)
        rough = self._rough(configuration, problem)
        if rough is not None:
            return rough * len(problem.folds)
        return next((f.trial.seconds for f in fitted if f.member.family in NEEDED), fitted[0].trial.seconds)

    def allowance(self, configuration: Configuration, fitted: Sequence[FittedMember], problem: Problem, left: float) -> float:
        """Seconds that a member may take: a share of what is left, so that a long one does not starve those after it, or what it needs."""
        if configuration.rounds is not None:  # It is the last one, and made for what is left.
            return max(left, LEAST)
        if not fitted:
            return max(left * (0.25 if len(self._options.families) > 1 else 0.7), LEAST)
        share = 0.4 if configuration.family == "catboost" else 0.25
        expected = self.expected(configuration, fitted, problem)
        if configuration.family == "linear" and expected > left:  # Of so many classes that it is cut off anyway.
            return max(0.4 * left, LEAST)
        return max(left * share, min(left, 1.3 * expected), LEAST)

    def affordable(self, configuration: Configuration, problem: Problem, seconds: float, *, needed: bool = True) -> dict[str, Any]:
        """The settings, with a learning rate at which a fit is done in its time: half a fit at a small rate is worse than all of one at a larger.

        Args:
            configuration: of the member.
            problem: what it is fitted to.
            seconds: that one fit may take.
            needed: whether there is no other member, so that it has to do however slow it is.

        Raises:
            TimeoutError: there is no time for a dozen iterations, as with hundreds of classes or thousands of columns, and it is not needed.
        """
        settings = dict(configuration.settings)
        if not self.timed or configuration.family not in NEEDED or configuration.rounds is not None:
            return settings
        if needed and seconds <= LEAST:  # There is no time to measure anything.
            return {**settings, "learning_rate": 0.3}
        key = _form(configuration)
        if not needed and self._first.get(key, 0.0) > seconds:
            raise TimeoutError(f"the first iteration ends after {self._first[key]:.2g} s, where a model may take {seconds:.2g} s")
        if key not in self._speed:
            target, _, _ = problem.target(configuration.link)
            rows = dataclasses.replace(problem.data, train=problem.rows(problem.folds[0][0], target))
            self._speed[key] = self._measured(configuration, rows, 0.3 * seconds, seconds)
        fixed, each = self._speed[key]
        possible = (seconds - fixed) / (1.15 * each)
        if possible < _FEWEST and not needed:
            more = f", each one more takes {each:.2g} s" if fixed + each < seconds else ""
            raise TimeoutError(f"the first iteration ends after {fixed + each:.2g} s{more}, where a model may take {seconds:.2g} s")
        usual = NEEDED[configuration.family] / settings["learning_rate"]
        settings["learning_rate"] = float(min(max(settings["learning_rate"] * usual / max(possible, 10.0), settings["learning_rate"]), 0.3))
        return settings

    def _measured(self, configuration: Configuration, data: TrainingData, most: float, limit: float) -> tuple[float, float]:
        """Seconds that a fit takes at once, as for putting columns into bins, and for each iteration.

        If the first iteration is expected to be over after `limit` seconds only, as with thousands of columns or hundreds of classes, that comes
        from a twentieth of the rows, and all of it counts as the iteration's; else from two fits of all, each cut off after `most` seconds and
        the iteration that is on.
        """
        fit, settings, threads = module(configuration.family).fit, dict(configuration.settings), self._options.threads
        at_once = least = 0.0  # The former in iterations, the latter in seconds.
        handful, few = _some(data, _WARMING), _some(data, max(_LOOKED_AT, len(data.train.target) // 20))
        # Few rows may have one target alone, which CatBoost refuses; what more of them do is seen next.
        with contextlib.suppress(Exception):
            fit(handful, settings, Budget(time.monotonic() + most, threads, trees=1))  # Loads the library and warms it up.
            least, _ = _timed(fit, handful, settings, limit, threads, 1)
        with contextlib.suppress(Exception):
            one, _ = _timed(fit, few, settings, limit, threads, 1)
            # Not all of it grows with the rows.
            more = (len(data.train.target) - len(few.train.target)) / max(len(few.train.target) - len(handful.train.target), 1)
            whole = one + max(one - least, 0.0) * more
            if whole > limit:
                return 0.0, whole
            four, rounds = _timed(fit, few, settings, limit, threads, 4)
            if rounds > 1:
                at_once = max(one / max((four - one) / (rounds - 1), 1e-5) - 1, 0.0)
        taken, rounds = _timed(fit, data, settings, most, threads, 3)
        if rounds < 3:  # So slow that it was cut off.
            each = taken / (at_once + rounds)
            return at_once * each, each
        more, most_rounds = _timed(fit, data, settings, most, threads, 13)
        if most_rounds <= rounds:
            return 0.0, more / most_rounds
        each = max((more - taken) / (most_rounds - rounds), 1e-5)
        return max(taken - rounds * each, 0.0), each

    def _inputs(self, family: str, problem: Problem) -> int:
        """What the first layer of a linear model or a network sees of a row."""
        if family not in self._encoded:
            features = problem.pool.features
            most = LINEAR_BINS if family == "linear" else NETWORK_BINS
            bins = fit_bins(features[:: max(1, len(features) // _LOOKED_AT)], most, len(features))
            self._encoded[family] = features.shape[1] + (0 if bins is None else len(bins.columns))
        return self._encoded[family]

    def _rough(self, configuration: Configuration, problem: Problem) -> float | None:
        """Seconds of one model, from the number of its operations; None for boosting, of which nobody knows when it stops."""
        rows, features = len(problem.folds[0][0]), int(problem.pool.features.shape[1])
        if configuration.family == "linear":
            return linear_seconds(rows, self._inputs("linear", problem), problem.classes)
        if configuration.family == "neural":
            first, second = (int(width) for width in (*configuration.settings.get("hidden", (128, 64)), 1)[:2])
            weights = self._inputs("neural", problem) * first + first * second
            return 40 * (6 * rows * weights / 2e10 + rows / batch_rows(rows) * 0.0004)  # Epochs until it gets no better.
        if configuration.family == "extra_trees":
            share: float | str = configuration.settings["max_features"]
            tried = math.sqrt(features) if share == "sqrt" else max(1.0, features * float(share))
            return 0.1 + forest_trees(rows) * rows * math.log2(max(rows, 2)) * tried * 8e-9
        return None


def _form(configuration: Configuration) -> str:
    """What the time of an iteration depends on."""
    settings = configuration.settings
    return f"{configuration.family} {settings.get('num_leaves') or settings.get('depth') or settings.get('max_depth')}"


def _timed(fit: Any, data: TrainingData, settings: dict[str, Any], most: float, threads: int, trees: int) -> tuple[float, int]:
    """A fit of so many iterations, cut off after `most` seconds: what it took, and how many iterations it had."""
    now = time.monotonic()
    model = fit(data, settings, Budget(now + most, threads, trees=trees))
    return time.monotonic() - now, max(model.rounds, 1)


def _some(data: TrainingData, most: int) -> TrainingData:
    """About so many training rows."""
    train = data.train
    few = np.arange(0, len(train.target), max(1, len(train.target) // most))
    weights = None if train.weights is None else train.weights[few]
    return dataclasses.replace(data, train=Table(train.features[few], train.target[few], weights))
