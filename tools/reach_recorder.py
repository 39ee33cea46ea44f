"""A pytest plugin for recorded runs: tells coverage which test or wide fixture runs, and writes down how long each took.

What a fixture of a module or a session does serves every test that uses it, though only the first of them is there when it happens. So it
has a context of its own, and each test names the ones that it used.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Generator
from typing import Any

import pytest
import reach_start

FIXTURE = "fixture "
"""Contexts of fixtures begin with it, those of tests do not."""
_current: list[str] = [""]
_spent: list[float] = [0.0]
"""Seconds that wide fixtures took within the current test."""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Give a test its context."""
    _outcomes.clear()
    _spent[0] = 0.0
    begun = time.perf_counter()
    _enter(item.nodeid)
    try:
        return (yield)
    finally:
        _leave()
        fixtures = sorted(_name(one, _index(item, one)) for one in _wide(item))
        _write(
            test=item.nodeid,
            seconds=round(time.perf_counter() - begun - _spent[0], 3),
            fixtures=fixtures,
            passed="failed" not in _outcomes,
            skipped="skipped" in _outcomes,
        )


_outcomes: list[str] = []


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Remember how the phases of the current test ended."""
    _outcomes.append(report.outcome)


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest) -> Generator[None, object, object]:
    """Give a fixture that serves several tests a context of its own."""
    if fixturedef.scope == "function":
        return (yield)
    name = _name(fixturedef, getattr(request, "param_index", 0))
    begun = time.perf_counter()
    inside = _spent[0]
    _enter(FIXTURE + name)
    try:
        return (yield)
    finally:
        _leave()
        seconds = time.perf_counter() - begun
        _write(fixture=name, seconds=round(seconds - (_spent[0] - inside), 3))
        _spent[0] = inside + seconds


def _wide(item: pytest.Item) -> list[pytest.FixtureDef[Any]]:
    known = getattr(item, "_fixtureinfo", None)
    return [one for defs in known.name2fixturedefs.values() for one in defs if one.scope != "function"] if known else []


def _index(item: pytest.Item, fixture: pytest.FixtureDef[Any]) -> int:
    call = getattr(item, "callspec", None)
    return int(call.indices.get(fixture.argname, 0)) if call else 0


def _name(fixture: pytest.FixtureDef[Any], index: int) -> str:
    return f"{fixture.baseid}::{fixture.argname}" + (f"#{index}" if index else "")


def _enter(context: str) -> None:
    _current.append(context)
    reach_start.switch(context)


def _leave() -> None:
    _current.pop()
    reach_start.switch(_current[-1])


def _write(**line: object) -> None:
    with (reach_start.folder() / f"tests-{os.getpid()}.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")
