"""Batch scoring, as Azure Machine Learning's batch endpoints call it: `init()` once a process, then `run(mini_batch)`.

Each element that `run` returns is a line of JSON with file and row, so that an answer can be put back beside its input:

    {"file": "batch.csv", "row": 0, "prediction": 12.3}
    {"file": "batch.csv", "row": 7, "line": 9, "error": "field 'carrier': found 'XX'; allowed: one of …"}

`row` counts data rows from 0; `line` is the line in a CSV. A bad row is reported and the others are scored.
"""

from __future__ import annotations

from collections.abc import Iterable

from tabular.batch import BatchScorer
from tabular.scoring import find_package

__all__ = ["init", "run"]

_scorer: BatchScorer | None = None


def init() -> None:
    """Load the package below AZUREML_MODEL_DIR, after comparing its files with its manifest."""
    global _scorer  # noqa: PLW0603 - Azure's contract is a pair of functions that share a module
    _scorer = BatchScorer(find_package())


def run(mini_batch: Iterable[str]) -> list[str]:
    """Score the files of a mini batch.

    Args:
        mini_batch: paths of CSV, parquet or JSON lines (.jsonl, .ndjson) files.

    Returns:
        One line of JSON per row, in the order of files and rows.

    Raises:
        DataError: a file can't be read as a table, or lacks a column.
        RuntimeError: init() was not called.
    """
    if _scorer is None:
        raise RuntimeError("call init() first")
    return [line for path in mini_batch for line in _scorer.score_file(path)]
