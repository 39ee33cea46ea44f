"""Every case of tests/cases/expressions, and what holds for all expressions.

A case has an `expression`, `where` it stands (default: template), the `names` it sees, and a `value` or an `error` with its place `at`.
For conditions `outcomes` and `canceled` say how the jobs before ended, or `job` how the step's job stands; `counters` has the last numbers
that counters gave. Values and messages: see the sources in the files.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from lockgate.expressions import ExpressionError, Scope, evaluate, parse
from lockgate.expressions.ast import Call, walk
from lockgate.expressions.functions import FUNCTIONS
from lockgate.expressions.values import Names, Version, compare, equals, is_array, is_object, to_string, unwrap
from lockgate.pipelines.conditions import Dependencies, JobSoFar, holds
from lockgate.pipelines.parameters import Parameters

FOLDER = Path(__file__).parents[2] / "cases" / "expressions"


class _Loader(yaml.SafeLoader):
    """Numbers are Decimals."""


def _number(_loader: yaml.SafeLoader, node: yaml.ScalarNode) -> Decimal:
    return Decimal(node.value)


_Loader.add_constructor("tag:yaml.org,2002:int", _number)
_Loader.add_constructor("tag:yaml.org,2002:float", _number)


@dataclass(frozen=True)
class Case:
    """A case of a file."""

    id: str
    data: Mapping[str, Any]

    @property
    def expression(self) -> str:
        return self.data["expression"]

    @property
    def where(self) -> Any:
        return self.data.get("where", "template")

    def run(self) -> Any:
        names = _names(self.data.get("names", {}))
        if self.where == "condition":
            variables = names.pop("variables", Names())
            if "job" in self.data:
                return holds(self.expression, JobSoFar(self.data["job"]), variables)
            status = Dependencies(self.data.get("outcomes", {}), canceled_run=self.data.get("canceled", False))
            return holds(self.expression, status, variables, names)
        counters = self.data.get("counters", {})
        return _result(
            self.expression,
            self.where,
            Scope(Names(names), count=lambda prefix, seed: int(counters[prefix]) + 1 if prefix in counters else seed),
        )


def _names(found: Mapping[str, Any]) -> dict[str, Any]:
    kinds = {"variables": Names, "parameters": Parameters}
    return {name: kinds.get(name, lambda value: value)(value) for name, value in found.items()}


def _result(text: str, where: Any, scope: Scope) -> Any:
    return evaluate(parse(text, where), scope)


def _cases() -> list[Case]:
    found = []
    for path in sorted(FOLDER.glob("*.yml")):
        text = path.read_text(encoding="utf-8")
        lines = [node.start_mark.line + 1 for node in yaml.compose(text, _Loader).value]
        found += [Case(f"{path.stem}:{line}", data) for line, data in zip(lines, yaml.load(text, _Loader), strict=True)]
    return found


CASES = _cases()
RIGHT = [case for case in CASES if "value" in case.data]
WRONG = [case for case in CASES if "error" in case.data]


def plain(value: Any) -> Any:
    """A value in the kinds that YAML has."""
    value = unwrap(value)
    if is_object(value):
        return {key: plain(item) for key, item in value.items()}
    if is_array(value):
        return [plain(item) for item in value]
    return str(value) if isinstance(value, Version) else value


def test_each_case_has_a_value_or_an_error_and_nothing_unknown():
    known = {"expression", "where", "names", "outcomes", "canceled", "job", "counters", "value", "error", "at"}
    assert [case.id for case in CASES if ("value" in case.data) == ("error" in case.data) or set(case.data) - known] == []


@pytest.mark.parametrize("case", RIGHT, ids=lambda case: case.id)
def test_value(case):
    found, expected = plain(case.run()), case.data["value"]
    assert (type(found), found) == (type(expected), expected)


@pytest.mark.parametrize("case", WRONG, ids=lambda case: case.id)
def test_error(case):
    with pytest.raises(ExpressionError, match=re.escape(case.data["error"])) as caught:
        case.run()
    assert "\n" not in str(caught.value)
    if "at" in case.data:
        assert caught.value.offset == int(case.data["at"])


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_function_has_ok_and_error_cases(name):
    def called(case: Case) -> bool:
        try:
            parts = list(walk(parse(case.expression, case.where).root))
        except ExpressionError:
            return False
        return any(isinstance(part, Call) and part.function.name.lower() == name for part in parts)

    assert any(called(case) for case in RIGHT)
    assert any(case.expression.lower().startswith(f"{name}(") for case in WRONG)


@pytest.mark.parametrize("function", FUNCTIONS.values(), ids=FUNCTIONS)
def test_every_example_gives_what_it_says(function):
    text, expected = function.example
    found = _result(text, function.where[0], Scope(Names(), Dependencies({}), count=lambda _prefix, seed: seed))
    assert to_string(found) == expected


def test_a_condition_sees_no_status_of_its_own_when_there_is_none():
    with pytest.raises(ExpressionError, match=re.escape("succeeded(): nothing has run yet where this stands")):
        _result("succeeded()", "condition", Scope(Names()))


def test_counter_has_no_value_before_a_run():
    with pytest.raises(ExpressionError, match="it is counted when a run begins"):
        _result("counter('a', 1)", "variable", Scope(Names()))


def test_an_expression_can_be_21000_characters_long():
    assert _result(f"'{'a' * 20_998}'", "template", Scope(Names())) == "a" * 20_998
    with pytest.raises(ExpressionError, match="an expression of 21,001 characters; allowed: at most 21,000"):
        parse(f"'{'a' * 20_999}'", "template")


@pytest.mark.parametrize(
    "text",
    [
        "[" * 21_000,
        "(" * 21_000,
        "not(" * 5_250,
        "a[" * 10_500,
        "'" * 20_999,
        "a" + ".a" * 10_000,
        "a" + "[*]" * 6_000,
        "{" * 20_998,
    ],
    ids=["brackets", "parentheses", "calls", "indexes", "quotes", "properties", "wildcards", "braces"],
)
def test_long_and_deep_texts_are_read_or_refused(text):
    with pytest.raises(ExpressionError):
        _result(text, "template", Scope(Names()))


@pytest.mark.parametrize(
    "pattern", ["{" * 20_980, "{0:" * 6_000, "{0:" + "{{" * 9_000, "}" * 20_981], ids=["braces", "dates", "escapes", "ends"]
)
def test_long_patterns_of_format_do_not_hang(pattern):
    try:
        found = _result(f"format('{pattern}')", "template", Scope(Names()))
    except ExpressionError:
        return
    assert set(found) <= {"{", "}"}


def _refusal(attempt: Callable[[], object]) -> ExpressionError | None:
    try:
        attempt()
    except ExpressionError as error:
        return error
    return None


def assert_is_placed(error: ExpressionError | None, text: str) -> None:
    """An error has a sentence, and its place is in the text."""
    if error is not None:
        assert str(error)
        assert error.offset is None or 0 <= error.offset <= len(text)


VALUES = {
    "variables": Names({"a": "text", "n": "12", "empty": "", "b": "True"}),
    "foo": [{"id": Decimal(1), "list": ["x"]}, {"id": "2"}, ["a", ["b"]], "text", None, True, Version(1, 2, 3)],
    "bar": {"key": Decimal("0.5"), "None": None, "at": datetime.fromisoformat("2026-08-01T09:05:07+00:00")},
}
ALPHABET = "abeq01.,-'()[]*{}$! \n\t\"=²٣ßİ😀\x00\u00a0"
quoted = st.text(alphabet=st.characters(codec="utf-8"), max_size=8).map(lambda text: "'" + text.replace("'", "''") + "'")
literals = st.one_of(
    quoted,
    st.sampled_from(["true", "False", "1.2.3", "1.2.3.4", "'1.2'", "' 1,000 '", "'{0}{1:yyyy}'", "'{'", "'{{'"]),
    st.decimals(allow_nan=False, allow_infinity=False, min_value=Decimal("-1e30"), max_value=Decimal("1e30")).map(
        lambda number: f"{number:f}"
    ),
)
places = st.sampled_from(
    [
        "foo",
        "bar",
        "variables",
        "variables.a",
        "variables['n']",
        "foo.*",
        "foo.*.id",
        "foo[0].list",
        "foo[*].*",
        "bar.key",
        "bar.at",
        "bar.none.x",
    ]
)


@st.composite
def calls(draw: Any, inner: st.SearchStrategy[str]) -> str:
    function = draw(st.sampled_from([function for function in FUNCTIONS.values() if "condition" in function.where]))
    most = function.minimum + 2 if function.maximum is None else function.maximum
    arguments = draw(st.lists(inner, min_size=function.minimum, max_size=most))
    return f"{function.name}({', '.join(arguments)})"


expressions = st.recursive(
    literals | places,
    lambda inner: st.one_of(calls(inner), inner.map("foo[{}]".format), inner.map("bar[{}].x".format), calls(inner).map("{}[0]".format)),
    max_leaves=12,
)


@settings(deadline=None, max_examples=400)
@given(st.one_of(st.text(max_size=60), st.text(alphabet=ALPHABET, max_size=60)))
def test_any_text_is_an_expression_or_an_expression_error(text):
    assert_is_placed(_refusal(lambda: parse(text, "template")), text)


@settings(deadline=None, max_examples=400)
@given(expressions)
def test_any_well_formed_expression_has_a_value_or_an_expression_error(text):
    scope = Scope(Names(VALUES), Dependencies({"A": "Succeeded"}))
    assert_is_placed(_refusal(lambda: plain(_result(text, "condition", scope))), text)


@given(st.text(alphabet=st.characters(max_codepoint=127)))
def test_texts_are_equal_in_capitals_and_in_small_letters(text):
    assert equals(text, text)
    assert equals(text.upper(), text.lower())
    assert equals(text, text.upper())
    assert compare(text.lower(), text.upper()) == 0


numbers = st.decimals(allow_nan=False, allow_infinity=False, min_value=Decimal("-7e28"), max_value=Decimal("7e28"))


@given(numbers, numbers)
def test_one_of_two_numbers_is_greater_or_they_are_equal(left, right):
    assert compare(left, right) == -compare(right, left)
    assert equals(left, right) == (compare(left, right) == 0)
    assert compare(left, left) == 0


@given(numbers)
def test_a_number_as_text_has_no_exponent_and_at_most_seven_decimals(number):
    assert re.fullmatch(r"-?\d+(\.\d{1,7})?", to_string(number))


@given(st.lists(st.text(max_size=5).filter(lambda text: "|" not in text), min_size=1), st.just("|"))
def test_what_is_joined_is_split_again(items, sign):
    scope = Scope(Names({"items": items, "sign": sign}))
    assert list(_result("split(join(sign, items), sign)", "template", scope)) == items


@given(st.text())
def test_format_writes_braces_that_are_doubled(text):
    doubled = text.replace("{", "{{").replace("}", "}}")
    scope = Scope(Names({"pattern": doubled, "text": text}))
    evaluated = partial(_result, where="template", scope=scope)
    assert evaluated("format(pattern)") == text
    assert evaluated("format('{0}', text)") == text


@given(st.text(max_size=20).map(lambda text: text.replace("'", "''")))
def test_a_quoted_text_is_read_as_it_is(doubled):
    assert _result(f"'{doubled}'", "template", Scope(Names())) == doubled.replace("''", "'")
