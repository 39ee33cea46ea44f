"""Outputs that a file wants kept: copied into a datastore, registered as an asset."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from lockgate.errors import StateError
from lockgate.execution.specification import DATA_ASSETS, Saved
from lockgate.workspace import assets
from lockgate.workspace.locate import datastore_folder
from lockgate.workspace.references import within
from lockgate.workspace.store import Store


def save(store: Store, saved: Saved, path: Path, job: str) -> list[str]:
    """Keep an output where its file wants it.

    Returns:
        What was done, a sentence each.

    Raises:
        StateError: the asset is there with other content, or the path leads out of its datastore.
    """
    done: list[str] = []
    if saved.path is not None:
        target = within(datastore_folder(store, saved.path.name), saved.path.path.replace("${{name}}", job))
        _copy(path, target)
        done.append(f"output kept at azureml://datastores/{saved.path.name}/paths/{saved.path.path}")
    if saved.name:
        kind: assets.Kind = "data" if saved.type in DATA_ASSETS else "model"
        made = assets.create(store, kind, saved.name, saved.version, type=saved.type, content=path, spec={"folder": path.name}, job=job)
        done.append(f"output registered as {kind} {made.name}:{made.version}")
    return done


def _copy(source: Path, target: Path) -> None:
    """Write files into a datastore as Azure does: those of the same name are replaced, others stay. Half a file is never seen."""
    if (source.is_dir() and target.is_file()) or (source.is_file() and target.is_dir()):
        raise StateError(
            f"{target.name}: there is a {'file' if target.is_file() else 'folder'} of that name in the datastore; name another path"
        )
    files = [path for path in source.rglob("*") if path.is_file()] if source.is_dir() else [source]
    if source.is_dir():
        target.mkdir(parents=True, exist_ok=True)
    for file in files:
        goal = target / file.relative_to(source) if source.is_dir() else target
        goal.parent.mkdir(parents=True, exist_ok=True)
        beside = goal.with_name(f".{goal.name}.{os.getpid()}")
        shutil.copy2(file, beside)
        beside.replace(goal)
