"""What `approve` and `reject` share."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Literal

from lockgate.commands._shared import find_root
from lockgate.errors import StateError, UsageError


def add_answer_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("run", type=int, metavar="RUN", help="id of the run")
    parser.add_argument("--stage", metavar="NAME", help="only what this stage waits for")
    parser.add_argument("--all", action="store_true", help="everything that the run waits for")
    parser.add_argument("--comment", default="", help="a sentence that is recorded")
    parser.add_argument("--root", type=Path, default=None, help="folder with .lockgate (default: the repository's)")


def give(args: argparse.Namespace, answer: Literal["approved", "rejected"], how: str) -> int:
    """Record an answer to what a run waits for."""
    from lockgate.agent import approvals
    from lockgate.agent.runs import Runs

    root = args.root.resolve() if args.root else find_root(Path.cwd())
    run = Runs(root).find(args.run)
    open_ = approvals.waiting(run)
    if args.stage:
        wanted = args.stage.lower()
        open_ = [one for one in open_ if one["what"].lower().startswith((f"stage {wanted}:", f"{wanted}."))]
    if not open_:
        where = f"stage {args.stage} of " if args.stage else ""
        raise StateError(f"{where}run {args.run} waits for nothing")
    if len(open_) > 1 and not args.all and not args.stage:
        names = "; ".join(one["what"] for one in open_)
        raise UsageError(f"run {args.run} waits for several answers: {names}; choose with --stage, or say --all")
    if not run.is_held():
        print(f"note: no process works on run {args.run} now; it goes on with: lockgate run {run.record.get('file', 'FILE')} --resume")
    for one in open_:
        approvals.record(run, one["what"], answer, how, args.comment)
        print(f"{answer}: {one['what']} of run {args.run}")
    return 0
