"""What `predict.py` does: one candidate's predictions on the test rows, and the facts about it that need its runtime.

Output folder: `predictions.parquet` (row, actual, and `prediction` or `probability_0` … ) and `predictions.json`.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from .candidate import read_candidate
from .contract import Contract
from .documents import write_json
from .errors import DataError
from .metrics import METRICS, as_counted, as_error
from .onnx_session import open_session, run_session, usable_cores
from .recipe_arrays import ArrayRecipe
from .request_contract import check_contract
from .scoring import Scorer
from .tables import Prepared, load_prepared, load_rows, load_table

AGREEMENT: Final = 1e-4
"""Largest difference of ONNX and native, in standard deviations of the target, or in probability."""
_IMPORTANCE_ROWS: Final = (300, 1_000)
"""At least and at most; between them, fewer of a model with more trees."""
_IMPORTANCE_TREES: Final = 1_500_000
"""Rows times trees of one shuffled column."""
_IMPORTANCE_REPEATS: Final = 2
_TIMED: Final = 200


@dataclass
class Judged:
    """Facts of a candidate that `evaluate` can't find out without its runtime.

    Attributes:
        servable: whether an ONNX model agrees with the native one on every test row.
        reason: a sentence about that.
        largest_difference: of the two, in standard deviations of the target or in probability; None if there is no ONNX.
        single_row_ms: median time of one row, recipe included, in milliseconds; None if there is no ONNX.
        contract_tried: requests that the contract of a package was tried with; 0 for a model that is no package yet.
        contract_problems: a sentence for each that was not answered as it must be.
        size_bytes: of the ONNX model.
        importance: input column → how much the metric's error grows when its values are shuffled, in the metric's unit.
        importance_rows: rows that was measured on.
        factors: by which rows are called; see `calling`. Empty for a regression, and where the largest probability does.
    """

    name: str
    family: str
    trees: int
    servable: bool
    reason: str
    largest_difference: float | None = None
    single_row_ms: float | None = None
    contract_tried: int = 0
    contract_problems: list[str] = field(default_factory=list)
    size_bytes: int | None = None
    metric: str = ""
    validation: float | None = None
    fit_seconds: float | None = None
    importance: dict[str, float] = field(default_factory=dict)
    importance_rows: int = 0
    leaderboard: list[dict[str, Any]] = field(default_factory=list)
    factors: Sequence[float] = ()


@dataclass(frozen=True)
class Predictions:
    """Predictions that were read back: `predicted` is (n,) or (n, classes)."""

    judged: Judged
    rows: NDArray[np.int64]
    actual: NDArray[np.float64]
    predicted: NDArray[np.float64]


def predict_candidate(folder: Path, name: str, test: Path, recipe: Path, metric: str, output: Path, *, trust: bool = False) -> Judged:
    """Predict the test rows with a candidate, or with a packaged model, and write the output folder. `trust`: see `read_candidate`.

    Raises:
        DataError: the folders do not belong together.
    """
    prepared = load_prepared(recipe)
    if (folder / "recipe.json").exists():
        judged, actual, predicted = _package(folder, name, test, prepared, metric)
    else:
        judged, actual, predicted = _candidate(folder, name, test, prepared, metric, trust=trust)
    _, rows = load_rows(test, prepared.contract)
    if len(rows) != len(actual):
        raise DataError(f"{test}: rows.parquet has {len(rows)} rows and data.parquet {len(actual)}; write the folder again")
    output.mkdir(parents=True, exist_ok=True)
    columns: dict[str, Any] = {"row": rows, "actual": actual}
    if predicted.ndim == 1:
        columns["prediction"] = predicted
    else:
        columns |= {f"probability_{k}": predicted[:, k] for k in range(predicted.shape[1])}
    pl.DataFrame(columns).write_parquet(output / "predictions.parquet")
    write_json(asdict(judged), output / "predictions.json")
    return judged


def read_predictions(folder: Path, contract: Contract) -> Predictions:
    """What `predict_candidate` wrote.

    Raises:
        DataError: it is another folder.
    """
    try:
        judged = Judged(**json.loads((folder / "predictions.json").read_text()))
        frame = pl.read_parquet(folder / "predictions.parquet")
    except FileNotFoundError as error:
        raise DataError(f"{folder}: has no {Path(str(error.filename)).name}; pass a folder that predict.py wrote") from None
    names = [f"probability_{k}" for k in range(len(contract.classes))]
    predicted = frame.select(names).to_numpy() if names else frame["prediction"].to_numpy()
    return Predictions(judged, frame["row"].to_numpy(), frame["actual"].to_numpy(), predicted)


def _candidate(
    folder: Path, name: str, test: Path, prepared: Prepared, metric: str, *, trust: bool
) -> tuple[Judged, NDArray[np.float64], NDArray[np.float64]]:
    contract = prepared.contract
    candidate = read_candidate(folder, name, contract, prepared.recipe.feature_names, trust=trust)
    facts = candidate.facts
    table, _ = load_table(test, contract, facts.features)
    predicted = candidate.predict(table.features)
    judged = Judged(name, facts.family, facts.trees, servable=False, reason=facts.export_error or "", metric=metric)
    judged.validation, judged.fit_seconds, judged.leaderboard = facts.validation, facts.seconds, facts.leaderboard
    judged.factors = candidate.factors
    recipe = ArrayRecipe(prepared.recipe, contract)
    columns, _ = load_rows(test, contract)
    if candidate.servable:
        run = _runner(open_session(folder / "model.onnx"))
        difference = largest_difference(run(table.features), predicted, table.target, contract)
        judged.largest_difference = difference
        judged.servable = difference <= AGREEMENT
        unit = "probability" if contract.classes else "standard deviations of the target"
        judged.reason = f"ONNX and native differ by at most {difference:.1e} {unit} on {len(predicted):,} test rows (limit {AGREEMENT:g})"
        judged.size_bytes = (folder / "model.onnx").stat().st_size
        judged.single_row_ms = _single_row(recipe, columns, run)
        _explain(judged, recipe, columns, table.target, run, contract, threads=usable_cores())
    else:
        _explain(judged, recipe, columns, table.target, candidate.predict, contract)
    return judged, table.target, predicted


def _package(
    folder: Path, name: str, test: Path, prepared: Prepared, metric: str
) -> tuple[Judged, NDArray[np.float64], NDArray[np.float64]]:
    """A packaged model predicts from the typed columns by the recipe inside it; the features of `test` are not used."""
    contract = prepared.contract
    scorer = Scorer(folder)
    columns, _ = load_rows(test, contract)
    table, _ = load_table(test, contract)
    run = _runner(scorer.session)
    predicted = run(scorer.recipe.apply(columns))
    facts = json.loads((folder / "native" / "native.json").read_text())
    difference = stored_difference(folder, scorer)
    judged = Judged(
        name, facts["family"], facts["trees"], servable=difference <= AGREEMENT, reason="", metric=metric, factors=scorer.factors
    )
    judged.largest_difference = difference
    judged.reason = f"the packaged model gives the answers stored at registration within {difference:.1e} (limit {AGREEMENT:g})"
    judged.contract_tried, judged.contract_problems = check_contract(folder, scorer)
    judged.size_bytes = (folder / "model.onnx").stat().st_size
    judged.single_row_ms = _single_row(scorer.recipe, columns, run)
    _explain(judged, scorer.recipe, columns, table.target, run, contract, threads=usable_cores())
    return judged, table.target, predicted


def stored_difference(folder: Path, scorer: Scorer) -> float:
    """Largest difference of a package's answers to its input example and the native model's answers stored beside it.

    In standard deviations of the target (stored too), or in probability.
    """
    body = (folder / "input_example.json").read_bytes()
    stored = json.loads((folder / "expected.json").read_text())
    rows = scorer.typed_rows(json.loads(body)["input_data"])
    answers = scorer.predict(rows).astype(np.float64)
    expected = np.asarray(stored["native"], dtype=np.float64).reshape(answers.shape)
    return float(np.abs(answers - expected).max() / (stored["scale"] or 1.0))


def largest_difference(a: NDArray[np.float64], b: NDArray[np.float64], actual: NDArray[np.float64], contract: Contract) -> float:
    """Largest difference of two models' predictions, in standard deviations of the target or in probability."""
    scale = 1.0 if contract.classes else float(actual.std()) or 1.0
    return float(np.abs(a - b).max() / scale)


