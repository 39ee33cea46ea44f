"""What `train.py` and `train2.py` do: fit, show progress, write a candidate, log to MLflow."""

from __future__ import annotations

import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from .calling import rule
from .candidate import Facts, write_candidate
from .contract import Contract
from .ensemble import Ensemble
from .families import Budget, Model, module
from .leaderboard import Trial, baseline, leaderboard_table
from .metrics import METRICS
from .project import Project, Search
from .search import Found, search
from .tables import Prepared, load_training
from .tracking import Tracking

_OF_A_ROW: Final = 0.6
"""Share of `gates.single_row_ms` that the graph may take; the rest is for the recipe, which the gate counts too."""


class Bar:
    """A progress line: redrawn in a terminal, one line per trial elsewhere. Without a budget in seconds it has no bar."""

    def __init__(self, seconds: float | None) -> None:
        self._seconds = seconds
        self._live = sys.stdout.isatty()

    def __call__(self, used: float, what: str, best: Trial | None, metric: str) -> None:
        """Show where the search is."""
        score = f"best {metric} {best.score:.4f}" if best else "no model yet"
        line = f"{used:5.1f} s  {score}  trying {what}"
        if self._seconds is not None:
            done = min(1.0, used / self._seconds)
            bar = "█" * round(done * 20) + "░" * (20 - round(done * 20))
            line = f"{bar} {max(0.0, self._seconds - used):5.1f} of {self._seconds:g} s left  {score}  trying {what}"
        sys.stdout.write(f"\r\x1b[2K{line}" if self._live else line + "\n")
        sys.stdout.flush()

    def close(self) -> None:
        """End the line."""
        if self._live:
            sys.stdout.write("\r\x1b[2K")


def train_automl(
    project: Project, options: Search, contract: Contract, train: Path, validation: Path, output: Path, begun: float | None = None
) -> Found:
    """Search within the budget, which counts from `begun`, and write the ending chosen as a candidate; the other one lies beside it."""
    begun = time.monotonic() if begun is None else begun
    with Tracking(project.name) as tracking:
        data, features = load_training(train, validation, contract, options.metric)
        bar = Bar(options.seconds if options.budget_trials is None else None)
        limit = project.gates.single_row_ms
        row_ms = None if limit is None else _OF_A_ROW * limit
        found = search(data, options, begun=begun, progress=bar, row_ms=row_ms, holdout=project.split.by == "time")
        bar.close()
        print(leaderboard_table(found.leaderboard, found.metric, contract.target_unit))
        if found.model.factors:
            print(rule(contract.classes, found.model.factors))
        trials = [asdict(trial) for trial in found.leaderboard]
        facts = Facts("automl", found.model.family, found.model.size, features, found.seconds, found.metric, found.best.score, float("nan"))
        facts.settings, facts.leaderboard, facts.ending = found.best.settings, trials, found.ending
        facts.baseline = baseline(contract.task, data, found.metric)
        for ending, built in found.endings.items():
            path = output / "endings" / ending / "model.onnx"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(built.onnx)
        _finish(tracking, output, found.model, facts, contract, found.endings[found.ending].onnx)
    return found


def train_forest(
    project: Project, settings: dict[str, Any], threads: int, prepared: Prepared, train: Path, validation: Path, output: Path
) -> None:
    """Fit one random forest with the settings given and write it as a candidate."""
    metric = project.search.metric
    contract = prepared.contract
    with Tracking(project.name) as tracking:
        data, features = load_training(train, validation, contract, metric)
        begun = time.monotonic()
        print(f"random forest on {len(data.train.target):,} rows, {len(features)} features: {settings}", flush=True)
        model = module("random_forest").fit(data, dict(settings), Budget(None, threads, project.search.seed))
        seconds = time.monotonic() - begun
        score = METRICS[metric](data.validation.target, model.predict(data.validation.features))
        facts = Facts("forest", model.family, model.size, features, seconds, metric, score, float("nan"))
        facts.settings, facts.baseline = settings, baseline(contract.task, data, metric)
        _finish(tracking, output, model, facts, contract)


def _finish(tracking: Tracking, output: Path, model: Model | Ensemble, facts: Facts, contract: Contract, onnx: bytes | None = None) -> None:
    write_candidate(output, model, facts, contract, onnx)
    if facts.export_error:
        print(f"not servable: {facts.export_error}")
    unit = f" {contract.target_unit}" if contract.target_unit else ""
    print(
        f"{facts.family}: validation {facts.metric} {facts.validation:.4f}{unit} after {facts.seconds:.1f} s "
        f"(always saying the same: {facts.baseline:.4f})"
    )
    tracking.log(
        parameters={"family": facts.family, "trees": facts.trees, **facts.settings},
        metrics={f"validation_{facts.metric}": facts.validation, "fit_seconds": facts.seconds},
        tags={"candidate": facts.name},
    )
