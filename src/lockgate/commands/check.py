"""`lockgate check [FILES]`: every mistake, nothing run."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from lockgate.commands._shared import add_request_options, kind_of_file, make_request, root_of
from lockgate.errors import EXIT_MISTAKES, FileError, LockgateError, UnsupportedError

IGNORE = ".lockgateignore"


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("files", type=Path, nargs="*", help="Azure Pipelines or Azure ML files (default: all of the repository)")
    add_request_options(parser)
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    """Look at each file; 0 if nothing is wrong, 1 if something is, 3 if all is right for Azure and something is not run here."""
    files = args.files or _all_files(args)
    if not files:
        print("found no Azure Pipelines or Azure ML file here; name one", file=sys.stderr)
        return 0
    code, records = 0, []
    for file in files:
        error = _check(file, args)
        records.append(_record(file, error))
        if error is None:
            if not args.json:
                print(f"{file}: no mistakes")
            continue
        if not args.json:
            print(error, file=sys.stderr)
        code = EXIT_MISTAKES if not isinstance(error, UnsupportedError) or code == EXIT_MISTAKES else error.exit_code
    if args.json:
        import json

        print(json.dumps(records, indent=1, ensure_ascii=False))
    return code


def _check(file: Path, args: argparse.Namespace) -> LockgateError | None:
    try:
        if kind_of_file(file) == "azureml":
            from lockgate.execution.job_file import load_job

            load_job(file)
        else:
            _check_pipeline(file, args)
    except LockgateError as error:
        return error
    return None


def _check_pipeline(file: Path, args: argparse.Namespace) -> None:
    from dataclasses import replace

    from lockgate.agent.tasks import catalog
    from lockgate.pipelines.pipeline_file import load_pipeline

    root = root_of(args, file)
    request, _ = make_request(args, root, file)
    _, mistakes = load_pipeline(file, root, catalog(root), replace(request, checking=True))
    mistakes.stop()


def _record(file: Path, error: LockgateError | None) -> dict[str, object]:
    found = error.mistakes if isinstance(error, FileError) else ()
    mistakes = [
        {"file": m.place.file, "line": m.place.line, "column": m.place.column, "message": m.message, "unsupported": m.unsupported,
         "includedFrom": [str(place) for place in m.included]}
        for m in found
    ]  # fmt: skip
    return {"file": str(file), "mistakes": mistakes or ([{"message": str(error)}] if error else [])}


def _all_files(args: argparse.Namespace) -> list[Path]:
    root = root_of(args, Path.cwd() / "x")
    found = [
        path
        for path in _yaml_files(root)
        if kind_of_file(path) == "pipelines" or (kind_of_file(path) == "azureml" and _is_pipeline_job(path))
    ]
    return [path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path for path in found]


def pipeline_files(root: Path) -> list[Path]:
    """The Azure Pipelines files of a project, but for those that `.lockgateignore` names."""
    return [path for path in _yaml_files(root) if kind_of_file(path) == "pipelines"]


def _yaml_files(root: Path) -> list[Path]:
    from lockgate.agent.git import tracked_files

    names = tracked_files(root)
    if names is None:
        names = [str(path.relative_to(root)) for path in root.rglob("*.y*ml")]
    wanted = sorted(name for name in names if name.endswith((".yml", ".yaml")) and not name.startswith(".lockgate/"))
    ignore = root / IGNORE
    if ignore.exists():
        import pathspec

        spec = pathspec.GitIgnoreSpec.from_lines(ignore.read_text(encoding="utf-8").splitlines())
        wanted = [name for name in wanted if not spec.match_file(name)]
    return [root / name for name in wanted if (root / name).is_file()]


def _is_pipeline_job(path: Path) -> bool:
    """Whether it is a job of Azure ML; a component or asset is looked at with the job that uses it."""
    text = path.read_text(encoding="utf-8", errors="replace")
    return any(line.startswith("jobs:") for line in text.splitlines())
