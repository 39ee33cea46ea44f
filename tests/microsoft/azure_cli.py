"""Azure's own command line, as a reader: does it take these words? Nothing is run, asked or sent.

As a program, run by a Python that has azure-cli, it reads one line at a time: a JSON list of words, without `az`, is answered by the mistake that
azure-cli finds, or null; a JSON string, a command, by its options as the desk's `commands.txt` writes them, or null if there is no such command.
As a module, for the tests, it makes that Python in `.tools/azure-cli`, once, from `requirements/azure-cli.txt`.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from typing import Any

PATIENCE = 600.0
"""Seconds after which a check that should end never will."""


def mistakes(commands: Iterable[tuple[str, ...]]) -> list[str | None]:
    """What azure-cli says against each command, given as its words without `az`; skips the test where azure-cli is not to be had."""
    return _asked([list(words) for words in commands])


def options(commands: Iterable[str]) -> list[str | None]:
    """The options of each command, as a line of `commands.txt`; skips as `mistakes` does."""
    return _asked(list(commands))


def _asked(questions: Sequence[list[str] | str]) -> list[str | None]:
    from own_environment import binaries

    python = binaries("azure-cli") / "python"
    lines = "\n".join(map(json.dumps, questions))
    with tempfile.TemporaryDirectory() as configuration:
        environment = {**os.environ, "AZURE_CONFIG_DIR": configuration, "AZURE_CORE_COLLECT_TELEMETRY": "no"}
        done = subprocess.run(
            [str(python), "-W", "ignore", __file__],
            input=lines,
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
            env=environment,
        )
    assert done.returncode == 0, done.stderr[-3000:]
    return [json.loads(line) for line in done.stdout.splitlines()]


GLOBAL = {
    "--debug",
    "--help",
    "--only-show-errors",
    "--output",
    "--query",
    "--subscription",
    "--verbose",
    "--acquire-policy-token",
    "--change-reference",
}


def _line(command: str, parser_class: Any, default_cli: Any) -> str | None:
    """The options of a command: the parser that azure-cli has built is looked at when it is about to read the words."""
    found: list[str] = []

    def look(parser: Any, words: list[str] | None = None, namespace: Any = None) -> None:
        for word in words or ():
            inner = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
            if not inner:
                break
            parser = inner[0].choices[word]
        found.append(" ".join(text for _, text in sorted(_option(action) for action in parser._actions if _counts(action))))
        raise SystemExit(0)

    kept = parser_class.parse_args
    parser_class.parse_args = look
    try:
        default_cli().invoke(command.split())
    except (SystemExit, KeyError):
        pass
    finally:
        parser_class.parse_args = kept
    return f"{command}: {found[0]}".rstrip() if found else None


def _counts(action: argparse.Action) -> bool:
    names = {str(name) for name in action.option_strings if str(name).startswith("--")}
    return bool(names) and not names <= GLOBAL and action.help != argparse.SUPPRESS


def _option(action: argparse.Action) -> tuple[bool, str]:
    """An option as `commands.txt` writes it; required ones come first."""
    names = sorted({str(name) for name in action.option_strings}, key=lambda name: (not name.startswith("--"), name != "--name", name))
    marks = ("!" if action.required else "") + ("*" if action.nargs in ("+", "*") else "") + ("?" if action.nargs == 0 else "")
    values = "=" + "|".join(sorted(map(str, action.choices))) if action.choices and action.nargs is None else ""
    return not action.required, ",".join(names) + marks + values


def _read() -> None:
    from azure.cli.core import get_default_cli
    from azure.cli.core.commands import AzCliCommandInvoker
    from azure.cli.core.parser import AzCliCommandParser

    heard: list[str] = []

    def refuse(self: object, message: object) -> None:
        heard.append(str(message))
        raise SystemExit(2)

    # The parser reads the words; what comes after it would log in.
    AzCliCommandInvoker._validation = lambda self, namespace: None
    AzCliCommandInvoker._run_jobs_serially = lambda self, jobs, ids: ([], [])
    AzCliCommandInvoker._run_jobs_concurrently = lambda self, jobs, ids: ([], [])
    AzCliCommandParser.error = refuse
    # It prints to the standard output that was there at its import; the answers have one of their own.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    for line in sys.stdin:
        question = json.loads(line)
        heard.clear()
        if isinstance(question, str):
            print(json.dumps(_line(question, AzCliCommandParser, get_default_cli)), file=answers, flush=True)
            continue
        with contextlib.redirect_stderr(io.StringIO()) as said:
            try:
                code = get_default_cli().invoke(question)
            except SystemExit as end:
                code = end.code
        found = " ".join([*heard, said.getvalue().strip()]).strip() or "refused" if code else None
        print(json.dumps(found), file=answers, flush=True)


if __name__ == "__main__":
    _read()
