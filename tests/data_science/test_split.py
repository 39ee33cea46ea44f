"""A row's side depends on the row alone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import narwhals as nw
import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_science.support import NO_FEATURES, outcome, prep_outputs, project_of, write_csv
from tabular.contract import Column, Contract
from tabular.errors import UserError
from tabular.preparation import prepare
from tabular.project import Split
from tabular.split import fold_of_hash, side_of_hash
from tabular.split import with_hash as with_one_hash

KINDS = {"t": "datetime", "c": "category", "n": "number", "i": "integer", "b": "boolean"}
CONTRACT = Contract("n", "regression", "y", (*(Column(k, v) for k, v in KINDS.items()), Column("y", "number")), key=tuple(KINDS))  # type: ignore[arg-type]
SEEDS = {"h": 0, "g": 1}
GOLDEN: list[tuple[int, ...]] = [(861881009, 1806497383), (1878190330, 1338582119), (1851368503, 709694337)]


def with_hash(frame: Any, contract: Contract, seeds: dict[str, int]) -> Any:
    for name, seed in seeds.items():
        frame = with_one_hash(frame, contract, name, seed=seed)
    return frame


BEGIN = datetime(2013, 1, 1, tzinfo=UTC).replace(tzinfo=None)


def table(rows: int = 400) -> dict[str, list[Any]]:
    random = np.random.default_rng(3)
    columns: dict[str, list[Any]] = {
        "t": [BEGIN + timedelta(hours=int(h)) for h in random.integers(-90_000, 90_000, rows)],
        "c": [f"level {k}" for k in random.integers(0, 50, rows)],
        "n": random.normal(0, 1e4, rows).round(3).tolist(),
        "i": random.integers(-(2**40), 2**40, rows).astype(float).tolist(),
        "b": random.integers(0, 2, rows).astype(float).tolist(),
    }
    for position, name in enumerate(columns):
        for row in range(position, rows, 17):
            columns[name][row] = None
    return columns


SCHEMA: Any = {"t": pl.Datetime("us"), "c": pl.String, "n": pl.Float64, "i": pl.Float64, "b": pl.Float64}


def hashes(columns: dict[str, list[Any]], contract: Contract = CONTRACT, seeds: dict[str, int] = SEEDS) -> list[tuple[int, ...]]:
    frame = pl.DataFrame(columns, schema={name: SCHEMA[name] for name in columns})
    return with_hash(nw.from_native(frame), contract, seeds).to_native().select(list(seeds)).rows()


def as_pandas(columns: dict[str, list[Any]]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "t": pd.Series(columns["t"], dtype="datetime64[us]"),
            "c": pd.Series(columns["c"], dtype="str"),
            **{name: pd.Series(columns[name], dtype="float64") for name in ("n", "i", "b")},
        }
    )


def filled() -> dict[str, list[Any]]:
    return {name: [next(v for v in values if v is not None) if v is None else v for v in values] for name, values in table().items()}


def test_polars_eager_and_lazy_give_equal_hashes() -> None:
    columns = table()
    lazy = with_hash(nw.from_native(pl.DataFrame(columns, schema=SCHEMA).lazy()), CONTRACT, SEEDS).collect().to_native()
    assert lazy.select("h", "g").rows() == hashes(columns)


@pytest.mark.parametrize("columns", [filled(), table()], ids=["complete", "with missing values"])
def test_pandas_gives_the_hashes_of_polars(columns: dict[str, list[Any]]) -> None:
    other = with_hash(nw.from_native(as_pandas(columns), eager_only=True), CONTRACT, SEEDS).to_native()
    assert list(zip(other["h"], other["g"], strict=True)) == hashes(columns)


def test_a_row_has_the_same_hash_alone_reordered_and_among_others() -> None:
    columns = table()
    expected = hashes(columns)
    order = np.random.default_rng(5).permutation(400)
    assert hashes({k: [v[i] for i in order] for k, v in columns.items()}) == [expected[i] for i in order]
    for row in (0, 1, 2, 17, 399):
        assert hashes({k: [v[row]] for k, v in columns.items()}) == [expected[row]]
    assert hashes({k: v + v[:100] for k, v in columns.items()})[:400] == expected


def test_the_order_of_columns_in_the_file_does_not_matter() -> None:
    columns = table()
    assert hashes(dict(reversed(columns.items()))) == hashes(columns)


def test_columns_outside_the_key_do_not_matter() -> None:
    keyed = Contract("n", "regression", "y", CONTRACT.columns, key=("c", "i"))
    columns = table()
    moved = {**columns, "n": [0.0] * 400, "t": [BEGIN] * 400}
    assert hashes(moved, keyed) == hashes(columns, keyed)


def test_case_and_outer_spaces_of_a_category_do_not_matter() -> None:
    columns = table(50)
    shouted = {**columns, "c": [None if c is None else f"  {c.upper()} " for c in columns["c"]]}
    assert hashes(shouted) == hashes(columns)


def test_hashes_of_text_whole_numbers_and_times_are_what_they_were_when_the_first_champion_was_trained() -> None:
    keyed = Contract("n", "regression", "y", CONTRACT.columns, key=("t", "c", "i"))
    columns: dict[str, list[Any]] = {
        "t": [BEGIN, BEGIN, None],
        "c": ["ua", "b6", None],
        "n": [0.0] * 3,
        "i": [1141.0, -5.0, None],
        "b": [0.0] * 3,
    }
    assert hashes(columns, keyed) == GOLDEN


def test_sides_have_their_shares_and_folds_are_even_within_a_side() -> None:
    rows = 40_000
    contract = Contract("n", "regression", "y", (Column("i", "integer"), Column("y", "number")), key=("i",))
    frame = nw.from_native(pl.DataFrame({"i": np.arange(rows, dtype=np.float64)}))
    split = Split(train=0.7, validation=0.2, test=0.1)
    hashed = with_hash(frame, contract, {"h": 0}).with_columns(
        side_of_hash(nw.col("h"), split).alias("side"), fold_of_hash(nw.col("h"), 5).alias("fold")
    )
    sides = np.bincount(hashed["side"].to_numpy(), minlength=3) / rows
    assert np.abs(sides - [0.7, 0.2, 0.1]).max() < 0.012
    folds = np.bincount(hashed.filter(nw.col("side") == 0)["fold"].to_numpy(), minlength=5) / (rows * 0.7)
    assert np.abs(folds - 0.2).max() < 0.012


def test_consecutive_keys_fall_independently() -> None:
    contract = Contract("n", "regression", "y", (Column("i", "integer"), Column("y", "number")), key=("i",))
    frame = nw.from_native(pl.DataFrame({"i": np.arange(20_000, dtype=np.float64)}))
    test = side_of_hash(nw.col("h"), Split())
    side = with_hash(frame, contract, {"h": 0}).select(test.alias("s"))["s"].to_numpy() == 2
    both = float(np.mean(side[1:] & side[:-1]))
    assert abs(both - 0.15**2) < 0.006


@settings(max_examples=60, deadline=None, database=None, derandomize=True)
@given(st.integers(0, 1000), st.integers(-(2**52), 2**52), st.integers(-(2**52), 2**52), st.text(max_size=8), st.text(max_size=8))
def test_hashes_stay_in_range_and_different_keys_differ(seed: int, a: int, b: int, x: str, y: str) -> None:
    contract = Contract("n", "regression", "y", (Column("i", "integer"), Column("c", "category"), Column("y", "number")), key=("i", "c"))
    found = hashes({"i": [float(a), float(b)], "c": [x, y]}, contract, {"h": seed, "g": seed + 1})
    assert all(0 <= value < 2**31 - 1 for row in found for value in row)
    same = float(a) == float(b) and x.strip(" \t\r\n\u00a0").lower() == y.strip(" \t\r\n\u00a0").lower()
    assert (found[0] == found[1]) == same


def test_numbers_that_differ_only_in_small_digits_have_hashes_that_differ() -> None:
    contract = Contract("n", "regression", "y", (Column("n", "number"), Column("y", "number")), key=("n",))
    found = hashes({"n": [1.1e-6, 2.2e-6, 3.3e-5, 4.4e-4]}, contract)
    assert len(set(found)) == 4


TIMED = """\
name: timed
task: regression
target: y
columns:
  t: {type: datetime, missing: false}
  x: {type: number}
  y: {type: number, missing: false}
