"""`lockgate run FILE`: an Azure Pipelines file, or an Azure ML pipeline job."""

from __future__ import annotations

import argparse
import functools
import json
import os
import shlex
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lockgate.commands._shared import (
    add_request_options,
    add_stage_option,
    at_least_one,
    check_repositories,
    find_root,
    kind_of_file,
    make_request,
    pairs,
    pipeline_name,
    root_of,
)
from lockgate.errors import EXIT_INTERRUPTED, FileError, StateError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from lockgate.agent.display import Head
    from lockgate.agent.events import View
    from lockgate.agent.git import Commit
    from lockgate.agent.runs import RunFolder
    from lockgate.interrupts import Interrupts
    from lockgate.pipelines.model import Pipeline
    from lockgate.pipelines.pipeline_file import Request

_WORTH_STARTING = 3
"""Steps of AzureCLI from which a process for their calls costs less than it saves."""
_ONLY_JOBS = {"overrides": "--set", "rerun": "--rerun", "isolated": "--isolated"}
_ONLY_PIPELINES = {
    "parameters": "-p", "variables": "-v", "repositories": "--repo", "variable_groups": "--variable-groups", "stages": "--stage", "resume": "--resume",
    "yes": "--yes", "branch": "--branch", "resources": "--resource", "no_follow": "--no-follow", "logs": "--logs",
}  # fmt: skip


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("file", type=Path, help="an Azure Pipelines file, or an Azure ML job with type: pipeline")
    parser.add_argument(
        "--jobs", type=int, default=os.cpu_count() or 1, metavar="N", help="jobs or nodes at once (default: the cores of this machine)"
    )
    parser.add_argument("--plain", action="store_true", help="lines instead of a live tree")
    parser.add_argument("--json", action="store_true", help="print the outcome as JSON; progress goes to stderr")
    pipelines = parser.add_argument_group("Azure Pipelines")
    add_request_options(pipelines)
    add_stage_option(pipelines)
    pipelines.add_argument("--resume", action="store_true", help="go on with the pipeline's newest run, after the last step that succeeded")
    pipelines.add_argument("--yes", action="store_true", help="approve whatever is asked, which is recorded")
    pipelines.add_argument(
        "--resource", action="append", default=[], metavar="ALIAS=RUN", dest="resources", help="run of a pipeline resource; repeatable"
    )
    pipelines.add_argument("--no-follow", action="store_true", help="do not start the pipelines that this one triggers")
    pipelines.add_argument("--logs", action="store_true", help="show what the steps print")
    jobs = parser.add_argument_group("Azure ML")
    jobs.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", dest="overrides", help="change a value of the job; repeatable"
    )
    jobs.add_argument("--isolated", action="store_true", help="run each node in an environment built of its conda file, not in this Python")
    jobs.add_argument("--rerun", action="store_true", help="run every node, also unchanged ones")


def run(args: argparse.Namespace) -> int:
    """Run the file."""
    kind = kind_of_file(args.file)
    is_job = kind == "azureml" or (not kind and bool(args.overrides or args.rerun or args.isolated))
    for name, option in (_ONLY_PIPELINES if is_job else _ONLY_JOBS).items():
        if getattr(args, name):
            raise UsageError(f"{option} is for {'Azure Pipelines' if is_job else 'Azure ML'} files; {args.file} is none")
    return _run_job(args) if is_job else _run_pipeline(args)


def _run_job(args: argparse.Namespace) -> int:
    from lockgate.execution.display import make_watcher
    from lockgate.execution.job_file import load_job
    from lockgate.execution.overrides import parse_override
    from lockgate.execution.runner import Runner, failure_report
    from lockgate.interrupts import Interrupts
    from lockgate.state import STATE_FOLDER
    from lockgate.workspace.store import Store

    interrupts = Interrupts()
    root = args.root or find_root(Path.cwd())
    # A file with mistakes leaves nothing behind.
    there = Store(root) if (root / STATE_FOLDER).is_dir() else None
    job = load_job(args.file, [parse_override(text) for text in args.overrides], store=there)
    store = there or Store(root)
    watcher = make_watcher(sys.stderr if args.json else sys.stdout, plain=args.plain or args.json)
    runner = Runner(
        job, store, watcher, parallel=at_least_one(args.jobs), reuse=not args.rerun, interrupts=interrupts, isolated=args.isolated
    )
    outcome = runner.run()
    if args.json:
        print(json.dumps(outcome.to_dict(), indent=1))
    else:
        reused = f", {len(outcome.reused)} of {len(job.nodes)} nodes reused" if outcome.reused else ""
        print(f"{outcome.status}: {job.display_name} in {outcome.seconds:.1f} s{reused}; {outcome.folder}")
    if outcome.status != "Completed":
        print(failure_report(runner.view), file=sys.stderr)
        return 1
    return 0


