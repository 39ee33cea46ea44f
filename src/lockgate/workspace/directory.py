"""What the desk's tenant and its Azure DevOps organisation hold: applications, roles, service connections and their like, by kind and key."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Final

from lockgate.workspace.azure_db import connect
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

    def _connect(self) -> AbstractContextManager[sqlite3.Connection]:
        return connect(self.root, _SCHEMA)

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
