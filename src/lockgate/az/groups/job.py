"""`az ml job`."""

from __future__ import annotations

import re
import shutil
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, Literal

from lockgate.az import changes
from lockgate.az.context import Context
from lockgate.az.errors import ArgumentError, NotFound, ServiceError
from lockgate.az.handlers import Handler
from lockgate.errors import UnsupportedError
from lockgate.workspace import jobs
from lockgate.workspace.cloud import Place
from lockgate.workspace.jobs import ENDED, Job
from lockgate.workspace.store import Store

_POLL: Final = 0.05
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,254}")
"""A job's name is the name of its folder."""
Outputs = dict[str, dict[str, dict[str, str]]]
"""Job → node → output → path."""


def _shown(place: Place, store: Store, job: Job, outputs: Outputs) -> dict[str, Any]:
    found: dict[str, Any] = {
        "creation_context": {"created_at": job.created, "created_by": "desk", "created_by_type": "User"},
        "description": job.description,
        "display_name": job.display_name,
        "experiment_name": job.experiment,
        "id": f"azureml:{place.id}/jobs/{job.name}",
        "name": job.name,
        "properties": job.properties,
        "resourceGroup": place.group,
        "services": {"Studio": {"endpoint": str(store.job_folder(job.name)), "type": "Studio"}},
        "status": job.status,
        "tags": job.tags,
        "type": job.kind,
    }
    nodes = {node: {"outputs": {name: {"path": path} for name, path in made.items()}} for node, made in outputs.get(job.name, {}).items()}
    own = nodes.pop(jobs.OWN, {"outputs": {}})
    # A job that is no pipeline is one node, whatever its name.
    found |= next(iter(nodes.values()), own) if job.kind != "pipeline" else {**own, "jobs": nodes}
    if job.reason:
        found["error"] = job.reason
    return found


def _find(context: Context) -> tuple[Store, Job]:
    store = context.store(context.workspace())
    name = context.text("name")
    job = jobs.find_job(store, name)
    if job is None:
        raise NotFound(f"(UserError) Run {name} was not found in workspace {store.workspace}.")
    return store, job


def checked_name(name: str) -> str:
    """A job's name, which is the name of its folder.

    Raises:
        ArgumentError: it is none that a job may have.
    """
    if not _NAME.fullmatch(name):
        raise ArgumentError(f"job name: found '{name}'; allowed: letters, digits, '-' and '_', beginning with a letter or digit, up to 255")
    return name


def _create(context: Context) -> Any:
    from lockgate.execution.job_file import load_job
    from lockgate.execution.job_process import begin
    from lockgate.execution.overrides import parse_override

    store = context.store(context.workspace())
    file = Path(context.text("file"))
    overrides = context.words("set")
    try:
        loaded = load_job(file, [parse_override(text) for text in overrides], store=store)
    except UnsupportedError as error:
        _record_refused(context, store, file, error)
        raise
    name = checked_name(context.text("name") or loaded.name or jobs.new_job_name())
    kept = Path(context.text("save_as")) if context.has("save_as") else None
    if kept is not None and (kept.is_dir() or not kept.parent.is_dir()):
        raise ArgumentError(f"--save-as: found '{kept}'; allowed: a file in a folder that is there")
    begin(store, name, file.resolve(), overrides)

    if kept is not None:
        import yaml

        kept.write_text(yaml.safe_dump(shown_job(context, store, name), sort_keys=False), encoding="utf-8")
    if context.has("stream"):
        _follow(store, name)
    return shown_job(context, store, name)


def _record_refused(context: Context, store: Store, file: Path, error: UnsupportedError) -> None:
    """A job of a type that only Azure runs is kept, as Failed and with the reason, since somebody will look for it."""
    from lockgate.yaml_source import load_yaml

    top = load_yaml(file)
    kind = top.get("type")
    if kind is None or kind.text not in ("sweep", "spark"):
        return
    spec = top.plain()
    name = context.text("name") or str(spec.get("name") or "") or jobs.new_job_name()
    if not _NAME.fullmatch(name) or jobs.find_job(store, name) is not None:
        return
    texts = {key: {k: str(v) for k, v in (spec.get(key) or {}).items()} for key in ("tags", "properties")}
    with jobs.held(store, name):
        jobs.create_job(
            store, name, str(spec.get("display_name") or file.stem), str(spec.get("experiment_name") or file.stem), str(file.resolve()),
            kind=kind.text, description=str(spec.get("description") or ""), **texts,
        )  # fmt: skip
        jobs.end_job(store, name, "Failed", str(error.mistakes[0].message))


def shown_job(context: Context, store: Store, name: str) -> Any:
    """A job as az shows it."""
    job = jobs.find_job(store, name)
    return _shown(context.workspace(), store, job, jobs.outputs_of(store, name)) if job else None


