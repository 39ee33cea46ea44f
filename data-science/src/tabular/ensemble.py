"""An ensemble: members of several bagged models, weighted by greedy selection on out-of-fold predictions (Caruana et al. 2004)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from . import families
from .factors import attainable
from .families import Model, transformed
from .graph import Link, Part, build
from .metrics import COUNTING, METRICS, as_error
from .trees import Transform

FAMILY: Final = "ensemble"
_NUMBERS: Final = ("shift", "scale", "weight", "smoothing", "temperature")
_ROUNDS: Final = 40
"""Of greedy selection; the smallest weight is one of them."""
_ROWS: Final = (20_000, 50_000)
"""At most so many rows choose weights: by a metric that sorts, and by others."""
_CLASSES: Final = 20
"""Of more classes fewer rows choose them. ROC-AUC then is the mean over so many classes: each is a sort of its own, for every member in every round."""
_FEWER: Final = (5_000, 2_000)
"""Rows that do then: by ROC-AUC, and by others but log loss, of these as many as `_PROBABILITIES` allows."""
_PROBABILITIES: Final = 1_000_000
_OF_A_CLASS: Final = {"roc_auc": 100, "f1": 10, "precision": 10, "recall": 10}
"""Rows of a rare class that the metrics have to see in which every class counts alike."""
_SORTING: Final = ("roc_auc", "median_absolute_error")
Predictions = NDArray[np.float64]


_forms: WeakKeyDictionary[Model, Any] = WeakKeyDictionary()


def _form_of(model: Model) -> Any:
    """`model.form()`, kept: a search puts the same models into several graphs, and taking a library's trees apart is half of the work."""
    if model not in _forms:
        _forms[model] = model.form()
    return _forms[model]


@dataclass
class Member:
    """Models of one configuration, whose raw values are averaged.

    Attributes:
        models: one per fold, or one that was fitted on all rows.
        link: "log" if the models say the logarithm of 1 + target.
        shift, scale: of a regression: scale * raw + shift is the target, or its logarithm.
        weight: in the ensemble.
        smoothing: share of every chance that all classes have alike: no vote of some dozen trees is no proof that it can't be.
        temperature: of a classification; see `tempered`. Forests say too little of what they know, boosted trees at times too much.
    """

    family: str
    settings: dict[str, Any]
    models: list[Model]
    link: Link = "identity"
    shift: float = 0.0
    scale: float = 1.0
    weight: float = 1.0
    smoothing: float = 0.0
    temperature: float = 1.0

    @property
    def size(self) -> int:
        """Number of trees of all models."""
        return sum(model.size for model in self.models)

    @property
    def rounds(self) -> int:
        """Mean of the models' rounds."""
        return max(1, round(float(np.mean([model.rounds for model in self.models]))))

    def predict(self, features: NDArray[np.float32]) -> Predictions:
        """Predictions of shape (n,), or probabilities of shape (n, classes)."""
        raw = np.mean([model.raw(features) for model in self.models], axis=0)
        found = from_raw(raw, self.models[0].transform, self.link, self.shift, self.scale)
        return self.calibrated(found)

    def calibrated(self, predicted: Predictions) -> Predictions:
        """Predictions as they come from `from_raw`, smoothed and tempered."""
        if self.smoothing:
            predicted = (1 - self.smoothing) * predicted + self.smoothing / predicted.shape[1]
        return tempered(predicted, self.temperature)

    def part(self) -> Part:
        """What the ONNX graph needs."""
        return Part(
            [_form_of(model) for model in self.models], self.weight, self.link, self.shift, self.scale, self.smoothing, self.temperature
        )


def from_raw(raw: Predictions, transform: Transform, link: Link, shift: float, scale: float) -> Predictions:
    """Predictions of a member's raw values of shape (n, outputs)."""
    found = transformed(raw, transform)
    if transform != "identity":
        return found
    found = found * scale + shift
    return np.asarray(np.expm1(found) if link == "log" else found)