split: {by: time, column: t, validation_from: 2013-06-30, test_from: 2013-08-29}
"""


def sides_of(folder: Path, text: str, rows: list[list[Any]], header: list[str]) -> dict[str, set[float]]:
    folder.mkdir()
    project = project_of(text, folder)
    raw = write_csv(folder / "raw.csv", header, rows)
    prepare(raw, project, NO_FEATURES, prep_outputs(folder), folder / "recipe")
    return {side: set(pl.read_parquet(folder / side / "data.parquet")["y"].to_list()) for side in prep_outputs(folder)}


def test_a_split_by_time_trains_on_the_oldest_rows(tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    days = random.permutation(300)
    rows = [[f"{BEGIN + timedelta(days=int(d)):%Y-%m-%d}", float(random.normal()), float(d)] for d in days]
    sides = sides_of(tmp_path / "a", TIMED, rows, ["t", "x", "y"])
    assert (max(sides["train"]), min(sides["validation"])) == (179, 180)
    assert (max(sides["validation"]), min(sides["test"])) == (239, 240)


def test_a_row_keeps_its_side_of_a_split_by_time_when_older_and_newer_rows_are_added(tmp_path: Path) -> None:
    def rows(first: int, last: int) -> list[list[Any]]:
        return [[f"{BEGIN + timedelta(days=d):%Y-%m-%d}", float(d % 5), float(d)] for d in range(first, last)]

    before = sides_of(tmp_path / "a", TIMED, rows(100, 300), ["t", "x", "y"])
    after = sides_of(tmp_path / "b", TIMED, rows(-200, 400), ["t", "x", "y"])
    for side, values in before.items():
        assert values <= after[side]


KEYED = """\
name: keyed
task: regression
target: y
key: [id]
columns:
  id: {type: integer, missing: false, feature: false}
  x: {type: number}
  y: {type: number, missing: false}
