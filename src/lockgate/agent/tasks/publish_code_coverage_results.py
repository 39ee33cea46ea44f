"""`PublishCodeCoverageResults@1` and `@2`: Cobertura or JaCoCo files, read and summed."""

from __future__ import annotations

from pathlib import Path

from lockgate.agent.runs import read_json, write_json
from lockgate.agent.task import StepHost, Task, TaskError, is_true
from lockgate.agent.tasks._files import matching, patterns_of
from lockgate.agent.tasks._xml import read_xml
from lockgate.pipelines.task_specification import Input, TaskSpecification


def lines_of(path: Path) -> tuple[int, int]:
    """Lines covered and lines there are, by a Cobertura or JaCoCo file.

    Raises:
        TaskError: it is neither.
    """
    root = read_xml(path)
    if root.tag == "coverage":
        said = (root.get("lines-covered", ""), root.get("lines-valid", ""))
        if all(number.isdigit() for number in said):
            return int(said[0]), int(said[1])
        hits = [int(line.get("hits", "0")) for line in root.iter("line") if line.get("hits", "").isdigit()]
        return sum(1 for hit in hits if hit), len(hits)
    if root.tag == "report":
        for counter in root.findall("counter"):
            if counter.get("type") == "LINE":
                covered, missed = int(counter.get("covered", "0")), int(counter.get("missed", "0"))
                return covered, covered + missed
        return 0, 0
    raise TaskError(f"{path.name}: found <{root.tag}>; allowed: Cobertura's <coverage> or JaCoCo's <report>")


def _run(host: StepHost) -> None:
    patterns = patterns_of(host.inputs["summaryFileLocation"])
    base = host.resolve(".")
    files = [path for path in (host.resolve(p) for p in patterns if "*" not in p) if path.is_file()]
    files += [path for path in matching(base, [p for p in patterns if "*" in p or p.startswith("!")]) if path not in files]
    totals = [lines_of(path) for path in files]
    covered, lines = sum(total[0] for total in totals), sum(total[1] for total in totals)
    if not lines:
        message = f"found no code coverage in {', '.join(patterns)}"
        if is_true(host.inputs["failIfCoverageEmpty"]):
            raise TaskError(f"{message}; did the tests write it?")
        host.issue("warning", message)
        return
    host.say(f"code coverage: {covered} of {lines} lines, {100 * covered / lines:.1f} %")
    path = host.run_folder.path / "coverage.json"
    kept = read_json(path) or []
    kept.append({"files": [file.name for file in files], "covered": covered, "lines": lines})
    write_json(path, kept)


TASK = Task(
    TaskSpecification(
        "PublishCodeCoverageResults",
        (1, 2),
        "reads Cobertura or JaCoCo files and keeps their sum with the run",
        (
            Input("summaryFileLocation", "patterns of the files, a line each", required=True),
            Input(
                "codeCoverageTool",
                "the files' format",
                "Cobertura",
                allowed=("Cobertura", "JaCoCo"),
                no_effect="the files say it themselves",
            ),
            Input("pathToSources", "folder of the sources", no_effect="lines are not shown in the sources"),
            Input("reportDirectory", "folder of an HTML report", no_effect="publish it as an artifact"),
            Input("additionalCodeCoverageFiles", "further files", no_effect="publish them as an artifact"),
            Input("failIfCoverageEmpty", "whether no coverage fails the step", "false", kind="boolean"),
        ),
    ),
    _run,
)