def _follow(store: Store, name: str) -> None:
    """Print a job's log until it has ended.

    Raises:
        ServiceError: it did not complete.
    """
    from lockgate.execution.job_process import LOG

    print(f"RunId: {name}\nWeb View: {store.job_folder(name)}\n\nStreaming {LOG}\n{'=' * (len(LOG) + 10)}\n", file=sys.stderr, flush=True)
    path = store.job_folder(name) / LOG
    position = 0
    while True:
        job = jobs.find_job(store, name)
        ended = job is None or job.status in ENDED
        if path.exists():
            with path.open("rb") as stream:
                stream.seek(position)
                data = stream.read()
            position += len(data)
            sys.stderr.write(data.decode("utf-8", errors="replace"))
            sys.stderr.flush()
        if ended:
            break
        time.sleep(_POLL)
    status = job.status if job else "gone"
    print(f"\nExecution Summary\n=================\nRunId: {name}\nStatus: {status}", file=sys.stderr, flush=True)
    if status != "Completed":
        raise ServiceError(f"(JobFailed) job {name} ended as {status}: {job.reason if job else ''}")


def _stream(context: Context) -> None:
    store, job = _find(context)
    _follow(store, job.name)


def _cancel(context: Context) -> None:
    store, job = _find(context)
    if job.status in ENDED:
        raise ServiceError(f"(UserError) Run {job.name} is in a terminal state ({job.status}) and can't be cancelled.")
    jobs.cancel(store, job)


def _list(context: Context) -> Any:
    place = context.workspace()
    store = context.store(place)
    archived: Literal["no", "also", "only"] = (
        "only" if context.has("archived_only") else "also" if context.has("include_archived") else "no"
    )
    found = jobs.find_jobs(store, context.number("max_results"), archived)
    outputs = jobs.outputs_of(store)
    return [_shown(place, store, job, outputs) for job in found]


def _show(context: Context) -> Any:
    store, job = _find(context)
    return _shown(context.workspace(), store, job, jobs.outputs_of(store, job.name))


def _update(context: Context) -> Any:
    store, job = _find(context)

    def change(job: Job) -> Job:
        tags, properties = dict(job.tags), dict(job.properties)
        texts = {"description": job.description, "display_name": job.display_name}
        changes.apply(context, tags, properties, texts)
        return replace(job, tags=tags, properties=properties, description=texts["description"], display_name=texts["display_name"])

    jobs.update_job(store, job.name, change)
    return _show(context)


def _archive(context: Context, *, archived: bool) -> None:
    store, job = _find(context)
    jobs.update_job(store, job.name, lambda now: replace(now, archived=archived))


def _validate(context: Context) -> Any:
    from lockgate.execution.job_file import load_job
    from lockgate.execution.overrides import parse_override

    overrides = [parse_override(text) for text in context.words("set")]
    load_job(Path(context.text("file")), overrides, store=context.store(context.workspace()))
    return {"result": "Succeeded"}


def _download(context: Context) -> None:
    store, job = _find(context)
    if job.status not in ENDED:
        raise ServiceError(f"(UserError) Run {job.name} is {job.status}; its outputs can be downloaded once it has ended.")
    wanted = context.text("output_name")
    base = Path(context.text("download_path", "."))
    found = {(node, name): path for node, made in jobs.outputs_of(store, job.name).get(job.name, {}).items() for name, path in made.items()}
    chosen = {key: path for key, path in found.items() if not wanted or key[1] == wanted}
    if (jobs.OWN, wanted) in chosen:
        chosen = {(jobs.OWN, wanted): chosen[jobs.OWN, wanted]}  # The pipeline's own output counts before those of its nodes.
    if wanted and len(chosen) != 1:
        there = ", ".join(sorted(f"{node}.{name}".lstrip(".") for node, name in found)) or "none"
        raise NotFound(f"job {job.name} has {'several outputs' if chosen else 'no output'} {wanted!r}; it has: {there}")
    for (node, name), path in chosen.items():
        target = base / "named-outputs" / name if wanted or job.kind != "pipeline" else base / "named-outputs" / node / name
        if Path(path).is_dir():
            shutil.copytree(path, target, dirs_exist_ok=True)
        else:
            target.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, target)


COMMANDS: Final = {
    "ml job create": Handler(
        _create, "begin a job", ("file", "name", "set", "stream", "save_as", "resource_group", "workspace_name"),
        (("skip_validation", "a job is always checked"), ("web", "no page is opened")),
    ),
    "ml job show": Handler(_show, "a job", ("name", "resource_group", "workspace_name"), (("web", "no page is opened"),)),
    "ml job list": Handler(
        _list, "all jobs, the newest first", ("max_results", "archived_only", "include_archived", "resource_group", "workspace_name"),
        (("all_results", "all are listed"),),
    ),
    "ml job update": Handler(
        _update, "change tags, description", ("name", "set", "remove", "resource_group", "workspace_name"),
        (("force_string", "values of tags are texts"), ("web", "no page is opened")),
    ),
    "ml job archive": Handler(lambda context: _archive(context, archived=True), "hide a job"),
    "ml job restore": Handler(lambda context: _archive(context, archived=False), "show a job again"),
    "ml job stream": Handler(_stream, "a job's log until it ends"),
    "ml job cancel": Handler(_cancel, "end a job"),
    "ml job download": Handler(_download, "copy outputs of a job out", ("name", "output_name", "download_path", "all", "resource_group", "workspace_name")),
    "ml job validate": Handler(_validate, "check a job's file"),
}  # fmt: skip
