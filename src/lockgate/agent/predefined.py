"""Predefined variables: which there are, and what they are on the desk."""

from __future__ import annotations

import getpass
import os
import platform
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from lockgate.agent.git import Commit

COLLECTION: Final = "https://desk.invalid/"
"""Stands for the address of Azure DevOps. The ending .invalid is reserved (RFC 2606): nothing can answer there."""
PROJECT_ID: Final = "00000000-0000-0000-0000-000000000001"
NOBODY_ID: Final = "00000000-0000-0000-0000-000000000000"


@dataclass(frozen=True)
class Predefined:
    """A predefined variable: what it is, and whether template expressions see it."""

    name: str
    help: str
    in_templates: bool = False


VARIABLES: Final[tuple[Predefined, ...]] = tuple(
    Predefined(name, text, in_templates=in_templates)
    for name, text, in_templates in (
        ("Agent.BuildDirectory", "the job's work folder", False),
        ("Agent.HomeDirectory", "folder of the agent's program", False),
        ("Agent.Id", "1", False),
        ("Agent.JobName", "the job's name", False),
        ("Agent.JobStatus", "how the job stands: Succeeded, SucceededWithIssues, Failed or Canceled", False),
        ("Agent.MachineName", "this machine's name", False),
        ("Agent.Name", "desk", False),
        ("Agent.OS", "Linux or Darwin", False),
        ("Agent.OSArchitecture", "X64 or ARM64", False),
        ("Agent.TempDirectory", "a folder that is removed after the job", False),
        ("Agent.ToolsDirectory", "folder of tools that are kept between runs", False),
        ("Agent.Version", "version of Lockgate", False),
        ("Agent.WorkFolder", "folder of the run's work folders", False),
        ("Build.ArtifactStagingDirectory", "folder `a` of the work folder", False),
        ("Build.BinariesDirectory", "folder `b` of the work folder", False),
        ("Build.BuildId", "the run's id", False),
        ("Build.BuildNumber", "the run's number, made by `name:`", False),
        ("Build.BuildUri", "the run's address within Azure DevOps", False),
        ("Build.ContainerId", "the run's id", False),
        ("Build.DefinitionName", "the pipeline's name: its file's without the ending", True),
        ("Build.DefinitionVersion", "1", True),
        ("Build.QueuedBy", "who started the run", True),
        ("Build.QueuedById", "nobody's id", True),
        ("Build.Reason", "Manual, or ResourceTrigger after another pipeline's run", True),
        ("Build.Repository.Clean", "False", False),
        ("Build.Repository.Git.SubmoduleCheckout", "False", False),
        ("Build.Repository.ID", "the repository's folder", False),
        ("Build.Repository.LocalPath", "folder that the repository is checked out to", False),
        ("Build.Repository.Name", "the name of the repository's folder", False),
        ("Build.Repository.Provider", "TfsGit", False),
        ("Build.Repository.Uri", "git's address of origin, or the folder", False),
        ("Build.RequestedFor", "the commit's author, or who started the run", True),
        ("Build.RequestedForEmail", "the commit's author's address", True),
        ("Build.RequestedForId", "nobody's id", True),
        ("Build.SourceBranch", "the branch, as refs/heads/main", True),
        ("Build.SourceBranchName", "the last part of the branch", True),
        ("Build.SourcesDirectory", "folder `s` of the work folder", False),
        ("Build.SourceVersion", "the commit", True),
        ("Build.SourceVersionMessage", "the commit's message, its first line", False),
        ("Build.StagingDirectory", "folder `a` of the work folder", False),
        ("Build.TriggeredBy.BuildId", "id of the run that started this one", False),
        ("Build.TriggeredBy.BuildNumber", "number of the run that started this one", False),
        ("Build.TriggeredBy.DefinitionName", "pipeline whose run started this one", False),
        ("Build.TriggeredBy.ProjectID", "the project's id", False),
        ("Common.TestResultsDirectory", "folder `TestResults` of the work folder", False),
        ("Environment.Id", "1; deployment jobs only", False),
        ("Environment.Name", "the environment; deployment jobs only", False),
        ("Environment.ResourceName", "resource of the environment; deployment jobs only", False),
        ("Pipeline.Workspace", "the job's work folder", False),
        ("Strategy.CycleName", "PreIteration, Iteration or PostIteration; deployment jobs only", False),
        ("Strategy.Name", "runOnce; deployment jobs only", False),
        ("System.AccessToken", "a secret without use, since there is no service to use it at", False),
        ("System.CollectionId", "nobody's id", True),
        ("System.CollectionUri", "an address where nothing answers", True),
        ("System.Debug", "true shows ##[debug] lines; set it with -v System.Debug=true", True),
        ("System.DefaultWorkingDirectory", "folder `s` of the work folder", False),
        ("System.DefinitionId", "a number made of the pipeline's name", True),
        ("System.HostType", "build", True),
        ("System.JobAttempt", "1, one more with each --resume", False),
        ("System.JobDisplayName", "the job's name for people", False),
        ("System.JobId", "the job's id within the run", False),
        ("System.JobName", "the job's name, or the leg's", False),
        ("System.JobPositionInPhase", "which of the equal legs it is, from 1; jobs with parallel only", False),
        ("System.PhaseName", "the job's name", False),
        ("System.PhaseDisplayName", "the job's name for people", False),
        ("System.PhaseAttempt", "see System.JobAttempt", False),
        ("System.PlanId", "the run's id", False),
        ("System.StageAttempt", "see System.JobAttempt", False),
        ("System.StageDisplayName", "the stage's name for people", False),
        ("System.StageName", "the stage's name", True),
        ("System.TeamFoundationCollectionUri", "an address where nothing answers", True),
        ("System.TeamProject", "the name of the repository's folder", True),
        ("System.TeamProjectId", "the project's id", True),
        ("System.TotalJobsInPhase", "how many equal legs there are; jobs with parallel only", False),
        ("System.TimelineId", "the run's id", False),
        ("TF_BUILD", "True", False),
        ("resources.triggeringAlias", "alias of the pipeline resource whose run started this one; else empty", False),
        ("resources.triggeringCategory", "pipeline, if a run started this one; else empty", False),
    )
)


