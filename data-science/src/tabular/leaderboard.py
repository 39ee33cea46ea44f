"""The leaderboard of a search: what was tried, and what came of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .contract import Task
from .ensemble import Member, Predictions
from .factors import is_tuned
from .families import TrainingData
from .metrics import METRICS
from .project import RISING


@dataclass(frozen=True)
class Trial:
    """A line of the leaderboard: a member, or one of the two endings.

    Attributes:
        number: in the order tried, from 1; 0 for an ending.
        family: with "(log)" if it was fitted on a log scale, "(short)" if with fewer iterations for a limit of `fast`; "ensemble (accurate)" and "ensemble (fast)" for the endings.
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
class FittedMember:
    """A member with its line of the leaderboard.

    Attributes:
        oof: its predictions of the rows that are judged, each by a model that was not trained on it.
        model_seconds: of one fold.
    """

    member: Member
    oof: Predictions
    trial: Trial
    model_seconds: float


def leaderboard_table(trials: Sequence[Trial], metric: str, unit: str) -> str:
    """The leaderboard as aligned text, best first."""
    arrow = "higher is better" if metric in RISING else "lower is better"
    head = f"{'':2}{'#':>3}  {'model':<21}  {f'{metric} {unit}'.strip():>14}  {'weight':>6}  {'fit s':>6}  {'trees':>6}  {'row ms':>6}  {'MB':>6}"
    lines = [f"{metric} on rows not trained on ({arrow})", head]
    for rank, t in enumerate(trials):
        mark = "★ " if rank == 0 else "  "
        note = f"  failed: {t.failure}" if t.failure else "  time was up" if t.stopped else _not_refitted(t)
        weight = f"{t.weight:.2f}" if t.weight else ""
        row = f"{t.row_ms:.3f}" if t.row_ms is not None else ""
        size = f"{t.megabytes:.1f}" if t.megabytes is not None else ""
        line = f"{mark}{t.number or '':>3}  {t.family:<21}  {t.score:>14.4f}  {weight:>6}  {t.seconds:>6.1f}  {t.trees:>6}  {row:>6}  {size:>6}{note}"
        lines.append(line.rstrip())
    return "\n".join(lines)


def _not_refitted(trial: Trial) -> str:
    """Of `fast`: which members were to be fitted on all rows, and were not. `accurate` has all bags of these."""
    if trial.family != "ensemble (fast)":
        return ""
    found = [f"{m['family']} ({m['refit'][4:]})" for m in trial.settings.get("members", ()) if m["refit"].startswith("no:")]
    return f"  a fold's model instead of one of all rows: {', '.join(found)}" if found else ""


def baseline(task: Task, data: TrainingData, metric: str) -> float:
    """The metric on the validation rows of always saying the training mean (or the class shares)."""
    target, actual = data.train.target, data.validation.target
    if task == "regression":
        constant = np.full(len(actual), np.median(target) if metric in ("mae", "median_absolute_error") else target.mean())
    else:
        if is_tuned(metric, data.classes):  # Always the class that the metric is best for, which need not be the commonest.
            sure = np.eye(data.classes)
            return max(METRICS[metric](actual, np.tile(row, (len(actual), 1))) for row in sure)
        shares = np.bincount(target.astype(np.int64), minlength=data.classes) / len(target)
        constant = np.tile(shares, (len(actual), 1))
    return METRICS[metric](actual, constant)