def _runner(session: Any) -> Callable[[NDArray[np.float32]], NDArray[np.float64]]:
    """Predictions of an ONNX model: (n,) or (n, classes). Threads may share it."""

    def run(features: NDArray[np.float32]) -> NDArray[np.float64]:
        result = run_session(session, features).astype(np.float64)
        return result[:, 0] if result.shape[1] == 1 else result

    return run


def _single_row(recipe: ArrayRecipe, columns: dict[str, Any], run: Callable[[NDArray[np.float32]], Any]) -> float:
    count = len(next(iter(columns.values())))
    times = []
    for i in range(_TIMED):
        row = {name: values[i % count : i % count + 1] for name, values in columns.items()}
        begun = time.perf_counter()
        run(recipe.apply(row))
        times.append(time.perf_counter() - begun)
    return float(np.median(times) * 1000)


def _explain(
    judged: Judged, recipe: ArrayRecipe, columns: dict[str, Any], actual: NDArray[np.float64], run: Callable[[NDArray[np.float32]], Any],
    contract: Contract, *, threads: int = 1,
) -> None:  # fmt: skip
    def counted(features: NDArray[np.float32]) -> Any:
        return as_counted(judged.metric, run(features), judged.factors)

    found = importance(recipe, columns, actual, counted, judged.metric, contract, judged.trees, threads)
    judged.importance, judged.importance_rows = found


