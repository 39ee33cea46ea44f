"""The configurations that the search tries, in a fixed order, and how their neighbourhood is drawn.

The order is that of what a member adds to an ensemble for its time: the two boosting libraries that differ most, a linear model of bins,
which takes next to nothing, what is unlike them (randomised trees down to single rows, a network), all but the forests on a log scale, too,
where the target asks for it, then variants. With three classes or more, those come first whose time does not grow with the classes.
It knows nothing of a table but its task and the skewness of its target. See docs/decisions/021.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from .graph import Link


@dataclass(frozen=True)
class Configuration:
    """A member of the portfolio.

    Attributes:
        settings: of the family's `fit`.
        link: "log" fits the logarithm of 1 + target.
        rounds: exactly so many iterations (or trees), with no early stopping; None: as many as help.
    """

    family: str
    settings: dict[str, Any] = field(default_factory=dict)
    link: Link = "identity"
    rounds: int | None = None

    @property
    def name(self) -> str:
        """What people see."""
        notes = [*(["log"] if self.link == "log" else []), *(["short"] if self.rounds is not None else [])]
        return f"{self.family} ({', '.join(notes)})" if notes else self.family


BOOSTED: Final = ("lightgbm", "catboost", "xgboost")
_LARGEST_RATE: Final = 0.3
"""Learning rate beyond which boosting is not made shorter."""
NEEDED: Final = {"lightgbm": 25.0, "catboost": 60.0, "xgboost": 30.0}
"""Iterations times learning rate that a family usually needs: what its rate is raised by where there is no time for as many."""

_LIGHT = {"learning_rate": 0.05, "num_leaves": 31, "min_data_in_leaf": 20, "feature_fraction": 0.8, "bagging_fraction": 0.8,
          "bagging_freq": 1, "lambda_l2": 1.0}  # fmt: skip
_CAT = {"learning_rate": 0.08, "depth": 6, "l2_leaf_reg": 3.0}
_XGB = {"learning_rate": 0.06, "max_depth": 6, "min_child_weight": 5.0, "subsample": 0.8, "colsample_bytree": 0.8}
_FIRST: Final = (Configuration("lightgbm", _LIGHT), Configuration("catboost", _CAT))
_SMOOTH: Final = (Configuration("linear", {"strength": 1.0}), Configuration("neural", {}))
_OTHERS: Final = (
    Configuration("catboost", {"learning_rate": 0.06, "depth": 8, "l2_leaf_reg": 6.0, "rsm": 0.7, "random_strength": 2.0}),
    Configuration("lightgbm", {**_LIGHT, "extra_trees": True, "feature_fraction": 1.0}),
    Configuration("lightgbm", {**_LIGHT, "num_leaves": 127, "min_data_in_leaf": 10, "feature_fraction": 0.5, "lambda_l2": 10.0}),
    Configuration("extra_trees", {"min_samples_leaf": 1, "max_features": 1.0}),
    Configuration("xgboost", _XGB),
    Configuration("neural", {"hidden": (256, 128), "learning_rate": 0.004, "alpha": 1e-2}),
    Configuration("extra_trees", {"min_samples_leaf": 5, "max_features": 0.5}),
    Configuration("catboost", {"learning_rate": 0.08, "depth": 4, "l2_leaf_reg": 2.0, "rsm": 0.8}),
    Configuration("lightgbm", {**_LIGHT, "num_leaves": 8, "learning_rate": 0.06, "min_data_in_leaf": 5}),
    Configuration("xgboost", {**_XGB, "max_depth": 10, "min_child_weight": 20.0, "colsample_bytree": 0.5, "lambda": 5.0}),
)


def portfolio(families: tuple[str, ...], *, classes: int, log: bool) -> list[Configuration]:
    """The configurations of these families, in order; with `log`, the first ones also on a log scale. `classes` is 0 for a regression."""
    # Trees of single rows, of a few features each, for classes; a mean of two rows does better for a number.
    forest = {"min_samples_leaf": 1, "max_features": "sqrt"} if classes else {"min_samples_leaf": 2, "max_features": 0.5}
    trees = Configuration("extra_trees", forest)
    linear, neural = _SMOOTH
    found = [*_FIRST, linear, trees, neural, *_OTHERS]
    if classes > 2:
        # Boosting takes trees for every class, and the others do not: they first. Trees before the linear model, which takes long where there are hundreds.
        found = [trees, linear, neural, *_FIRST, *sorted(_OTHERS, key=lambda c: c.family in BOOSTED)]
    if log:
        light, cat, linear_log, neural_log = (Configuration(c.family, c.settings, "log") for c in (*_FIRST, *_SMOOTH))
        found = [*_FIRST, linear, linear_log, trees, light, cat, neural, neural_log, *_OTHERS]
    return [c for c in found if c.family in families]


def shortened(of: Configuration, rounds: int, share: float) -> Configuration:
    """A configuration of so many iterations, `share` of what it usually has: boosting takes larger steps."""
    settings = dict(of.settings)
    if of.family in BOOSTED:
        settings["learning_rate"] = min(settings["learning_rate"] / share, max(_LARGEST_RATE, settings["learning_rate"]))
    return Configuration(of.family, settings, of.link, rounds)


def neighbour(of: Configuration, random: np.random.Generator) -> Configuration:
    """A configuration beside one that works."""
    s = dict(of.settings)

    def times(name: str, factor: float, low: float, high: float) -> None:
        if isinstance(s.get(name), (int, float)):
            s[name] = float(np.clip(s[name] * factor ** random.uniform(-1, 1), low, high))

    def whole(name: str, factor: float, low: int, high: int) -> None:
        if name in s:
            s[name] = int(np.clip(round(s[name] * factor ** random.uniform(-1, 1)), low, high))

    times("learning_rate", 1.6, 0.001, 0.3)
    for name in ("lambda_l2", "l2_leaf_reg", "lambda", "alpha", "strength"):
        times(name, 5.0, 1e-4, 100.0)
    for name in ("feature_fraction", "colsample_bytree", "max_features", "rsm"):
        times(name, 1.5, 0.2, 1.0)
    for name in ("bagging_fraction", "subsample"):
        times(name, 1.2, 0.5, 1.0)
    whole("num_leaves", 2.0, 4, 255)
    whole("min_data_in_leaf", 2.5, 1, 200)
    whole("depth", 1.35, 3, 9)
    whole("max_depth", 1.4, 3, 12)
    times("min_child_weight", 3.0, 0.5, 100.0)
    whole("min_samples_leaf", 2.0, 1, 50)
    if of.family == "catboost":
        s.setdefault("random_strength", float(10 ** random.uniform(-0.5, 0.7)))
    if of.family == "neural":
        s["hidden"] = ((128, 64), (256, 128), (96, 96, 48), (256,))[int(random.integers(4))]
        s.setdefault("alpha", float(10 ** random.uniform(-4, -1)))
    return Configuration(of.family, s, of.link)
