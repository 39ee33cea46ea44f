"""What the desk's subscription holds beside workspaces and registries: any resource that a template declares, and the deployments."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from lockgate.workspace.assets import now
from lockgate.workspace.azure_db import connect
from lockgate.workspace.errors import MissingError
from lockgate.workspace.store import dumps

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS arm (
  id TEXT PRIMARY KEY COLLATE NOCASE, grp TEXT NOT NULL COLLATE NOCASE, type TEXT NOT NULL COLLATE NOCASE, name TEXT NOT NULL,
  version TEXT NOT NULL, body TEXT NOT NULL, created TEXT NOT NULL, changed TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS deployments (
  grp TEXT NOT NULL COLLATE NOCASE, name TEXT NOT NULL COLLATE NOCASE, shown TEXT NOT NULL, PRIMARY KEY (grp, name));
"""


@dataclass(frozen=True)
class ArmResource:
    """A resource as it was declared last."""

    id: str
    group: str
    type: str
    name: str
    version: str
    body: dict[str, Any]
    created: str
    changed: str


class Arm:
    """The resources and deployments of the desk's subscription.

    Args:
        root: the folder that holds `.lockgate`.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def _connect(self) -> AbstractContextManager[sqlite3.Connection]:
        return connect(self.root, _SCHEMA)

    def put(self, resources: list[tuple[str, str, str, str, str, Mapping[str, Any]]]) -> None:
        """Keep resources, all or none: id, group, type, name, API version, body."""
        moment = now()
        with self._connect() as connection:
            connection.executemany(
                "INSERT INTO arm VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET "
                "version = excluded.version, body = excluded.body, changed = excluded.changed",
                [(*one[:5], dumps(dict(one[5])), moment, moment) for one in resources],
            )

    def all(self, group: str = "", kind: str = "") -> list[ArmResource]:
        """The resources, of one group or type if it is named, by id."""
        with self._connect() as connection:
            rows = connection.execute("SELECT * FROM arm ORDER BY id").fetchall()
        found = [
            ArmResource(
                row["id"], row["grp"], row["type"], row["name"], row["version"], json.loads(row["body"]), row["created"], row["changed"]
            )
            for row in rows
        ]
        return [one for one in found if group.lower() in ("", one.group.lower()) and kind.lower() in ("", one.type.lower())]

    def get(self, identifier: str) -> ArmResource | None:
        """The resource with an id; None if there is none."""
        return next((one for one in self.all() if one.id.lower() == identifier.lower()), None)

    def delete_group(self, group: str) -> None:
        """Forget what was in a resource group."""
        with self._connect() as connection:
            connection.execute("DELETE FROM arm WHERE grp = ?", (group,))
            connection.execute("DELETE FROM deployments WHERE grp = ?", (group,))

    def delete(self, identifier: str) -> None:
        """Forget a resource with all that is below it.

        Raises:
            MissingError: there is none.
        """
        if self.get(identifier) is None:
            raise MissingError(f"(ResourceNotFound) The Resource '{identifier}' was not found.")
        with self._connect() as connection:
            connection.execute("DELETE FROM arm WHERE id = ? OR id LIKE ?", (identifier, f"{identifier}/%"))

    def keep_deployment(self, group: str, name: str, shown: Mapping[str, Any]) -> None:
        """Keep what a deployment said."""
        with self._connect() as connection:
            connection.execute(
                "INSERT INTO deployments VALUES (?, ?, ?) ON CONFLICT (grp, name) DO UPDATE SET shown = excluded.shown",
                (group, name, dumps(dict(shown))),
            )

    def deployment(self, group: str, name: str) -> dict[str, Any]:
        """What a deployment said.

        Raises:
            MissingError: there is none.
        """
        with self._connect() as connection:
            row = connection.execute("SELECT shown FROM deployments WHERE grp = ? AND name = ?", (group, name)).fetchone()
        if row is None:
            raise MissingError(f"(DeploymentNotFound) Deployment '{name}' could not be found.")
        found: dict[str, Any] = json.loads(row["shown"])
        return found
