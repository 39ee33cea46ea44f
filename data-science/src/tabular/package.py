"""The served model: one folder that takes a raw row and gives a prediction, with everything needed to trust it.

MLmodel  requirements.txt  conda.yaml  python_env.yaml  code/    an MLflow pyfunc
contract.json  recipe.json  model.onnx                           what serves: no pickle, no training library
native/                                                          the trainer's own model, to compare with
input_example.json  expected.json                                a request, and the native model's answers to it
profile.json  metrics.json  decision.json  model_card.md         what was known when it was made
manifest.json                                                    SHA-256 of every file above
"""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from .calling import called, rule, scaled
from .candidate import Candidate, read_candidate
from .contract import Contract
from .documents import write_json
from .errors import DataError
from .mlmodel import signature_inputs, write_mlmodel
from .predictions import AGREEMENT, largest_difference
from .project import METRICS, Project
from .scoring import Scorer
from .tables import Prepared, load_rows, load_table

_EXAMPLES: Final = 5
_CLEAR: Final = 2e-3
"""Twice what a probability may differ by in a smoke test: with less between two classes another one may be called, and none is stored."""


@dataclass(frozen=True)
class Packaged:
    """A package that was written and proved."""

    folder: Path
    manifest_sha256: str
    difference: float
    rows: int


def build_package(
    folder: Path, model: Path, name: str, prepared: Prepared, recipe: Path, test: Path, evaluation: Path, project: Project,
    lineage: dict[str, str],
) -> Packaged:  # fmt: skip
    """Write a package and prove that it answers as the native model does.

    Args:
        folder: empty or absent; gets the package.
        model: the winner's folder, from a trainer.
        name: of the candidate.
        prepared: contract and recipe.
        recipe: prep's recipe folder, for the profile.
        test: prep's test folder.
        evaluation: evaluate's output.
        project: for the model card.
        lineage: label → value, for the model card.

    Raises:
        DataError: there is no ONNX model, or its answers to the raw test rows are not the native model's.
    """
    candidate = read_candidate(model, name, prepared.contract, prepared.recipe.feature_names)
    if not candidate.servable:
        raise DataError(f"{name} can't be served: {candidate.facts.export_error}")
    folder.mkdir(parents=True, exist_ok=True)
    for file in (model / "model.onnx", recipe / "recipe.json", recipe / "contract.json", recipe / "profile.json", recipe / "split.json"):
        shutil.copyfile(file, folder / file.name)
    for file in (evaluation / "metrics.json", evaluation / "decision.json"):
        shutil.copyfile(file, folder / file.name)
    shutil.copytree(model / "native", folder / "native", dirs_exist_ok=True)
    write_json(candidate.facts.settings, folder / "native" / "settings.json")
    table, _ = load_table(test, prepared.contract, candidate.facts.features)
    native = candidate.predict(table.features)
    columns, _ = load_rows(test, prepared.contract)
    scale = 1.0 if prepared.contract.classes else float(table.target.std()) or 1.0
    _write_example(folder, prepared.contract, columns, native, scale, candidate.factors)
    metrics = json.loads((evaluation / "metrics.json").read_text())
    decision = json.loads((evaluation / "decision.json").read_text())
    (folder / "model_card.md").write_text(model_card(project, candidate, metrics, decision, lineage))
    write_mlmodel(folder, signature_inputs(prepared.contract), prepared.contract)
    sha256 = write_manifest(folder)
    difference = _prove(folder, columns, native, table.target, prepared.contract, candidate.factors)
    if not difference <= AGREEMENT:
        raise DataError(
            f"{name}: the packaged model and the native one differ by {difference:.2e} on the raw test rows, limit {AGREEMENT:g}; "
            "it is not registered"
        )
    return Packaged(folder, sha256, difference, len(table.target))


def _prove(
    folder: Path, columns: dict[str, Any], native: NDArray[np.float64], actual: NDArray[np.float64], contract: Contract,
    factors: tuple[float, ...],
) -> float:  # fmt: skip
    """Raw test rows through the package as it lies on disk, against the native model on prep's features."""
    scorer = Scorer(folder)
    if scorer.factors != factors:
        raise DataError(
            f"model.onnx calls rows by the factors {list(scorer.factors)}, the native model by {list(factors)}; it is not registered: train again"
        )
    result = scorer.predict_features(scorer.recipe.apply(columns)).astype(np.float64)
    return largest_difference(result[:, 0] if result.shape[1] == 1 else result, native, actual, contract)