"""


def test_a_row_keeps_its_side_when_rows_are_added_reordered_and_columns_move(tmp_path: Path) -> None:
    random = np.random.default_rng(2)
    rows = [[i, float(random.normal()), float(i)] for i in range(300)]
    first = sides_of(tmp_path / "a", KEYED, rows, ["id", "x", "y"])
    more = [[i, float(random.normal()), float(i)] for i in range(300, 900)]
    mixed = [*more, *rows]
    random.shuffle(mixed)
    grown = sides_of(tmp_path / "b", KEYED, mixed, ["id", "x", "y"])
    for side, targets in first.items():
        assert targets <= grown[side]
    turned = sides_of(tmp_path / "c", KEYED, [[y, x, i] for i, x, y in rows], ["y", "x", "id"])
    assert turned == first
    assert sum(map(len, first.values())) == 300


def test_another_seed_gives_another_split(tmp_path: Path) -> None:
    rows = [[i, i % 7, float(i)] for i in range(300)]
    first = sides_of(tmp_path / "a", KEYED, rows, ["id", "x", "y"])
    other = sides_of(tmp_path / "b", KEYED + "split: {seed: 1}\n", rows, ["id", "x", "y"])
    assert len(first["test"] & other["test"]) < 0.6 * len(first["test"])


@pytest.mark.parametrize("column", ["t", "x"])
def test_a_key_or_time_that_is_unknown_at_prediction_still_splits_or_is_refused_by_name(tmp_path: Path, column: str) -> None:
    text = TIMED.replace(f"{column}: {{type:", f"{column}: {{unknown_at_prediction: true, type:").replace(
        "x: {", "z: {type: number}\n  x: {"
    )
    if column == "x":
        text = text.replace("split: {by: time, column: t, validation_from: 2013-06-30, test_from: 2013-08-29}", "key: [x]")
    rows = [[f"{BEGIN + timedelta(days=d):%Y-%m-%d}", d % 5, d, float(d)] for d in range(200)]
    sides, error = outcome(lambda: sides_of(tmp_path / "a", text, rows, ["t", "z", "x", "y"]), UserError)
    if error is not None:
        assert repr(column) in str(error)
    else:
        assert sides is not None
        assert sum(map(len, sides.values())) == 200


def test_rows_without_a_declared_key_are_told_apart_by_all_columns_that_are_read(tmp_path: Path) -> None:
    text = KEYED.replace("key: [id]\n", "").replace("  x:", "  late: {type: number, unknown_at_prediction: true}\n  x:")
    rows = [[i, None, i % 7, float(i)] for i in range(300)]
    sides = sides_of(tmp_path / "a", text, rows, ["id", "late", "x", "y"])
    assert sum(map(len, sides.values())) == 300
