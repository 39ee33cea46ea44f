"""What `evaluate.py` does: judge every candidate and the champion on the same rows, decide, draw, report.

Output folder: metrics.json, decision.json, report.html (self-contained) and the plots as PNG.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .calling import scaled
from .comparison import Comparison, Interval, compare, intervals
from .contract import Contract
from .errors import DataError
from .gates import (
    Check,
    check_champion,
    check_contract,
    check_drift,
    check_servable,
    check_single_row,
    check_slices,
    check_thresholds,
    direction,
)
from .metrics import as_counted, as_error, confusion
from .predictions import Judged, Predictions, read_predictions
from .project import METRICS, Project
from .scoring import Scorer, check_manifest
from .slices import SliceFigure, slice_figures
from .tables import load_rows


@dataclass
class Evaluated:
    """One model's figures on the test rows."""

    name: str
    judged: Judged
    predicted: NDArray[np.float64]
    metrics: dict[str, Interval]
    slices: list[SliceFigure]

    def counted(self, metric: str) -> NDArray[np.float64]:
        """What a metric sees of the predictions."""
        return as_counted(metric, self.predicted, self.judged.factors)

    @property
    def products(self) -> NDArray[np.float64]:
        """What the class called is the largest of."""
        return scaled(self.predicted, self.judged.factors)

    def to_dict(self) -> dict[str, Any]:
        """For metrics.json."""
        return {
            **asdict(self.judged),
            "metrics": {n: asdict(i) for n, i in self.metrics.items()},
            "slices": [asdict(s) for s in self.slices],
        }


@dataclass
class Decision:
    """The verdict.

    Attributes:
        passed: whether every check passed.
        winner: name of the best candidate.
        metric: by which it is best.
        checks: every check with figure and sentence.
        summary: the verdict in a sentence or two.
        champion: name and version of the champion compared with; None if there was none.
    """

    passed: bool
    winner: str
    metric: str
    checks: list[Check]
    summary: str
    champion: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """For decision.json."""
        return {**asdict(self), "verdict": "passed" if self.passed else "refused"}


@dataclass
class Evaluation:
    """Everything that the report shows."""

    project: Project
    contract: Contract
    rows: int
    candidates: list[Evaluated]
    champion: Evaluated | None
    comparison: Comparison | None
    decision: Decision
    actual: NDArray[np.float64]
    stability: dict[str, float] = field(default_factory=dict)

    @property
    def winner(self) -> Evaluated:
        """The best candidate."""
        return next(c for c in self.candidates if c.name == self.decision.winner)


def evaluate(project: Project, contract: Contract, folders: Sequence[Path], test: Path, recipe: Path, champion: Path | None) -> Evaluation:
    """Judge and decide.

    Args:
        project: gates, slices and the metric.
        contract: as prep used it.
        folders: one per candidate, from predict.py.
        test: prep's test folder, or stageprep's output (which adds `stability.json`).
        recipe: prep's recipe folder, for how the rows were divided.
        champion: the package that is in production; None on the first run.

    Raises:
        DataError: the predictions are not of the same rows, or the champion may have been trained on some of them.
    """
    read = [read_predictions(folder, contract) for folder in folders]
    columns, rows = load_rows(test, contract)
    for folder, found in zip(folders, read, strict=True):
        if not np.array_equal(found.rows, rows) or not np.array_equal(found.actual, read[0].actual):
            raise DataError(f"{folder}: its predictions are not of the rows in {test}; predict again")
    names = [found.judged.name for found in read]
    if len(set(names)) != len(names):
        raise DataError(f"candidates {', '.join(names)}: two have the same name; give each its own --name")
    metric = project.search.metric
    actual = read[0].actual
    candidates = [_evaluated(found, project, contract, columns) for found in read]
    if champion is not None and not (test / "stability.json").exists():
        _same_split(champion, recipe)
    champion_found = None if champion is None else _champion(champion, project, contract, columns, actual)
    best = min(candidates, key=lambda c: (not c.judged.servable, as_error(metric, c.metrics[metric].value)))
    comparison = None
    if champion_found is not None:
        comparison = compare(actual, best.counted(metric), champion_found.counted(metric), metric, project.gates.confidence)
    stability_path = test / "stability.json"
    stability = json.loads(stability_path.read_text()) if stability_path.exists() else {}
    unit = contract.target_unit
    checks = [
        *check_thresholds(project.gates, best.metrics, unit),
        check_champion(project.gates, comparison),
        *check_slices(project.gates, best.slices, metric),
        check_servable(best.judged),
        *check_contract(best.judged),
        *check_single_row(project.gates, best.judged),
        *check_drift(project.gates, stability),
    ]
    passed = all(check.passed for check in checks)
    value = best.metrics[metric]
    shown = f" {unit}" if unit and metric in ("rmse", "mae", "median_absolute_error") else ""
    figure = f"{best.name} ({best.judged.family}) has {metric} {value.value:.4g}{shown} on {len(actual):,} unseen rows"
    failed = [check for check in checks if not check.passed]
    outcome = (
        f"and passes all {len(checks)} checks."
        if passed
        else f"and fails {len(failed)} of {len(checks)} checks: {'; '.join(c.sentence for c in failed)}."
    )
    decision = Decision(passed, best.name, metric, checks, f"{figure} {outcome}", champion_found.name if champion_found else None)
    return Evaluation(project, contract, len(actual), candidates, champion_found, comparison, decision, actual, stability)


