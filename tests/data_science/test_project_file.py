"""project.yml: every mistake is found, placed and explained."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from data_science.support import PROJECT, process, project_of
from tabular.errors import ProjectError
from tabular.project import load_project

GOOD = """\
name: houses
task: regression
target: price
key: [house]
columns:
  house: {type: integer, missing: false, feature: false}
  sold: {type: datetime}
  area: {type: number, unit: m2, range: [1, 10000]}
  lat: {type: number}
  lon: {type: number}
  heating: {type: category, levels: [gas, oil, heat pump]}
  garden: {type: boolean}
  price: {type: number, missing: false}
"""
FLOWERS = """\
name: flowers
task: classification
target: kind
columns:
  width: {type: number}
  kind: {type: category, levels: [a, b], missing: false}
"""
LINE = re.compile(r"project\.yml:\d+(:\d+)?: \S.*")


def problems(text: str, folder: Path) -> tuple[str, ...]:
    with pytest.raises(ProjectError) as caught:
        project_of(text, folder)
    for line in caught.value.problems:
        assert LINE.fullmatch(line), line
    return caught.value.problems


def test_the_repository_s_own_project_loads_and_names_every_column_of_its_data() -> None:
    project = load_project(PROJECT)
    header = (PROJECT.parent / "data" / "data.csv").read_text(encoding="utf-8").splitlines()[0].split(",")
    assert sorted(header) == sorted(c.name for c in project.contract.columns)
    assert project.contract.target not in {c.name for c in project.contract.inputs}
    assert {"arr_time", "air_time"}.isdisjoint(c.name for c in project.contract.inputs)


def test_a_good_file_gives_what_it_says(tmp_path: Path) -> None:
    project = project_of(GOOD + "scaling: robust\nsearch: {metric: mae, seconds: 7}\n", tmp_path)
    assert [c.name for c in project.contract.inputs] == ["sold", "area", "lat", "lon", "heating", "garden"]
    assert (project.scaling, project.search.metric, project.search.seconds) == ("robust", "mae", 7.0)
    assert project.contract["area"].maximum == 10000
    assert project.contract["heating"].levels == ("gas", "oil", "heat pump")


def test_the_positive_class_comes_last_whatever_the_order_of_the_levels(tmp_path: Path) -> None:
    contract = project_of(FLOWERS + "positive: a\n", tmp_path).contract
    assert (contract.classes, contract.positive) == (("b", "a"), "a")


@pytest.mark.parametrize(
    ("old", "new", "place", "words"),
    [
        ("name: houses", "name: two words", "1:1: name", ["'two words'", "letters, digits"]),
        ("name: houses\n", "", "1:1: name", ["nothing", "required"]),
        ("task: regression", "task: regresion", "2:1: task", ["'regresion'", "regression, classification", "did you mean 'regression'?"]),
        ("target: price", "target: prise", "3:1: target", ["'prise'", "price"]),
        ("target: price\n", "", "1:1: target", ["nothing", "required"]),
        ("target: price", "target: heating", "3:1: target", ["category", "number or integer"]),
        ("key: [house]", "key: [hose]", "4:1: key", ["'hose'", "columns other than the target"]),
        ("key: [house]", "key: [price]", "4:1: key", ["'price'", "columns other than the target"]),
        ("key: [house]", "key: house", "4:1: key", ["'house' (text)", "a list of texts"]),
        ("key: [house]", "key: [house, house]", "4:1: key", ["'house' twice", "each value once"]),
        ("garden: {type: boolean}", "garden: {type: bool}", "12:12: columns.garden.type", ["'bool'", "boolean", "did you mean 'boolean'?"]),
        ("garden: {type: boolean}", "garden: {}", "columns.garden.type", ["nothing", "number, integer, category, boolean, datetime"]),
        ("garden: {type: boolean}", "garden: boolean", "12:3: columns.garden", ["'boolean' (text)", "a mapping"]),
        (
            "garden: {type: boolean}",
            "garden: {type: boolean, mising: false}",
            "12:27: unknown key 'columns.garden.mising'",
            ["did you mean 'missing'?"],
        ),
        ("missing: false, feature", "missing: 'no', feature", "6:26: columns.house.missing", ["'no' (text)", "true or false"]),
        ("range: [1, 10000]", "range: [10000, 1]", "8:34: columns.area.range", ["[10000, 1]", "lowest, highest"]),
        ("range: [1, 10000]", "range: [1, many]", "8:34: columns.area.range", ["many", "lowest, highest"]),
        ("range: [1, 10000]", "range: 5", "8:34: columns.area.range", ["5", "lowest, highest"]),
        ("range: [1, 10000]", "range: [.nan, 5]", "8:34: columns.area.range", ["nan", "lowest, highest"]),
        ("range: [1, 10000]", "levels: [a]", "8:34: columns.area.levels", ["only for category"]),
        ("range: [1, 10000]", "formats: ['%d']", "8:34: columns.area.formats", ["only for datetime"]),
        ("levels: [gas, oil, heat pump]", "levels: []", "11:29: columns.heating.levels", ["an empty list", "at least one level"]),
        ("levels: [gas, oil, heat pump]", "levels: [gas, gas]", "11:29: columns.heating.levels", ["'gas' twice"]),
        ("levels: [gas, oil, heat pump]", "range: [1, 2]", "11:29: columns.heating.range", ["only for number and integer"]),
        ("columns:\n", "columns: 7\nrest:\n", "5:1: columns", ["7 (a whole number)", "a mapping"]),
    ],
)
def test_a_mistake_in_the_columns_is_placed_and_explained(tmp_path: Path, old: str, new: str, place: str, words: list[str]) -> None:
    assert old in GOOD
    found = problems(GOOD.replace(old, new, 1), tmp_path)
    assert any(place in line and all(word in line for word in words) for line in found), found


@pytest.mark.parametrize(
    ("section", "place", "words"),
    [
        ("split: {train: 0.5, validation: 0.5, test: 0.5}", "14:9: split.train", ["sum to 1.5", "= 1"]),
        ("split: {train: 2}", "14:9: split.train", ["found 2", "at least 0.01 up to 0.98"]),
        ("split: {train: most}", "14:9: split.train", ["'most' (text)", "a number"]),
        ("split: {by: time}", "split.column", ["None", "sold"]),
        ("split: {by: time, column: sold}", "14:1: split.validation_from", ["nothing", "a date such as"]),
        (
            "split: {by: time, column: sold, validation_from: soon, test_from: 2013-08-01}",
            "14:33: split.validation_from",
            ["'soon'", "a date such as"],
        ),
        (
            "split: {by: time, column: sold, validation_from: 2013-08-01, test_from: 2013-07-01}",
            "split.test_from",
            ["not after validation_from", "a later date"],
        ),
        ("split: {test_from: 2013-07-01}", "14:9: split.test_from", ["only for a split by time"]),
        ("split: {by: time, column: area}", "14:19: split.column", ["'area'", "sold"]),
        ("split: {column: sold}", "14:9: split.column", ["'sold'", "only for a split by time"]),
        ("split: {by: luck}", "14:9: split.by", ["'luck'", "hash, time"]),
        ("split: {seed: -1}", "14:9: split.seed", ["-1", "whole number from 0"]),
        ("split: {seed: true}", "14:9: split.seed", ["True (true or false)", "whole number"]),
        ("cleaning: {outliers: {lower_quantile: 0.7}}", "14:23: cleaning.outliers.lower_quantile", ["0.7", "up to 0.5"]),
        ("cleaning: {limits: {duplicate: 2}}", "14:21: cleaning.limits.duplicate", ["found 2", "up to 1"]),
        ("cleaning: {limits: {duplicate: .nan}}", "14:21: cleaning.limits.duplicate", ["nan", "up to 1"]),
        ("cleaning: {missing_numbers: mode}", "14:12: cleaning.missing_numbers", ["'mode'", "median, mean, zero, keep"]),
        ("encoding: {columns: {area: target}}", "14:22: encoding.columns.area", ["'area'", "a category column"]),
        ("encoding: {columns: {heating: hash}}", "14:22: encoding.columns.heating", ["'hash'", "one_hot"]),
        ("encoding: {folds: 1}", "14:12: encoding.folds", ["1", "from 2 to 20"]),
        ("encoding: {folds: 2.5}", "14:12: encoding.folds", ["2.5", "a whole number"]),
        ("scaling: max", "14:1: scaling", ["'max'", "none, standard, robust, minmax"]),
        ("scaling: null", "14:1: scaling", ["None (nothing)", "none, standard"]),
        ("features: {date_parts: [week]}", "14:12: features.date_parts", ["'week'", "weekday"]),
        (
            "features: {distances: {d: {from: [lat], to: [lat, lon]}}}",
            "14:28: features.distances.d.from",
            ["['lat']", "[latitude, longitude]"],
        ),
        (
            "features: {distances: {d: {from: [lat, lon], to: [lat, heating]}}}",
            "features.distances.d.to",
            ["heating", "two number columns"],
        ),
        ("search: {metric: accuracy}", "14:10: search.metric", ["'accuracy'", "rmse, mae, mse, r2"]),
        ("search: {seconds: 0}", "14:10: search.seconds", ["found 0", "at least 1"]),
        (
            "search: {families: [forest]}",
            "14:10: search.families",
            ["'forest'", "lightgbm, catboost, xgboost, extra_trees, neural, linear"],
        ),
        ("search: {families: []}", "14:10: search.families", ["an empty list", "at least one"]),
        ("gates: {thresholds: {rsme: {max: 2}}}", "14:22: gates.thresholds.rsme", ["'rsme'", "rmse"]),
        ("gates: {thresholds: {rmse: {}}}", "14:22: gates.thresholds.rmse", ["no bound", "min, max or both"]),
        ("gates: {thresholds: {rmse: {max: low}}}", "14:29: gates.thresholds.rmse.max", ["'low' (text)", "a number"]),
        ("gates: {champion: {require: best}}", "14:20: gates.champion.require", ["'best'", "not_worse, better"]),
        ("gates: {champion: {confidence: 1}}", "14:20: gates.champion.confidence", ["found 1", "0.999"]),
        ("gates: {champoin: {}}", "14:9: unknown key 'gates.champoin'", ["did you mean 'champion'?"]),
        ("slices: [area]", "14:1: slices", ["'area' without edges", "edges"]),
        ("slices: [{column: area, edges: [3, 2]}]", "edges", ["[3, 2]", "rising numbers"]),
        ("slices: [{column: heating, edges: [3]}]", "14:1: slices", ["edges only for numbers"]),
        ("slices: [sold]", "14:1: slices", ["datetime"]),
        ("slices: [price]", "14:1: slices", ["'price'", "other than the target"]),
        ("slices: [[heating]]", "slices", ["found a list", "a text or a mapping"]),
        ("slices: heating", "14:1: slices", ["'heating' (text)", "a list"]),
        ("positive: gas", "14:1: positive", ["'gas'", "only for a classification"]),
        ("serach: {}", "14:1: unknown key 'serach'", ["did you mean 'search'?"]),
        ("zzz: 1", "14:1: unknown key 'zzz'", ["allowed keys", "cleaning"]),
        ("description: 7", "14:1: description", ["7 (a whole number)", "a text"]),
        ("target: area", "14:1: ", ["'target' is there twice"]),
    ],
)
def test_a_mistake_in_a_section_is_placed_and_explained(tmp_path: Path, section: str, place: str, words: list[str]) -> None:
    found = problems(GOOD + section + "\n", tmp_path)
    assert any(place in line and all(word in line for word in words) for line in found), found


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("levels: [a, b], ", "", ["category", "levels"]),
        ("levels: [a, b]", "levels: [a]", ["one level", "at least two"]),
        ("task: classification", "task: classification\npositive: c", ["positive", "'c'", "one of a, b"]),
        ("levels: [a, b]", "levels: [a, b, c]\n    ", []),
        ("target: kind", "target: width", ["number", "boolean, or a category with levels"]),
    ],
)
def test_a_target_that_does_not_fit_a_classification_is_refused(tmp_path: Path, old: str, new: str, words: list[str]) -> None:
    text = FLOWERS.replace(old, new, 1)
    if not words:
        assert project_of(text, tmp_path).contract.positive is None
        words = ["positive", "only for two classes", "has 3"]
        text += "positive: a\n"
    message = "\n".join(problems(text, tmp_path))
    for word in words:
        assert word in message


def test_several_mistakes_are_told_at_once_in_the_order_of_their_lines(tmp_path: Path) -> None:
    text = (
        GOOD.replace("type: boolean", "type: bool").replace("name: houses", "name: '!'") + "scaling: max\nsearch: {seconds: 0, thread: 2}\n"
    )
    found = problems(text, tmp_path)
    assert len(found) == 5
    lines = [int(problem.split(":")[1]) for problem in found]
    assert lines == sorted(lines)
    assert set(lines) == {1, 12, 14, 15}


def test_no_feature_left_is_refused(tmp_path: Path) -> None:
    text = "name: n\ntask: regression\ntarget: y\ncolumns:\n  y: {type: number}\n  x: {type: number, unknown_at_prediction: true}\n"
    assert "no feature" in problems(text, tmp_path)[0]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ["found no mapping"]),
        ("- a\n", ["found no mapping"]),
        ("name: [a\n", ["not valid YAML"]),
        ("name: &x houses\ntask: *x\n", ["aliases are not allowed"]),
        ("base: &b {a: 1}\ncolumns:\n  <<: *b\n", ["aliases are not allowed"]),
        ("name: !python/object:os.system x\n", ["name"]),
        ("name: !!python/object/apply:os.system [ls]\n", ["name"]),
        ("description: 2024-13-45\n", ["description"]),
        ("? [a, b]\n: 1\n", ["allowed"]),
        ("[" * 3000, ["not valid YAML"]),
    ],
)
def test_what_is_not_plain_yaml_is_refused_with_its_line(tmp_path: Path, text: str, words: list[str]) -> None:
    path = tmp_path / "project.yml"
    path.write_text(text)
    with pytest.raises(ProjectError) as caught:
        load_project(path)
    assert str(caught.value).startswith("project.yml")
    for word in words:
        assert word in str(caught.value)


def test_a_file_that_is_absent_huge_or_not_utf8_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ProjectError, match="can't be read"):
        load_project(tmp_path / "nowhere.yml")
    path = tmp_path / "project.yml"
    path.write_bytes(b"name: caf\xe9\n")
    with pytest.raises(ProjectError, match="byte 9 is not UTF-8"):
        load_project(path)
    path.write_bytes(b"#" * 1_000_001)
    with pytest.raises(ProjectError, match=r"1,000,001 bytes; allowed"):
        load_project(path)


def test_a_step_shows_the_mistakes_and_no_traceback(tmp_path: Path) -> None:
    path = tmp_path / "project.yml"
    path.write_text(GOOD.replace("type: boolean", "type: bool"))
    code = "import sys; from pathlib import Path; from tabular.errors import run_step; from tabular.project import load_project\n"
    result = process("-c", code + "run_step(lambda: load_project(Path('project.yml')) and None)", cwd=tmp_path)
    assert result.returncode == 2
    assert result.stderr.startswith("error: project.yml:12:12: columns.garden.type: found 'bool' (text); allowed: one of number")
    assert "Traceback" not in result.stderr
