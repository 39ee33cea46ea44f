"""The `lockgate` command."""

from __future__ import annotations

import argparse
import importlib
import io
import os
import sys
from typing import Final, NoReturn

from lockgate import __version__
from lockgate.errors import EXIT_INTERRUPTED, EXIT_STATE, LockgateError

_COMMANDS: Final = {
    "up": "take the data through the whole delivery: train, test, release, and a production endpoint that answers",
    "run": "run an Azure Pipelines file, or an Azure ML pipeline job",
    "plan": "show what a run of an Azure Pipelines file would do, and why or why not",
    "expand": "print an Azure Pipelines file without templates and template expressions",
    "check": "find every mistake in Azure Pipelines and Azure ML files, and run nothing",
    "approve": "let a run go on that waits for an approval",
    "reject": "end a run that waits for an approval",
    "status": "show how the delivery stands: models, deployments, traffic, last runs, waiting approvals",
    "doctor": "say what is right and what is missing before a first run in Azure, each with what mends it",
    "down": "end all that goes on after a command: runs, jobs, endpoints",
    "ui": "open MLflow's pages on the store that jobs write to",
    "az": "the desk's Azure CLI: `lockgate az ml model list -g GROUP -w WORKSPACE`",
}


def build_parser(wanted: str | None = None) -> argparse.ArgumentParser:
    """The command line.

    Args:
        wanted: the command whose options are needed; all of them if None. Each command's options stand in its own module, which takes a while to import.
    """
    parser = argparse.ArgumentParser(prog="lockgate", description="Runs this repository's Azure files on one machine.")
    parser.add_argument("--version", action="version", version=f"lockgate {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, text in _COMMANDS.items():
        command = commands.add_parser(name, help=text, description=text)
        if wanted in (None, name):
            importlib.import_module(f"lockgate.commands.{name}").add(command)
    return parser


def main() -> NoReturn:
    """Run the command line and exit with its code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that can't show a sign is no reason to stop a run
    # The first word is the command, unless it is an option of lockgate's own, which has no value.
    args = build_parser(next((word for word in sys.argv[1:] if not word.startswith("-")), None)).parse_args()
    try:
        code = importlib.import_module(f"lockgate.commands.{args.command}").run(args)
    except LockgateError as error:
        print(error, file=sys.stderr)
        code = error.exit_code
    except OSError as error:
        if isinstance(error, BrokenPipeError):
            # The reader of our output has gone; there is nobody left to tell.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(1)
        print(f"{error.filename or 'the system'}: {error.strerror or error}; mend that, and do it again", file=sys.stderr)
        code = EXIT_STATE
    except KeyboardInterrupt:
        print("interrupted; everything that was running has been stopped", file=sys.stderr)
        code = EXIT_INTERRUPTED
    sys.exit(code)
