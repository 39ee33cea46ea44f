"""Where a workspace lives on disk, and its database.

.lockgate/
  mlflow/mlflow.db  mlflow/artifacts/        MLflow's store, shared by all workspaces
  workspaces/<name>/
    workspace.db                             what exists (SQLite, WAL)
    jobs/<job>/<node>/log.txt  outputs/      a folder per job
    code/<hash>/                             snapshots of `code:` folders
    models/<name>/<version>/                 registered models
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

STATE_FOLDER: Final = ".lockgate"
DEFAULT_WORKSPACE: Final = "dev"

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS models (
  name TEXT NOT NULL, version TEXT NOT NULL, path TEXT NOT NULL, sha256 TEXT NOT NULL, type TEXT NOT NULL,
  tags TEXT NOT NULL, description TEXT NOT NULL, job TEXT, created TEXT NOT NULL,
  PRIMARY KEY (name, version));
CREATE TABLE IF NOT EXISTS jobs (
  name TEXT PRIMARY KEY, display_name TEXT NOT NULL, experiment TEXT NOT NULL, file TEXT NOT NULL,
  status TEXT NOT NULL, created TEXT NOT NULL, ended TEXT, run_id TEXT, process INTEGER, reason TEXT);
CREATE TABLE IF NOT EXISTS nodes (
  job TEXT NOT NULL, name TEXT NOT NULL, status TEXT NOT NULL, seconds REAL, reused_from TEXT, outputs TEXT NOT NULL,
  run_id TEXT, PRIMARY KEY (job, name));
CREATE TABLE IF NOT EXISTS reuse (
  key TEXT PRIMARY KEY, job TEXT NOT NULL, node TEXT NOT NULL, outputs TEXT NOT NULL, contents TEXT NOT NULL,
  models TEXT NOT NULL,
  created TEXT NOT NULL);
"""


class Store:
    """A workspace on disk.

    Args:
        root: the folder that holds `.lockgate`.
        workspace: its name.
    """

    def __init__(self, root: Path, workspace: str = DEFAULT_WORKSPACE) -> None:
        self.root = root.resolve()
        self.workspace = workspace
        self.state = self.root / STATE_FOLDER
        self.folder = self.state / "workspaces" / workspace
        self.folder.mkdir(parents=True, exist_ok=True)
        with self.connect() as connection:
            connection.executescript(_SCHEMA)

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
    def mlflow_uri(self) -> str:
        """The tracking URI of MLflow's store."""
        return f"sqlite:///{self.state / 'mlflow' / 'mlflow.db'}"

    @property
    def mlflow_artifacts(self) -> Path:
        """The folder of MLflow's artifacts."""
        return self.state / "mlflow" / "artifacts"

    def job_folder(self, job: str) -> Path:
        """A job's folder."""
        return self.folder / "jobs" / job


def dumps(value: Any) -> str:
    """JSON as it is kept in the database."""
    return json.dumps(value, sort_keys=True)
