"""The recipe: two back-ends that agree, fitted on the training rows and on nothing else."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import narwhals as nw
import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from data_science.support import DATA, NO_FEATURES, PROJECT, SOURCE, prep_outputs, project_of, write_csv
from tabular.contract import Contract
from tabular.errors import ProjectError
from tabular.expression_frames import with_expressions
from tabular.expressions import Expression, column, compile_arrays, great_circle_km, maximum, minimum, where
from tabular.fitting import Fitted, fit
from tabular.preparation import prepare
from tabular.project import Project, load_project
from tabular.raw import open_raw, typed
from tabular.recipe import Recipe
from tabular.recipe_arrays import ArrayRecipe
from tabular.recipe_frames import apply_recipe
from tabular.recording import record
from tabular.tables import load_training

SEEDED = settings(max_examples=25, deadline=None, database=None, derandomize=True)
KINDS = {
    "a": "number",
    "b": "number",
    "k": "integer",
    "flag": "boolean",
    "c": "category",
    "d": "category",
    "t": "datetime",
    "lat": "number",
    "lon": "number",
    "lat2": "number",
    "lon2": "number",
    "y": "number",
}
SCHEMA: Any = {
    name: {"category": pl.String, "datetime": pl.Datetime("us")}.get(kind, pl.Float64)  # type: ignore[call-overload]
    for name, kind in KINDS.items()
}
BASE = "name: random\ntask: regression\ntarget: y\ncolumns:\n" + "".join(f"  {n}: {{type: {k}}}\n" for n, k in KINDS.items())
PARTS = "[year, month, day, weekday, day_of_year, hour, minute]"
FEATURES = f"features: {{date_parts: {PARTS}, distances: {{km: {{from: [lat, lon], to: [lat2, lon2]}}}}}}\n"
CODE = """\
from tabular.expressions import great_circle_km, maximum, minimum, where


def derive(row):
    return {
        "sum": row.a + row.b * 2 - 1,
        "ratio": row["a"] / row["b"],
        "rest": row["k"] % 7,
        "whole": row["a"] // row["b"],
        "root": row["a"].sqrt(),
        "logarithm": row["b"].log(),
        "power": (row["a"] / 1e6).exp(),
        "size": abs(row["a"]),
        "larger": where(row["a"] > row["b"], row["a"], row["b"] - row["k"]),
        "between": (row["a"] >= -5) & (row["a"] <= 5) | ~(row["k"] == 3),
        "capped": minimum(maximum(row["a"], -10.0), 10.0),
        "known": row["a"].is_missing() + row["c"].is_missing() + row["t"].is_missing(),
        "filled": row["a"].fill(7.0) + row["flag"].fill(0.0),
        "same": row["c"] == row["d"],
        "other": row["c"] != "Red ",
        "pair": row["c"] + "-" + row["d"],
        "begin": row["c"].prefix(2),
        "age": row["t"].part("year") - row["k"],
    }
