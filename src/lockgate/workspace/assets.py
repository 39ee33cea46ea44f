"""Assets: models, data, environments and components, each with versions whose content never changes."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal

from lockgate.workspace.content import Hasher
from lockgate.workspace.contents import keep
from lockgate.workspace.errors import ConflictError, MissingError
from lockgate.workspace.store import Store, dumps

Kind = Literal["model", "data", "environment", "component"]
_TITLES: Final[dict[str, str]] = {"model": "model", "data": "data version", "environment": "environment", "component": "component"}


_WORD: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,254}")
"""A name or version; it is the name of a folder."""


@dataclass(frozen=True)
class Asset:
    """A version of an asset.

    Attributes:
        type: such as mlflow_model or uri_file; empty for environments.
        path: its content on this machine; empty if it has none.
        sha256: of its content, or of its specification where it has none.
        spec: what else its kind has.
        stage: of a model.
        job: the job that made it.
        created, modified: ISO 8601, UTC.
    """

    kind: Kind
    name: str
    version: str
    type: str
    path: str
    sha256: str
    spec: dict[str, Any]
    tags: dict[str, str]
    properties: dict[str, str]
    description: str
    stage: str
    job: str | None
    archived: bool
    created: str
    modified: str


def now() -> str:
    """The time as it is recorded."""
    return datetime.now(UTC).isoformat()


def _asset(row: sqlite3.Row) -> Asset:
    return Asset(
        row["kind"], row["name"], row["version"], row["type"], row["path"], row["sha256"], json.loads(row["spec"]), json.loads(row["tags"]),
        json.loads(row["properties"]), row["description"], row["stage"], row["job"], bool(row["archived"]), row["created"], row["modified"],
    )  # fmt: skip


def find(store: Store, kind: Kind, name: str, version: str = "", label: str = "") -> Asset:
    """A version, the one with a label (`latest` is the newest that is not archived), or the newest.

    Raises:
        MissingError: there is none.
    """
    with store.connect() as connection:
        if version:
            row = connection.execute("SELECT * FROM assets WHERE kind = ? AND name = ? AND version = ?", (kind, name, version)).fetchone()
        else:
            row = None
            if label in ("", "latest"):
                row = connection.execute(
                    "SELECT * FROM assets WHERE kind = ? AND name = ? AND archived = 0 ORDER BY created DESC, rowid DESC", (kind, name)
                ).fetchone()
        if row is None:
            there = connection.execute("SELECT name, version FROM assets WHERE kind = ? ORDER BY created DESC LIMIT 8", (kind,)).fetchall()
    if row is None:
        wanted = f"{name}:{version}" if version else f"{name}@{label or 'latest'}"
        names = ", ".join(f"{one['name']}:{one['version']}" for one in reversed(there)) or "none yet"
        where = "registry" if store.registry else "workspace"
        raise MissingError(f"{where} {store.workspace!r} has no {kind} {wanted}; it has: {names}")
    return _asset(row)


def find_all(store: Store, kind: Kind, name: str = "", *, archived: Literal["no", "also", "only"] = "no", limit: int = 0) -> list[Asset]:
    """Versions, the newest first: all of a name, or the newest of each name if none is given."""
    where = ["kind = ?"]
    values: list[Any] = [kind]
    if name:
        where.append("name = ?")
        values.append(name)
    if archived != "also":
        where.append("archived = ?")
        values.append(int(archived == "only"))
    text = f"SELECT * FROM assets WHERE {' AND '.join(where)} ORDER BY created DESC, rowid DESC"  # noqa: S608 - only words of ours
    if limit:
        text += f" LIMIT {limit:d}"
    with store.connect() as connection:
        return [_asset(row) for row in connection.execute(text, values)]


def create(
    store: Store, kind: Kind, name: str, version: str = "", *, type: str = "", content: Path | None = None, spec: Mapping[str, Any] | None = None,  # noqa: A002 - Azure's word
    tags: Mapping[str, str] | None = None, properties: Mapping[str, str] | None = None, description: str = "", stage: str = "", job: str | None = None,
    ignore: tuple[str, ...] = (), path: str = "",
) -> Asset:  # fmt: skip
    """Make a version, or bring one that is there up to date with other tags, description and stage.

    Args:
        store: the workspace or registry.
        kind, name: what it is.
        version: the version; the next number if empty.
        type: such as mlflow_model.
        content: a file or folder whose bytes it is.
        spec: what else it has.
        tags, properties, description, stage, job: see `Asset`.
        ignore: patterns of what of the content is left out.
        path: where its content is, if that is not kept here.

    Raises:
        ConflictError: the version is there with other content, or its name or version is not allowed.
    """
    import hashlib

    for what, text in (("name", name), ("version", version)):
        if text and not _WORD.fullmatch(text):
            raise ConflictError(
                f"(UserError) {kind} {what} {text!r}: allowed: letters, digits, '.', '-' and '_', beginning with a letter, digit or '_', up to 255"
            )

    whole = dict(spec or {})
    hasher = Hasher(store.folder / "hashes.json")
    sha256 = hasher.tree(content, ignore) if content is not None else ""
    if content is None or kind in ("environment", "component"):
        sha256 = hashlib.sha256(dumps([type, path, whole, sha256] if sha256 else [type, path, whole]).encode()).hexdigest()
    with store.connect() as connection:
        connection.execute("BEGIN IMMEDIATE")
        if not version:
            version = _next_version(connection, kind, name)
        row = connection.execute("SELECT * FROM assets WHERE kind = ? AND name = ? AND version = ?", (kind, name, version)).fetchone()
        if row is not None and (row["sha256"] != sha256 or (type and row["type"] and row["type"] != type)):
            title = _TITLES[kind]
            message = (
                f"A {title} with this name and version already exists. If you are trying to create a new {title}, use a different name or version. "
                f"If you are trying to update an existing {title}, the existing asset's content cannot be changed. "
                "Only tags, description, and isArchived can be updated."
            )
            raise ConflictError(f"{message} ({name}:{version})")
        target = store.folder / kind / name / version
        if content is not None and (row is None or not target.exists()):
            keep(store, hasher, content, target, ignore)
        if content is not None:
            path = str(target / content.name if content.is_file() else target)
        moment = now()
        if row is None:
            connection.execute(
                "INSERT INTO assets VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, ?, ?)",
                (kind, name, version, type, path, sha256, dumps(whole), dumps(dict(tags or {})), dumps(dict(properties or {})), description, stage, job,
                 moment, moment),
            )  # fmt: skip
        else:
            connection.execute(
                "UPDATE assets SET tags = ?, description = ?, stage = ?, modified = ? WHERE kind = ? AND name = ? AND version = ?",
                (dumps(dict(tags)) if tags is not None else row["tags"], description or row["description"], stage or row["stage"], moment, kind, name,
                 version),
            )  # fmt: skip
        found = connection.execute("SELECT * FROM assets WHERE kind = ? AND name = ? AND version = ?", (kind, name, version)).fetchone()
    hasher.save()
    return _asset(found)


def _next_version(connection: sqlite3.Connection, kind: str, name: str) -> str:
    rows = connection.execute("SELECT version FROM assets WHERE kind = ? AND name = ?", (kind, name)).fetchall()
    return str(max((int(row["version"]) for row in rows if row["version"].isascii() and row["version"].isdigit()), default=0) + 1)


def update(store: Store, asset: Asset, change: Callable[[Asset], Asset]) -> Asset:
    """Change tags, properties, description and stage of a version; nobody else changes it meanwhile.

    Args:
        store: the workspace or registry.
        asset: says which version.
        change: gets it as it is now.
    """
    key = (asset.kind, asset.name, asset.version)
    with store.connect() as connection:
        connection.execute("BEGIN IMMEDIATE")
        row = connection.execute("SELECT * FROM assets WHERE kind = ? AND name = ? AND version = ?", key).fetchone()
        new = change(_asset(row))
        connection.execute(
            "UPDATE assets SET tags = ?, properties = ?, description = ?, stage = ?, modified = ? WHERE kind = ? AND name = ? AND version = ?",
            (dumps(new.tags), dumps(new.properties), new.description, new.stage, now(), *key),
        )
    return find(store, asset.kind, asset.name, asset.version)


def archive(store: Store, kind: Kind, name: str, version: str = "", *, archived: bool) -> None:
    """Archive or restore a version, or all of a name.

    Raises:
        MissingError: there is none.
    """
    with store.connect() as connection:
        where, values = "kind = ? AND name = ?", [kind, name]
        if version:
            where, values = f"{where} AND version = ?", [*values, version]
        changed = connection.execute(f"UPDATE assets SET archived = ?, modified = ? WHERE {where}", (int(archived), now(), *values))  # noqa: S608
        if not changed.rowcount:
            raise MissingError(f"workspace {store.workspace!r} has no {kind} {name}{':' + version if version else ''}")
