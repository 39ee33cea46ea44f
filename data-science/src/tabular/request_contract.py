"""Whether a packaged model keeps its request contract: names and not positions, and every broken request refused with its row and field."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np

from .errors import RequestError
from .scoring import Scorer

_NO_NUMBER: Final = "no number"
_NEAR: Final = 1e-6


def broken_requests(rows: list[dict[str, Any]], scorer: Scorer) -> Iterator[tuple[str, list[Any], int, str]]:
    """Requests that break the contract, made of good rows: what is wrong, the rows, and the row and field that must be named."""
    last = len(rows) - 1
    for column in scorer.contract.inputs:
        name = column.name
        yield f"{name} is missing", [*rows[:-1], {key: value for key, value in rows[-1].items() if key != name}], last, name
        yield f"{name} is a list", [*rows[:-1], {**rows[-1], name: [1]}], last, name
        if column.type in ("number", "integer"):
            yield f"{name} is a word", [{**rows[0], name: _NO_NUMBER}, *rows[1:]], 0, name
        if not column.missing:
            yield f"{name} is null", [*rows[:-1], {**rows[-1], name: None}], last, name
    yield "a field that is no column", [*rows[:-1], {**rows[-1], "no_such_column": 1}], last, "no_such_column"


def check_contract(folder: Path, scorer: Scorer) -> tuple[int, list[str]]:
    """Try the contract of a package on the request that it was registered with.

    Args:
        folder: the package.
        scorer: the same, loaded.

    Returns:
        How many requests were tried, and a sentence for each that was not answered as it must be.
    """
    rows: list[dict[str, Any]] = json.loads((folder / "input_example.json").read_bytes())["input_data"]
    problems: list[str] = []
    answers = scorer.predict(scorer.typed_rows(rows))
    turned = scorer.predict(scorer.typed_rows([dict(reversed(row.items())) for row in rows]))
    if not np.allclose(answers, turned, rtol=0, atol=_NEAR):
        problems.append("the order of the fields changes the answer")
    tried = 2
    for what, broken, row, name in broken_requests(rows, scorer):
        tried += 1
        try:
            scorer.score(json.dumps({"input_data": broken}))
        except RequestError as error:
            if (row, name) not in [(problem.row, problem.field) for problem in error.problems]:
                problems.append(f"{what}: refused without naming row {row} and the field")
        else:
            problems.append(f"{what}: answered as if it were right")
    for what, body in (
        ("rows as positions", {"input_data": [list(row.values()) for row in rows]}),
        ("no rows", {"input_data": []}),
        ("no JSON", None),
    ):
        tried += 1
        try:
            scorer.score("{" if body is None else json.dumps(body))
        except RequestError:
            continue
        problems.append(f"{what}: answered as if it were right")
    return tried, problems
