"""`DownloadPipelineArtifact@2`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from lockgate.agent.runs import RunFolder
from lockgate.agent.task import StepHost, Task, TaskError, is_true
from lockgate.agent.tasks._artifacts import fetch
from lockgate.agent.tasks._files import patterns_of
from lockgate.pipelines.task_specification import Input, TaskSpecification


def _check(inputs: Mapping[str, str]) -> Iterable[str]:
    if inputs["buildType"].lower() == "specific" and not inputs["definition"]:
        yield "source is specific and pipeline is missing; name the pipeline"
    if inputs["buildType"].lower() == "specific" and inputs["buildVersionToDownload"].lower() == "specific" and not inputs["pipelineId"]:
        yield "runVersion is specific and runId is missing; give the run's id"


def _chosen(host: StepHost) -> RunFolder:
    inputs = host.inputs
    if inputs["buildType"].lower() == "current":
        return host.run_folder
    runs = host.find_runs(inputs["definition"])
    if is_true(inputs["specificBuildWithTriggering"]) and (wanted := host.values.get("Build.TriggeredBy.BuildId")):
        runs = [run for run in runs if str(run.id) == wanted] or runs
    if inputs["buildVersionToDownload"].lower() == "specific":
        runs = [run for run in runs if str(run.id) == inputs["pipelineId"].strip()]
    if inputs["buildVersionToDownload"].lower() == "latestfrombranch":
        branch = inputs["branchName"]
        full = branch if branch.startswith("refs/") else f"refs/heads/{branch}"
        runs = [run for run in runs if run.record.get("sourceBranch") == full]
    good = {"Succeeded"}
    if is_true(inputs["allowPartiallySucceededBuilds"]):
        good.add("SucceededWithIssues")
    if is_true(inputs["allowFailedBuilds"]):
        good |= {"SucceededWithIssues", "Failed", "Canceled"}
    tags = {tag.strip() for tag in inputs["tags"].split(",") if tag.strip()}
    for run in reversed(runs):
        record = run.record
        if record.get("result") in good and tags <= set(record.get("tags", [])):
            return run
    raise TaskError(f"there is no run of pipeline {inputs['definition']!r} here that fits; run it first, or widen the inputs")


def _run(host: StepHost) -> None:
    target = host.resolve(host.inputs["targetPath"])
    fetch(host, _chosen(host), host.inputs["artifactName"], target, patterns_of(host.inputs["itemPattern"]))


TASK = Task(
    TaskSpecification(
        "DownloadPipelineArtifact",
        (2,),
        "copies artifacts of this run, or of another pipeline's run",
        (
            Input("buildType", "whose artifacts", "current", aliases=("source",), allowed=("current", "specific")),
            Input("artifactName", "the artifact; all if there is none", aliases=("artifact",)),
            Input("itemPattern", "files of it, a pattern each line", "**", aliases=("patterns",)),
            Input("targetPath", "folder they go to", "$(Pipeline.Workspace)", aliases=("path", "downloadPath")),
            Input("project", "the project", no_effect="the desk knows one project"),
            Input("definition", "the pipeline", aliases=("pipeline",)),
            Input("specificBuildWithTriggering", "whether the run that started this one is preferred", "false",
                  aliases=("preferTriggeringPipeline",), kind="boolean"),
            Input("buildVersionToDownload", "which run", "latest", aliases=("runVersion",), allowed=("latest", "latestFromBranch", "specific")),
            Input("branchName", "its branch", "refs/heads/main", aliases=("runBranch",)),
            Input("pipelineId", "its id", aliases=("runId", "buildId")),
            Input("tags", "its tags, with commas between"),
            Input("allowPartiallySucceededBuilds", "whether one with issues counts", "false", kind="boolean"),
            Input("allowFailedBuilds", "whether a failed one counts", "false", kind="boolean"),
        ),
        check=_check,
    ),
    _run,
)  # fmt: skip