def _run_pipeline(args: argparse.Namespace) -> int:
    from lockgate.agent.runs import Runs
    from lockgate.interrupts import Interrupts

    interrupts = Interrupts()
    root = root_of(args, args.file)
    runs = Runs(root)
    folder = _to_resume(runs, args.file) if args.resume else None
    if folder is not None:
        _as_before(args, folder)
    reason = str(folder.record.get("reason", "Manual")) if folder else "Manual"
    request, commit = make_request(args, root, args.file, reason=reason)
    chosen = {alias.lower(): _number(alias, text) for alias, text in pairs("--resource", args.resources).items()}
    if folder is not None:
        chosen = {**folder.record.get("resources", {}), **chosen}
    records: list[dict[str, Any]] = []
    code = _one(args, root, args.file, request, commit, chosen, interrupts, records, folder)
    done = {pipeline_name(args.file).lower()}
    waiting = [runs.find(records[-1]["id"])] if records and not args.no_follow and not interrupts.count else []
    while waiting:
        source = waiting.pop(0)
        for file, alias in _triggered(root, source, request):
            if pipeline_name(file).lower() in done:
                print(f"note: {pipeline_name(file)} ran already and is not started again", file=sys.stderr)
                continue
            done.add(pipeline_name(file).lower())
            inner = replace(request, parameters={}, variables={}, predefined={**request.predefined, **_by_trigger(file, source)})
            inner = replace(
                inner, predefined={**inner.predefined, "resources.triggeringAlias": alias, "resources.triggeringCategory": "pipeline"}
            )
            code = max(code, _one(args, root, file, inner, commit, {alias.lower(): source.id}, interrupts, records, None))
            if interrupts.count:
                waiting.clear()
                break
            waiting.append(runs.find(records[-1]["id"]))
    if args.json:
        print(json.dumps(records[0] if len(records) == 1 else records, indent=1, ensure_ascii=False))
    return EXIT_INTERRUPTED if interrupts.count else code


def _number(alias: str, text: str) -> int:
    if not text.isdigit():
        raise UsageError(f"--resource {alias}={text}: allowed: the id of a run, such as 12")
    return int(text)


def _by_trigger(file: Path, source: RunFolder) -> dict[str, str]:
    from lockgate.agent.predefined import definition_id

    record = source.record
    name = pipeline_name(file)
    return {
        "Build.DefinitionName": name,
        "System.DefinitionId": definition_id(name),
        "Build.Reason": "ResourceTrigger",
        "Build.TriggeredBy.BuildId": str(source.id),
        "Build.TriggeredBy.BuildNumber": str(record.get("number", "")),
        "Build.TriggeredBy.DefinitionName": str(record.get("pipeline", "")),
    }


def _to_resume(runs: Any, file: Path) -> RunFolder:
    found: list[RunFolder] = runs.of_pipeline(pipeline_name(file))
    if not found:
        raise StateError(f"--resume: there is no run of {pipeline_name(file)!r} yet; start one without --resume")
    newest = found[-1]
    if newest.record.get("result") in ("Succeeded", "SucceededWithIssues"):
        raise StateError(
            f"--resume: run {newest.id}, the newest of {pipeline_name(file)!r}, has succeeded; start a new one without --resume"
        )
    return newest


def _as_before(args: argparse.Namespace, folder: RunFolder) -> None:
    """What the run was started with counts again, unless it is given anew."""
    given = folder.record.get("given", {})
    for name, attribute in (("parameters", "parameters"), ("variables", "variables")):
        now = pairs(f"-{name[0]}", getattr(args, attribute))
        setattr(args, attribute, [f"{key}={value}" for key, value in {**given.get(name, {}), **now}.items()])
    if not args.branch:
        args.branch = folder.record.get("sourceBranch") or None


def _one(
    args: argparse.Namespace,
    root: Path,
    file: Path,
    request: Request,
    commit: Commit,
    chosen: dict[str, int],
    interrupts: Interrupts,
    records: list[dict[str, Any]],
    folder: RunFolder | None,
) -> int:
    """Run one pipeline; its record is added to `records`."""
    from lockgate.agent.display import failures, make_watcher
    from lockgate.agent.environments import load_environments
    from lockgate.agent.run import Options, Run
    from lockgate.agent.runs import Runs
    from lockgate.agent.tasks import catalog
    from lockgate.agent.triggers import resolve
    from lockgate.commands.plan import check_stages
    from lockgate.pipelines.pipeline_file import load_pipeline

    tasks = catalog(root)
    pipeline, mistakes = load_pipeline(file, root, tasks, request)
    mistakes.stop()
    if file == args.file:
        check_repositories(request, pipeline)
        check_stages(args.stages, pipeline)
    runs = Runs(root)
    interactive = sys.stdin is not None and sys.stdin.isatty() and sys.stdout.isatty() and not args.json
    resources = resolve(pipeline, runs, chosen)
    environments = load_environments(runs.state, ".lockgate/environments.yml")
    options = Options(jobs=at_least_one(args.jobs), yes=args.yes, stages=tuple(args.stages), interactive=interactive)
    options.first_on_path = (str(put_az_on_path(runs.state)),)
    if _az_steps(pipeline) >= _WORTH_STARTING:
        options.environment = start_az()
    stream = sys.stderr if args.json else sys.stdout
    run_ = Run(
        root,
        pipeline,
        pipeline_name(file),
        request,
        commit,
        options,
        make_watcher(stream, plain=args.plain or args.json, logs=args.logs, head=_head(args, pipeline_name(file), records)),
        catalog=tasks,
        environments=environments,
        resources=resources,
        interrupts=lambda: interrupts.count,
        folder=folder,
    )
    outcome = run_.execute()
    records.append(run_.folder.record)
    if not args.json:
        _summary(run_.folder, root)
    if outcome not in ("Succeeded", "SucceededWithIssues"):
        text = failures(run_.view)
        print(text, file=sys.stderr) if text else None
        if not args.json:
            print(f"resume with: lockgate run {args.file if file == args.file else file} --resume", file=sys.stderr)
        return 1
    return 0


