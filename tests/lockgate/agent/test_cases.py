"""Every case of tests/cases/runs: a pipeline, and beside it how it has to end.

A case's JSON has `exit` and `result` of the run, `steps` (stages `s`, jobs `s/j` and steps `s/j/1` with how they end), `log` (lines that
have to be in the log of a step), `not_in_log` (texts that may be in no log), `options` (of the command line) and `shown` (texts that the
person has to see).
"""

from __future__ import annotations

import json
import os
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

CASES = Path(__file__).parents[2] / "cases" / "runs"
NAMES = sorted(path.stem for path in CASES.glob("*.yml"))
ALLOWED = {"exit", "result", "steps", "log", "not_in_log", "options", "shown"}


def expected_of(name):
    return json.loads((CASES / f"{name}.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def runs(request, new_project):
    """Every case that was asked for, run already: as many at once as there are cores."""

    def run(name):
        project = new_project()
        project.write("p.yml", (CASES / f"{name}.yml").read_text(encoding="utf-8"))
        return project.run("p.yml", *expected_of(name).get("options", []))

    wanted = [
        item.callspec.params["name"] for item in request.session.items if item.originalname == "test_case" and "runs" in item.fixturenames
    ]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        found: dict[str, Future] = {name: pool.submit(run, name) for name in wanted}
        yield found


@pytest.mark.parametrize("name", NAMES)
def test_case(name, runs):
    expected = expected_of(name)
    ended = runs[name].result()
    assert ended.code == expected["exit"], ended.err
    for text in expected.get("shown", []):
        assert text in ended.shown
    if "result" in expected:
        assert ended.result == expected["result"]
    if expected["steps"]:
        found = ended.status
        assert {path: found.get(path) for path in expected["steps"]} == expected["steps"], ended.details
    for path, lines in expected.get("log", {}).items():
        log = ended.log(path)
        missing = [line for line in lines if line not in log]
        assert not missing, f"{path}: {log}"
    for text in expected.get("not_in_log", []):
        assert text not in ended.logs


def test_every_case_has_both_files_and_known_keys():
    assert {path.stem for path in CASES.glob("*.json")} == set(NAMES)
    assert [name for name in NAMES if expected_of(name).keys() - ALLOWED] == []
