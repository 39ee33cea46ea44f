"""The model versions that a run registered, read from MLflow's store."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote, unquote, urlparse

DATABASE: Final = "mlflow.db"


@dataclass(frozen=True)
class RegisteredVersion:
    """A version of a model.

    Attributes:
        name, version: of the model.
        folder: where its files are.
        tags: of the version.
        description: of the version; may be empty.
    """

    name: str
    version: str
    folder: Path
    tags: dict[str, str]
    description: str


def versions_of_run(folder: Path, run: str) -> list[RegisteredVersion]:
    """The versions that a run registered, the oldest first.

    The tables are read, not the server asked: a step that registered something has had its answer, so the rows are there; and a server that
    nobody has needed so far goes on sleeping.

    Args:
        folder: of MLflow's store.
        run: its id.
    """
    path = folder / DATABASE
    if not path.exists():
        return []
    with closing(sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True, timeout=30)) as connection:
        if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'model_versions'").fetchone():
            return []
        rows = connection.execute(
            "SELECT name, version, source, description FROM model_versions WHERE run_id = ? ORDER BY creation_time, name, version", (run,)
        ).fetchall()
        found = []
        for name, version, source, description in rows:
            tags = connection.execute(
                "SELECT key, value FROM model_version_tags WHERE name = ? AND version = ?", (name, version)
            ).fetchall()
            found.append(RegisteredVersion(name, str(version), _folder_of(source), dict(tags), description or ""))
        return found


def _folder_of(source: str) -> Path:
    address = urlparse(source)
    return Path(unquote(address.path)) if address.scheme == "file" else Path(source)
