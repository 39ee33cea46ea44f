"""Outputs that a file wants kept: copied into a datastore, registered as an asset."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from lockgate.errors import StateError
from lockgate.execution.specification import DATA_ASSETS, Saved
from lockgate.workspace import assets
from lockgate.workspace.locate import datastore_folder
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
        base = datastore_folder(store, saved.path.name)
        target = Path(os.path.normpath(base / saved.path.path.replace("${{name}}", job)))
        if not target.is_relative_to(base) or target == base:
            raise StateError(f"{saved.node.place}: path {saved.path.path!r}: allowed: a path within the datastore")
        _copy(path, target)
        done.append(f"output kept at azureml://datastores/{saved.path.name}/paths/{saved.path.path}")
    if saved.name:
        kind: assets.Kind = "data" if saved.type in DATA_ASSETS else "model"
        made = assets.create(store, kind, saved.name, saved.version, type=saved.type, content=path, spec={"folder": path.name}, job=job)
        done.append(f"output registered as {kind} {made.name}:{made.version}")
    return done


def _copy(source: Path, target: Path) -> None:
    """Half a copy is never seen in the place of a whole one."""
    target.parent.mkdir(parents=True, exist_ok=True)
    beside = target.with_name(f".{target.name}.{os.getpid()}")
    if source.is_dir():
        shutil.rmtree(beside, ignore_errors=True)
        shutil.copytree(source, beside)
        if target.is_dir():
            shutil.rmtree(target)
    else:
        shutil.copy2(source, beside)
    beside.replace(target)