"""


def numbers(limit: float) -> st.SearchStrategy[float | None]:
    return st.none() | st.floats(-limit, limit).map(lambda v: round(v, 4)) | st.sampled_from([0.0, 1.0, -1.0, 3.0, 1e39, -1e39, 1.6e38])


LEVELS = (
    st.none()
    | st.sampled_from(["red", "green", "blue", "été", "straße", "x y", "红", "r"])
    | st.text("abξ ", min_size=1, max_size=3).map(lambda text: text.strip() or "blank")
)
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "a": numbers(1e6),
    "b": numbers(1e3),
    "k": st.none() | st.integers(-(10**6), 10**6).map(float),
    "flag": st.none() | st.sampled_from([0.0, 1.0]),
    "c": LEVELS,
    "d": LEVELS,
    "t": st.none() | st.datetimes(datetime(1903, 1, 1), datetime(2099, 1, 1)).map(lambda t: t.replace(microsecond=0)),  # noqa: DTZ001
    "lat": numbers(90),
    "lon": numbers(180),
    "lat2": numbers(90),
    "lon2": numbers(180),
    "y": st.floats(-1e3, 1e3),
}
ROWS = st.fixed_dictionaries(VALUES)


def polars_frame(rows: list[dict[str, Any]]) -> pl.DataFrame:
    return pl.DataFrame({name: [row[name] for row in rows] for name in KINDS}, schema=SCHEMA)


def pandas_frame(rows: list[dict[str, Any]]) -> pd.DataFrame:
    dtypes = {"category": "str", "datetime": "datetime64[us]"}
    return pd.DataFrame({n: pd.Series([row[n] for row in rows], dtype=dtypes.get(k, "float64")) for n, k in KINDS.items()})


def by_frame(frame: Any, recipe: Recipe, contract: Contract) -> Any:
    with np.errstate(all="ignore"):  # pandas warns of logarithms of zero
        found = apply_recipe(nw.from_native(frame, eager_only=True), recipe, contract)
    assert tuple(found.columns) == recipe.feature_names
    return np.column_stack([found[name].to_numpy().astype(np.float32) for name in found.columns])


def by_arrays(rows: list[dict[str, Any]], recipe: Recipe, contract: Contract) -> Any:
    compiled = ArrayRecipe(recipe, contract)
    values = [{n: (v - datetime(1970, 1, 1)).total_seconds() if isinstance(v, datetime) else v for n, v in row.items()} for row in rows]  # noqa: DTZ001
    return compiled.apply(compiled.columns(values))


def fitted(rows: list[dict[str, Any]], project: Project, derived: dict[str, Expression]) -> Fitted:
    frame = polars_frame(rows).with_columns((pl.int_range(pl.len()) % project.encodings.folds).alias("fold"))
    return fit(nw.from_native(frame.lazy()), project, derived, fold=nw.col("fold"), rows=len(rows), sha256="0")


@pytest.fixture(scope="module")
def code(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("code") / "features.py"
    path.write_text(CODE)
    return path


@SEEDED
@given(
    train=st.lists(ROWS, min_size=6, max_size=20),
    new=st.lists(ROWS, min_size=1, max_size=8),
    encoding=st.sampled_from(["auto", "target", "one_hot", "frequency", "ordinal"]),
    scaling=st.sampled_from(["none", "standard", "robust", "minmax"]),
    missing=st.sampled_from(["median", "mean", "zero", "keep"]),
    indicators=st.booleans(),
    quantile=st.sampled_from([0.0, 0.1]),
)
def test_frames_of_polars_and_pandas_and_arrays_give_equal_features(
    code: Path,
    tmp_path_factory: pytest.TempPathFactory,
    train: list[dict[str, Any]],
    new: list[dict[str, Any]],
    encoding: str,
    scaling: str,
    missing: str,
    indicators: bool,
    quantile: float,
) -> None:
    cleaning = (
        f"cleaning: {{missing_numbers: {missing}, indicators: {str(indicators).lower()}, "
        f"outliers: {{lower_quantile: {quantile}, upper_quantile: {1 - quantile}}}}}\n"
    )
    text = BASE + FEATURES + cleaning + f"scaling: {scaling}\nencoding: {{default: {encoding}}}\n"
    project = project_of(text, tmp_path_factory.getbasetemp())
    recipe = fitted(train, project, record(project.contract, project.features, code)).recipe
    assume(recipe.feature_names)
    rows = [*train, *new]
    expected = by_arrays(rows, recipe, project.contract)
    assert expected.dtype == np.float32
    if missing != "keep":
        assert np.isfinite(expected).all()
    for frame in (polars_frame(rows), pandas_frame(rows)):
        np.testing.assert_allclose(
            by_frame(frame, recipe, project.contract), expected, rtol=2e-5, atol=1e-5, err_msg=type(frame).__module__
        )
    again = Recipe.from_json(recipe.to_json())
    assert again == recipe
    assert again.to_json() == recipe.to_json()


def test_on_real_flights_every_derived_column_is_equal_in_polars_pandas_and_arrays() -> None:
    project = load_project(PROJECT)
    contract = project.contract
    derived = record(contract, project.features, SOURCE / "features.py")
    assert {"route", "slack_per_mile", "time_hour_hour"} <= set(derived)

    def read(name: str, rows: int, *, target: bool) -> pl.DataFrame:
        columns = [c for c in contract.columns if c.known and (target or c.name != contract.target)]
        _, scan = open_raw(DATA / name, contract)
        return typed(scan(text=False).head(rows), columns, contract).collect()

    train, new = read("data.csv", 2000, target=True).filter(pl.col("arr_delay").is_not_null()), read("batch.csv", 1000, target=False)
    lazy = nw.from_native(train.with_columns((pl.int_range(pl.len()) % 5).alias("fold")).lazy())
    recipe = fit(lazy, project, derived, fold=nw.col("fold"), rows=len(train), sha256="0").recipe
    other = pd.DataFrame({n: pd.Series(new[n].to_list(), dtype="str" if new[n].dtype == pl.String else None) for n in new.columns})
    rows = []
    for row in new.iter_rows(named=True):
        moment = row["time_hour"]
        rows.append({**row, "time_hour": None if moment is None else moment.replace(tzinfo=UTC).timestamp()})
    compiled = ArrayRecipe(recipe, contract)
    expected = compiled.apply(compiled.columns(rows))
    for frame in (new, other):
        np.testing.assert_allclose(by_frame(frame, recipe, contract), expected, rtol=1e-6, atol=1e-6)
    position = recipe.feature_names.index("scheduled_minutes")
    first = rows[0]
    minutes = [int(first[k] // 100 * 60 + first[k] % 100) for k in ("sched_dep_time", "sched_arr_time")]
    assert expected[0, position] == (minutes[1] - minutes[0]) % 1440


A, B, C, T = column("a", "number"), column("b", "number"), column("c", "category"), column("t", "datetime")
NAN = math.nan


def evaluate(expression: Expression, rows: list[dict[str, Any]]) -> tuple[list[float], list[float], list[float]]:
    """Values by polars, pandas and arrays; NaN where missing."""
    contract = project_contract()
    whole = [{**dict.fromkeys(KINDS), **row} for row in rows]
    tree = expression.to_json()

    def frame(native: Any) -> list[float]:
        with np.errstate(all="ignore"):  # pandas warns of logarithms of zero
            whole_frame, (value,) = with_expressions(nw.from_native(native, eager_only=True), [tree], contract)
            values = whole_frame.select("y", value.alias("v"))["v"].to_list()
        return [NAN if v is None else v for v in values]

    columns: dict[str, Any] = {}
    for name, kind in KINDS.items():
        values = [row[name] for row in whole]
        if kind == "datetime":
            values = [None if v is None else (v - datetime(1970, 1, 1)).total_seconds() for v in values]  # noqa: DTZ001
        columns[name] = values if kind == "category" else np.array(values, dtype=np.float64)
    with np.errstate(all="ignore"):
        arrays = np.broadcast_to(compile_arrays(tree)(columns), (len(rows),)).tolist()
    return frame(polars_frame(whole)), frame(pandas_frame(whole)), arrays


def project_contract() -> Contract:
    from tabular.contract import Column

    return Contract("n", "regression", "y", tuple(Column(n, k) for n, k in KINDS.items()))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("expression", "row", "expected"),
    [
        (A + 1, {"a": 2.0}, 3.0),
        (A + 1, {}, NAN),
        (1 - A, {"a": 3.0}, -2.0),
        (A / B, {"a": 1.0, "b": 0.0}, NAN),
        (A / B, {"a": 0.0, "b": 0.0}, NAN),
        (A // 4, {"a": -1.0}, -1.0),
        (A % 4, {"a": -1.0}, 3.0),
        (A.log(), {"a": 0.0}, NAN),
        (A.log(), {"a": -1.0}, NAN),
        (A.sqrt(), {"a": -1.0}, NAN),
        (A.exp(), {"a": 1000.0}, NAN),
        (A > B, {"a": 2.0, "b": 1.0}, 1.0),
        (A > B, {"a": 2.0}, NAN),
        (A <= 2, {"a": 2.0}, 1.0),
        (A == 2, {"a": 2.0}, 1.0),
        (A != 2, {}, NAN),
        (where(A > 0, B, 5.0), {"a": 1.0, "b": 3.0}, 3.0),
        (where(A > 0, B, 5.0), {"a": -1.0}, 5.0),
        (where(A > 0, B, 5.0), {"b": 3.0}, NAN),
        (minimum(A, B), {"a": 1.0}, NAN),
        (maximum(A, 2.0), {"a": 1.0}, 2.0),
        (A.fill(9), {}, 9.0),
        (A.is_missing(), {}, 1.0),
        (A.is_missing(), {"a": 0.0}, 0.0),
        (C.is_missing(), {}, 1.0),
        (C == " RED", {"c": "red"}, 1.0),
        (C == "red", {}, NAN),
        (C != "red", {"c": "blue"}, 1.0),
        ((C + "-X").prefix(4) == "red-", {"c": "red"}, 1.0),
        (T.part("weekday"), {"t": datetime(2013, 11, 17)}, 7.0),  # noqa: DTZ001
        (T.part("day_of_year"), {"t": datetime(2012, 12, 31)}, 366.0),  # noqa: DTZ001
        (T.part("hour"), {"t": datetime(1905, 3, 1, 23, 59)}, 23.0),  # noqa: DTZ001
        (T.part("year"), {}, NAN),
        ((A > 0) & (B > 0) | ~(A > 5), {"a": 6.0, "b": -1.0}, 0.0),
    ],
    ids=lambda value: value.label() if isinstance(value, Expression) else None,
)
def test_expressions_follow_their_rules_in_every_back_end(expression: Expression, row: dict[str, Any], expected: float) -> None:
    for found in evaluate(expression, [row, {**row, "y": 1.0}]):
        assert found == pytest.approx([expected, expected], nan_ok=True)


def test_a_value_that_is_not_finite_is_missing_also_in_the_middle_of_an_expression() -> None:
    huge = A * 1e300
    expression = huge * 1e300 - huge * 1e300 > 0
    for found in evaluate(expression, [{"a": 1e10}]):
        assert found == pytest.approx([NAN], nan_ok=True)


def haversine(a: tuple[float, float], b: tuple[float, float]) -> float:
    lat1, lon1, lat2, lon2 = map(math.radians, (*a, *b))
    h = math.sin((lat2 - lat1) / 2) ** 2 + math.cos(lat1) * math.cos(lat2) * math.sin((lon2 - lon1) / 2) ** 2
    return 2 * 6371.0088 * math.asin(min(1.0, math.sqrt(h)))


POINT = st.tuples(st.floats(-90, 90), st.floats(-180, 180))


@SEEDED
@given(st.lists(st.tuples(POINT, POINT), min_size=1, max_size=10))
def test_great_circles_are_within_a_metre_of_haversine(pairs: list[tuple[tuple[float, float], tuple[float, float]]]) -> None:
    expression = great_circle_km(*(column(name, "number") for name in ("lat", "lon", "lat2", "lon2")))
    rows = [{"lat": a[0], "lon": a[1], "lat2": b[0], "lon2": b[1]} for a, b in pairs]
    for found in evaluate(expression, rows):
        assert found == pytest.approx([haversine(a, b) for a, b in pairs], abs=1e-3)


def test_the_distance_to_a_fixed_point_can_be_a_feature() -> None:
    expression = great_circle_km(column("lat", "number"), column("lon", "number"), 40.64, -73.78)
    for found in evaluate(expression, [{"lat": 51.47, "lon": -0.45}]):
        assert found == pytest.approx([haversine((51.47, -0.45), (40.64, -73.78))], abs=1e-3)


def test_a_constant_operand_is_taken_by_every_back_end() -> None:
    for found in evaluate(minimum(A * 0 + 2, 3.0), [{"a": 1.0}, {"a": 2.0}]):
        assert found == [2.0, 2.0]


@pytest.mark.parametrize("make", [lambda: where(1.0, 2.0, 3.0), lambda: minimum(2.0, 3.0), lambda: great_circle_km(1, 2, 3, 4)])
def test_constants_alone_are_no_column(make: Callable[[], Expression]) -> None:
    with pytest.raises(TypeError, match="needs a column; found constants only"):
        make()


SMALL = "name: small\ntask: {task}\ntarget: y\ncolumns:\n  c: {{type: category}}\n  y: {{type: {kind}}}\nencoding: {{default: target, smoothing: 2, folds: 2}}\n"


def test_target_encodings_of_training_rows_leave_their_own_fold_out_by_hand(tmp_path: Path) -> None:
    project = project_of(SMALL.format(task="regression", kind="number"), tmp_path)
    frame = pl.DataFrame({"c": ["a", "a", "a", "b", None, "b"], "y": [1.0, 2.0, 6.0, 10.0, 20.0, 30.0], "fold": [0, 0, 1, 1, 0, 0]}).lazy()
    result = fit(nw.from_native(frame), project, {"c_": column("c", "category")}, fold=nw.col("fold"), rows=6, sha256="0")
    feature = result.recipe.categories[0]
    mean = 69 / 6
    assert feature.table["a"] == pytest.approx([(9 + 2 * mean) / 5])
    assert feature.table["b"] == pytest.approx([(40 + 2 * mean) / 4])
    assert feature.missing == pytest.approx([(20 + 2 * mean) / 3])
    assert feature.unseen == pytest.approx([mean])
    lazy = apply_recipe(nw.from_native(frame), result.recipe, project.contract, folds=result.folds, fold=nw.col("fold"))
    found = lazy.collect()["c__target"].to_list()
    without = {0: (6 + 10) / 2, 1: (1 + 2 + 20 + 30) / 4}  # mean of the other fold's rows
    by_hand = [
        (6 + 2 * without[0]) / 3,
        (6 + 2 * without[0]) / 3,
        (3 + 2 * without[1]) / 4,
        (30 + 2 * without[1]) / 3,
        without[0],
        (10 + 2 * without[0]) / 3,
    ]
    assert found == pytest.approx(by_hand, rel=1e-6)


PREP = """\
name: prep
task: {task}
target: y
key: [id]
columns:
  id: {{type: integer, missing: false, feature: false}}
  unique: {{type: category}}
  c: {{type: category}}
  x: {{type: number}}
  t: {{type: datetime}}
  y: {{type: {kind}, missing: false}}
