"""Azure's own command line, as a reader: does it take these words? Nothing is run, asked or sent.

As a program, run by a Python that has azure-cli, it reads one JSON list of words a line, without `az`, and writes for each the mistake that
azure-cli finds, or null. As a module, for the tests, it makes that Python in `.tools/azure-cli`, once, from `requirements/azure-cli.txt`.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).parents[2]
LOCK = ROOT / "requirements" / "azure-cli.txt"
FOLDER = ROOT / ".tools" / "azure-cli"
PATIENCE = 600.0
"""Seconds after which an install or a check that should end never will."""


def mistakes(commands: Iterable[tuple[str, ...]]) -> list[str | None]:
    """What azure-cli says against each command, given as its words without `az`; skips the test where azure-cli is not to be had."""
    import pytest

    try:
        python = _made()
    except subprocess.CalledProcessError as error:
        pytest.skip(f"azure-cli can't be installed here: {error.stderr.strip().splitlines()[-1:]}")
    lines = "\n".join(json.dumps(list(words)) for words in commands)
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


def _made() -> Path:
    """The Python that has azure-cli."""
    python, stamp = FOLDER / "bin" / "python", FOLDER / ".lock"
    if not (stamp.exists() and stamp.read_text(encoding="utf-8") == LOCK.read_text(encoding="utf-8")):
        script = """
            set -euo pipefail
            . tools/setup.sh
            uv=$(find_uv "$1")
            "$uv" venv --quiet --clear --python "$1" "$2"
            "$uv" pip install --quiet --python "$2/bin/python" --require-hashes --requirement "$3"
        """
        words = ["bash", "-c", script, "bash", sys.executable, str(FOLDER), str(LOCK)]
        subprocess.run(words, cwd=ROOT, check=True, capture_output=True, text=True, timeout=PATIENCE)
        stamp.write_text(LOCK.read_text(encoding="utf-8"), encoding="utf-8")
    return python


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
        heard.clear()
        with contextlib.redirect_stderr(io.StringIO()) as said:
            try:
                code = get_default_cli().invoke(json.loads(line))
            except SystemExit as end:
                code = end.code
        found = " ".join([*heard, said.getvalue().strip()]).strip() or "refused" if code else None
        print(json.dumps(found), file=answers, flush=True)


if __name__ == "__main__":
    _read()
