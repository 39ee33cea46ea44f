"""Scores whole files by a package: polars for the reading, the recipe's frame back-end, ONNX Runtime. No pandas."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

import narwhals as nw
import numpy as np
import polars as pl
from numpy.typing import NDArray

from .calling import called
from .contract import Contract
from .errors import DataError, shorten
from .onnx_session import usable_cores
from .raw import BAD, JSON_LINES, ROW, line_numbers, open_raw, read_json_lines, read_records, row_tests, typed
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
        self._scorer = Scorer(folder, threads or usable_cores())
        self.contract: Contract = self._scorer.contract

    def score_file(self, path: str | Path) -> list[str]:
        """A line of JSON per row of a CSV, parquet or JSON lines file, in its order.

        Raises:
            DataError: the file can't be read as a table, or lacks a column.
        """
        file = Path(path)
        columns = self.contract.inputs
        if file.suffix in JSON_LINES:
            if not file.exists():
                raise DataError(f"{file}: there is no such file; pass the path of a CSV, parquet or JSON lines file")
            rows, broken = read_json_lines(file, [c.name for c in columns])
            return self._lines_of(typed(rows.lazy(), columns, self.contract).collect(), file, broken)
        header, raw = open_raw(file, self.contract)
        missing = [c.name for c in columns if c.name not in header]
        if missing:
            raise DataError(f"{file.name}: missing column{'s' * (len(missing) > 1)} {', '.join(missing)}")
        broken = {}
        try:
            frame = typed(raw(text=False), columns, self.contract).collect()
        except (pl.exceptions.ComputeError, pl.exceptions.SchemaError, pl.exceptions.InvalidOperationError):
            try:
                frame = typed(raw(text=True), columns, self.contract).collect()
            except pl.exceptions.PolarsError as error:
                if file.suffix == ".parquet":
                    raise DataError(f"{file.name}: can't be read as a table: {str(error).splitlines()[0]}") from None
                rows, broken = read_records(file, header, self.contract.missing_values)
                frame = typed(rows.lazy(), columns, self.contract).collect()
        return self._lines_of(frame, file, broken)

    def _lines_of(self, frame: pl.DataFrame, file: Path, broken: dict[int, str]) -> list[str]:
        lines: list[str] = []
        for start in range(0, len(frame), _CHUNK):
            lines += self._score(frame.slice(start, _CHUNK), file, broken)
        return lines

    def _score(self, frame: pl.DataFrame, file: Path, broken: dict[int, str]) -> list[str]:
        here = frame[ROW]
        errors = self._errors(frame) | {row: text for row, text in broken.items() if here[0] <= row <= here[-1]}
        good = frame.filter(~pl.col(ROW).is_in(list(errors))) if errors else frame
        head = json.dumps({"file": file.name})[:-1] + ', "row": '
        lines: list[str] = []
        if len(good):
            features = apply_recipe(nw.from_native(good), self._scorer.recipe_form, self.contract).to_native().to_numpy(order="c")
            predicted = self._scorer.predict_features(np.ascontiguousarray(features, dtype=np.float32))
            lines = self._lines(good[ROW], predicted, head)
        if not errors:
            return lines
        begins = line_numbers(file, errors.keys())
        waiting = iter(lines)
        shown = {"file": file.name}
        return [
            json.dumps({**shown, "row": row, "line": begins[row], "error": errors[row]}) if row in errors else next(waiting)
            for row in frame[ROW].to_list()
        ]

    def _lines(self, rows: pl.Series, predicted: NDArray[np.float32], head: str) -> list[str]:
        """Lines of JSON, made column by column: a Python loop over rows would take as long as the model."""
        labels = [json.dumps(label) for label in self.contract.classes]
        columns = {"row": rows}
        pieces = [head, ', "prediction": ']
        if labels:
            columns["prediction"] = pl.Series([labels[k] for k in called(predicted, self._scorer.factors).tolist()])
            columns |= {label: pl.Series(predicted[:, k]).cast(pl.Float64) for k, label in enumerate(labels)}
            pieces += [(", " if k else ', "probabilities": {') + label + ": " for k, label in enumerate(labels)]
        else:
            columns["prediction"] = pl.Series(predicted[:, 0]).cast(pl.Float64)
        parts = [part for piece, name in zip(pieces, columns, strict=True) for part in (pl.lit(piece), pl.col(name).cast(pl.String))]
        end = pl.lit("}}" if labels else "}")
        return pl.DataFrame(columns).select(pl.concat_str(*parts, end)).to_series().to_list()

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
