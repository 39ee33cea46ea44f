"""Scores whole files by a package: polars for the reading, the recipe's frame back-end, ONNX Runtime. No pandas."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Final

import narwhals as nw
import numpy as np
import polars as pl

from .contract import Contract
from .errors import DataError, shorten
from .raw import BAD, ROW, open_raw, row_tests, typed
from .recipe_frames import apply_recipe
from .scoring import Scorer

_CHUNK: Final = 100_000
"""Rows scored at once: bounds memory without being felt."""


class BatchScorer:
    """A packaged model for files.

    Args:
        folder: of the package.
        threads: of ONNX Runtime; all cores that this process may use by default, since nothing else runs beside it.
    """

    def __init__(self, folder: Path, threads: int | None = None) -> None:
        self._scorer = Scorer(folder, threads or len(os.sched_getaffinity(0)))
        self.contract: Contract = self._scorer.contract

    def score_file(self, path: str | Path) -> list[str]:
        """A line of JSON per row of a CSV or parquet file, in its order.

        Raises:
            DataError: the file can't be read as a table, or lacks a column.
        """
        file = Path(path)
        columns = self.contract.inputs
        header, raw = open_raw(file, self.contract)
        missing = [c.name for c in columns if c.name not in header]
        if missing:
            raise DataError(f"{file.name}: missing column{'s' * (len(missing) > 1)} {', '.join(missing)}")
        try:
            frame = typed(raw(text=False), columns, self.contract).collect()
        except (pl.exceptions.ComputeError, pl.exceptions.SchemaError, pl.exceptions.InvalidOperationError):
            try:
                frame = typed(raw(text=True), columns, self.contract).collect()
            except pl.exceptions.PolarsError as error:
                raise DataError(f"{file.name}: can't be read as a table: {str(error).splitlines()[0]}") from None
        lines: list[str] = []
        for start in range(0, len(frame), _CHUNK):
            lines += self._score(frame.slice(start, _CHUNK), file)
        return lines

    def _score(self, frame: pl.DataFrame, file: Path) -> list[str]:
        errors = self._errors(frame)
        rows = frame[ROW].to_numpy()
        good = frame.filter(~pl.col(ROW).is_in(list(errors))) if errors else frame
        answers: list[str] = []
        if len(good):
            features = apply_recipe(nw.from_native(good), self._scorer.recipe_form, self.contract).to_numpy()
            predicted = self._scorer.predict_features(np.ascontiguousarray(features, dtype=np.float32))
            answers = self._answers(predicted)
        name = json.dumps(file.name)
        if not errors:
            head = f'{{"file": {name}, "row": '
            return [f"{head}{row}, {answer}}}" for row, answer in zip(rows.tolist(), answers, strict=True)]
        waiting = iter(answers)
        first = 2 if file.suffix != ".parquet" else 0
        lines = []
        for row in rows.tolist():
            if row in errors:
                line = f', "line": {row + first}' if first else ""
                lines.append(f'{{"file": {name}, "row": {row}{line}, "error": {json.dumps(errors[row])}}}')
            else:
                lines.append(f'{{"file": {name}, "row": {row}, {next(waiting)}}}')
        return lines

    def _answers(self, predicted: np.ndarray[Any, Any]) -> list[str]:
        classes = self.contract.classes
        if not classes:
            return [f'"prediction": {value!r}' for value in predicted[:, 0].tolist()]
        labels = [json.dumps(label) for label in classes]
        chosen = predicted.argmax(axis=1).tolist()
        return [
            f'"prediction": {labels[k]}, "probabilities": {{{", ".join(f"{n}: {p!r}" for n, p in zip(labels, row, strict=True))}}}'
            for k, row in zip(chosen, predicted.tolist(), strict=True)
        ]

    def _errors(self, frame: pl.DataFrame) -> dict[int, str]:
        """Row → sentence, for the rows that break the contract."""
        tests = [(c, kind, test) for c in self.contract.inputs for kind, test in row_tests(c).items()]
        if not tests:
            return {}
        flags = frame.select(test.fill_null(value=False).alias(str(i)) for i, (_, _, test) in enumerate(tests))
        if not flags.select(pl.any_horizontal(pl.all().any())).item():
            return {}
        found: dict[int, list[str]] = {}
        for position, (c, kind, _) in enumerate(tests):
            bad = frame.filter(flags[str(position)])
            values = bad[BAD + c.name] if kind == "wrong_type" else bad[c.name]
            for row, value in zip(bad[ROW].to_list(), values.to_list(), strict=True):
                shown = "nothing" if value is None else shorten(value)
                found.setdefault(row, []).append(f"field {c.name!r}: found {shown}; allowed: {c.allowed()}")
        return {row: "; ".join(sentences) for row, sentences in found.items()}
