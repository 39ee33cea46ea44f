"""The `lockgate` command."""

from __future__ import annotations

import argparse
import io
import json
import os
import sys
from pathlib import Path
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
    run.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", dest="overrides", help="change a value of the file; repeatable"
    )
    run.add_argument(
        "--jobs", type=int, default=os.cpu_count() or 1, metavar="N", help="nodes at once (default: the cores of this machine)"
    )
    run.add_argument("--rerun", action="store_true", help="run every node, also unchanged ones")
    run.add_argument("--plain", action="store_true", help="lines instead of a live tree")
    run.add_argument("--json", action="store_true", help="print the outcome as JSON; progress goes to stderr")
    run.add_argument("--root", type=Path, default=None, help="folder with .lockgate (default: the repository's)")
    up = commands.add_parser("up", help="train with this repository's job, and show verdict, figures and a scored request")
    up.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", dest="overrides", help="change a value of the job; repeatable"
    )
    up.add_argument("--jobs", type=int, default=os.cpu_count() or 1, metavar="N", help="nodes at once (default: the cores of this machine)")
    up.add_argument("--plain", action="store_true", help="lines instead of a live tree")
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

    job = load_job(args.file, [parse_override(text) for text in args.overrides])
    store = Store(args.root or find_root(Path.cwd()))
    watcher = make_watcher(sys.stderr if args.json else sys.stdout, plain=args.plain or args.json)
    runner = Runner(job, store, watcher, parallel=_at_least_one(args.jobs), reuse=not args.rerun, interrupts=args.interrupts)
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


def _up(args: argparse.Namespace) -> int:
    from lockgate.up import TRAINING, up

    root = next((f for f in (Path.cwd(), *Path.cwd().parents) if (f / TRAINING).exists()), None)
    if root is None:
        raise UsageError(f"up: found no {TRAINING} here or above; go into a Lockgate repository")
    return up(root, args.overrides, parallel=_at_least_one(args.jobs), plain=args.plain, interrupts=args.interrupts)


def _at_least_one(jobs: int) -> int:
    if jobs < 1:
        raise UsageError(f"--jobs: found {jobs}; allowed: at least 1")
    return jobs


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


def main() -> NoReturn:
    """Run the command line and exit with its code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that can't show a sign is no reason to stop a run
    args = build_parser().parse_args()
    if args.command in ("run", "up"):
        from lockgate.execution.interrupts import Interrupts

        args.interrupts = Interrupts()
    try:
        code = {"run": _run, "up": _up, "check": _check}[args.command](args)
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
