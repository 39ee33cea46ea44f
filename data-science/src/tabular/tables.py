"""Reads the tables that `preparation` wrote, as the arrays that models train on and are judged by."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from .contract import Contract
from .errors import DataError
from .families import Table, TrainingData
from .recipe import CODES_FILE, MAX_CODES, Recipe


@dataclass(frozen=True)
class Prepared:
    """The output of prep that describes the tables."""

    contract: Contract
    recipe: Recipe


def load_prepared(folder: Path) -> Prepared:
    """Contract and recipe of prep's recipe folder.

    Raises:
        DataError: the folder is not one that prep wrote.
    """
    try:
        contract = load_contract(folder)
        return Prepared(contract, Recipe.load(folder / "recipe.json"))
    except FileNotFoundError as error:
        raise DataError(f"{folder}: has no {Path(str(error.filename)).name}; pass the recipe folder that prep wrote") from None


def load_contract(folder: Path) -> Contract:
    """The contract that lies in a recipe folder and beside the training rows.

    Raises:
        DataError: the folder is not one that prep wrote.
    """
    try:
        return Contract.from_dict(json.loads((folder / "contract.json").read_text()))
    except FileNotFoundError:
        raise DataError(f"{folder}: has no contract.json; pass a folder that prep wrote") from None


def load_table(folder: Path, contract: Contract, features: tuple[str, ...] | None = None) -> tuple[Table, tuple[str, ...]]:
    """Features and target of a side, and the features' names.

    Args:
        folder: has `data.parquet`.
        contract: names the target.
        features: names in the order wanted; None takes all in the file's order.

    Raises:
        DataError: the file is absent or lacks a column.
    """
    path = folder / "data.parquet"
    if not path.exists():
        raise DataError(f"{folder}: has no data.parquet; pass a folder that prep wrote")
    frame = pl.read_parquet(path)
    names = features or tuple(n for n in frame.columns if n != contract.target)
    lacking = [n for n in (*names, contract.target) if n not in frame.columns]
    if lacking:
        raise DataError(f"{path}: lacks column {', '.join(lacking)}; it was written with another recipe")
    values = np.ascontiguousarray(frame.select(names).to_numpy(), dtype=np.float32)
    return Table(values, frame[contract.target].to_numpy().astype(np.float64)), names


def load_training(train: Path, validation: Path, contract: Contract, metric: str) -> tuple[TrainingData, tuple[str, ...]]:
    """What a trainer needs, and the features' names."""
    training, names = load_table(train, contract)
    validating, _ = load_table(validation, contract, names)
    path = train / CODES_FILE
    codes: dict[str, int] = json.loads(path.read_text()) if path.exists() else {}
    categorical = tuple(i for i, name in enumerate(names) if 0 < codes.get(name, 0) <= MAX_CODES)
    return TrainingData(contract.task, len(contract.classes), metric, training, validating, categorical), names


def load_rows(folder: Path, contract: Contract) -> tuple[dict[str, Any], NDArray[np.int64]]:
    """The test rows as typed columns for `ArrayRecipe` (numbers with NaN, categories as lists), and their raw row numbers."""
    path = folder / "rows.parquet"
    if not path.exists():
        raise DataError(f"{folder}: has no rows.parquet; pass the test folder that prep wrote")
    frame = pl.read_parquet(path)
    columns: dict[str, Any] = {}
    for name in frame.columns[1:]:
        values = frame[name]
        kind = contract[name].type
        if kind == "category":
            columns[name] = values.to_list()
        elif kind == "datetime":
            columns[name] = (values.dt.timestamp("us") / 1_000_000).to_numpy().astype(np.float64)
        else:
            columns[name] = values.cast(pl.Float64).fill_null(float("nan")).to_numpy()
    return columns, frame[frame.columns[0]].to_numpy()
