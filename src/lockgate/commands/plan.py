"""`lockgate plan FILE`: what would run, and why or why not."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lockgate.commands._shared import add_request_options, add_stage_option, check_repositories, make_request, plan_names, root_of
from lockgate.errors import UnsupportedError, UsageError

if TYPE_CHECKING:
    from lockgate.pipelines.model import Pipeline
    from lockgate.pipelines.plan import Entry

_SIGNS = {"runs": "✔", "skipped": "-", "depends": "?"}
_COLOURS = {"runs": "32", "skipped": "2", "depends": "33"}


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("file", type=Path, help="an Azure Pipelines file")
    add_request_options(parser)
    add_stage_option(parser)
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    """Print the plan."""
    from lockgate.agent.tasks import catalog
    from lockgate.pipelines.pipeline_file import load_pipeline
    from lockgate.pipelines.plan import make_plan

    root = root_of(args, args.file)
    request, _ = make_request(args, root, args.file)
    pipeline, mistakes = load_pipeline(args.file, root, catalog(root), request)
    check_repositories(request, pipeline)
    mistakes.stop(unsupported=False)  # What the desk does not run is planned all the same, and said below.
    check_stages(args.stages, pipeline)
    stages = make_plan(pipeline, plan_names(dict(request.predefined)), request.variables, args.stages)
    if args.json:
        print(
            json.dumps(
                {"file": pipeline.file, **starts(pipeline), "notes": pipeline.notes, "stages": [stage.to_dict() for stage in stages]},
                indent=1,
                ensure_ascii=False,
            )
        )
    else:
        colour = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
        for line in lines(pipeline, stages, colour=colour):
            print(line)
    if mistakes.unsupported:
        error = UnsupportedError(mistakes.unsupported)
        print(f"not run on the desk:\n{error}", file=sys.stderr)
        return error.exit_code
    return 0


def check_stages(chosen: list[str], pipeline: Pipeline) -> None:
    """Raise a UsageError for a stage that is not there."""
    from lockgate.pipelines.mistakes import suggestion

    for name in chosen:
        if pipeline.stage(name) is None:
            raise UsageError(f"--stage {name}: there is no such stage; {suggestion(name, [stage.name for stage in pipeline.stages])}")


def starts(pipeline: Pipeline) -> dict[str, Any]:
    """What starts a pipeline, as plain values."""
    triggers = [
        {"pipeline": r.source, "alias": r.alias, "branches": list(r.trigger.branches.include), "notBranches": list(r.trigger.branches.exclude),
         "stages": list(r.trigger.stages), "tags": list(r.trigger.tags)}
        for r in pipeline.pipelines if r.trigger is not None
    ]  # fmt: skip
    return {
        "trigger": pipeline.trigger,
        "pr": pipeline.pr,
        "schedules": pipeline.schedules,
        "pipelines": triggers,
        "lockBehavior": pipeline.lock_behavior,
    }


def _filters(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_filters(item)}" if key != "include" else _filters(item) for key, item in value.items())
    return " ".join(str(item) for item in value) if isinstance(value, list) else str(value)


def _heading(pipeline: Pipeline) -> Iterator[str]:
    yield pipeline.file
    yield f"  starts   on pushes to {'every branch, since it has no trigger:' if pipeline.trigger is None else _filters(pipeline.trigger)}"
    if pipeline.pr is not None:
        yield f"           on pull requests to {_filters(pipeline.pr)} (GitHub and Bitbucket only; Azure Repos has build policies)"
    for schedule in pipeline.schedules:
        yield f"           at {schedule.get('cron', '')} UTC on {_filters(schedule.get('branches', ''))} {schedule.get('displayName', '')}".rstrip()
    for resource in pipeline.pipelines:
        if resource.trigger is not None:
            parts = [f"branches {_filters(list(resource.trigger.branches.include))}"] if resource.trigger.branches.include else []
            parts += [f"stages {' '.join(resource.trigger.stages)}"] if resource.trigger.stages else []
            parts += [f"tags {' '.join(resource.trigger.tags)}"] if resource.trigger.tags else []
            yield f"           after {resource.source} {', '.join(parts)}".rstrip()
    if pipeline.lock_behavior:
        yield f"  locks    {pipeline.lock_behavior}"
    yield ""


def lines(pipeline: Pipeline, stages: list[Entry], *, colour: bool) -> Iterator[str]:
    """The plan as text, a tree."""

    def written(entry: Entry, lead: str, needs: str) -> str:
        sign = _SIGNS[entry.verdict]
        kind = f"{entry.kind} " if entry.kind != "step" else ""
        name = entry.name if entry.title in (entry.name, "") or entry.kind == "step" else f"{entry.name} · {entry.title}"
        text = f"{sign} {kind}{entry.title if entry.kind == 'step' else name}"
        text += f" [{'; '.join(entry.notes)}]" if entry.notes else ""
        tail = "; ".join(part for part in (needs, entry.reason) if part)
        if colour:
            text = f"\x1b[{_COLOURS[entry.verdict]}m{text}\x1b[0m"
            tail = f"\x1b[2m{tail}\x1b[0m" if tail else ""
        return f"{lead}{text}{'  ' + tail if tail else ''}"

    yield from _heading(pipeline)
    for stage in stages:
        yield written(stage, "", f"after {', '.join(stage.needs)}" if stage.needs else "")
        for job in stage.children:
            yield written(job, "   ", f"after {', '.join(job.needs)}" if job.needs else "")
            for step in job.children:
                yield written(step, "      ", "")
    yield ""
    for note in pipeline.notes:
        yield f"note: {note}"
    if pipeline.notes:
        yield ""
    yield "✔ runs if all before it succeeds   ? is decided when it runs   - does not run"
