"""`lockgate az …`: the desk's Azure CLI by hand."""

from __future__ import annotations

import argparse


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the options: all are those of az."""
    parser.add_argument("words", nargs=argparse.REMAINDER, help="a command of az")
    parser.prefix_chars = "\0"  # What begins with - is az's too.


def run(args: argparse.Namespace) -> int:
    """Do the command."""
    from lockgate.az.main import main

    return main(args.words)
