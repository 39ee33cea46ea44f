"""The `lockgate` command."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import NoReturn

from lockgate import __version__
from lockgate.errors import EXIT_INTERRUPTED, LockgateError, UsageError


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(prog="lockgate", description="Runs this repository's Azure files on one machine.")
    parser.add_argument("--version", action="version", version=f"lockgate {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    run = commands.add_parser("run", help="run an Azure ML pipeline job")
    run.add_argument("file", type=Path, help="YAML file with type: pipeline")
    run.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", dest="overrides", help="change a value of the file; repeatable")
    run.add_argument("--jobs", type=int, default=os.cpu_count() or 1, metavar="N", help="nodes at once (default: the cores of this machine)")
    run.add_argument("--rerun", action="store_true", help="run every node, also unchanged ones")
    run.add_argument("--plain", action="store_true", help="lines instead of a live tree")
    run.add_argument("--json", action="store_true", help="print the outcome as JSON; progress goes to stderr")
    run.add_argument("--root", type=Path, default=None, help="folder with .lockgate (default: the repository's)")
    check = commands.add_parser("check", help="find every mistake in Azure ML pipeline jobs, and run nothing")
    check.add_argument("files", type=Path, nargs="+")
    return parser


def find_root(start: Path) -> Path:
    """The folder that holds `.lockgate`: the nearest one above with it or with a git repository, else `start` itself."""
    for folder in (start, *start.parents):
        if (folder / ".lockgate").is_dir() or (folder / ".git").exists():
            return folder
    return start


def _run(args: argparse.Namespace) -> int:
    from lockgate.execution.display import make_watcher
    from lockgate.execution.job_file import load_job
    from lockgate.execution.overrides import parse_override
    from lockgate.execution.runner import Runner, failure_report
    from lockgate.workspace.store import Store

    if args.jobs < 1:
        raise UsageError(f"--jobs: found {args.jobs}; allowed: at least 1")
    job = load_job(args.file, [parse_override(text) for text in args.overrides])
    store = Store(args.root or find_root(Path.cwd()))
    watcher = make_watcher(sys.stderr if args.json else sys.stdout, plain=args.plain or args.json)
    runner = Runner(job, store, watcher, parallel=args.jobs, reuse=not args.rerun)
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


def _check(args: argparse.Namespace) -> int:
    from lockgate.execution.job_file import load_job

    code = 0
    for file in args.files:
        try:
            load_job(file)
            print(f"{file}: no mistakes")
        except LockgateError as error:
            print(error, file=sys.stderr)
            code = max(code, error.exit_code)
    return code


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:  # noqa: ARG001 - a signal handler's signature
    raise KeyboardInterrupt


def main() -> NoReturn:
    """Run the command line and exit with its code."""
    signal.signal(signal.SIGTERM, _interrupt)
    args = build_parser().parse_args()
    try:
        code = {"run": _run, "check": _check}[args.command](args)
    except LockgateError as error:
        print(error, file=sys.stderr)
        code = error.exit_code
    except KeyboardInterrupt:
        print("interrupted; everything that was running has been stopped", file=sys.stderr)
        code = EXIT_INTERRUPTED
    except BrokenPipeError:
        # The reader of our output has gone; there is nobody left to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    sys.exit(code)
