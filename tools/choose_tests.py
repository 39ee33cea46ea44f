"""Chooses, for every function and every module, the tests that a change there calls for first.

A test counts for what it executes that fewer than two chosen ones do, more if it is near (its file imports the module or is named for it),
and less the longer it takes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from reach_map import WHOLE, ReachMap, RecordedTest
from recorded_reach import Module, Reached, cases
from static_reach import StaticReach

FUNCTION_SECONDS, MODULE_SECONDS = 50.0, 80.0
"""What the tests of a function and of a module may take together, one after the other and recorded."""
FUNCTION_TESTS, MODULE_TESTS = 6, 40
_BEYOND = 1.5
"""How many times that they may take, where something would otherwise be executed by none; likewise of their number."""
_WORTH = np.array([1.0, 0.5, 0.1, 0.03, 0.01])
"""What it is worth to execute something that none, one, two … chosen tests execute already."""
_START = 0.3
"""Seconds that a test costs beside its own: what takes none would otherwise always come first."""
_SMALL = 0.3
"""Fixtures that take fewer seconds are part of the tests."""


@dataclass
class _Candidates:
    """The tests that execute anything of a module or function."""

    numbers: list[int]
    executes: NDArray[np.bool_]
    """By candidate and item."""
    near: NDArray[np.float64]
    """How near each is."""


def choose(reached: Reached, known: dict[str, Module], static: StaticReach) -> ReachMap:
    """Make the map."""
    reach = ReachMap()
    groups = cases(reached)
    wide = sorted({name for names in reached.fixtures.values() for name in names if reached.seconds.get(name, 0.0) >= _SMALL})
    reach.fixtures = [(name.partition(" ")[2], reached.seconds[name]) for name in wide]
    executed: list[NDArray[np.int32]] = []
    for test in sorted(groups, key=lambda test: (test.partition("::")[0], test)):
        fixtures = sorted({name for case in groups[test] for name in reached.fixtures[case]})
        seconds = sum(reached.seconds[case] for case in groups[test])
        seconds += sum(reached.seconds.get(name, 0.0) for name in fixtures if name not in wide)
        file, _, name = test.partition("::")
        reach.tests.append(RecordedTest(file, name, seconds, tuple(wide.index(name) for name in fixtures if name in wide)))
        parts = [reached.contexts[context] for context in (*groups[test], *fixtures) if context in reached.contexts]
        executed.append(np.unique(np.concatenate(parts)) if parts else np.array([], np.int32))
    by_module: dict[str, list[int]] = defaultdict(list)
    by_function: dict[tuple[str, str], list[int]] = defaultdict(list)
    for number, place in enumerate(reached.items):
        by_module[place[0]].append(number)
        by_function[place].append(number)
    executes = np.zeros((len(executed), len(reached.items)), np.bool_)
    for number, items in enumerate(executed):
        executes[number, items] = True
    for path, module in known.items():
        near = {file: static.nearness(path, file) for file in reach.files() if file in static.sources}
        nearness = np.array([near.get(test.file, 1.0) for test in reach.tests])
        found = {}
        for function in module.functions:
            found[function] = _chosen(reach, executes, nearness, by_function[path, function], FUNCTION_SECONDS, FUNCTION_TESTS)
        found[WHOLE] = _chosen(reach, executes, nearness, by_module[path], MODULE_SECONDS, MODULE_TESTS)
        reach.modules[path] = found
    return reach


def _chosen(
    reach: ReachMap, executes: NDArray[np.bool_], nearness: NDArray[np.float64], items: Sequence[int], seconds: float, limit: int
) -> list[int]:
    """The tests for some items, the best first."""
    here = executes[:, items]
    numbers = np.flatnonzero(here.any(axis=1))
    candidates = _Candidates(list(numbers), here[numbers], nearness[numbers])
    chosen: list[int] = []
    counts = np.zeros(len(items), np.int64)
    paid: set[int] = set()
    spent = 0.0
    left = np.ones(len(candidates.numbers), np.bool_)
    while left.any():
        worth = candidates.executes @ _WORTH[np.minimum(counts, len(_WORTH) - 1)] * candidates.near
        costs = np.array([_cost(reach, number, paid) for number in candidates.numbers])
        best = int(np.argmax(np.where(left, worth / (_START + costs), -1.0)))
        left[best] = False
        beyond = _BEYOND if (candidates.executes[best] & (counts == 0)).any() else 1.0
        # Of what only a long test reaches, that one is chosen all the same.
        if chosen and (spent + costs[best] > seconds * beyond or len(chosen) >= limit * beyond):
            continue
        chosen.append(candidates.numbers[best])
        counts += candidates.executes[best]
        paid |= set(reach.tests[candidates.numbers[best]].fixtures)
        spent += costs[best]
    return [int(number) for number in chosen]


def _cost(reach: ReachMap, number: int, paid: set[int]) -> float:
    test = reach.tests[number]
    return test.seconds + sum(reach.fixtures[fixture][1] for fixture in test.fixtures if fixture not in paid)
