"""The AutoML search: families and hyperparameters tried one after the other until the time is up.

Every family's default comes first, so that each is seen; then random settings, of the families that did best more often.
The best model on the validation rows wins. Seeded: the settings tried depend on the seed, how many on the time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from .contract import Task
from .families import Budget, Model, TrainingData, module
from .metrics import METRICS, as_error
from .project import RISING, Search

_LEAST: Final = 0.5
"""Seconds below which no further trial is begun."""


@dataclass(frozen=True)
class Trial:
    """A line of the leaderboard.

    Attributes:
        number: in the order tried, from 1.
        score: the project's metric on the validation rows; NaN if it failed.
        seconds: wall-clock time of the fit.
        trees: how many the model has.
        stopped: whether the time was up before early stopping said enough.
        failure: why it gave no model; None if it did.
    """

    number: int
    family: str
    score: float
    seconds: float
    trees: int
    stopped: bool
    settings: dict[str, Any] = field(default_factory=dict)
    failure: str | None = None


@dataclass
class Found:
    """What a search found: the best model, and every trial, best first."""

    model: Model
    best: Trial
    leaderboard: list[Trial]
    seconds: float


Progress = Callable[[float, str, Trial | None], None]
"""Called with seconds used, what is being tried, and the best trial so far."""


def search(data: TrainingData, options: Search, *, begun: float | None = None, progress: Progress | None = None) -> Found:
    """Search within `options.seconds` of wall-clock time.

    Args:
        data: training rows are fitted, validation rows watched and scored.
        options: the `search` section of project.yml.
        begun: `time.monotonic()` from which the budget counts; now, if None.
        progress: told before each trial.

    Raises:
        RuntimeError: no family gave a model.
    """
    start = time.monotonic() if begun is None else begun
    end = start + options.seconds
    random = np.random.default_rng(options.seed)
    trials: list[Trial] = []
    best: tuple[float, Model, Trial] | None = None
    counts: dict[str, int] = dict.fromkeys(options.families, 0)
    while True:
        now = time.monotonic()
        family = _next_family(options.families, counts, trials, random, options.metric)
        if trials and (end - now < _LEAST or _is_enough(trials, options)):
            break
        if progress:
            progress(now - start, family, best[2] if best else None)
        untried = sum(1 for count in counts.values() if count == 0)
        # A first round may not starve the families after it; later trials may take up to half of what is left.
        share = (end - now) / max(untried, 2) if untried else (end - now) / 2
        deadline = min(end, now + max(share, _LEAST)) if end - now > 2 * _LEAST else end
        if options.trial_seconds is not None:
            deadline = min(deadline, now + options.trial_seconds)
        model, trial = _try(family, len(trials) + 1, counts[family], data, options, random, deadline)
        counts[family] += 1
        trials.append(trial)
        if model is not None:
            error = as_error(options.metric, trial.score)
            if np.isfinite(error) and (best is None or error < best[0]):
                best = error, model, trial
        if best is None and all(counts.values()):
            reasons = "; ".join(f"{t.family}: {t.failure}" for t in trials)
            raise RuntimeError(f"no model family could be trained: {reasons}")
        if time.monotonic() >= end:
            break
    if best is None:
        raise RuntimeError(f"no model was ready within {options.seconds:g} s; give the search more time")
    ordered = sorted(trials, key=lambda t: (not np.isfinite(t.score), as_error(options.metric, t.score)))
    return Found(best[1], best[2], ordered, time.monotonic() - start)


def _is_enough(trials: Sequence[Trial], options: Search) -> bool:
    """Whether the search may end before its time is up."""
    if options.trials is not None and len(trials) >= options.trials:
        return True
    errors = [as_error(options.metric, t.score) if np.isfinite(t.score) else np.inf for t in trials]
    if options.exit_score is not None and min(errors) <= as_error(options.metric, options.exit_score):
        return True
    return options.patience is not None and len(trials) - 1 - int(np.argmin(errors)) >= options.patience


def _next_family(families: Sequence[str], counts: dict[str, int], trials: Sequence[Trial], random: np.random.Generator, metric: str) -> str:
    for family in families:
        if counts[family] == 0:
            return family
    best = {f: min((as_error(metric, t.score) for t in trials if t.family == f), default=np.inf) for f in families}
    ranked = sorted((f for f in families if np.isfinite(best[f])), key=lambda f: best[f]) or list(families)
    weights = 0.5 ** np.arange(len(ranked))
    return ranked[int(random.choice(len(ranked), p=weights / weights.sum()))]


def _try(
    family: str, number: int, count: int, data: TrainingData, options: Search, random: np.random.Generator, deadline: float
) -> tuple[Model | None, Trial]:
    begun = time.monotonic()
    settings = {}
    try:
        chosen = module(family)
        settings = chosen.settings(random, options.metric, count)
        model: Model = chosen.fit(data, dict(settings), Budget(deadline, options.threads, options.seed + number))
        score = METRICS[options.metric](data.validation.target, model.predict(data.validation.features))
    except Exception as error:  # noqa: BLE001 - one library's failure on a strange table must not end the search; it is on the leaderboard
        failure = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
        return None, Trial(number, family, float("nan"), time.monotonic() - begun, 0, stopped=False, settings=settings, failure=failure)
    seconds = time.monotonic() - begun
    stopped = time.monotonic() >= deadline
    return model, Trial(number, family, score, seconds, model.size, stopped, settings)


def leaderboard_table(trials: Sequence[Trial], metric: str, unit: str) -> str:
    """The leaderboard as aligned text, best first."""
    arrow = "higher is better" if metric in RISING else "lower is better"
    head = f"{'':2}{'#':>3}  {'family':<12}  {f'{metric} {unit}'.strip():>14}  {'fit s':>6}  {'trees':>5}"
    lines = [f"validation {metric} ({arrow})", head]
    for rank, t in enumerate(trials):
        mark = "★ " if rank == 0 else "  "
        note = f"  failed: {t.failure}" if t.failure else "  time was up" if t.stopped else ""
        lines.append(f"{mark}{t.number:>3}  {t.family:<12}  {t.score:>14.4f}  {t.seconds:>6.1f}  {t.trees:>5}{note}")
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