encoding: {{default: {encoding}}}
scaling: standard
cleaning: {{outliers: {{lower_quantile: 0.01, upper_quantile: 0.99}}}}
"""
HEADER = ["id", "unique", "c", "x", "t", "y"]


def some_rows(count: int, *, binary: bool = False) -> list[list[Any]]:
    random = np.random.default_rng(11)
    rows, targets = [], random.permutation(count)
    for i in range(count):
        y: Any = ["no", "yes"][int(targets[i] % 2)] if binary else targets[i] * 0.5
        x = None if i % 9 == 0 else round(float(random.normal()), 4)
        day = datetime(2020, 1, 1, tzinfo=UTC) + timedelta(hours=int(random.integers(0, 9999)))
        rows.append([i, f"u{i}", f"level{int(random.integers(0, 9))}", x, f"{day:%Y-%m-%dT%H:%M:%SZ}", y])
    return rows


def prepared(folder: Path, text: str, rows: list[list[Any]]) -> dict[str, pl.DataFrame]:
    folder.mkdir()
    raw = write_csv(folder / "raw.csv", HEADER, rows)
    prepare(raw, project_of(text, folder), NO_FEATURES, prep_outputs(folder), folder / "recipe")
    return {side: pl.read_parquet(path / "data.parquet") for side, path in prep_outputs(folder).items()}


@pytest.mark.parametrize(
    ("declared", "order"),
    [
        ("", [f"level{n}" for n in range(9)]),
        (", levels: [Level8, Level1, Level0, level2, level3, level4, level5, level6, level7]", [f"level{n}" for n in (8, 1, 0, 2, 3, 4, 5, 6, 7)]),
    ],
)  # fmt: skip
def test_a_category_has_the_mean_of_the_target_and_a_code_that_trainers_know(tmp_path: Path, declared: str, order: list[str]) -> None:
    text = PREP.format(task="regression", kind="number", encoding="auto").replace("c: {type: category", f"c: {{type: category{declared}")
    tables = prepared(tmp_path / "p", text, [*some_rows(300), [300, "u300", None, 1.0, "2020-01-01T00:00:00Z", 1.0]])
    recipe = Recipe.load(tmp_path / "p" / "recipe" / "recipe.json")
    by_output = {category.outputs[0]: category for category in recipe.categories}
    assert set(by_output) == {"unique__target", "c__target", "c__code"}  # 300 levels are too many for a code.
    assert by_output["c__code"].table == {level: (float(number),) for number, level in enumerate(order, 1)}
    assert by_output["c__code"].unseen == by_output["c__code"].missing == (-1.0,)
    data, names = load_training(tmp_path / "p" / "train", tmp_path / "p" / "validation", project_of(text, tmp_path).contract, "rmse")
    assert [names[column] for column in data.categorical] == ["c__code"]
    assert set(tables["train"]["c__code"].unique()) <= {-1.0, *map(float, range(1, 10))}


def test_levels_by_name_have_the_numbers_in_it_by_their_size(tmp_path: Path) -> None:
    text = PREP.format(task="regression", kind="number", encoding="ordinal")
    ages = ["20-29", "5-9", "10-19", "none", "10-19 late", "5-9"]
    prepared(tmp_path / "p", text, [[*row[:2], ages[row[0] % 6], *row[3:]] for row in some_rows(60)])
    recipe = Recipe.load(tmp_path / "p" / "recipe" / "recipe.json")
    codes = next(category.table for category in recipe.categories if category.outputs == ("c__code",))
    assert sorted(codes, key=lambda level: codes[level]) == ["none", "5-9", "10-19", "10-19 late", "20-29"]


def test_a_column_named_as_an_encoding_of_another_is_refused(tmp_path: Path) -> None:
    text = PREP.format(task="regression", kind="number", encoding="auto").replace("  x: {", "  c__code: {")
    (tmp_path / "p").mkdir()
    raw = write_csv(tmp_path / "p" / "raw.csv", ["c__code" if h == "x" else h for h in HEADER], some_rows(60))
    project, outputs = project_of(text, tmp_path / "p"), prep_outputs(tmp_path / "p")
    with pytest.raises(ProjectError, match="'c__code' would be there twice"):
        prepare(raw, project, NO_FEATURES, outputs, tmp_path / "p" / "recipe")


def test_a_number_that_is_named_as_a_code_is_none(tmp_path: Path) -> None:
    """LightGBM would cut its fraction off, and the graph would not."""
    text = PREP.format(task="regression", kind="number", encoding="target").replace("  x: {", "  zip__code: {")
    (tmp_path / "p").mkdir()
    raw = write_csv(tmp_path / "p" / "raw.csv", ["zip__code" if h == "x" else h for h in HEADER], some_rows(60))
    prepare(raw, project_of(text, tmp_path / "p"), NO_FEATURES, prep_outputs(tmp_path / "p"), tmp_path / "p" / "recipe")
    data, names = load_training(tmp_path / "p" / "train", tmp_path / "p" / "validation", project_of(text, tmp_path).contract, "rmse")
    assert "zip__code" in names
    assert data.categorical == ()


@pytest.mark.parametrize(("task", "kind"), [("regression", "number"), ("classification", "boolean")])
def test_a_column_of_unique_levels_does_not_leak_the_target_into_training(tmp_path: Path, task: str, kind: str) -> None:
    text = PREP.format(task=task, kind=kind, encoding="target")
    sides = prepared(tmp_path / "a", text, some_rows(600, binary=kind == "boolean"))
    train = sides["train"]
    assert train["unique__target"].n_unique() <= 5  # a prior per fold and nothing of the row's own
    within = train.with_columns(pl.col("y").cast(pl.Float64) - pl.col("y").cast(pl.Float64).mean().over("unique__target"))
    correlation = within.select(pl.corr("unique__target", "y")).item()
    assert correlation is None or math.isnan(correlation) or abs(correlation) < 1e-6
    for side in ("validation", "test"):
        assert sides[side]["unique__target"].n_unique() == 1  # levels that training never saw


@pytest.mark.parametrize("encoding", ["target", "one_hot", "frequency", "ordinal"])
def test_the_recipe_never_sees_validation_and_test_rows(tmp_path: Path, encoding: str) -> None:
    text = PREP.format(task="regression", kind="number", encoding=encoding)
    rows = some_rows(400)
    sides = prepared(tmp_path / "a", text, rows)
    trained = {round(v, 6) for v in sides["train"]["y"].to_list()}
    changed, count = [], 0
    for i, (key, unique, c, x, t, y) in enumerate(rows):
        if round(y, 6) in trained:
            changed.append([key, unique, c, x, t, y])
        else:
            count += 1
            changed.append([key, "strange", "another", 1e6 * i, "1999-01-01", 1e6 + i])
    assert count == len(sides["validation"]) + len(sides["test"]) > 50
    prepared(tmp_path / "b", text, changed)
    first, second = (json.loads((tmp_path / name / "recipe" / "recipe.json").read_text()) for name in ("a", "b"))
    assert first.pop("fitted_sha256") != second.pop("fitted_sha256")
    assert first == second
    assert (tmp_path / "a/recipe/profile.json").read_bytes() == (tmp_path / "b/recipe/profile.json").read_bytes()
    assert pl.read_parquet(tmp_path / "b/train/data.parquet").equals(sides["train"])


def test_the_same_data_give_the_same_bytes(tmp_path: Path) -> None:
    text = PREP.format(task="regression", kind="number", encoding="auto")
    for name in ("a", "b"):
        prepared(tmp_path / name, text, some_rows(300))
    for file in ("recipe/recipe.json", "recipe/contract.json", "recipe/profile.json", "test/rows.parquet", "train/data.parquet"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes(), file


def test_written_features_are_float32_and_the_test_rows_give_them_again_through_arrays(tmp_path: Path) -> None:
    from tabular.tables import load_prepared, load_rows, load_table

    text = PREP.format(task="regression", kind="number", encoding="target")
    sides = prepared(tmp_path / "a", text, some_rows(400))
    assert {str(d) for d in sides["train"].drop("y").dtypes} == {"Float32"}
    loaded = load_prepared(tmp_path / "a/recipe")
    table, names = load_table(tmp_path / "a/test", loaded.contract)
    assert names == loaded.recipe.feature_names
    columns, rows = load_rows(tmp_path / "a/test", loaded.contract)
    assert len(rows) == len(table.target)
    np.testing.assert_allclose(ArrayRecipe(loaded.recipe, loaded.contract).apply(columns), table.features, rtol=1e-6)


def test_a_recipe_of_another_format_is_refused() -> None:
    with pytest.raises(ValueError, match="recipe format 99; this version reads 1"):
        Recipe.from_json(json.dumps({"format": 99, "numbers": [], "categories": []}))


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("def derive(row):\n    return {'z': row['y'] * 2}\n", ["features.py:2", "'y' is the target", "leak"]),
        ("def derive(row):\n    return {'z': row['idd'] * 2}\n", ["features.py:2", "no column 'idd'"]),
        ("def derive(row):\n    return {'z': row['id'] * 2}\n", ["features.py:2", "'id' is declared `feature: false`"]),
        ("def derive(row):\n    return {'z': 1 if row['x'] > 0 else 0}\n", ["features.py:2", "where(condition"]),
        ("def derive(row):\n    return {'x': row['x'] * 2}\n", ["'x' has the name of another column"]),
        ("def derive(row):\n    return {'z': 5}\n", ["'z' is int"]),
        ("def derive(row):\n    return [row['x']]\n", ["returned list"]),
        ("def derive(row)\n    pass\n", ["features.py:1"]),
        ("x = 1\n", ["no function derive"]),
        ("def derive(row):\n    return {'z': row['x'] + 'a'}\n", ["features.py:2", "'a'"]),
        ("def derive(row):\n    return {'z': row['c'] * 2}\n", ["features.py:2", "is a category"]),
        ("import nowhere_to_be_found\n", ["features.py:1", "nowhere_to_be_found"]),
    ],
)
def test_a_mistake_in_features_names_its_line(tmp_path: Path, body: str, words: list[str]) -> None:
    from tabular.errors import ProjectError

    path = tmp_path / "features.py"
    path.write_text(body)
    project = project_of(PREP.format(task="regression", kind="number", encoding="auto"), tmp_path)
    with pytest.raises(ProjectError) as caught:
        record(project.contract, project.features, path)
    for word in words:
        assert word in str(caught.value)
