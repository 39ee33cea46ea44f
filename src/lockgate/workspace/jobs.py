"""Jobs of a workspace and their nodes: what ran, how it ended, what it left; and which results may be used again."""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Literal

from lockgate.processes import end_marked
from lockgate.workspace.store import Store, dumps

Status = Literal["NotStarted", "Running", "Completed", "Failed", "Canceled"]
OWN: Final = ""
"""Stands for the pipeline itself among the nodes that have outputs."""
ENDED: Final = ("Completed", "Failed", "Canceled")

_POLL: Final = 0.05
_ADJECTIVES: Final = ("amber", "brisk", "calm", "clever", "coral", "dapper", "eager", "frank", "gentle", "green", "happy",
                      "icy", "jolly", "keen", "lively", "mellow", "neat", "olive", "patient", "quiet")  # fmt: skip
_NOUNS: Final = ("anchor", "arch", "basin", "beam", "bridge", "canal", "dock", "ferry", "gate", "harbor", "jetty", "lock",
                 "mill", "pier", "quay", "river", "sluice", "tower", "weir", "wharf")  # fmt: skip


@dataclass(frozen=True)
class Reusable:
    """Results of an earlier node that had the same code and inputs. `contents` are hashes of its outputs."""

    job: str
    node: str
    outputs: dict[str, str]
    contents: dict[str, str]
    models: list[list[str]]


def _now() -> str:
    return datetime.now(UTC).isoformat()


def new_job_name() -> str:
    """A name like Azure's: two words and ten letters."""
    tail = "".join(secrets.choice("bcdfghjkmnpqrstvwxyz0123456789") for _ in range(10))
    return f"{secrets.choice(_ADJECTIVES)}_{secrets.choice(_NOUNS)}_{tail}"