def _same_split(champion: Path, recipe: Path) -> None:
    """The champion was kept from today's test rows only if its rows were divided as today's are."""
    ours, theirs = (json.loads((folder / "split.json").read_text()) for folder in (recipe, champion))
    changed = sorted(key for key in ours if ours[key] != theirs.get(key))
    if changed:
        raise DataError(
            f"split.{changed[0]} of project.yml is {ours[changed[0]]!r}, and was {theirs.get(changed[0])!r} when the champion was "
            "trained: it may have seen today's test rows. Put it back, or bind no champion this time"
        )


def _evaluated(found: Predictions, project: Project, contract: Contract, columns: dict[str, Any]) -> Evaluated:
    factors, metric = found.judged.factors, project.search.metric
    figures = intervals(found.actual, found.predicted, list(METRICS[project.contract.task]), factors=factors)
    slices = slice_figures(project.slices, columns, contract, found.actual, as_counted(metric, found.predicted, factors), metric)
    return Evaluated(found.judged.name, found.judged, found.predicted, figures, slices)


def _champion(folder: Path, project: Project, contract: Contract, columns: dict[str, Any], actual: NDArray[np.float64]) -> Evaluated:
    """The champion predicts here, from the raw columns, by its own recipe: it needs ONNX Runtime and nothing else."""
    scorer = Scorer(folder)
    if scorer.contract.task != contract.task or scorer.contract.classes != contract.classes:
        raise DataError(
            f"the champion predicts {scorer.contract.task} {list(scorer.contract.classes)}, this project "
            f"{contract.task} {list(contract.classes)}: they can't be compared; retire the champion or rename the project"
        )
    lacking = [c.name for c in scorer.contract.inputs if c.name not in columns]
    if lacking:
        raise DataError(f"the champion needs columns that the data no longer have: {', '.join(lacking)}")
    result = scorer.predict_features(scorer.recipe.apply(columns)).astype(np.float64)
    predicted = result[:, 0] if result.shape[1] == 1 else result
    facts = json.loads((folder / "native" / "native.json").read_text())
    name = f"champion {check_manifest(folder)[:8]}"
    judged = Judged(name, facts["family"], facts["trees"], servable=True, reason="it is in production", factors=scorer.factors)
    found = Predictions(judged, np.arange(len(actual)), actual, predicted)
    return _evaluated(found, project, contract, columns)


def metrics_document(evaluation: Evaluation) -> dict[str, Any]:
    """metrics.json."""
    contract = evaluation.contract
    document: dict[str, Any] = {
        "task": contract.task,
        "target": contract.target,
        "unit": contract.target_unit,
        "metric": evaluation.project.search.metric,
        "rows": evaluation.rows,
        "winner": evaluation.decision.winner,
        "candidates": {c.name: c.to_dict() for c in evaluation.candidates},
        "champion": evaluation.champion.to_dict() if evaluation.champion else None,
        "comparison": asdict(evaluation.comparison) if evaluation.comparison else None,
        "stability": evaluation.stability,
    }
    if contract.classes:
        document["confusion"] = confusion(evaluation.actual, evaluation.winner.products).tolist()
        document["classes"] = list(contract.classes)
    return document


def draw(evaluation: Evaluation, folder: Path) -> list[tuple[Path, str]]:
    """Draw every plot of the task.

    Returns:
        Path and caption of each, in the order of the report.
    """
    from . import plots

    contract, winner = evaluation.contract, evaluation.winner
    metric = evaluation.project.search.metric
    unit = contract.target_unit
    metric_unit = unit if metric in ("rmse", "mae", "median_absolute_error") else ""
    models = {c.name: c.metrics[metric] for c in [*evaluation.candidates, *([evaluation.champion] if evaluation.champion else [])]}
    actual, predicted = evaluation.actual, winner.predicted
    drawn = [
        (
            plots.model_comparison(folder / "model_comparison.png", models, metric, metric_unit, direction(metric)),
            "Every model of this run, judged on the same rows that none of them was trained on.",
        )
    ]
    if contract.task == "regression":
        drawn += [
            (
                plots.predicted_against_actual(folder / "predicted_against_actual.png", actual, predicted, contract.target, unit),
                "Each point is a test row. On the dashed line the prediction is exact.",
            ),
            (
                plots.residuals(folder / "residuals.png", actual, predicted, unit),
                "How far off the predictions are. A centre away from 0 would mean a bias.",
            ),
        ]
    else:
        classes = contract.classes
        drawn += [
            (
                plots.confusion_matrix(folder / "confusion_matrix.png", actual, winner.products, classes),
                "Which classes are taken for which: test rows, and their share of the actual class. The diagonal is right.",
            ),
            (
                plots.roc(folder / "roc.png", actual, predicted, classes),
                "The further above the dotted line, the better the classes are told apart.",
            ),
            (
                plots.precision_recall(folder / "precision_recall.png", actual, predicted, classes),
                "What part of the rows called a class are of it, against what part of the class is found.",
            ),
            (
                plots.calibration(folder / "calibration.png", actual, predicted, classes),
                "Whether a probability of 70 % comes true in 70 of 100 cases: then the line is on the dotted one.",
            ),
        ]
    if winner.slices:
        limit = evaluation.project.gates.slice_ratio
        drawn.append(
            (
                plots.slice_errors(folder / "slices.png", winner.slices, metric, metric_unit, limit),
                "Where the model is better and worse. In brackets: test rows.",
            )
        )
    if winner.judged.importance:
        drawn.append(
            (
                plots.importance_bars(
                    folder / "importance.png", winner.judged.importance, metric, metric_unit, winner.judged.importance_rows
                ),
                "How much worse the model gets when a column's values are shuffled: what it relies on.",
            )
        )
    return drawn
