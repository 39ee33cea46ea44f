"""Which side a row is on: training, validation or test. Depends on the row's key (or time) alone, never on other rows.

The hash is integer arithmetic that any data frame library can do (narwhals has no hash of its own), so polars, pandas
and, later, Spark put a row on the same side for ever. Products stay below 2**62: nothing overflows.
"""

from __future__ import annotations

import zlib
from typing import Any, Final, Literal, TypeVar, cast

import narwhals as nw
import numpy as np

from .contract import Contract, normalise
from .project import Split

Frame = TypeVar("Frame", nw.DataFrame[Any], nw.LazyFrame[Any])

Side = Literal["train", "validation", "test"]
SIDES: Final[tuple[Side, ...]] = ("train", "validation", "test")

_PRIME: Final = 2_147_483_647
_MULTIPLIERS: Final = (48_271, 69_621, 16_807, 39_373, 742_938_285)
_BUCKETS: Final = 1_000_000
_MISSING: Final = 2_147_483_646
_PARTS: Final = (0, 1)
_CODE: Final = "__code_"
_LINEAR: Final = "__linear"


def _mix(frame: Frame, state: str, value: nw.Expr, multiplier: int) -> Frame:
    """One round: linear, then quadratic, so that consecutive keys do not stay in step.

    Each half is a column of its own: as one expression, what is used twice would be built twice, in every round again.
    """
    linear = (nw.col(state) + value) % _PRIME * multiplier + 12_345
    frame = frame.with_columns((linear % _PRIME).alias(_LINEAR))
    squared = nw.col(_LINEAR) * ((nw.col(_LINEAR) + multiplier) % _PRIME) % _PRIME
    return frame.with_columns(squared.alias(state))


def _text_code(series: nw.Series[Any], part: int) -> nw.Series[Any]:
    """CRC-32 of each text, without case and outer spaces; part 1 of the name reversed, so that two texts differ in one."""
    distinct = series.unique().drop_nulls().to_list()
    if not distinct:
        return series.is_null().cast(nw.Int64) * _MISSING
    keys = [normalise(text)[:: -1 if part else 1] for text in distinct]
    codes = [zlib.crc32(key.encode()) % _PRIME for key in keys]
    return series.replace_strict(distinct, codes, default=_MISSING, return_dtype=nw.Int64)


def _number_code(series: nw.Series[Any], part: int) -> nw.Series[Any]:
    """Half of the bits of each float64, so that any two different numbers differ in one half."""
    if series.dtype in (nw.Datetime, nw.Date):
        series = series.dt.timestamp("us")
    values = series.cast(nw.Float64).to_numpy().astype(np.float64)
    # -0.0 and 0.0 are one number, and there is one missing.
    bits = np.where(np.isnan(values), np.nan, values + 0.0).view(np.uint64)
    code = (bits >> np.uint64(32) if part else bits & np.uint64(0xFFFFFFFF)) % np.uint64(_PRIME)
    return nw.new_series(series.name, code.astype(np.int64), nw.Int64, backend=series.implementation)


def _with_codes(frame: Frame, names: list[str], contract: Contract) -> Frame:
    """Two integer columns below 2**31 per key column."""
    native = nw.to_native(frame)
    functions = {name: _text_code if contract[name].type == "category" else _number_code for name in names}
    if "polars" not in type(native).__module__:
        eager: Any = frame
        codes = [functions[name](eager[name], part).alias(f"{_CODE}{part}_{name}") for name in names for part in _PARTS]
        return cast("Frame", eager.with_columns(*codes))
    import polars as pl

    def expression(name: str, part: int) -> pl.Expr:
        def code(series: pl.Series) -> pl.Series:
            return cast("pl.Series", nw.to_native(functions[name](nw.from_native(series, series_only=True), part)))

        # Told that it is elementwise, polars runs it batch by batch, in bounded memory.
        return pl.col(name).map_batches(code, return_dtype=pl.Int64, is_elementwise=True).alias(f"{_CODE}{part}_{name}")

    columns = [expression(name, part) for name in names for part in _PARTS]
    return cast("Frame", nw.from_native(cast("Any", native).with_columns(columns)))


def with_hash(frame: Frame, contract: Contract, column: str, *, seed: int = 0, target: bool = False) -> Frame:
    """The frame with one more Int64 column: a hash of the row's key, in [0, 2**31 - 1).

    Args:
        frame: typed rows (see `raw`), as a narwhals frame, lazy only if it is polars.
        contract: its `key` is what identifies a row; without one, all columns that are known at prediction are.
        column: name of the new column.
        seed: another seed, another independent hash.
        target: without a key: whether the target counts too. It does for what a duplicate is, not for a row's side.
    """
    names = list(contract.key) or [c.name for c in contract.columns if c.known and c.name != contract.target]
    if target and not contract.key:
        names.append(contract.target)
    frame = _with_codes(frame, names, contract)
    begin = nw.col(f"{_CODE}0_{names[0]}") * 0 + (seed * 7_919 + 1) % _PRIME
    frame = frame.with_columns(begin.alias(column))
    codes: list[str] = [f"{_CODE}{part}_{name}" for name in names for part in _PARTS]
    for position, code in enumerate(codes):
        frame = _mix(frame, column, nw.col(code), _MULTIPLIERS[position % len(_MULTIPLIERS)])
    for multiplier in _MULTIPLIERS[:2]:
        frame = _mix(frame, column, nw.col(column), multiplier)
    return frame.drop([_LINEAR, *codes])


def side_of_hash(value: nw.Expr, split: Split) -> nw.Expr:
    """0 for training, 1 for validation, 2 for test, from a row's hash."""
    bucket = value % _BUCKETS
    first, second = round(split.train * _BUCKETS), round((split.train + split.validation) * _BUCKETS)
    return (bucket >= first).cast(nw.Int8) + (bucket >= second).cast(nw.Int8)


def side_of_time(column: str, first: float, second: float) -> nw.Expr:
    """0, 1 or 2 by time: before `first`, before `second`, later, in seconds since 1970 UTC. A row without a time trains."""
    time = nw.col(column).dt.timestamp("us")
    later = (time >= round(first * 1_000_000), time >= round(second * 1_000_000))
    passed = [test.cast(nw.Int8).fill_null(0) for test in later]
    side: nw.Expr = passed[0] + passed[1]
    return side


def fold_of_hash(value: nw.Expr, folds: int) -> nw.Expr:
    """Fold 0 … folds - 1 of a training row for out-of-fold encodings, independent of its side."""
    fold: nw.Expr = (value // _BUCKETS % folds).cast(nw.Int8)
    return fold