def write_manifest(folder: Path) -> str:
    """Write manifest.json over all other files.

    Returns:
        Its SHA-256, which names the package's bytes.
    """
    for cache in folder.rglob("__pycache__"):
        shutil.rmtree(cache)
    files = sorted(f for f in folder.rglob("*") if f.is_file() and f.name != "manifest.json")
    listed = {str(f.relative_to(folder)): hashlib.sha256(f.read_bytes()).hexdigest() for f in files}
    data = (json.dumps({"format": 1, "files": listed}, indent=1) + "\n").encode()
    (folder / "manifest.json").write_bytes(data)
    return hashlib.sha256(data).hexdigest()


def _write_example(
    folder: Path, contract: Contract, columns: dict[str, Any], native: NDArray[np.float64], scale: float, factors: tuple[float, ...]
) -> None:
    count = min(_EXAMPLES, len(native))
    rows = [{c.name: request_value(contract, c.name, columns[c.name][i]) for c in contract.inputs} for i in range(count)]
    (folder / "input_example.json").write_text(json.dumps({"input_data": rows}, indent=1, allow_nan=False) + "\n")
    expected: dict[str, Any] = {"native": native[:count].tolist(), "scale": scale}
    if contract.classes:
        some, scale_of = native[:count], np.asarray(factors or np.ones(len(contract.classes)))
        products = scaled(some, factors)
        first, second = np.argsort(products, axis=1)[:, [-1, -2]].T
        rows_ = np.arange(count)
        clear = products[rows_, first] - products[rows_, second] > _CLEAR * (scale_of[first] + scale_of[second])
        labels = called(some, factors)
        expected["called"] = [contract.classes[k] if sure else None for k, sure in zip(labels, clear, strict=True)]
    (folder / "expected.json").write_text(json.dumps(expected, indent=1, allow_nan=False) + "\n")


def request_value(contract: Contract, name: str, value: Any) -> Any:
    """A typed value as a caller would write it in a request."""
    column = contract[name]
    if value is None or (isinstance(value, float | np.floating) and np.isnan(value)):
        return None
    if column.type == "category":
        return column.level_set.get(value, value)
    if column.type == "boolean":
        return bool(value)
    if column.type == "datetime":
        return datetime.fromtimestamp(float(value), timezone.utc).strftime(column.formats[0])
    number = float(value)
    return int(number) if number.is_integer() else number


def model_card(project: Project, candidate: Candidate, metrics: dict[str, Any], decision: dict[str, Any], lineage: dict[str, str]) -> str:
    """The model card: what it is, what it was judged by, what it needs, what it is not for."""
    contract = project.contract
    unit = contract.target_unit
    judged = metrics["candidates"][decision["winner"]]
    lines = [
        f"# {project.name}",
        "",
        project.description or f"Predicts {contract.target}.",
        "",
        f"- Task: {contract.task}; target `{contract.target}`{f' in {unit}' if unit else ''}",
        f"- Model: {candidate.facts.family}, {candidate.facts.trees} trees, candidate `{candidate.facts.name}`",
        *([f"- {rule(contract.classes, candidate.factors)}"] if contract.classes else []),
        f"- Verdict: {decision['verdict']}. {decision['summary']}",
        "",
        f"## Figures on {metrics['rows']:,} unseen rows",
        "",
        "| metric | value | 95 % interval |",
        "|---|---:|---:|",
    ]
    for name in METRICS[contract.task]:
        figure = judged["metrics"][name]
        low, high = figure["low"], figure["high"]
        span = "" if low is None or high is None else f"{low:.4g} to {high:.4g}"
        value = "" if figure["value"] is None else f"{figure['value']:.4g}"
        lines.append(f"| {name} | {value} | {span} |")
    lines += ["", "## Inputs", "", "| column | type | unit | allowed | meaning |", "|---|---|---|---|---|"]
    lines += [f"| {c.name} | {c.type} | {c.unit or ''} | {c.allowed()} | {c.description} |" for c in contract.inputs]
    unknown = [c.name for c in contract.columns if not c.known]
    lines += [
        "",
        "## Limits",
        "",
        "- It answers only rows that fit the table above; others are refused, never guessed.",
        "- It was judged on rows like those that `profile.json` describes; data that have moved need a new evaluation.",
    ]
    if unknown:
        lines.append(f"- Not used, since unknown at prediction: {', '.join(unknown)}.")
    lines += ["", "## Where it comes from", "", *(f"- {label}: {value}" for label, value in lineage.items()), ""]
    return "\n".join(lines)
