"""`PublishTestResults@2`: JUnit files, read and summed."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

from lockgate.agent.runs import read_json, write_json
from lockgate.agent.task import Result, StepHost, Task, TaskError, is_true
from lockgate.agent.tasks._files import matching, patterns_of
from lockgate.agent.tasks._xml import read_xml
from lockgate.pipelines.task_specification import Input, TaskSpecification

_ONLY: Final = "only JUnit files are read; let the test runner write those"
_SHOWN: Final = 10


@dataclass
class Summary:
    """What the files say. `seconds` is the tests' own time."""

    total: int = 0
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    seconds: float = 0.0
    failures: list[dict[str, str]] = field(default_factory=list)


def _number(text: str | None) -> float:
    try:
        return float((text or "0").replace(",", ""))
    except ValueError:
        return 0.0


def add_junit(summary: Summary, path: Path) -> None:
    """Add what a JUnit file says.

    Raises:
        TaskError: it is no JUnit file.
    """
    root = read_xml(path)
    if root.tag not in ("testsuites", "testsuite"):
        raise TaskError(f"{path.name}: found <{root.tag}>; allowed: JUnit's <testsuites> or <testsuite>")
    for case in root.iter("testcase"):
        summary.total += 1
        summary.seconds += _number(case.get("time"))
        wrong = case.find("failure")
        if wrong is None:
            wrong = case.find("error")
        if wrong is not None:
            summary.failed += 1
            name = ".".join(part for part in (case.get("classname"), case.get("name")) if part)
            summary.failures.append({"name": name, "message": (wrong.get("message") or wrong.text or "").strip().split("\n")[0][:500]})
        elif case.find("skipped") is not None:
            summary.skipped += 1
        else:
            summary.passed += 1


def _run(host: StepHost) -> Result | None:
    inputs = host.inputs
    folder = host.resolve(inputs["searchFolder"] or ".")
    patterns = patterns_of(inputs["testResultsFiles"])
    files = matching(folder, patterns) if folder.is_dir() else []
    if not files:
        message = f"found no test results for {', '.join(patterns)} in {folder}"
        if is_true(inputs["failTaskOnMissingResultsFile"]):
            raise TaskError(f"{message}; did the tests write them?")
        host.issue("warning", message)
        return None
    summary = Summary()
    for path in files:
        add_junit(summary, path)
    title = inputs["testRunTitle"] or f"{inputs['testResultsFormat']}_TestResults"
    _keep(host, title, summary, files)
    host.say(
        f"{title}: {summary.total} tests, {summary.passed} passed, {summary.failed} failed, {summary.skipped} skipped, {summary.seconds:.1f} s"
    )
    for failure in summary.failures[:_SHOWN]:
        host.say(f"  ✘ {failure['name']}: {failure['message']}")
    if len(summary.failures) > _SHOWN:
        host.say(f"  and {len(summary.failures) - _SHOWN} more")
    if summary.failed and is_true(inputs["failTaskOnFailedTests"]):
        raise TaskError(f"{summary.failed} of {summary.total} tests failed; see the names above")
    return None


def _keep(host: StepHost, title: str, summary: Summary, files: list[Path]) -> None:
    path = host.run_folder.path / "tests.json"
    kept = read_json(path) or []
    clean = json.loads(host.mask(json.dumps(asdict(summary))))
    kept.append({"title": title, "job": host.values.get("System.JobName", ""), "files": [file.name for file in files], **clean})
    write_json(path, kept)


TASK = Task(
    TaskSpecification(
        "PublishTestResults",
        (2,),
        "reads JUnit files and keeps their sum with the run",
        (
            Input("testResultsFormat", "the files' format", "JUnit", aliases=("testRunner",), allowed=("JUnit", "NUnit", "VSTest", "XUnit", "CTest"),
                  refused=tuple((name, _ONLY) for name in ("NUnit", "VSTest", "XUnit", "CTest"))),
            Input("testResultsFiles", "patterns of the files, a line each", "**/TEST-*.xml"),
            Input("searchFolder", "folder they are in", "$(System.DefaultWorkingDirectory)"),
            Input("mergeTestResults", "whether they make one run", "false", kind="boolean", no_effect="they always make one"),
            Input("failTaskOnFailedTests", "whether a failed test fails the step", "false", kind="boolean"),
            Input("failTaskOnFailureToPublishResults", "whether a file that can't be read does", "false", kind="boolean",
                  no_effect="a file that can't be read always fails the step"),
            Input("failTaskOnMissingResultsFile", "whether no file at all does", "false", kind="boolean"),
            Input("testRunTitle", "name of the test run"),
            Input("buildPlatform", "platform it ran on", aliases=("platform",), no_effect="nobody groups by it on the desk"),
            Input("buildConfiguration", "configuration it ran with", aliases=("configuration",), no_effect="nobody groups by it on the desk"),
            Input("publishRunAttachments", "whether the files are kept", "true", kind="boolean", no_effect="the sum is kept"),
        ),
    ),
    _run,
)  # fmt: skip
