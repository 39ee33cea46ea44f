"""Which side a row is on: training, validation or test. Depends on the row's key (or time) alone, never on other rows.

The hash is integer arithmetic that any data frame library can do (narwhals has no hash of its own), so polars, pandas
and, later, Spark put a row on the same side for ever. Products stay below 2**62: nothing overflows.
"""

from __future__ import annotations

import zlib
from typing import Any, Final, Literal, TypeVar, cast

import narwhals as nw

from .contract import Contract, normalise
from .project import Split

Frame = TypeVar("Frame", nw.DataFrame[Any], nw.LazyFrame[Any])

Side = Literal["train", "validation", "test"]
SIDES: Final[tuple[Side, ...]] = ("train", "validation", "test")

_PRIME: Final = 2_147_483_647
_MULTIPLIERS: Final = (48_271, 69_621, 16_807, 39_373, 742_938_285)
_BUCKETS: Final = 1_000_000
_MISSING: Final = 4_294_967_296
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


def _code(series: nw.Series[Any]) -> nw.Series[Any]:
    """CRC-32 of each text, without case and outer spaces; a missing one gets a code that no text has."""
    distinct = series.unique().drop_nulls().to_list()
    if not distinct:
        return series.is_null().cast(nw.Int64) * _MISSING
    codes = [zlib.crc32(normalise(text).encode()) for text in distinct]
    return series.replace_strict(distinct, codes, default=_MISSING, return_dtype=nw.Int64)


def _with_codes(frame: Frame, names: list[str]) -> Frame:
    native = nw.to_native(frame)
    if "polars" not in type(native).__module__:
        eager: Any = frame
        return cast("Frame", eager.with_columns(*(_code(eager[name]).alias(f"{_CODE}{name}") for name in names)))
    import polars as pl

    def code(series: pl.Series) -> pl.Series:
        return cast("pl.Series", nw.to_native(_code(nw.from_native(series, series_only=True))))

    # Told that it is elementwise, polars runs it batch by batch, in bounded memory.
    columns = [pl.col(n).map_batches(code, return_dtype=pl.Int64, is_elementwise=True).alias(f"{_CODE}{n}") for n in names]
    return cast("Frame", nw.from_native(cast("Any", native).with_columns(columns)))


def _integers(name: str, contract: Contract) -> list[nw.Expr]:
    """A column's value as non-negative integers below 2**31; missing is a value of its own."""
    kind = contract[name].type
    if kind == "category":
        return [nw.col(f"{_CODE}{name}") % _PRIME]
    if kind == "datetime":
        whole = nw.col(name).dt.timestamp("ms").cast(nw.Int64)
    elif kind == "number":
        whole = (nw.col(name).cast(nw.Float64) * 1000).floor().cast(nw.Int64)
    else:
        whole = nw.col(name).cast(nw.Int64)
    whole = whole.fill_null(-_PRIME * _PRIME + 1)
    # Both halves count, so that large values that differ by a multiple of the prime are told apart.
    return [(whole % _PRIME + _PRIME) % _PRIME, ((whole // _PRIME) % _PRIME + _PRIME) % _PRIME]


def with_hash(frame: Frame, contract: Contract, seeds: dict[str, int]) -> Frame:
    """The frame with one more Int64 column per seed: independent hashes of the row's key, in [0, 2**31 - 1).

    Args:
        frame: typed rows (see `raw`), as a narwhals frame, lazy only if it is polars.
        contract: its `key`, or all its columns if there is none, is what identifies a row.
        seeds: name of the new column → seed.
    """
    names = contract.key or tuple(c.name for c in contract.columns)
    texts: list[str] = [name for name in names if contract[name].type == "category"]
    if texts:
        frame = _with_codes(frame, texts)
    values = [value for name in names for value in _integers(name, contract)]
    for column, seed in seeds.items():
        begin = values[0] * 0 + (seed * 7_919 + 1) % _PRIME
        frame = frame.with_columns(begin.alias(column))
        for position, value in enumerate(values):
            frame = _mix(frame, column, value, _MULTIPLIERS[position % len(_MULTIPLIERS)])
        for multiplier in _MULTIPLIERS[:2]:
            frame = _mix(frame, column, nw.col(column), multiplier)
    return frame.drop([_LINEAR, *(f"{_CODE}{name}" for name in texts)])


def side_of_hash(value: nw.Expr, split: Split) -> nw.Expr:
    """0 for training, 1 for validation, 2 for test, from a row's hash."""
    bucket = value % _BUCKETS
    first, second = round(split.train * _BUCKETS), round((split.train + split.validation) * _BUCKETS)
    return (bucket >= first).cast(nw.Int8) + (bucket >= second).cast(nw.Int8)


def side_of_time(column: str, first: Any, second: Any) -> nw.Expr:
    """0, 1 or 2 by time: before `first`, before `second`, later. A row without a time trains."""
    later = (nw.col(column) >= first, nw.col(column) >= second)
    passed = [test.cast(nw.Int8).fill_null(0) for test in later]
    side: nw.Expr = passed[0] + passed[1]
    return side


def fold_of_hash(value: nw.Expr, folds: int) -> nw.Expr:
    """Fold 0 … folds - 1 of a training row for out-of-fold encodings, independent of its side."""
    fold: nw.Expr = (value // _BUCKETS % folds).cast(nw.Int8)
    return fold
