"""Registered models: name, version, bytes, tags."""

from __future__ import annotations

import json
import os
import re
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from lockgate.errors import StateError
from lockgate.workspace.content import Hasher
from lockgate.workspace.store import Store, dumps

_REFERENCE: Final = re.compile(r"azureml:(?P<name>[A-Za-z0-9][A-Za-z0-9_-]*):(?P<version>[A-Za-z0-9._-]+)")


@dataclass(frozen=True)
class ModelVersion:
    """A version of a model. `sha256` is of its content; a version's bytes never change."""

    name: str
    version: str
    path: Path
    sha256: str
    type: str
    tags: dict[str, str]
    description: str


def parse_reference(text: str) -> tuple[str, str] | None:
    """Name and version of `azureml:NAME:VERSION`; None if the text is no such reference."""
    match = _REFERENCE.fullmatch(text)
    return (match["name"], match["version"]) if match else None


def find_model(store: Store, name: str, version: str) -> ModelVersion:
    """A version.

    Raises:
        StateError: there is none; names those there are.
    """
    with store.connect() as connection:
        row = connection.execute("SELECT * FROM models WHERE name = ? AND version = ?", (name, version)).fetchone()
        if row is None:
            rows = connection.execute("SELECT name, version FROM models ORDER BY name, created", ()).fetchall()
            there = ", ".join(f"{r['name']}:{r['version']}" for r in rows) or "none yet"
            raise StateError(
                f"workspace {store.workspace!r} has no model {name}:{version}; it has: {there}. "
                "Train one first: lockgate run mlops-pipelines/train/dev-train.yml"
            )
    return ModelVersion(
        row["name"], row["version"], Path(row["path"]), row["sha256"], row["type"], json.loads(row["tags"]), row["description"]
    )


def list_models(store: Store) -> list[tuple[str, str]]:
    """Name and version of every model, oldest first."""
    with store.connect() as connection:
        rows = connection.execute("SELECT name, version FROM models ORDER BY created").fetchall()
    return [(row["name"], row["version"]) for row in rows]


def take_in(
    store: Store, hasher: Hasher, name: str, version: str, content: Path, *, tags: dict[str, str], description: str, job: str
) -> ModelVersion:
    """Make a version of the bytes in a folder, which are copied. Half a model can't be left behind.

    Raises:
        StateError: the version exists with other content; versions are immutable.
    """
    sha256 = hasher.tree(content)
    target = store.folder / "models" / name / version
    with store.connect() as connection:
        row = connection.execute("SELECT sha256 FROM models WHERE name = ? AND version = ?", (name, version)).fetchone()
        if row is not None and row["sha256"] != sha256:
            raise StateError(f"A model with this name and version already exists: {name}:{version}. It can't be changed; use a new version")
        if row is None:
            target.parent.mkdir(parents=True, exist_ok=True)
            temporary = target.with_name(f".{version}.{os.getpid()}")
            shutil.rmtree(temporary, ignore_errors=True)
            shutil.copytree(content, temporary)
            shutil.rmtree(target, ignore_errors=True)
            temporary.rename(target)
            connection.execute(
                "INSERT INTO models VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (name, version, str(target), sha256, "mlflow_model", dumps(tags), description, job, datetime.now(UTC).isoformat()),
            )
    return ModelVersion(name, version, target, sha256, "mlflow_model", tags, description)