@dataclass
class Ensemble:
    """Weighted members; a `Model` as the families' are, of features alone. `factors`: see `calling`."""

    members: list[Member]
    classes: int
    temperature: float = 1.0
    factors: tuple[float, ...] = ()
    family: str = field(default=FAMILY, init=False)

    @property
    def size(self) -> int:
        """Number of trees."""
        return sum(member.size for member in self.members)

    def predict(self, features: NDArray[np.float32]) -> Predictions:
        """Predictions of shape (n,), or probabilities of shape (n, classes)."""
        total = np.sum([member.weight * member.predict(features) for member in self.members], axis=0)
        return tempered(total, self.temperature) if self.classes else total

    def parts(self) -> list[Part]:
        """What the ONNX graph needs."""
        return [member.part() for member in self.members]

    def to_onnx(self, features: int) -> Any:
        """The ONNX model; see `graph.build`."""
        return build(self.parts(), features, self.classes, temperature=self.temperature, factors=self.factors)

    def save(self, folder: Path) -> None:
        """Write the native models and how they are put together; no pickle."""
        facts = []
        for number, member in enumerate(self.members):
            for fold, model in enumerate(member.models):
                families.save(model, folder / f"member-{number}" / f"model-{fold}")
            kept = {"family": member.family, "settings": member.settings, "models": len(member.models), "link": member.link}
            facts.append({**kept, **{name: getattr(member, name) for name in _NUMBERS}})
        document = {"family": FAMILY, "trees": self.size, "classes": self.classes, "temperature": self.temperature, "factors": self.factors}
        document["members"] = facts
        (folder / "native.json").write_text(json.dumps(document, indent=1) + "\n")


def load(folder: Path) -> Model | Ensemble:
    """The native model of a folder that a trainer wrote: an ensemble, or a single model."""
    facts = json.loads((folder / "native.json").read_text())
    if facts["family"] != FAMILY:
        return families.load(folder)
    members = []
    for number, kept in enumerate(facts["members"]):
        models = [families.load(folder / f"member-{number}" / f"model-{fold}") for fold in range(kept["models"])]
        numbers = {name: kept[name] for name in _NUMBERS}
        members.append(Member(kept["family"], kept["settings"], models, kept["link"], **numbers))
    return Ensemble(members, facts["classes"], facts["temperature"], tuple(facts.get("factors", ())))


def save(model: Model | Ensemble, folder: Path) -> None:
    """Write a native model and what is needed to load it again."""
    folder.mkdir(parents=True, exist_ok=True)
    if isinstance(model, Ensemble):
        model.save(folder)
    else:
        families.save(model, folder)


