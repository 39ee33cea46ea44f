"""Requests: names decide, bad ones are refused with row, field and what is allowed, and nothing of them is scored."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_science.conftest import Flight
from data_science.support import DATA, done, outcome, process, swapped
from tabular.errors import RequestError
from tabular.scoring import Scorer

ROWS: list[dict[str, Any]] = json.loads((DATA / "request.json").read_text())["input_data"]
ROW = ROWS[0]


@pytest.fixture(scope="module")
def scorer(flight: Flight) -> Scorer:
    return Scorer(flight.package)


def body(*rows: Any) -> str:
    return json.dumps({"input_data": list(rows)})


def refused(scorer: Scorer, text: str | bytes) -> RequestError:
    with pytest.raises(RequestError) as caught:
        scorer.score(text)
    document = json.loads(json.dumps(caught.value.to_dict(), allow_nan=False))["error"]
    assert document["code"] == "BadRequest"
    assert document["total"] >= len(document["problems"]) >= 1
    assert all(problem["allowed"] and problem["found"] for problem in document["problems"])
    assert len(str(caught.value)) < 10_000
    return caught.value


def test_records_and_the_split_form_give_equal_answers(scorer: Scorer) -> None:
    expected = scorer.score(body(*ROWS))["predictions"]
    assert len(expected) == len(ROWS)
    names = list(ROW)
    split = {"columns": names, "data": [[row[name] for name in names] for row in ROWS], "index": list(range(len(ROWS)))}
    assert scorer.score(json.dumps({"input_data": split}))["predictions"] == expected
    assert scorer.score(body(*ROWS).encode())["predictions"] == expected
    assert scorer.score(json.dumps({"input_data": ROWS, "params": {}}))["predictions"] == expected


@settings(max_examples=20, deadline=None, database=None, derandomize=True)
@given(st.permutations(list(ROW)))
def test_the_order_of_fields_does_not_matter(scorer: Scorer, names: list[str]) -> None:
    expected = scorer.score(body(ROW))
    assert scorer.score(body({name: ROW[name] for name in names})) == expected
    split = {"columns": names, "data": [[ROW[name] for name in names]]}
    assert scorer.score(json.dumps({"input_data": split})) == expected


def test_each_row_s_answer_is_its_own(scorer: Scorer) -> None:
    together = scorer.score(body(*ROWS))["predictions"]
    assert [scorer.score(body(row))["predictions"][0] for row in ROWS] == pytest.approx(together, abs=1e-4)
    assert scorer.score(body(*reversed(ROWS)))["predictions"] == pytest.approx(together[::-1], abs=1e-4)


def test_case_and_spaces_of_categories_and_declared_columns_that_are_not_used_change_nothing(scorer: Scorer) -> None:
    expected = scorer.score(body(ROW))
    assert scorer.score(body(swapped(ROW, carrier=f"  {ROW['carrier'].lower()} "))) == expected
    assert scorer.score(body(swapped(ROW, flight=123, air_time=None, arr_delay=99999))) == expected
    assert scorer.score(body(swapped(ROW, distance=float(ROW["distance"])))) == expected


def test_nulls_are_taken_where_the_contract_allows_them_and_a_new_level_where_levels_are_open(scorer: Scorer) -> None:
    nulls = {c.name: None for c in scorer.contract.inputs if c.missing}
    (answer,) = scorer.score(body({**ROW, **nulls}))["predictions"]
    assert isinstance(answer, float)
    assert scorer.score(body(swapped(ROW, dest="XXX", tailnum="N0")))["predictions"]


@pytest.mark.parametrize(
    ("field", "value", "found", "allowed"),
    [
        ("distance", "589", "'589'", "a number from 0 to 6000 miles; it may not be missing"),
        ("distance", None, "null", "it may not be missing"),
        ("distance", True, "True", "a number"),
        ("distance", -1, "-1", "from 0 to 6000"),
        ("distance", 6000.01, "6000.01", "from 0 to 6000"),
        ("distance", [589], "[589]", "a number"),
        ("distance", {"value": 589}, "{'value': 589}", "a number"),
        ("distance", float("nan"), "NaN", "a number"),
        ("distance", float("inf"), "an infinite number", "a number"),
        ("distance", 10**400, "1000000", "a number"),
        ("sched_dep_time", 1555.5, "1555.5", "a whole number from 0 to 2359 hhmm"),
        ("engines", "2", "'2'", "a whole number from 1 to 8, or null"),
        ("carrier", "ZZ", "'ZZ'", "one of 9E, AA, AS, B6"),
        ("carrier", True, "True", "one of"),
        ("carrier", 1.5, "1.5", "one of"),
        ("carrier", "", "''", "one of"),
        ("dest", 1.5, "1.5", "text; it may not be missing"),
        ("dest", ["BOS"], "['BOS']", "text"),
        ("time_hour", "18/11/2013", "'18/11/2013'", "a date like 2013-01-31T14:05:00Z"),
        ("time_hour", 1384804800, "1384804800", "a date like"),
        ("time_hour", "2013-02-30T10:00:00Z", "'2013-02-30T10:00:00Z'", "a date like"),
        ("time_hour", "", "''", "a date like"),
    ],
)
def test_a_bad_value_is_refused_by_row_and_field(scorer: Scorer, field: str, value: Any, found: str, allowed: str) -> None:
    error = refused(scorer, body(ROW, swapped(ROW, **{field: value}), ROW))
    (problem,) = error.problems
    assert (problem.row, problem.field) == (1, field)
    assert found in problem.found
    assert allowed in problem.allowed
    assert f"row 1, field '{field}': found " in str(error)


def test_a_missing_field_is_named(scorer: Scorer) -> None:
    row = {name: value for name, value in ROW.items() if name != "temp"}
    (problem,) = refused(scorer, body(ROW, row)).problems
    assert (problem.row, problem.field, problem.found) == (1, "temp", "nothing: the field is missing")


def test_an_unknown_field_is_named_also_beside_a_missing_one(scorer: Scorer) -> None:
    (problem,) = refused(scorer, body(swapped(ROW, Temp=1))).problems
    assert (problem.row, problem.field) == (0, "Temp")
    row = {("tmep" if name == "temp" else name): value for name, value in ROW.items()}
    assert {p.field for p in refused(scorer, body(row)).problems} == {"temp", "tmep"}


def test_every_problem_is_told_up_to_a_limit_and_counted_beyond_it(scorer: Scorer) -> None:
    error = refused(scorer, body(*[swapped(ROW, carrier="ZZ", distance="far")] * 30))
    assert (len(error.problems), error.total) == (20, 60)
    assert "and 40 more problems" in str(error)


DEEP = '{"input_data": [' + json.dumps(ROW)[:-1] + ', "temp": %s}]}'


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "not JSON"),
        (b"", "not JSON"),
        ("hello", "not JSON"),
        (b"\xff\xfe\xff", "not JSON"),
        ('{"input_data": [', "not JSON"),
        ("null", "None"),
        ("[]", "[]"),
        ("{}", "{}"),
        ('{"data": []}', "'data'"),
        ('{"input_data": []}', "no rows"),
        ('{"input_data": {}}', "nothing"),
        ('{"input_data": null}', "None"),
        ('{"input_data": "a"}', "'a'"),
        ('{"input_data": [{}], "extra": 1}', "key 'extra'"),
        ('{"input_data": [{}], "params": {"a": 1}}', "params"),
        ('{"input_data": [[1, 2, 3]]}', "row 0"),
        ('{"input_data": {"data": [[1, 2]]}}', "values without names are not taken"),
        ('{"input_data": {"columns": ["a"], "data": []}}', "no rows"),
        ('{"input_data": {"columns": ["a"], "data": [[1, 2]]}}', "row 0: found 2 values; allowed: 1 values"),
        ('{"input_data": {"columns": ["a"], "data": [1]}}', "row 0: found 1"),
        ('{"input_data": {"columns": ["a", "a"], "data": [[1, 2]]}}', "twice"),
        ('{"input_data": {"columns": [["a"]], "data": [[1]]}}', "columns"),
        ('{"input_data": {"columns": [{}], "data": [[1]]}}', "columns"),
        ('{"input_data": {"columns": [null], "data": [[1]]}}', "row 0"),
        ('{"input_data": {"columns": "a", "data": [[1]]}}', "values without names"),
        ('{"input_data": [{"temp": 1, "temp": 2}]}', "field 'temp' twice"),
        ('{"input_data": [], "input_data": []}', "'input_data' twice"),
        ('{"input_data": [null]}', "row 0: found None"),
        ('{"input_data": [{"temp": ' + "9" * 5000 + "}]}", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ('{"input_data": ' + "[" * 500 + "]" * 500 + "}", "row 0"),
        (DEEP.replace('"temp": %s', '"dew": ' + "[" * 900 + "]" * 900), "dew"),
        ('{"input_data": [{"\\ud800": "\\ud800"}]}', "row 0"),
    ],
)
def test_a_body_of_another_form_is_refused(scorer: Scorer, text: str | bytes, words: str) -> None:
    assert words in str(refused(scorer, text))


def test_ten_megabytes_are_refused_before_they_are_read(scorer: Scorer) -> None:
    error = refused(scorer, b"[" * 10_000_000)
    assert "found a body of 10,000,000 bytes; allowed: at most 5,000,000 bytes" in str(error)


def test_too_many_rows_are_refused(scorer: Scorer) -> None:
    assert "100,001 rows; allowed: at most 100,000" in str(refused(scorer, '{"input_data": [' + "0," * 100_000 + "0]}"))


@settings(max_examples=150, deadline=None, database=None, derandomize=True)
@given(
    st.sampled_from(sorted(ROW)),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
        lambda inner: st.lists(inner, max_size=2),
        max_leaves=3,
    ),
)
def test_whatever_a_field_holds_is_answered_or_refused_by_its_name(scorer: Scorer, field: str, value: Any) -> None:
    answer, error = outcome(lambda: scorer.score(body(swapped(ROW, **{field: value}))), RequestError)
    if error is not None:
        assert [p.field for p in error.problems] == [field]
    else:
        assert answer is not None
        assert math.isfinite(answer["predictions"][0])


def test_score_run_refuses_as_the_scorer_does_and_goes_on_answering(flight: Flight) -> None:
    code = f"""
import json, score
score.init()
good = open({str(DATA / "request.json")!r}).read()
first = score.run(good)
try:
    score.run('{{"input_data": []}}')
except score.RequestError as error:
    print(error)
print(score.run(good) == first)
"""
    lines = done(process("-c", code, cwd=flight.root, AZUREML_MODEL_DIR=str(flight.package))).splitlines()
    assert lines[0].startswith("found no rows; allowed: at least one row in input_data")
    assert lines[1] == "True"
