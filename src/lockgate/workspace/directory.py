"""What the desk's tenant and its Azure DevOps organisation hold: applications, roles, service connections and their like, by kind and key."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from lockgate.state import STATE_FOLDER, state_folder
from lockgate.workspace.store import dumps

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS directory (
  number INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, key TEXT NOT NULL COLLATE NOCASE, spec TEXT NOT NULL, UNIQUE (kind, key));
"""


class Directory:
    """Objects of the tenant and the organisation.

    Args:
        root: the folder that holds `.lockgate`.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    @contextmanager
    def _connect(self) -> Iterator[sqlite3.Connection]:
        state_folder(self.root)
        connection = sqlite3.connect(self.root / STATE_FOLDER / "azure.db", timeout=30)
        connection.row_factory = sqlite3.Row
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.executescript(_SCHEMA)
            with connection:
                yield connection
        finally:
            connection.close()

    def put(self, kind: str, key: str, spec: Mapping[str, Any]) -> int:
        """Keep an object, or change it.

        Returns:
            Its number, unique over all kinds.
        """
        with self._connect() as connection:
            connection.execute(
                "INSERT INTO directory (kind, key, spec) VALUES (?, ?, ?) ON CONFLICT (kind, key) DO UPDATE SET spec = excluded.spec",
                (kind, key, dumps(dict(spec))),
            )
            row = connection.execute("SELECT number FROM directory WHERE kind = ? AND key = ?", (kind, key)).fetchone()
        return int(row["number"])

    def get(self, kind: str, key: str) -> dict[str, Any] | None:
        """An object; None if there is none."""
        with self._connect() as connection:
            row = connection.execute("SELECT spec FROM directory WHERE kind = ? AND key = ?", (kind, key)).fetchone()
        found: dict[str, Any] | None = json.loads(row["spec"]) if row else None
        return found

    def all(self, kind: str) -> list[dict[str, Any]]:
        """All objects of a kind, the oldest first."""
        with self._connect() as connection:
            rows = connection.execute("SELECT spec FROM directory WHERE kind = ? ORDER BY number", (kind,)).fetchall()
        return [json.loads(row["spec"]) for row in rows]
