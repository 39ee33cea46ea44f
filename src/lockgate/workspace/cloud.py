"""What lies above workspaces: the subscription's resource groups, and which workspaces and registries there are."""

from __future__ import annotations

import json
import os
import re
import shutil
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from lockgate.state import STATE_FOLDER
from lockgate.workspace.arm import Arm
from lockgate.workspace.assets import now
from lockgate.workspace.azure_db import connect
from lockgate.workspace.errors import ConflictError, MissingError
from lockgate.workspace.jobs import find_jobs
from lockgate.workspace.store import Store, dumps

SUBSCRIPTION: Final = "00000000-0000-0000-0000-00000000de5c"
TENANT: Final = "00000000-0000-0000-0000-0000000007e4"
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS groups (name TEXT PRIMARY KEY COLLATE NOCASE, location TEXT NOT NULL, tags TEXT NOT NULL, created TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS places (
  kind TEXT NOT NULL, name TEXT NOT NULL COLLATE NOCASE, grp TEXT NOT NULL COLLATE NOCASE, spec TEXT NOT NULL, created TEXT NOT NULL,
  PRIMARY KEY (kind, name));
"""
_GROUP: Final = re.compile(r"[-\w.()]{1,90}(?<!\.)")
_WORKSPACE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{2,32}")


def all_stores(root: Path) -> list[Store]:
    """Every workspace below a folder's `.lockgate`, by name; those that only jobs have made are there too."""
    folders = sorted((root / STATE_FOLDER / "workspaces").glob("[!.]*"))
    return [Store(root, folder.name) for folder in folders if (folder / "workspace.db").exists()]


@dataclass(frozen=True)
class Group:
    """A resource group."""

    name: str
    location: str
    tags: dict[str, str]

    @property
    def id(self) -> str:
        """Its ARM id."""
        return f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{self.name}"


@dataclass(frozen=True)
class Place:
    """A workspace or registry."""

    kind: str
    name: str
    group: str
    spec: dict[str, Any]
    created: str

    @property
    def id(self) -> str:
        """Its ARM id."""
        kind = "registries" if self.kind == "registry" else "workspaces"
        return f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{self.group}/providers/Microsoft.MachineLearningServices/{kind}/{self.name}"


class Cloud:
    """The desk's subscription.

    Args:
        root: the folder that holds `.lockgate`.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.state = root / STATE_FOLDER

    def _connect(self) -> AbstractContextManager[sqlite3.Connection]:
        return connect(self.root, _SCHEMA)

    def groups(self) -> list[Group]:
        """All groups, by name."""
        with self._connect() as connection:
            rows = connection.execute("SELECT * FROM groups ORDER BY name").fetchall()
        return [Group(row["name"], row["location"], json.loads(row["tags"])) for row in rows]

    def group(self, name: str) -> Group:
        """A group.

        Raises:
            MissingError: there is none.
        """
        found = next((group for group in self.groups() if group.name.lower() == name.lower()), None)
        if found is None:
            raise MissingError(f"(ResourceGroupNotFound) Resource group '{name}' could not be found.")
        return found

    def create_group(self, name: str, location: str, tags: Mapping[str, str]) -> Group:
        """Make a group, or give one that is there other tags.

        Raises:
            ConflictError: its name is not allowed, or it is there in another location.
        """
        if not _GROUP.fullmatch(name):
            raise ConflictError(f"(InvalidResourceGroupName) '{name}': allowed: up to 90 letters, digits, - _ . ( ), not ending with a dot")
        there = next((group for group in self.groups() if group.name.lower() == name.lower()), None)
        if there is not None and there.location != location:
            raise ConflictError(
                f"(InvalidResourceGroupLocation) Invalid resource group location '{location}'. "
                f"The Resource group already exists in location '{there.location}'."
            )
        with self._connect() as connection:
            connection.execute(
                "INSERT INTO groups VALUES (?, ?, ?, ?) ON CONFLICT (name) DO UPDATE SET tags = excluded.tags",
                (name, location, dumps(dict(tags)), now()),
            )
        return self.group(name)

    def delete_group(self, name: str) -> None:
        """Delete a group with all that is in it."""
        group = self.group(name)
        places = [*self.places("workspace", group.name), *self.places("registry", group.name)]
        for place in places:
            self._check_idle(place)
        for place in places:
            self.delete_place(place)
        Arm(self.root).delete_group(group.name)
        with self._connect() as connection:
            connection.execute("DELETE FROM groups WHERE name = ?", (group.name,))

    def places(self, kind: str, group: str = "") -> list[Place]:
        """All workspaces or registries, those of one group if it is named."""
        with self._connect() as connection:
            rows = connection.execute("SELECT * FROM places WHERE kind = ? ORDER BY name", (kind,)).fetchall()
        found = [Place(row["kind"], row["name"], row["grp"], json.loads(row["spec"]), row["created"]) for row in rows]
        return [place for place in found if not group or place.group.lower() == group.lower()]

    def place(self, kind: str, name: str, group: str = "") -> Place:
        """A workspace or registry.

        Raises:
            MissingError: there is none, or not in that group.
        """
        found = next((place for place in self.places(kind, group) if place.name.lower() == name.lower()), None)
        if found is None:
            kinds = "registries" if kind == "registry" else "workspaces"
            where = f" under resource group '{group}'" if group else ""
            message = f"The Resource 'Microsoft.MachineLearningServices/{kinds}/{name}'{where} was not found."
            there = ", ".join(place.name for place in self.places(kind)) or "none"
            raise MissingError(f"(ResourceNotFound) {message} There is: {there}.")
        return found

    def create_place(self, kind: str, name: str, group: str, spec: Mapping[str, Any]) -> Place:
        """Make a workspace or registry, or change one that is there.

        Raises:
            MissingError: there is no such group.
            ConflictError: its name is not allowed, or another group has it.
        """
        if not _WORKSPACE.fullmatch(name):
            raise ConflictError(
                f"(ValidationError) {kind} name '{name}': allowed: 3 to 33 letters, digits, - and _, a letter or digit first"
            )
        there = next((place for place in self.places(kind) if place.name.lower() == name.lower()), None)
        if there is not None and there.group.lower() != group.lower():
            # In Azure a workspace's name is unique in its group; on the desk it names a folder.
            raise ConflictError(
                f"(Conflict) {kind} '{name}' is in resource group '{there.group}'; on the desk a name is taken once: choose another"
            )
        with self._connect() as connection:
            connection.execute(
                "INSERT INTO places VALUES (?, ?, ?, ?, ?) ON CONFLICT (kind, name) DO UPDATE SET spec = excluded.spec",
                (kind, name, self.group(group).name, dumps(dict(spec)), now()),
            )
        Store(self.root, name, registry=kind == "registry")
        return self.place(kind, name, group)

    def change_place(self, place: Place, change: Callable[[dict[str, Any]], dict[str, Any]]) -> Place:
        """Change what a workspace or registry is described by; nobody else changes it meanwhile.

        Raises:
            MissingError: it has been deleted.
        """
        with self._connect() as connection:
            connection.execute("BEGIN IMMEDIATE")
            row = connection.execute("SELECT spec FROM places WHERE kind = ? AND name = ?", (place.kind, place.name)).fetchone()
            if row is None:
                raise MissingError(f"(ResourceNotFound) {place.kind} '{place.name}' has been deleted meanwhile")
            connection.execute(
                "UPDATE places SET spec = ? WHERE kind = ? AND name = ?", (dumps(change(json.loads(row["spec"]))), place.kind, place.name)
            )
        return self.place(place.kind, place.name)

    def delete_place(self, place: Place) -> None:
        """Delete a workspace or registry with all that is in it.

        Raises:
            ConflictError: jobs run in it.
        """
        from lockgate.workspace import endpoints

        self._check_idle(place)
        # What answers would go on without a workspace behind it.
        for endpoint in endpoints.all_endpoints(self.store(place), "online"):
            endpoints.stop(self.store(place), endpoint.name)
        folder = self.store(place).folder
        # Whatever happens after this, a workspace of the same name begins empty.
        gone = folder.with_name(f".deleted.{place.name}.{os.getpid()}")
        folder.rename(gone)
        with self._connect() as connection:
            connection.execute("DELETE FROM places WHERE kind = ? AND name = ?", (place.kind, place.name))
        shutil.rmtree(gone)

    def _check_idle(self, place: Place) -> None:
        running = [job.name for job in find_jobs(self.store(place), archived="also") if job.status == "Running"]
        if running:
            raise ConflictError(
                f"(Conflict) {place.kind} '{place.name}' has running jobs: {', '.join(running)}; end them with az ml job cancel, or wait"
            )

    def store(self, place: Place) -> Store:
        """What is in a workspace or registry."""
        return Store(self.root, place.name, registry=place.kind == "registry")
