"""The steps that are no tasks: checkout, publish and download."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from lockgate.agent.task import TaskError
from lockgate.agent.tasks._artifacts import fetch, publish
from lockgate.agent.tasks._files import patterns_of
from lockgate.agent.tasks.publish_pipeline_artifact import default_name

if TYPE_CHECKING:
    from collections.abc import Callable

    from lockgate.agent.step import StepRun


def check_out(host: StepRun) -> None:
    """Put a repository into the job's work folder."""
    alias = host.inputs["repository"]
    if alias.lower() == "none":
        host.say("nothing is checked out")
        return
    job = host.job
    sources = job.run.sources
    origin = sources.folder_of(alias)
    if origin is None:
        raise TaskError(f"checkout: repository {alias!r} is not on this machine; say where it is: --repo {alias}=FOLDER")
    workspace = job.folders.workspace
    name = job.run.repository_name(alias)
    given = host.inputs.get("path", "")
    if given:
        target = Path((workspace / given).resolve())
        if not target.is_relative_to(workspace.resolve()):
            raise TaskError(f"checkout: path {given!r} leads out of the work folder; allowed: a folder below $(Pipeline.Workspace)")
    else:
        target = job.folders.sources / name if job.checkouts > 1 else job.folders.sources
    host.say(sources.check_out(alias, target))
    if alias.lower() == "self":
        job.variables.set("Build.Repository.LocalPath", str(target), readonly=True)
    if job.checkouts == 1:
        job.variables.set("Build.SourcesDirectory", str(target), readonly=True)
        job.variables.set("System.DefaultWorkingDirectory", str(target), readonly=True)
    if host.inputs.get("workspaceRepo", "").lower() == "true":
        job.variables.set("System.DefaultWorkingDirectory", str(target), readonly=True)


def publish_step(host: StepRun) -> None:
    """Keep a file or folder as an artifact."""
    publish(host, host.resolve(host.inputs["path"]), host.inputs.get("artifact", "") or default_name(host))


def download_step(host: StepRun) -> None:
    """Copy artifacts of this run or of a pipeline resource into the work folder."""
    source, name = host.inputs["source"], host.inputs.get("artifact", "")
    if source.lower() == "none":
        host.say("nothing is downloaded")
        return
    patterns = patterns_of(host.inputs.get("patterns", "") or "**")
    here = host.folders.workspace
    if source.lower() == "current":
        run, base = host.run_folder, here
    else:
        run, base = host.folder_of_resource(source), here / source
    fetch(host, run, name, base / name if name else base, patterns)


BUILTIN: dict[str, Callable[[StepRun], None]] = {"checkout": check_out, "publish": publish_step, "download": download_step}
