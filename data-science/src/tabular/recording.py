"""Records the derived columns of the user's `features.py` as expressions, once, when the recipe is fitted."""

from __future__ import annotations

import difflib
import importlib.util
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .contract import Contract
from .errors import ProjectError
from .expressions import MAX_NODES, Expression, column, great_circle_km
from .project import Features


class Row(Mapping[str, Expression]):
    """The columns that a derived column may use, as `row["name"]` or `row.name`."""

    def __init__(self, contract: Contract) -> None:
        kinds: dict[str, Any] = {"category": "category", "datetime": "datetime"}
        self._contract = contract
        self._columns = {c.name: column(c.name, kinds.get(c.type, "number")) for c in contract.inputs}

    def __getitem__(self, name: str) -> Expression:
        found = self._columns.get(name)
        if found is not None:
            return found
        declared = self._contract.by_name.get(name)
        if name == self._contract.target:
            raise KeyError(f"column {name!r} is the target; a feature made of it would leak the answer")
        if declared is not None and not declared.known:
            raise KeyError(f"column {name!r} is declared unknown at prediction; a feature made of it would leak the answer")
        if declared is not None:
            raise KeyError(f"column {name!r} is declared `feature: false`")
        near = difflib.get_close_matches(name, self._columns, n=1)
        raise KeyError(f"there is no column {name!r}{f'; did you mean {near[0]!r}?' if near else ''}")

    def __getattr__(self, name: str) -> Expression:
        if name.startswith("__"):
            raise AttributeError(name)
        return self[name]

    def __iter__(self) -> Any:
        return iter(self._columns)

    def __len__(self) -> int:
        return len(self._columns)


def record(contract: Contract, features: Features, path: Path | None) -> dict[str, Expression]:
    """Every derived column by name: date parts, distances, then those of `features.py`.

    Args:
        contract: names and types of the columns.
        features: the `features` section of project.yml.
        path: the user's features.py, which defines `derive(row)` and returns a mapping; None for no such file.

    Raises:
        ProjectError: features.py fails, uses a column it may not, or returns something else; names file and line.
    """
    row = Row(contract)
    derived: dict[str, Expression] = {}
    for source in contract.inputs:
        if source.type == "datetime":
            for part in features.date_parts:
                derived[f"{source.name}_{part}"] = row[source.name].part(part)
    for distance in features.distances:
        ends = [row[name] for name in (*distance.start, *distance.end)]
        derived[distance.name] = great_circle_km(*ends)
    if path is not None and path.exists():
        for name, expression in _user_features(path, row).items():
            if name in contract.by_name or name in derived:
                raise ProjectError([f"{path.name}: derived column {name!r} has the name of another column; rename it"])
            derived[name] = expression
    return derived


def _user_features(path: Path, row: Row) -> dict[str, Expression]:
    spec = importlib.util.spec_from_file_location("features", path)
    if spec is None or spec.loader is None:
        raise ProjectError([f"{path.name}: is not a Python file"])
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
        derive = getattr(module, "derive", None)
        result = derive(row) if derive is not None else None
    except SyntaxError as error:
        raise ProjectError([f"{path.name}:{error.lineno}: {error.msg}"]) from None
    except Exception as error:  # noqa: BLE001 - the user's code may raise anything, and the answer is always its line
        frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename == str(path)]
        line = frames[-1].lineno if frames else 1
        text = error.args[0] if isinstance(error, KeyError) and error.args else f"{type(error).__name__}: {error}"
        raise ProjectError([f"{path.name}:{line}: {text}"]) from None
    if derive is None:
        raise ProjectError([f"{path.name}: found no function derive(row); define it and return {{name: expression}}"])
    if not isinstance(result, Mapping):
        raise ProjectError([f"{path.name}: derive(row) returned {type(result).__name__}; allowed: {{name: expression}}"])
    for name, value in result.items():
        if not isinstance(name, str) or not isinstance(value, Expression):
            raise ProjectError([f"{path.name}: derived column {name!r} is {type(value).__name__}; allowed: an expression of row's columns"])
        if _size(value) > MAX_NODES:
            raise ProjectError([f"{path.name}: derived column {name!r} has over {MAX_NODES} operations; simplify it"])
    return dict(result)


def _size(expression: Expression) -> int:
    return 1 + sum(_size(a) for a in expression.arguments if isinstance(a, Expression))