def _head(args: argparse.Namespace, name: str, records: list[dict[str, Any]]) -> Head | None:
    """What whoever calls this wants above each run: the lanes of `lockgate up`."""
    lanes: Callable[[str, View, list[dict[str, Any]]], list[str]] | None = getattr(args, "lanes", None)
    return None if lanes is None else lambda view: lanes(name, view, records)


def put_az_on_path(state: Path) -> Path:
    """The folder with the desk's `az`, which comes first on PATH inside runs; LOCKGATE_AZ names another one."""
    if other := os.environ.get("LOCKGATE_AZ"):
        return Path(other)
    folder = state / "bin"
    from lockgate.az.starter import CLIENT

    python, client = shlex.quote(sys.executable), shlex.quote(str(CLIENT))
    text = f'#!/bin/sh\nexec {python} -I -S {client} {python} "$@"\n'
    path = folder / "az"
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        folder.mkdir(parents=True, exist_ok=True)
        beside = folder / f".az.{os.getpid()}"
        beside.write_text(text, encoding="utf-8")
        beside.chmod(0o755)
        beside.replace(path)
    return folder


def _az_steps(pipeline: Pipeline) -> int:
    return sum(step.task.startswith("AzureCLI@") for stage in pipeline.stages for job in stage.jobs for step in job.all_steps())


@functools.cache
def start_az() -> dict[str, str]:
    """Have az's modules loaded once for all calls of this command's runs: what its calls have to find in their environment."""
    from lockgate.az.starter import CLIENT, VARIABLE, Starter

    # Another desk's az, as of a run inside a run, is not to be done by this one's modules.
    return {} if "LOCKGATE_AZ" in os.environ else {VARIABLE: f"{CLIENT}:{Starter().address}"}


def _summary(folder: RunFolder, root: Path) -> None:
    record = folder.record
    path = folder.path.relative_to(root) if folder.path.is_relative_to(root) else folder.path
    number = f" ({record['number']})" if record.get("number") else ""
    print(f"{record['result']}: {record['pipeline']} run {record['id']}{number} in {record['seconds']:.1f} s; {path}")
    artifacts = sorted(p.name for p in (folder.path / "artifacts").glob("[!.]*")) if (folder.path / "artifacts").is_dir() else []
    if artifacts:
        print(f"  artifacts  {', '.join(artifacts)}")
    if record.get("tags"):
        print(f"  tags       {', '.join(record['tags'])}")
    tests = folder.path / "tests.json"
    if tests.exists():
        for one in json.loads(tests.read_text(encoding="utf-8")):
            print(f"  tests      {one['title']}: {one['passed']} passed, {one['failed']} failed, {one['skipped']} skipped")
    for summary in sorted((folder.path / "summary").glob("*.md")) if (folder.path / "summary").is_dir() else []:
        print(f"  summary    {summary.relative_to(root) if summary.is_relative_to(root) else summary}")


def _triggered(root: Path, source: RunFolder, request: Request) -> list[tuple[Path, str]]:
    """The pipelines that a run starts, each with the alias that it knows it by."""
    from lockgate.agent.tasks import catalog
    from lockgate.agent.triggers import fires
    from lockgate.commands.check import pipeline_files
    from lockgate.pipelines.pipeline_file import load_pipeline

    name = str(source.record.get("pipeline", ""))
    found: list[tuple[Path, str]] = []
    for file in pipeline_files(root):
        text = file.read_text(encoding="utf-8", errors="replace")
        if "pipelines:" not in text or name.lower() not in text.lower():
            continue
        try:
            pipeline, mistakes = load_pipeline(file, root, catalog(root), replace(request, parameters={}, variables={}, checking=True))
            mistakes.stop(unsupported=False)
        except FileError as error:
            print(f"note: {file.name} has mistakes, so nobody can say whether {name} starts it:\n{error}", file=sys.stderr)
            continue
        if alias := _alias_that_fires(pipeline, name, source, fires):
            found.append((file, alias))
    return found


def _alias_that_fires(pipeline: Pipeline, name: str, source: RunFolder, fires: Any) -> str:
    for resource in pipeline.pipelines:
        if resource.source.lower() == name.lower() and resource.trigger is not None:
            reason = fires(resource.trigger, source)
            if not reason:
                return resource.alias
            print(f"note: {pipeline.file} is not started: {reason}", file=sys.stderr)
    return ""