def definition_id(name: str) -> str:
    """A number that is the same for the same pipeline."""
    return str(sum((index + 1) * ord(sign) for index, sign in enumerate(name)) % 90_000 + 1)


def of_run(root: Path, pipeline: str, commit: Commit, reason: str) -> dict[str, str]:
    """What is known when a file is read."""
    person = getpass.getuser() if os.environ.get("USER") or os.environ.get("LOGNAME") or hasattr(os, "getuid") else "desk"
    branch = commit.branch or commit.sha
    return {
        "Build.DefinitionName": pipeline,
        "Build.DefinitionVersion": "1",
        "Build.QueuedBy": person,
        "Build.QueuedById": NOBODY_ID,
        "Build.Reason": reason,
        "Build.RequestedFor": commit.author or person,
        "Build.RequestedForEmail": commit.email,
        "Build.RequestedForId": NOBODY_ID,
        "Build.SourceBranch": branch,
        "Build.SourceBranchName": branch.rpartition("/")[2],
        "Build.SourceVersion": commit.sha,
        "System.CollectionId": NOBODY_ID,
        "System.CollectionUri": COLLECTION,
        "System.DefinitionId": definition_id(pipeline),
        "System.HostType": "build",
        "System.TeamFoundationCollectionUri": COLLECTION,
        "System.TeamProject": root.name,
        "System.TeamProjectId": PROJECT_ID,
        "resources.triggeringAlias": "",
        "resources.triggeringCategory": "",
    }


def when_running(root: Path, commit: Commit, run: int, number: str, version: str, attempt: int) -> dict[str, str]:
    """What is known once a run has begun."""
    machine = platform.machine().lower()
    return {
        "Agent.HomeDirectory": str(Path(sys.executable).parent),
        "Agent.Id": "1",
        "Agent.MachineName": platform.node(),
        "Agent.Name": "desk",
        "Agent.OS": platform.system(),
        "Agent.OSArchitecture": "ARM64" if machine in ("arm64", "aarch64") else "X64",
        "Agent.Version": version,
        "Build.BuildId": str(run),
        "Build.BuildNumber": number,
        "Build.BuildUri": f"vstfs:///Build/Build/{run}",
        "Build.ContainerId": str(run),
        "Build.Repository.Clean": "False",
        "Build.Repository.Git.SubmoduleCheckout": "False",
        "Build.Repository.ID": str(root),
        "Build.Repository.Name": root.name,
        "Build.Repository.Provider": "TfsGit",
        "Build.Repository.Uri": commit.remote or str(root),
        "Build.SourceVersionMessage": commit.message,
        "System.JobAttempt": str(attempt),
        "System.PhaseAttempt": str(attempt),
        "System.PlanId": str(run),
        "System.StageAttempt": str(attempt),
        "System.TimelineId": str(run),
        "TF_BUILD": "True",
    }


def build_number(pattern: str, moment: datetime, values: Mapping[str, str], revision: int) -> str:
    """The number that `name:` makes; `$(Rev:r)` is `revision`, with as many digits as there are r.

    Source: "Run (build) number" in Microsoft's pages on pipelines.
    """
    from lockgate.agent.variables import replace_macros
    from lockgate.expressions.dates import format_date
    from lockgate.expressions.values import Names

    known = Names(values)
    parts = {
        "dayofmonth": str(moment.day),
        "dayofyear": str(moment.timetuple().tm_yday),
        "hours": str(moment.hour),
        "minutes": str(moment.minute),
        "month": str(moment.month),
        "seconds": str(moment.second),
        "builddefinitionname": known.get("Build.DefinitionName", ""),
        "buildid": known.get("Build.BuildId", ""),
        "sourcebranchname": known.get("Build.SourceBranchName", ""),
        "teamproject": known.get("System.TeamProject", ""),
        "date": format_date(moment, "yyyyMMdd"),
    }

    def value(name: str) -> str | None:
        kind, _, form = name.partition(":")
        if kind.lower() == "date" and form:
            return format_date(moment, form)
        if kind.lower() == "year":
            return format_date(moment, form or "yyyy")
        if kind.lower() == "rev":
            return form.replace("r", "") + str(revision).zfill(form.count("r"))
        found: str | None = parts.get(name.lower(), known.get(name))
        return found

    return replace_macros(pattern, value)
