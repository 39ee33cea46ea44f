"""Dirty files: everything wrong is counted, placed and limited, and no row goes missing unsaid."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from data_science.support import NO_FEATURES, outcome, prep_arguments, prep_outputs, project_of, step, write_csv
from tabular.contract import normalise
from tabular.errors import DataError
from tabular.preparation import Prepared, prepare
from tabular.raw import read_raw

TEXT = """\
name: dirty
task: regression
target: y
key: [id]
columns:
  id: {type: integer, missing: false, feature: false}
  when: {type: datetime, formats: ["%Y-%m-%d", "%d.%m.%Y", "%Y-%m-%d %H:%M:%S"]}
  colour: {type: category, levels: [Red, Green, Blue]}
  town: {type: category}
  size: {type: number, range: [0, 100]}
  count: {type: integer, range: [0, null]}
  used: {type: boolean}
  y: {type: number, missing: false}
cleaning:
  limits: {missing_value: 0.2, wrong_type: 0.2, out_of_range: 0.2, unknown_level: 0.2, duplicate: 0.2}
"""
HEADER = ["id", "when", "colour", "town", "size", "count", "used", "y"]


def clean_rows(count: int = 200) -> list[list[Any]]:
    return [
        [
            i,
            f"2020-01-{i % 28 + 1:02}",
            ["Red", "Green", "Blue"][i % 3],
            f"town{i % 7}",
            i % 50 + 0.5,
            i % 9,
            ["true", "no"][i % 2],
            i * 0.5,
        ]
        for i in range(count)
    ]


def prepared(folder: Path, rows: list[list[Any]], *, text: str = TEXT, header: list[str] | None = None) -> Prepared:
    raw = write_csv(folder / "raw.csv", header or HEADER, rows)
    return prepare(raw, project_of(text, folder), NO_FEATURES, prep_outputs(folder), folder / "recipe")


def refused(folder: Path, rows: list[list[Any]], **more: Any) -> str:
    with pytest.raises(DataError) as caught:
        prepared(folder, rows, **more)
    return str(caught.value)


def found(result: Prepared) -> dict[tuple[str, str], tuple[int, int | None, str, str]]:
    return {(f.kind, f.column): (f.count, f.line, f.example, f.action) for f in result.findings}


def accounted(result: Prepared) -> None:
    rows = result.rows
    left_out = sum(f.count for f in result.findings if f.action in ("row left out", "first one kept"))
    assert rows["file"] == rows["train"] + rows["validation"] + rows["test"] + left_out


def test_a_clean_file_has_no_findings(tmp_path: Path) -> None:
    result = prepared(tmp_path, clean_rows())
    assert result.findings == []
    accounted(result)


def test_each_finding_has_its_count_its_first_line_and_what_was_done(tmp_path: Path) -> None:
    rows = clean_rows()
    rows[3][4] = "large"
    rows[9][4] = "larger"
    rows[4][4] = 101
    rows[5][4] = -0.01
    rows[6][5] = 2.5
    rows[7][5] = -1
    rows[8][2] = "Purple"
    rows[10][1] = "31.02.2020"
    rows[11][6] = "maybe"
    rows[12][7] = None
    rows[13][7] = "NA"
    rows[14][0] = None
    rows[15][0] = "x15"
    rows.append(list(rows[20]))
    result = prepared(tmp_path, rows)
    assert found(result) == {
        ("wrong_type", "size"): (2, 5, "'large'", "value set to missing"),
        ("out_of_range", "size"): (2, 6, "101.0", "value set to missing"),
        ("wrong_type", "count"): (1, 8, "'2.5'", "value set to missing"),
        ("out_of_range", "count"): (1, 9, "-1.0", "value set to missing"),
        ("unknown_level", "colour"): (1, 10, "'purple'", "value set to missing"),
        ("wrong_type", "when"): (1, 12, "'31.02.2020'", "value set to missing"),
        ("wrong_type", "used"): (1, 13, "'maybe'", "value set to missing"),
        ("missing_value", "y"): (2, 14, "", "row left out"),
        ("missing_value", "id"): (1, 16, "", "row left out"),
        ("wrong_type", "id"): (1, 17, "'x15'", "row left out"),
        ("duplicate", "id"): (1, 202, "", "first one kept"),
    }
    accounted(result)
    assert json.loads((tmp_path / "recipe" / "prep.json").read_text())["rows"] == result.rows


def test_inconsistent_entries_mean_the_same_and_are_no_finding(tmp_path: Path) -> None:
    rows = clean_rows(12)
    for row, (colour, when, used) in enumerate(
        [(" RED ", "05.03.2020", "YES"), ("red\t", "2020-03-05", "1"), ("Red", "2020-03-05 00:00:00", " True ")]
    ):
        rows[row][1], rows[row][2], rows[row][6] = when, colour, used
    project = project_of(TEXT, tmp_path)
    raw = read_raw(write_csv(tmp_path / "raw.csv", HEADER, rows), project.contract, project.cleaning.limits, tmp_path, need=["y"])
    assert raw.findings == []
    frame = raw.frame.collect().head(3)
    assert frame["colour"].to_list() == ["red"] * 3
    assert frame["when"].n_unique() == 1
    assert frame["used"].to_list() == [1.0] * 3


def test_categories_of_a_file_are_normalised_as_those_of_a_request(tmp_path: Path) -> None:
    towns = [" Zürich", "STRASSE", "İstanbul", "ΟΔΟΣ", "\u00a0Łódź\u00a0", "ÉTÉ", "x  y", "\u2003wide"]
    rows = clean_rows(len(towns))
    for row, town in zip(rows, towns, strict=True):
        row[3] = town
    project = project_of(TEXT, tmp_path)
    raw = read_raw(write_csv(tmp_path / "raw.csv", HEADER, rows), project.contract, project.cleaning.limits, tmp_path, need=["y"])
    assert raw.frame.collect()["town"].to_list() == [normalise(town) for town in towns]


@pytest.mark.parametrize(
    "text", ["2020-1-5", "05.3.2020", "2020-01-05T10:00:00", "20200105", "2020-01-05 7:00:00", "2020-13-01", "0000-00-00"]
)
def test_a_date_is_read_from_a_file_as_from_a_request(tmp_path: Path, text: str) -> None:
    rows = clean_rows(3)
    rows[1][1] = text
    project = project_of(TEXT, tmp_path)
    raw = read_raw(write_csv(tmp_path / "raw.csv", HEADER, rows), project.contract, project.cleaning.limits, tmp_path, need=["y"])
    value = raw.frame.collect()["when"].dt.timestamp("us").to_list()[1]
    expected, _ = outcome(lambda: project.contract["when"].read(text), ValueError)
    assert (None if value is None else value / 1e6) == expected


@pytest.mark.parametrize(
    ("column", "value", "kind"),
    [(4, "large", "wrong_type"), (4, 500, "out_of_range"), (2, "Pink", "unknown_level"), (7, None, "missing_value")],
)
def test_too_many_findings_are_refused_with_the_limit_they_broke(tmp_path: Path, column: int, value: Any, kind: str) -> None:
    rows = clean_rows()
    for row in range(10, 51):
        rows[row][column] = value
    message = refused(tmp_path, rows)
    words = kind.replace("_", " ")
    assert f"raw.csv: {words} in {HEADER[column]}: 41 rows (20.50%), limit 20.00%" in message
    assert f"cleaning.limits.{kind} of project.yml" in message
    assert "first at line 12" in message
    assert not list(tmp_path.rglob("recipe.json"))
    assert not list(tmp_path.rglob("data.parquet"))


def test_a_share_equal_to_the_limit_passes(tmp_path: Path) -> None:
    rows = clean_rows()
    for row in range(40):
        rows[row][4] = "large"
    assert found(prepared(tmp_path, rows))["wrong_type", "size"][0] == 40


def test_too_many_duplicates_are_refused(tmp_path: Path) -> None:
    rows = clean_rows()
    assert "duplicate in id: 100 rows (33.33%), limit 20.00%" in refused(tmp_path, [*rows, *rows[:100]])


def test_several_broken_limits_are_told_at_once(tmp_path: Path) -> None:
    rows = clean_rows()
    for row in range(60):
        rows[row][4], rows[row][2] = "large", "Pink"
    assert len(refused(tmp_path, rows).splitlines()) == 2


def test_duplicates_may_be_kept(tmp_path: Path) -> None:
    rows = clean_rows()
    text = TEXT.replace("cleaning:\n", "cleaning:\n  duplicates: keep\n")
    result = prepared(tmp_path, [*rows, *rows[:30]], text=text)
    assert result.rows["train"] + result.rows["validation"] + result.rows["test"] == 230


def test_rows_without_a_target_are_never_dropped_unsaid_even_if_the_target_may_be_missing(tmp_path: Path) -> None:
    rows = clean_rows()
    for row in range(30):
        rows[row][7] = None
    result = prepared(tmp_path, rows, text=TEXT.replace("y: {type: number, missing: false}", "y: {type: number}"))
    assert sum(f.count for f in result.findings if f.column == "y") == 30
    accounted(result)


def test_a_target_that_was_set_to_missing_is_told_as_a_row_left_out(tmp_path: Path) -> None:
    rows = clean_rows()
    rows[5][7] = "lots"
    result = prepared(tmp_path, rows, text=TEXT.replace("y: {type: number, missing: false}", "y: {type: number}"))
    assert found(result)["wrong_type", "y"] == (1, 7, "'lots'", "row left out")
    accounted(result)


NO_KEY = """\
name: tiny
task: regression
target: y
columns:
  molar: {type: number}
  y: {type: number, missing: false}
