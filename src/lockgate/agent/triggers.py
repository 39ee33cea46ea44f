"""Which pipelines a run starts, and which run a pipeline resource stands for."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Mapping
from pathlib import Path

from lockgate.agent.runs import RunFolder, Runs
from lockgate.errors import StateError, UsageError
from lockgate.pipelines.mistakes import suggestion
from lockgate.pipelines.model import Filter, Pipeline, PipelineResource, PipelineTrigger

_COMPLETED = ("Succeeded", "SucceededWithIssues")


def short(branch: str) -> str:
    """A branch without refs/heads/."""
    return branch.removeprefix("refs/heads/")


def allows(wanted: Filter, branch: str) -> bool:
    """Whether a filter lets a branch through: an exclude is stronger; without includes everything is in."""

    def fits(patterns: Iterable[str]) -> bool:
        return any(fnmatch.fnmatchcase(short(branch), short(pattern)) for pattern in patterns)

    return (not wanted.include or fits(wanted.include)) and not fits(wanted.exclude)


def fires(trigger: PipelineTrigger, run: RunFolder) -> str:
    """Why a run does not start what has the trigger; empty if it does."""
    record = run.record
    if record.get("result") not in _COMPLETED:
        return f"run {run.id} has {str(record.get('result') or 'not ended').lower()}"
    if not allows(trigger.branches, str(record.get("sourceBranch", ""))):
        return f"branch {record.get('sourceBranch') or 'none'} is not among {', '.join(trigger.branches.include) or 'all'}"
    missing = [tag for tag in trigger.tags if tag.lower() not in {str(found).lower() for found in record.get("tags", [])}]
    if missing:
        return f"the run has no tag {', '.join(missing)}"
    ended = {str(stage["name"]).lower(): stage["status"] for stage in record.get("stages", [])}
    late = [name for name in trigger.stages if ended.get(name.lower()) not in _COMPLETED]
    return f"stage {', '.join(late)} has not succeeded" if late else ""


def resolve(pipeline: Pipeline, runs: Runs, chosen: Mapping[str, int]) -> dict[str, RunFolder]:
    """The run that each pipeline resource stands for, by its alias in small letters.

    Args:
        pipeline: the pipeline that declares them.
        runs: all runs.
        chosen: alias in small letters → id of a run, from a trigger or the command line.

    Raises:
        StateError: there is none.
        UsageError: a run was chosen that is of no or of another resource.
    """
    declared = {resource.alias.lower(): resource for resource in pipeline.pipelines}
    for alias, number in chosen.items():
        if alias not in declared:
            raise UsageError(
                f"--resource {alias}={number}: there is no such pipeline resource; {suggestion(alias, [r.alias for r in pipeline.pipelines])}"
            )
        source = str(runs.find(number).record.get("pipeline", ""))
        if source.lower() != declared[alias].source.lower():
            raise UsageError(f"--resource {alias}={number}: run {number} is of {source!r}; allowed: a run of {declared[alias].source!r}")
    found: dict[str, RunFolder] = {}
    for resource in pipeline.pipelines:
        alias = resource.alias.lower()
        found[alias] = runs.find(chosen[alias]) if alias in chosen else _newest(resource, runs)
    return found


def _newest(resource: PipelineResource, runs: Runs) -> RunFolder:
    for run in reversed(runs.of_pipeline(resource.source)):
        record = run.record
        if record.get("result") not in _COMPLETED:
            continue
        if resource.version and record.get("number") != resource.version:
            continue
        if resource.branch and short(str(record.get("sourceBranch", ""))) != short(resource.branch):
            continue
        if set(resource.tags) <= set(record.get("tags", [])):
            return run
    asked = [f"number {resource.version}" if resource.version else "", f"branch {resource.branch}" if resource.branch else ""]
    asked.append(f"tags {', '.join(resource.tags)}" if resource.tags else "")
    extra = " with " + " and ".join(part for part in asked if part) if any(asked) else ""
    raise StateError(
        f"{resource.origin.place}: pipeline resource {resource.alias!r}: there is no completed run of {resource.source!r}{extra} here; "
        f"run that pipeline first, or choose a run: --resource {resource.alias}=RUN"
    )


def name_of(file: Path) -> str:
    """A pipeline's name: that of its file, without the ending."""
    return file.name.removesuffix(file.suffix)
