"""Registered models, as jobs see them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lockgate.errors import StateError
from lockgate.workspace import assets
from lockgate.workspace.errors import MissingError
from lockgate.workspace.store import Store

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


def _model(asset: assets.Asset) -> ModelVersion:
    return ModelVersion(asset.name, asset.version, Path(asset.path), asset.sha256, asset.type, asset.tags, asset.description)


def find_model(store: Store, name: str, version: str) -> ModelVersion:
    """A version.

    Raises:
        StateError: there is none; names those there are.
    """
    try:
        return _model(assets.find(store, "model", name, version))
    except MissingError as error:
        raise StateError(f"{error}. Train one first: lockgate run mlops-pipelines/train/dev-train.yml") from None


def list_models(store: Store) -> list[tuple[str, str]]:
    """Name and version of every model, oldest first."""
    return [(asset.name, asset.version) for asset in reversed(assets.find_all(store, "model", archived="also"))]


def take_in(store: Store, name: str, version: str, content: Path, *, tags: dict[str, str], description: str, job: str) -> ModelVersion:
    """Make a version of the bytes in a folder, which are copied. Half a model can't be left behind.

    Raises:
        StateError: the version exists with other content; versions are immutable.
    """
    made = assets.create(store, "model", name, version, type="mlflow_model", content=content, tags=tags, description=description, job=job)
    return _model(made)