"""


def test_rows_that_differ_only_in_small_digits_are_no_duplicates(tmp_path: Path) -> None:
    rows = [[(i + 1) * 1e-7, i % 3] for i in range(100)]
    result = prepared(tmp_path, rows, text=NO_KEY, header=["molar", "y"])
    assert result.findings == []
    assert sum(result.rows.values()) == 200


def test_huge_numbers_without_a_declared_range_are_no_reason_to_fail(tmp_path: Path) -> None:
    rows = [[10.0 ** (i % 300), i] for i in range(100)]
    result = prepared(tmp_path, rows, text=NO_KEY, header=["molar", "y"])
    accounted(result)


def test_undeclared_columns_are_ignored_and_said_so(tmp_path: Path) -> None:
    rows = [[*row, "?"] for row in clean_rows()]
    result = prepared(tmp_path, rows, header=[*HEADER, "note"])
    assert found(result) == {("undeclared_column", "note"): (200, None, "", "column ignored")}


def test_missing_columns_are_named_with_the_undeclared_ones_beside_them(tmp_path: Path) -> None:
    message = refused(tmp_path, clean_rows(), header=[*HEADER[:4], "sise", *HEADER[5:]])
    assert message.startswith("raw.csv: missing column size; it has these undeclared ones: sise")
    message = refused(tmp_path, [row[:3] for row in clean_rows()], header=HEADER[:3])
    assert message.startswith("raw.csv: missing columns town, size, count, used, y")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", ["raw.csv", "is empty"]),
        (b"id,when,colour,town,size,count,used,y\n", ["raw.csv", "no rows"]),
        (b"id,when,colour,town,size,size,used,y\n1,,,,1,1,,1\n", ["raw.csv:1", "column size is there twice"]),
        (b"id,when,colour,town,size,count,used,y\n1,,,caf\xe9,1,1,,1\n", ["raw.csv", "UTF-8"]),
        (b"id,wh\xe9n\n1,2\n", ["raw.csv", "UTF-8"]),
        ("id,when,colour,town,size,count,used,y\n1,,,a,1,1,,1\n".encode("utf-16"), ["raw.csv"]),
        (b"id,when,colour,town,size,count,used,y\n1,,Red,a,1,1,no,1,9,9\n", ["raw.csv"]),
        (b'id,when,colour,town,size,count,used,y\n1,,Red,"a,1,1,no,1\n', ["raw.csv"]),
        (b"\x00\x01\x02\x03", ["raw.csv"]),
    ],
    ids=["empty", "header only", "column twice", "latin-1 value", "latin-1 header", "utf-16", "a cell too many", "open quote", "binary"],
)
def test_what_is_no_table_is_refused_with_a_sentence(tmp_path: Path, data: bytes, words: list[str]) -> None:
    path = tmp_path / "raw.csv"
    path.write_bytes(data)
    with pytest.raises(DataError) as caught:
        prepare(path, project_of(TEXT, tmp_path), NO_FEATURES, prep_outputs(tmp_path), tmp_path / "recipe")
    for word in words:
        assert word in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_byte_order_mark_is_no_part_of_the_first_column(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "raw.csv", HEADER, clean_rows())
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    result = prepare(path, project_of(TEXT, tmp_path), NO_FEATURES, prep_outputs(tmp_path), tmp_path / "recipe")
    assert result.findings == []
    accounted(result)


def test_a_short_line_is_not_taken_for_a_row_with_missing_values_unsaid(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "raw.csv", HEADER, clean_rows())
    lines = path.read_text().splitlines()
    lines[50] = lines[50].rsplit(",", 2)[0]
    path.write_text("\n".join(lines) + "\n")
    project = project_of(TEXT, tmp_path)
    result, error = outcome(lambda: prepare(path, project, NO_FEATURES, prep_outputs(tmp_path), tmp_path / "recipe"), DataError)
    if error is not None:
        assert "raw.csv" in str(error)
    else:
        assert result is not None
        assert found(result)["missing_value", "y"] == (1, 51, "", "row left out")
        accounted(result)


@pytest.mark.parametrize("before", ["quoted", "blank"])
def test_a_quoted_line_break_or_a_blank_line_does_not_shift_the_lines_of_findings(tmp_path: Path, before: str) -> None:
    rows = clean_rows()
    if before == "quoted":
        rows[2][3] = "two\nlines"
    path = write_csv(tmp_path / "raw.csv", HEADER, rows)
    lines = path.read_text().splitlines()
    if before == "blank":
        lines.insert(3, "")
    lines[100] = lines[100].replace(",true,", ",perhaps,").replace(",no,", ",perhaps,")
    path.write_text("\n".join(lines) + "\n")
    result = prepare(path, project_of(TEXT, tmp_path), NO_FEATURES, prep_outputs(tmp_path), tmp_path / "recipe")
    assert found(result)["wrong_type", "used"][:2] == (1, 101)


def test_parquet_gives_what_the_same_csv_gives(tmp_path: Path) -> None:
    rows = clean_rows()
    rows[4][4] = 101
    for folder in ("csv", "parquet"):
        (tmp_path / folder).mkdir()
    prepared(tmp_path / "csv", rows)
    raw = tmp_path / "parquet" / "raw.parquet"
    pl.read_csv(tmp_path / "csv" / "raw.csv", try_parse_dates=True).write_parquet(raw)
    project = project_of(TEXT, tmp_path / "parquet")
    prepare(raw, project, NO_FEATURES, prep_outputs(tmp_path / "parquet"), tmp_path / "parquet" / "recipe")
    for side in ("train", "validation", "test"):
        one, other = (pl.read_parquet(tmp_path / kind / side / "data.parquet") for kind in ("csv", "parquet"))
        assert one.equals(other), side


@pytest.mark.parametrize(
    ("text", "data", "words"),
    [
        (TEXT.replace("type: number, range", "typ: number, range"), None, ["project.yml:10:10", "columns.size", "project.yml:10:"]),
        (TEXT, b"id,when\n1,2020-01-01\n", ["raw.csv: missing columns colour, town"]),
        (TEXT, b"id,when,colour,town,size,count,used,y\n1,,,a,1,1,,1\n", ["raw.csv", "rows"]),
        (TEXT, b"", ["raw.csv: is empty"]),
    ],
    ids=["project.yml", "columns", "one row", "empty"],
)
def test_prep_ends_with_a_sentence_and_leaves_nothing_that_looks_like_a_result(
    tmp_path: Path, text: str, data: bytes | None, words: list[str]
) -> None:
    project, raw = tmp_path / "project.yml", tmp_path / "raw.csv"
    project.write_text(text)
    write_csv(raw, HEADER, clean_rows())
    if data is not None:
        raw.write_bytes(data)
    result = step("prep.py", *prep_arguments(raw, project, tmp_path / "out"), cwd=tmp_path)
    assert result.returncode == 2
    assert result.stderr.startswith("error: ")
    assert "Traceback" not in result.stdout + result.stderr
    for word in words:
        assert word in result.stderr
    assert not [f for f in (tmp_path / "out").rglob("*") if f.is_file()]


def test_prep_of_a_file_that_is_not_there_says_so(tmp_path: Path) -> None:
    (tmp_path / "project.yml").write_text(TEXT)
    result = step("prep.py", *prep_arguments(tmp_path / "nowhere.csv", tmp_path / "project.yml", tmp_path / "out"), cwd=tmp_path)
    assert result.returncode == 2
    assert "there is no such file" in result.stderr
    assert "Traceback" not in result.stderr