def greedy(predictions: Sequence[Predictions], target: Predictions, metric: str) -> Predictions:
    """Weights by greedy selection with replacement: again and again the member is added that makes the mean best.

    Args:
        predictions: out-of-fold ones of each member.
        target: shape (n,).
        metric: what is made best.

    Returns:
        Weights of shape (members,) that sum to 1; those of the best round.
    """
    classes = predictions[0].shape[1] if predictions[0].ndim == 2 else 0
    most = _ROWS[0] if metric in _SORTING else _ROWS[1]
    if metric == "roc_auc" and classes > _CLASSES:
        most, some = _FEWER[0], np.linspace(0, classes - 1, _CLASSES).astype(np.int64)
        place = np.full(classes, -1.0)
        place[some] = np.arange(_CLASSES)
        predictions, target = [p[:, some] for p in predictions], place[target.astype(np.int64)]
    elif metric != "log_loss" and classes > _CLASSES:
        most = min(most, max(_FEWER[1], _PROBABILITIES // classes))
    if len(target) > most:
        some = _spread(target, most, of_each=_OF_A_CLASS.get(metric, 0))
        predictions, target = [p[some] for p in predictions], target[some]
    if metric == "log_loss":  # It sees the right class's probability, of however many classes.
        predictions, target = [_of_right_class(p, target)[:, None] for p in predictions], np.zeros(len(target))
    counts = np.zeros(len(predictions))
    total = np.zeros_like(predictions[0])
    best, best_counts = (np.inf, np.inf), counts
    for number in range(1, _ROUNDS + 1):
        errors = np.array([as_error(metric, attainable(metric, target, (total + p) / number)) for p in predictions])
        errors = np.where(np.isfinite(errors), errors, np.inf)
        # A share of rows is often the same for many: then the better probabilities.
        second = np.array([METRICS["log_loss"](target, (total + p) / number) if metric in COUNTING else 0.0 for p in predictions])
        chosen = int(np.lexsort((second, errors))[0])
        counts = counts.copy()
        counts[chosen] += 1
        total = total + predictions[chosen]
        error = float(errors[chosen])
        if error < best[0] * (1 - 1e-7) or (error <= best[0] < np.inf and second[chosen] < best[1] * (1 - 1e-7)):
            best, best_counts = (error, float(second[chosen])), counts
    if not best_counts.sum():
        best_counts = np.zeros(len(predictions))
        best_counts[0] = 1
    return np.asarray(best_counts / best_counts.sum())


def _of_right_class(chances: Predictions, target: Predictions) -> Predictions:
    """The probability of each row's own class."""
    return np.asarray(chances[np.arange(len(target)), target.astype(np.int64)])


def _spread(target: Predictions, most: int, *, of_each: int) -> NDArray[np.int64]:
    """Rows spread evenly over the target's order, so that classes and tails have their share, and up to so many of each class as well."""
    order = np.lexsort((np.random.default_rng(0).permutation(len(target)), target))
    chosen = order[np.linspace(0, len(target) - 1, most).astype(np.int64)]
    if not of_each:
        return np.asarray(chosen)
    few = [order[np.flatnonzero(target[order] == label)[:of_each]] for label in np.unique(target)]
    return np.unique(np.concatenate([chosen, *few]))


def blend(predictions: Sequence[Predictions], weights: Predictions) -> Predictions:
    """The weighted sum."""
    return np.asarray(np.sum([w * p for w, p in zip(weights, predictions, strict=True) if w > 0], axis=0))


def tempered(chances: Predictions, temperature: float) -> Predictions:
    """Probabilities of shape (n, classes), raised to 1 / temperature and brought back to a sum of 1."""
    if temperature == 1.0:
        return chances
    sharp = np.asarray(chances ** (1 / temperature))
    return np.asarray(sharp / sharp.sum(axis=1, keepdims=True))


_TEMPERATURES: Final = (0.2, 2.0)
"""Lowest and highest. As low as that, because a forest's mean of votes is never as sure as it might be."""
_CHANCES: Final = 200_000
"""At most so many probabilities choose a temperature, but at least 2,000 rows."""
_GAIN: Final = 0.001
"""Share by which the log loss has to fall."""


def fit_temperature(chances: Predictions, target: Predictions) -> float:
    """The temperature with the smallest log loss, if it helps on rows that it was not chosen on.

    Each half of the rows chooses for the other one: the mean log loss must fall by a thousandth, or the probabilities stay as they are.
    """
    loss = METRICS["log_loss"]
    most = max(2_000, _CHANCES // chances.shape[1])
    if len(target) > most:
        some = np.random.default_rng(0).permutation(len(target))[:most]
        chances, target = chances[some], target[some]
    half = np.arange(len(target)) % 2 == 0

    def chosen(rows: NDArray[np.bool_]) -> float:
        # The loss has one valley over the logarithm of the temperature: nine values, then eight between the best one's neighbours.
        def best_of(grid: Predictions) -> int:
            return int(np.argmin([loss(target[rows], tempered(chances[rows], float(t))) for t in grid]))

        coarse = np.geomspace(*_TEMPERATURES, 9)
        at = best_of(coarse)
        fine = np.geomspace(coarse[max(at - 1, 0)], coarse[min(at + 1, 8)], 10)
        return round(float(fine[best_of(fine)]), 4)

    before = [loss(target[rows], chances[rows]) for rows in (half, ~half)]
    after = [loss(target[rows], tempered(chances[rows], chosen(~rows))) for rows in (half, ~half)]
    if np.mean(after) < np.mean(before) * (1 - _GAIN) and max(np.subtract(after, before)) < 0:
        return chosen(np.ones(len(target), dtype=np.bool_))
    return 1.0
