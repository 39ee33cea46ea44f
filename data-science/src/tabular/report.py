"""The report: one HTML file that opens with the verdict and needs nothing else to be shown."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from .calling import rule
from .evaluation import Evaluation
from .gates import direction
from .project import METRICS

_NAMES = {
    "rmse": "RMSE",
    "mae": "MAE",
    "mse": "MSE",
    "r2": "R²",
    "median_absolute_error": "Median absolute error",
    "accuracy": "Accuracy",
    "precision": "Precision",
    "recall": "Recall",
    "f1": "F1",
    "roc_auc": "ROC-AUC",
    "log_loss": "Log loss",
    "brier": "Brier score",
}
_MEANINGS = {
    "rmse": "typical size of an error; large ones count more",
    "mae": "mean size of an error",
    "mse": "mean of the squared errors",
    "r2": "share of the variation explained; 1 is perfect, 0 no better than the mean",
    "median_absolute_error": "half of the rows are closer than this",
    "accuracy": "share of rows given the right class",
    "precision": "share of the rows called a class that are of it",
    "recall": "share of a class's rows that are found",
    "f1": "harmonic mean of precision and recall",
    "roc_auc": "chance that a row of the class scores above one that is not",
    "log_loss": "how surprised the probabilities are by what came; 0 is perfect",
    "brier": "mean squared error of the probabilities; 0 is perfect",
}


def render(evaluation: Evaluation, plots: Sequence[tuple[Path, str]], prep: dict[str, Any], lineage: dict[str, str]) -> str:
    """The report's HTML.

    Args:
        evaluation: what was found.
        plots: paths and captions; the images are put into the page.
        prep: prep.json or stageprep's.
        lineage: label → value, shown at the end (commit, data hash, …).
    """
    import jinja2

    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string((Path(__file__).parent / "report.html.jinja").read_text())
    contract = evaluation.contract
    unit = contract.target_unit
    factors = evaluation.winner.judged.factors
    models = [*evaluation.candidates, *([evaluation.champion] if evaluation.champion else [])]
    metrics = METRICS[contract.task]
    units = {m: unit if m in ("rmse", "mae", "median_absolute_error") else f"{unit}²" if m == "mse" and unit else "" for m in metrics}
    best = {}
    for metric in metrics:
        values = [m.metrics[metric].value for m in models if m.metrics[metric].value == m.metrics[metric].value]
        best[metric] = (max(values) if direction(metric).startswith("higher") else min(values)) if values else None
    images = [
        {"name": path.stem.replace("_", " "), "caption": caption, "data": base64.b64encode(path.read_bytes()).decode()}
        for path, caption in plots
    ]
    return template.render(
        project=evaluation.project,
        contract=contract,
        decision=evaluation.decision,
        winner=evaluation.winner,
        models=models,
        metrics=metrics,
        # The square of the first tile says nothing more.
        tiles=[metric for metric in metrics if metric != "mse"][:4],
        names=_NAMES,
        meanings=_MEANINGS,
        directions={m: direction(m) for m in metrics},
        units=units,
        best=best,
        images=images,
        rows=evaluation.rows,
        calling=rule(contract.classes, factors) if factors else "",
        prep=prep,
        lineage=lineage,
        stability=sorted(evaluation.stability.items(), key=lambda item: -item[1]),
        leaderboards=[m for m in evaluation.candidates if m.judged.leaderboard],
        made=datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
    )


def load_prep(folder: Path) -> dict[str, Any]:
    """prep.json of a recipe folder; empty if there is none."""
    path = folder / "prep.json"
    found: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    return found
