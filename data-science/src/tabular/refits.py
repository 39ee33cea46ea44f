"""Members fitted once more on all rows, as far as the time allows."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from .families import Budget, Model, module
from .folds import Problem
from .leaderboard import FittedMember
from .pace import Pace
from .project import Search

MORE_ROUNDS: Final = 1.1
"""A refit has the rows that a fold held back, and needs so many more iterations."""
_ENOUGH: Final = 0.85
"""Share of the time that a fold's model took with which a refit is begun, since it does not wait for an error that gets no better."""
_COMPLETE: Final = 0.8
"""Share of a fold's iterations below which a refit that was cut off is worse than that fold's model."""


@dataclass(frozen=True)
class Refit:
    """What came of fitting a member once more.

    Attributes:
        model: on all rows, or that of the first fold.
        failure: why it is that of the first fold; None if it is not.
    """

    model: Model
    failure: str | None = None


class Refits:
    """The refits of a search.

    Attributes:
        seconds: what all of them took.
    """

    def __init__(self, problem: Problem, options: Search, pace: Pace) -> None:
        self.seconds = 0.0
        self._problem, self._options, self._pace = problem, options, pace
        self._made: dict[int, Refit] = {}

    def make(self, members: Mapping[int, FittedMember], weights: Mapping[int, float], reserve: float) -> dict[int, Refit]:
        """Fit members that were not yet, those of most weight first; where there is no time for it, the model of the first fold stands in.

        Args:
            members: by their number in the order fitted.
            weights: of each.
            reserve: seconds to leave.
        """
        begun = time.monotonic()
        waiting = sorted((i for i in members if i not in self._made), key=weights.__getitem__, reverse=True)
        needs = {i: members[i].model_seconds for i in waiting}
        self._made |= {i: Refit(members[i].member.models[0], "not enough time") for i in waiting}
        # Anew after each, because one that took less than it might leaves its time to others.
        while fitting := self._affordable(waiting, needs, reserve):
            index = fitting[0]
            seconds = None
            if self._pace.timed:
                seconds = max(self._pace.left() - reserve, 0.0) * needs[index] / sum(needs[i] for i in fitting)
            waiting.remove(index)
            self._made[index] = self._refit(members[index], seconds)
        self.seconds += time.monotonic() - begun
        return {i: self._made[i] for i in members}

    def _affordable(self, members: list[int], needs: dict[int, float], reserve: float) -> list[int]:
        """Those that there is time for, from the first on."""
        if not self._pace.timed:
            return members
        left = self._pace.left() - reserve
        kept = []
        for index in members:
            if _ENOUGH * needs[index] <= left:
                kept.append(index)
                left -= _ENOUGH * needs[index]
        return kept

    def _refit(self, fitted: FittedMember, seconds: float | None) -> Refit:
        target, _, _ = self._problem.target(fitted.member.link)
        rows = dataclasses.replace(self._problem.data, train=self._problem.rows(None, target))
        trees = max(1, round(MORE_ROUNDS * fitted.member.rounds))
        deadline = None if seconds is None else time.monotonic() + seconds
        budget = Budget(deadline, self._options.threads, self._options.seed + fitted.trial.number, trees)
        first = fitted.member.models[0]
        try:
            model: Model = module(fitted.member.family).fit(rows, dict(fitted.trial.settings), budget)
        except Exception as error:  # noqa: BLE001 - a library that fails on rows which the folds lacked must not lose the search; it is on the leaderboard
            words = str(error).splitlines()
            return Refit(first, f"{type(error).__name__}: {words[0] if words else ''}")
        return Refit(model) if model.rounds > _COMPLETE * fitted.member.rounds else Refit(first, "cut off")
