"""`lockgate approve RUN`."""

from __future__ import annotations

import argparse

from lockgate.commands._answer import add_answer_options, give


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_answer_options(parser)


def run(args: argparse.Namespace) -> int:
    """Approve what the run waits for."""
    return give(args, "approved", "lockgate approve")
