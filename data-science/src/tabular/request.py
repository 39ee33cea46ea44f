"""A request's body, read against the contract. Names decide, never positions; nothing is guessed.

Two forms are taken, both with the columns' names in them:

    {"input_data": [{"carrier": "AA", …}, …]}
    {"input_data": {"columns": ["carrier", …], "data": [["AA", …], …]}}      (MLflow's and Azure's; "index" is allowed)
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from .contract import SPACES, Contract, Value
from .errors import RequestError, RowProblem, shorten

MAX_BYTES: Final = 5_000_000
MAX_ROWS: Final = 100_000
_FORM: Final = 'a JSON object {"input_data": [{"column": value, …}, …]}'


def _refuse(found: str, allowed: str) -> RequestError:
    return RequestError([RowProblem(None, None, found, allowed)])


class _TwiceError(ValueError):
    pass


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        raise _TwiceError(next(name for name in names if names.count(name) > 1))
    return found


def parse(body: str | bytes) -> list[Any]:
    """The rows of a body, each as JSON gave it.

    Raises:
        RequestError: too large, not JSON, another form, or no rows.
    """
    if len(body) > MAX_BYTES:
        raise _refuse(f"a body of {len(body):,} bytes", f"at most {MAX_BYTES:,} bytes; send fewer rows, or use the batch endpoint")
    try:
        data = json.loads(body, object_pairs_hook=_unique)
    except _TwiceError as error:
        raise _refuse(f"field {error.args[0]!r} twice in one object", "each field once") from None
    except (ValueError, RecursionError) as error:
        reason = str(error) if isinstance(error, json.JSONDecodeError) else type(error).__name__
        raise _refuse(f"a body that is not JSON ({reason})", _FORM) from None
    if not isinstance(data, dict) or "input_data" not in data:
        raise _refuse(shorten(data, 40), _FORM)
    unknown = [name for name in data if name not in ("input_data", "params")]
    if unknown or data.get("params"):
        raise _refuse(f"key {unknown[0]!r}" if unknown else "params", "only input_data; this model has no parameters")
    rows = data["input_data"]
    if isinstance(rows, dict):
        rows = _split_form(rows)
    if not isinstance(rows, list):
        raise _refuse(f"input_data that is {shorten(rows, 40)}", "a list of objects, one per row")
    if not rows:
        raise _refuse("no rows", "at least one row in input_data")
    if len(rows) > MAX_ROWS:
        raise _refuse(f"{len(rows):,} rows", f"at most {MAX_ROWS:,}; use the batch endpoint")
    return rows


def _split_form(table: dict[str, Any]) -> list[dict[str, Any]]:
    columns, data = table.get("columns"), table.get("data")
    if not set(table) <= {"columns", "data", "index"} or not isinstance(data, list) or not isinstance(columns, list):
        raise _refuse(
            f"input_data with {', '.join(map(repr, table)) or 'nothing'}",
            'either a list of objects or {"columns": [names], "data": [[values], …]}: values without names are not taken',
        )
    nameless = next((column for column in columns if not isinstance(column, str)), None)
    if nameless is not None:
        raise _refuse(f"{shorten(nameless)} in columns", "names of columns, as texts")
    if len(set(columns)) != len(columns):
        raise _refuse("a column twice in columns", "each column once")
    problems = [
        RowProblem(number, None, f"{len(row)} values" if isinstance(row, list) else shorten(row), f"{len(columns)} values, as columns has")
        for number, row in enumerate(data)
        if not isinstance(row, list) or len(row) != len(columns)
    ]
    if problems:
        raise RequestError(problems)
    return [dict(zip(columns, row, strict=True)) for row in data]


def typed_rows(rows: Sequence[Any], contract: Contract) -> list[dict[str, Value]]:
    """Rows with every input typed.

    Args:
        rows: objects with a value for every input of the contract; columns of the contract that a model does not
            use may be there too.
        contract: what is allowed.

    Raises:
        RequestError: names row and field of each problem.
    """
    inputs = contract.inputs
    missing = contract.missing_set
    typed: list[dict[str, Value]] = []
    problems: list[RowProblem] = []
    total = 0
    for number, row in enumerate(rows):
        out: dict[str, Value] = {}
        found: list[RowProblem] = []
        if not isinstance(row, Mapping):
            found.append(RowProblem(number, None, shorten(row), "an object with a value for every column"))
        else:
            for column in inputs:
                name = column.name
                if name not in row:
                    found.append(RowProblem(number, name, "nothing: the field is missing", column.allowed()))
                    continue
                value = row[name]
                if type(value) is str and value.strip(SPACES) in missing:
                    # A file's word for a missing value; in JSON that is null, and a level it is not.
                    found.append(column.problem(number, value))
                    continue
                try:
                    out[name] = column.read(value)
                except ValueError:
                    found.append(column.problem(number, value))
            if len(row) > len(out):
                found += [
                    RowProblem(number, str(name), "a field that the contract does not have", "only columns of project.yml")
                    for name in row
                    if name not in contract.by_name
                ]
        total += len(found)
        if len(problems) < RequestError.LIMIT:
            problems += found
        typed.append(out)
    if total:
        raise RequestError(problems, total)
    return typed
