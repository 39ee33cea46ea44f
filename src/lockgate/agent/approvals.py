"""Questions to a person: who answered what, when, and how."""

from __future__ import annotations

import getpass
import re
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Literal

from lockgate.agent.runs import RunFolder, read_json, write_json
from lockgate.errors import StateError

Answer = Literal["approved", "rejected"]


def now() -> str:
    """The time as it is recorded."""
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def _file(run: RunFolder, what: str) -> Path:
    return run.path / "approvals" / f"{re.sub(r'[^A-Za-z0-9_.-]', '_', what)}.json"


def ask_again(run: RunFolder, attempt: int) -> None:
    """What was rejected is asked again in a further attempt of a run, as in Azure; the answer of the one before is kept beside."""
    for path in (run.path / "approvals").glob("[!.]*.json"):
        if (read_json(path) or {}).get("state") == "rejected":
            beside = run.path / f"approvals-of-attempt-{attempt - 1}"
            beside.mkdir(exist_ok=True)
            path.rename(beside / path.name)


def ask(run: RunFolder, what: str, instructions: str) -> None:
    """Record that an answer is waited for. An answer that is there already stays."""
    if read_json(_file(run, what)) is None:
        write_json(_file(run, what), {"what": what, "instructions": instructions, "state": "waiting", "asked": now()})


def answer_of(run: RunFolder, what: str) -> Answer | None:
    """The answer; None while nobody has answered."""
    found = read_json(_file(run, what)) or {}
    state = found.get("state")
    return state if state in ("approved", "rejected") else None


def waiting(run: RunFolder) -> list[dict[str, Any]]:
    """What a run waits for."""
    found = [read_json(path) for path in sorted((run.path / "approvals").glob("[!.]*.json"))]
    return [one for one in found if one and one["state"] == "waiting"]


def record(run: RunFolder, what: str, answer: Answer, how: str, comment: str = "") -> None:
    """Record an answer.

    Args:
        run: the run.
        what: what was asked about, as in `waiting`.
        answer: the answer.
        how: how it was given, such as `lockgate approve` or `--yes`.
        comment: what the person said.

    Raises:
        StateError: it was answered before.
    """
    found = read_json(_file(run, what)) or {"what": what, "asked": now()}
    if found.get("state") in ("approved", "rejected"):
        raise StateError(f"{what} of run {run.id} was {found['state']} before, by {found['by']} at {found['at']}")
    write_json(_file(run, what), {**found, "state": answer, "by": getpass.getuser(), "at": now(), "how": how, "comment": comment})