def importance(
    recipe: ArrayRecipe,
    columns: dict[str, Any],
    actual: NDArray[np.float64],
    run: Callable[[NDArray[np.float32]], NDArray[np.float64]],
    metric: str,
    contract: Contract,
    trees: int,
    threads: int = 1,
) -> tuple[dict[str, float], int]:
    """Permutation importance (Breiman 2001) of each input column, shuffled before the recipe, so derived ones follow.

    Args:
        recipe: from columns to features.
        columns: typed test columns.
        actual: the target, shape (n,).
        run: from features to predictions.
        metric: whose error's growth is the importance.
        contract: names the columns.
        trees: of the model.
        threads: how many call `run` at once.

    Returns:
        Column → growth, largest first, mean over repeats; and the number of rows used.
    """
    random = np.random.default_rng(0)
    count = len(actual)
    least, most = _IMPORTANCE_ROWS
    rows = max(least, min(most, _IMPORTANCE_TREES // max(1, trees)))
    chosen = np.sort(random.choice(count, min(count, rows), replace=False))
    sample = {n: v[chosen] if isinstance(v, np.ndarray) else [v[i] for i in chosen] for n, v in columns.items()}
    target = actual[chosen]
    function = METRICS[metric]
    start = as_error(metric, function(target, run(recipe.apply(sample))))
    orders = {column.name: [random.permutation(len(chosen)) for _ in range(_IMPORTANCE_REPEATS)] for column in contract.inputs}

    def growth(name: str) -> float:
        values = sample[name]
        shuffled = (values[order] if isinstance(values, np.ndarray) else [values[i] for i in order] for order in orders[name])
        errors = [as_error(metric, function(target, run(recipe.apply({**sample, name: column})))) for column in shuffled]
        mean = float(np.mean([error - start for error in errors]))
        return mean if np.isfinite(mean) else 0.0

    with ThreadPoolExecutor(threads) as pool:
        found = dict(zip(orders, pool.map(growth, orders), strict=True))
    return dict(sorted(found.items(), key=lambda item: -item[1])), len(chosen)
