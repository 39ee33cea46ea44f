"""What several commands share: where the project is, what a file is, and the options of pipelines."""

from __future__ import annotations

import argparse
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from lockgate.errors import UsageError

if TYPE_CHECKING:
    from lockgate.agent.git import Commit
    from lockgate.pipelines.model import Pipeline
    from lockgate.pipelines.pipeline_file import Request

_TOP_KEY: Final = re.compile(r"^(['\"]?)([$\w{][^:\n]*?)\1\s*:(.*)$", re.MULTILINE)
_BODY_OF_JOBS: Final = re.compile(r"^jobs\s*:\s*(?:#.*)?\n(?:\s*(?:#.*)?\n)*(\s*)([^\s#])", re.MULTILINE)
_AZURE_ML_TYPES: Final = ("pipeline", "command", "automl", "parallel", "sweep", "spark")


def find_root(start: Path) -> Path:
    """The folder that holds `.lockgate`: the nearest one above with it or with a git repository, else `start` itself."""
    for folder in (start, *start.parents):
        if (folder / ".lockgate").is_dir() or (folder / ".git").exists():
            return folder
    return start


def kind_of_file(path: Path) -> Literal["pipelines", "azureml", ""]:
    """Whether a file is one of Azure Pipelines or of Azure ML, judged by its outermost keys, so that files with mistakes are judged too."""
    if not path.is_file():
        return ""
    try:
        text = path.read_bytes()[:200_000].decode("utf-8", errors="replace").lstrip("\ufeff")
    except OSError:
        return ""
    keys = {match[2]: match[3].strip() for match in _TOP_KEY.finditer(text)}
    kind = keys.get("type", "").split("#")[0].strip().strip("'\"")
    if "azureml" in keys.get("$schema", "") or kind in _AZURE_ML_TYPES:
        return "azureml"
    body = _BODY_OF_JOBS.search(text)
    if body and "stages" not in keys and "steps" not in keys and body[2] != "-" and body[1]:
        return "azureml"
    if keys.get("jobs", "").startswith("{"):
        return "azureml"
    if {"stages", "jobs", "steps", "extends", "trigger", "phases"} & keys.keys() or (
        "variables" in keys and keys.keys() <= {"variables", "parameters"}
    ):
        return "pipelines"
    return ""


Options = argparse._ActionsContainer  # noqa: SLF001 - a parser or a group of one; argparse has no public name for both


def add_request_options(parser: Options) -> None:
    """The options that a pipeline's start has."""
    parser.add_argument(
        "-p", "--parameter", action="append", default=[], metavar="NAME=VALUE", dest="parameters", help="value of a parameter; repeatable"
    )
    parser.add_argument(
        "-v",
        "--variable",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        dest="variables",
        help="a variable given at the start; repeatable",
    )
    parser.add_argument(
        "--repo",
        action="append",
        default=[],
        metavar="NAME=FOLDER",
        dest="repositories",
        help="where a repository of resources is; repeatable",
    )
    parser.add_argument("--variable-groups", type=Path, metavar="FILE", help="YAML with variable groups: group → name → value")
    parser.add_argument("--branch", metavar="REF", help="the branch to run as, such as refs/heads/main (default: git's)")
    parser.add_argument("--root", type=Path, default=None, help="folder with .lockgate (default: the repository's)")


def add_stage_option(parser: Options) -> None:
    """The option that chooses stages."""
    parser.add_argument("--stage", action="append", default=[], dest="stages", metavar="NAME", help="run only this stage; repeatable")


def pairs(option: str, given: list[str]) -> dict[str, str]:
    """`NAME=VALUE` options.

    Raises:
        UsageError: one has no name or no =.
    """
    found: dict[str, str] = {}
    for text in given:
        name, sign, value = text.partition("=")
        if not sign or not name.strip():
            raise UsageError(f"{option} {text!r}: allowed: NAME=VALUE, such as environment=dev")
        found[name.strip()] = value
    return found


def root_of(args: argparse.Namespace, file: Path) -> Path:
    """The folder of the project that a file belongs to."""
    if args.root is not None:
        root: Path = args.root.resolve()
        return root
    return find_root(Path(os.path.abspath(file)).parent)  # noqa: PTH100 - links stay as they are named


def pipeline_name(file: Path) -> str:
    """A pipeline's name: that of its file, without the ending."""
    return file.name.removesuffix(file.suffix)


def make_request(args: argparse.Namespace, root: Path, file: Path, *, reason: str = "Manual") -> tuple[Request, Commit]:
    """What the options ask for, and where git stands.

    Raises:
        UsageError: an option is wrong.
        FileError: the file of variable groups is.
    """
    from dataclasses import replace

    from lockgate.agent.git import commit_of
    from lockgate.agent.predefined import VARIABLES, of_run
    from lockgate.pipelines.groups import load_groups
    from lockgate.pipelines.pipeline_file import Request

    commit = commit_of(root)
    if args.branch:
        commit = replace(commit, branch=full_branch(args.branch))
    repositories = {name: Path(folder) for name, folder in pairs("--repo", args.repositories).items()}
    for name, folder in repositories.items():
        if not folder.is_dir():
            raise UsageError(f"--repo {name}={folder}: there is no folder {folder}")
    predefined = of_run(root, pipeline_name(file), commit, reason)
    variables = pairs("-v", args.variables)
    fixed = {variable.name.lower(): variable.name for variable in VARIABLES} | {name.lower(): name for name in predefined}
    for name in variables:
        if name.lower() in fixed and name.lower() != "system.debug":
            raise UsageError(f"-v {name}: {fixed[name.lower()]} is set by the system; allowed: names of your own, and System.Debug")
    if debug := next((text for name, text in variables.items() if name.lower() == "system.debug"), None):
        predefined["System.Debug"] = debug
    request = Request(
        parameters=pairs("-p", args.parameters),
        variables=variables,
        predefined=predefined,
        groups=load_groups(args.variable_groups) if args.variable_groups else None,
        repositories=repositories,
    )
    return request, commit


def check_repositories(request: Request, pipeline: Pipeline) -> None:
    """Raise a UsageError for a --repo that the pipeline does not declare."""
    from lockgate.pipelines.mistakes import suggestion

    known = [*pipeline.repositories]
    for name, folder in request.repositories.items():
        if name.lower() not in {alias.lower() for alias in known}:
            raise UsageError(f"--repo {name}={folder}: the pipeline declares no such repository; {suggestion(name, known, 'declared')}")


def full_branch(text: str) -> str:
    """A branch with refs/heads/ in front."""
    return text if text.startswith("refs/") else f"refs/heads/{text}"


def plan_names(predefined: dict[str, str]) -> dict[str, Any]:
    """Predefined variables for a plan: Unknown where only a run knows them."""
    from lockgate.agent.predefined import VARIABLES
    from lockgate.expressions.values import Unknown

    found: dict[str, Any] = {variable.name: Unknown() for variable in VARIABLES}
    return found | predefined


def at_least_one(jobs: int) -> int:
    """The number of --jobs.

    Raises:
        UsageError: it is less than 1.
    """
    if jobs < 1:
        raise UsageError(f"--jobs: found {jobs}; allowed: at least 1")
    return jobs
