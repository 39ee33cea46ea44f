"""Where a workspace lives on disk, and its database.

.lockgate/
  mlflow/mlflow.db  mlflow/artifacts/        MLflow's store, shared by all workspaces; lockgate.tracking serves it
  azure.db                                   resource groups, workspaces, registries
  content/<sha256>/                          the bytes of all assets, each once
  registries/<name>/                         as a workspace
  workspaces/<name>/
    workspace.db                             what exists (SQLite, WAL)
    model/ data/ … <name>/<version>/         the content of registered assets, read-only
    jobs/<job>/<node>/log.txt  outputs/      a folder per job
    endpoints/<name>/<deployment>/           logs, code and collected data of online endpoints
    code/<hash>/                             snapshots of `code:` folders
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from lockgate.state import STATE_FOLDER, state_folder

DEFAULT_WORKSPACE: Final = "dev"

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS assets (
  kind TEXT NOT NULL, name TEXT NOT NULL, version TEXT NOT NULL, type TEXT NOT NULL, path TEXT NOT NULL, sha256 TEXT NOT NULL,
  spec TEXT NOT NULL, tags TEXT NOT NULL, properties TEXT NOT NULL, description TEXT NOT NULL, stage TEXT NOT NULL, job TEXT,
  archived INTEGER NOT NULL DEFAULT 0, created TEXT NOT NULL, modified TEXT NOT NULL,
  PRIMARY KEY (kind, name, version));
CREATE INDEX IF NOT EXISTS assets_by_age ON assets (kind, created);
CREATE TABLE IF NOT EXISTS containers (
  kind TEXT NOT NULL, name TEXT NOT NULL, archived INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (kind, name));
CREATE TABLE IF NOT EXISTS resources (
  kind TEXT NOT NULL, name TEXT NOT NULL, spec TEXT NOT NULL, created TEXT NOT NULL, modified TEXT NOT NULL,
  PRIMARY KEY (kind, name));
CREATE TABLE IF NOT EXISTS endpoints (
  kind TEXT NOT NULL, name TEXT NOT NULL, spec TEXT NOT NULL, port INTEGER NOT NULL, revision INTEGER NOT NULL, applied INTEGER NOT NULL,
  created TEXT NOT NULL, modified TEXT NOT NULL, PRIMARY KEY (kind, name));
CREATE TABLE IF NOT EXISTS deployments (
  kind TEXT NOT NULL, endpoint TEXT NOT NULL, name TEXT NOT NULL, spec TEXT NOT NULL, launch TEXT NOT NULL, revision INTEGER NOT NULL,
  good INTEGER NOT NULL, state TEXT NOT NULL, reason TEXT NOT NULL, created TEXT NOT NULL, modified TEXT NOT NULL,
  PRIMARY KEY (kind, endpoint, name));
CREATE TABLE IF NOT EXISTS jobs (
  name TEXT PRIMARY KEY, display_name TEXT NOT NULL, experiment TEXT NOT NULL, file TEXT NOT NULL,
  status TEXT NOT NULL, created TEXT NOT NULL, ended TEXT, run_id TEXT, process INTEGER, reason TEXT,
  kind TEXT NOT NULL DEFAULT 'pipeline', tags TEXT NOT NULL DEFAULT '{}', properties TEXT NOT NULL DEFAULT '{}',
  description TEXT NOT NULL DEFAULT '', archived INTEGER NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS nodes (
  job TEXT NOT NULL, name TEXT NOT NULL, status TEXT NOT NULL, seconds REAL, reused_from TEXT, outputs TEXT NOT NULL,
  run_id TEXT, PRIMARY KEY (job, name));
CREATE TABLE IF NOT EXISTS reuse (
  key TEXT PRIMARY KEY, job TEXT NOT NULL, node TEXT NOT NULL, outputs TEXT NOT NULL, contents TEXT NOT NULL,
  models TEXT NOT NULL,
  created TEXT NOT NULL);
"""

_MORE_OF_JOBS: Final = ("kind TEXT NOT NULL DEFAULT 'pipeline'", "tags TEXT NOT NULL DEFAULT '{}'", "properties TEXT NOT NULL DEFAULT '{}'",
                        "description TEXT NOT NULL DEFAULT ''", "archived INTEGER NOT NULL DEFAULT 0")  # fmt: skip
"""Columns that an earlier version of the desk did not have."""
_FROM_MODELS: Final = """
INSERT OR IGNORE INTO assets
  SELECT 'model', name, version, type, path, sha256, '{}', tags, '{}', description, '', job, 0, created, created FROM models;
DROP TABLE models;
"""
"""An earlier version of the desk kept models alone."""


class Store:
    """A workspace on disk.

    Args:
        root: the folder that holds `.lockgate`.
        workspace: its name.
        registry: whether it is a registry.
    """

    def __init__(self, root: Path, workspace: str = DEFAULT_WORKSPACE, *, registry: bool = False) -> None:
        self.root = root.resolve()
        self.workspace = workspace
        self.registry = registry
        self.state = self.root / STATE_FOLDER
        self.folder = self.state / ("registries" if registry else "workspaces") / workspace
        state_folder(self.root)
        self.folder.mkdir(parents=True, exist_ok=True)
        with self.connect() as connection:
            connection.executescript(_SCHEMA)
            if not _has_more_of_jobs(connection):
                connection.execute("BEGIN IMMEDIATE")
                # Another process may have been first.
                for column in () if _has_more_of_jobs(connection) else _MORE_OF_JOBS:
                    connection.execute(f"ALTER TABLE jobs ADD COLUMN {column}")
                connection.commit()
            if connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'models'").fetchone():
                connection.executescript(_FROM_MODELS)

    @contextmanager
    def connect(self) -> Iterator[sqlite3.Connection]:
        """A transaction: committed at the end, rolled back on an exception. Waits up to 30 s for other processes."""
        connection = sqlite3.connect(self.folder / "workspace.db", timeout=30)
        connection.row_factory = sqlite3.Row
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            with connection:
                yield connection
        finally:
            connection.close()

    @property
    def mlflow_folder(self) -> Path:
        """The folder of MLflow's store."""
        return self.state / "mlflow"

    @property
    def mlflow_artifacts(self) -> Path:
        """The folder of MLflow's artifacts."""
        return self.mlflow_folder / "artifacts"

    def job_folder(self, job: str) -> Path:
        """A job's folder."""
        return self.folder / "jobs" / job


def _has_more_of_jobs(connection: sqlite3.Connection) -> bool:
    return "archived" in {row["name"] for row in connection.execute("PRAGMA table_info(jobs)")}


def dumps(value: Any) -> str:
    """JSON as it is kept in the database."""
    return json.dumps(value, sort_keys=True)
