"""What a workspace has beside assets: compute, datastores, schedules and their like, by name."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from lockgate.workspace.assets import now
from lockgate.workspace.errors import MissingError
from lockgate.workspace.store import Store, dumps

Kind = Literal["compute", "datastore", "schedule"]


@dataclass(frozen=True)
class Resource:
    """A resource with its specification."""

    kind: str
    name: str
    spec: dict[str, Any]
    created: str
    modified: str


def put(store: Store, kind: Kind, name: str, spec: Mapping[str, Any]) -> Resource:
    """Make a resource, or change one that is there."""
    moment = now()
    with store.connect() as connection:
        connection.execute(
            "INSERT INTO resources VALUES (?, ?, ?, ?, ?) ON CONFLICT (kind, name) DO UPDATE SET spec = excluded.spec, modified = excluded.modified",
            (kind, name, dumps(dict(spec)), moment, moment),
        )
    return get(store, kind, name)


def change(store: Store, kind: Kind, name: str, change: Callable[[dict[str, Any]], dict[str, Any]]) -> Resource:
    """Change a resource's specification; nobody else changes it meanwhile.

    Raises:
        MissingError: there is none.
    """
    found = get(store, kind, name)
    with store.connect() as connection:
        connection.execute("BEGIN IMMEDIATE")
        row = connection.execute("SELECT spec FROM resources WHERE kind = ? AND name = ?", (kind, found.name)).fetchone()
        if row is None:
            raise MissingError(f"(UserError) {kind} {name} has been deleted meanwhile")
        connection.execute(
            "UPDATE resources SET spec = ?, modified = ? WHERE kind = ? AND name = ?",
            (dumps(change(json.loads(row["spec"]))), now(), kind, found.name),
        )
    return get(store, kind, found.name)


def get(store: Store, kind: Kind, name: str) -> Resource:
    """A resource.

    Raises:
        MissingError: there is none.
    """
    found = next((one for one in all_of(store, kind) if one.name.lower() == name.lower()), None)
    if found is None:
        there = ", ".join(one.name for one in all_of(store, kind)) or "none"
        raise MissingError(f"(UserError) {kind} with name {name} not found in workspace {store.workspace}. There is: {there}.")
    return found


def all_of(store: Store, kind: Kind) -> list[Resource]:
    """All of a kind, by name."""
    with store.connect() as connection:
        rows = connection.execute("SELECT * FROM resources WHERE kind = ? ORDER BY name", (kind,)).fetchall()
    return [Resource(row["kind"], row["name"], json.loads(row["spec"]), row["created"], row["modified"]) for row in rows]


def delete(store: Store, kind: Kind, name: str) -> None:
    """Delete a resource.

    Raises:
        MissingError: there is none.
    """
    found = get(store, kind, name)
    with store.connect() as connection:
        connection.execute("DELETE FROM resources WHERE kind = ? AND name = ?", (kind, found.name))