@contextmanager
def held(store: Store, name: str) -> Iterator[None]:
    """While this process works on a job. The lock goes with the process, however it ends; a process id may be given to another one."""
    path = _lock(store, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def _lock(store: Store, name: str) -> Path:
    return store.job_folder(name) / ".running"


def create_job(
    store: Store, name: str, display_name: str, experiment: str, file: str, *, kind: str = "pipeline", tags: Mapping[str, str] | None = None,
    properties: Mapping[str, str] | None = None, description: str = "",
) -> None:  # fmt: skip
    """Record a job that begins now, in this process, which holds it."""
    with store.connect() as connection:
        connection.execute(
            "INSERT INTO jobs (name, display_name, experiment, file, status, created, process, kind, tags, properties, description)"
            " VALUES (?, ?, ?, ?, 'Running', ?, ?, ?, ?, ?, ?)",
            (name, display_name, experiment, file, _now(), os.getpid(), kind, dumps(tags or {}), dumps(properties or {}), description),
        )


def set_job_run(store: Store, name: str, run_id: str) -> None:
    """Record a job's MLflow run."""
    with store.connect() as connection:
        connection.execute("UPDATE jobs SET run_id = ? WHERE name = ?", (run_id, name))


def end_job(store: Store, name: str, status: Status, reason: str | None) -> None:
    """Record a job's end."""
    with store.connect() as connection:
        connection.execute(
            "UPDATE jobs SET status = ?, ended = ?, reason = ?, process = NULL WHERE name = ?", (status, _now(), reason, name)
        )


def record_node(
    store: Store, job: str, name: str, status: Status, *, seconds: float, reused_from: str | None, outputs: dict[str, str],
    run_id: str | None,
) -> None:  # fmt: skip
    """Record a node's end."""
    with store.connect() as connection:
        connection.execute(
            "INSERT OR REPLACE INTO nodes VALUES (?, ?, ?, ?, ?, ?, ?)",
            (job, name, status, seconds, reused_from, dumps(outputs), run_id),
        )


def find_reusable(store: Store, key: str) -> Reusable | None:
    """Results with this key; None if there are none."""
    with store.connect() as connection:
        row = connection.execute("SELECT * FROM reuse WHERE key = ?", (key,)).fetchone()
    return (
        None
        if row is None
        else Reusable(row["job"], row["node"], json.loads(row["outputs"]), json.loads(row["contents"]), json.loads(row["models"]))
    )


def keep_reusable(store: Store, key: str, found: Reusable) -> None:
    """Remember results for later jobs."""
    with store.connect() as connection:
        connection.execute(
            "INSERT OR REPLACE INTO reuse VALUES (?, ?, ?, ?, ?, ?, ?)",
            (key, found.job, found.node, dumps(found.outputs), dumps(found.contents), dumps(found.models), _now()),
        )


def mark_dead_jobs(store: Store) -> list[str]:
    """Jobs whose process is gone are Failed, never Running for ever; what is left of their commands is ended.

    Returns:
        Their names.
    """
    with store.connect() as connection:
        rows = connection.execute("SELECT name FROM jobs WHERE status = 'Running'").fetchall()
        dead = [row["name"] for row in rows if not _alive(store, row["name"])]
        reason = "the process that ran it ended without a word (killed, or the machine went down)"
        connection.executemany(
            # It may have ended in order since it was looked at.
            "UPDATE jobs SET status = 'Failed', ended = ?, reason = ?, process = NULL WHERE name = ? AND status = 'Running'",
            [(_now(), reason, name) for name in dead],
        )
    for name in dead:
        end_marked(mark(store, name))
    return dead


def mark(store: Store, name: str) -> str:
    """NAME=value of the environment of all processes of a job, and of no other one's."""
    return f"LOCKGATE_AZUREML_JOB={store.job_folder(name)}"


def _alive(store: Store, name: str) -> bool:
    try:
        with _lock(store, name).open() as stream:
            fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


@dataclass(frozen=True)
class Job:
    """A job as the workspace knows it. Times are ISO 8601, UTC; `kind` is pipeline, or what it is alone: command, automl, batch."""

    name: str
    display_name: str
    experiment: str
    file: str
    status: str
    created: str
    ended: str | None
    process: int | None
    reason: str | None
    kind: str
    description: str
    archived: bool
    tags: dict[str, str]
    properties: dict[str, str]


def find_job(store: Store, name: str) -> Job | None:
    """A job; None if there is none."""
    mark_dead_jobs(store)
    with store.connect() as connection:
        row = connection.execute("SELECT * FROM jobs WHERE name = ?", (name,)).fetchone()
    return _job(row) if row else None


def find_jobs(store: Store, limit: int = 0, archived: Literal["no", "also", "only"] = "no") -> list[Job]:
    """All jobs, the newest first. One whose process is gone is Failed by then."""
    mark_dead_jobs(store)
    wanted = {"no": (0, 0), "also": (0, 1), "only": (1, 1)}[archived]
    with store.connect() as connection:
        # SQLite reads a negative limit as none.
        rows = connection.execute(
            "SELECT * FROM jobs WHERE archived IN (?, ?) ORDER BY created DESC LIMIT ?", (*wanted, limit or -1)
        ).fetchall()
    return [_job(row) for row in rows]


def _job(row: sqlite3.Row) -> Job:
    texts = {field: row[field] for field in ("name", "display_name", "experiment", "file", "status", "created", "kind", "description")}
    maps = {field: json.loads(row[field]) for field in ("tags", "properties")}
    return Job(**texts, **maps, ended=row["ended"], process=row["process"], reason=row["reason"], archived=bool(row["archived"]))


def update_job(store: Store, name: str, change: Callable[[Job], Job]) -> None:
    """Change a job's display name, description, tags or properties, or whether it is archived; nobody else changes it meanwhile.

    Args:
        store: the workspace.
        name: of a job that is there.
        change: gets it as it is now.
    """
    with store.connect() as connection:
        connection.execute("BEGIN IMMEDIATE")
        job = change(_job(connection.execute("SELECT * FROM jobs WHERE name = ?", (name,)).fetchone()))
        connection.execute(
            "UPDATE jobs SET display_name = ?, description = ?, tags = ?, properties = ?, archived = ? WHERE name = ?",
            (job.display_name, job.description, dumps(job.tags), dumps(job.properties), job.archived, job.name),
        )


def cancel(store: Store, job: Job) -> None:
    """Ask a job's process to end, and wait until it has."""
    if job.process is not None:
        try:
            os.kill(job.process, signal.SIGTERM)
        except ProcessLookupError:
            pass  # It has just ended.
    while (now := find_job(store, job.name)) and now.status not in ENDED:
        time.sleep(_POLL)


def cancel_all(store: Store) -> list[str]:
    """Cancel every job that runs.

    Returns:
        Their names.
    """
    running = [job for job in find_jobs(store, archived="also") if job.status not in ENDED]
    for job in running:
        cancel(store, job)
    return [job.name for job in running]


def outputs_of(store: Store, job: str = "") -> dict[str, dict[str, dict[str, str]]]:
    """Job → node → output → path, of the nodes that have ended, of one job or of all."""
    found: dict[str, dict[str, dict[str, str]]] = {}
    with store.connect() as connection:
        for row in connection.execute("SELECT job, name, outputs FROM nodes WHERE ? IN ('', job)", (job,)):
            found.setdefault(row["job"], {})[row["name"]] = json.loads(row["outputs"])
    return found
