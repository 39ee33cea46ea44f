"""Where on this machine that lies which a reference names."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lockgate.workspace import assets, references, resources
from lockgate.workspace.assets import Asset, Kind
from lockgate.workspace.cloud import Cloud
from lockgate.workspace.errors import ConflictError, MissingError
from lockgate.workspace.references import Reference, within
from lockgate.workspace.store import Store

BUILT_IN: Final = ("workspaceblobstore", "workspacefilestore", "workspaceworkingdirectory", "workspaceartifactstore")
"""Datastores that every workspace has; on the desk they are folders of it."""


@dataclass(frozen=True)
class Located:
    """What a reference names.

    Attributes:
        path: where it lies.
        exact: the reference with label and the like made exact, for people and for records.
        sha256: of its content, if that is known and never changes.
        type: of an asset; empty for others.
        job: the job that made it.
    """

    path: Path
    exact: str
    sha256: str = ""
    type: str = ""
    job: str | None = None


def asset_of(store: Store, reference: Reference, kind: Kind) -> Asset:
    """The asset that an `azureml:` name or a registry's address names.

    Args:
        store: the workspace.
        reference: of kind asset or registry.
        kind: what it must be.

    Raises:
        MissingError: there is none.
        ConflictError: the address is of another kind.
    """
    if reference.kind == "registry":
        if reference.asset != kind:
            raise ConflictError(f"found the address of a {reference.asset}; allowed: that of a {kind}")
        place = Cloud(store.root).place("registry", reference.place)
        return assets.find(Store(store.root, place.name, registry=True), kind, reference.name, reference.version, reference.label)
    return assets.find(store, kind, reference.name, reference.version, reference.label)


def exact(reference: Reference, asset: Asset) -> str:
    """The reference of exactly this version."""
    if reference.kind == "registry":
        parts = {"model": "models", "data": "data", "environment": "environments", "component": "components"}
        return f"azureml://registries/{reference.place}/{parts[asset.kind]}/{asset.name}/versions/{asset.version}"
    return f"azureml:{asset.name}:{asset.version}"


def datastore_folder(store: Store, name: str) -> Path:
    """The folder of a datastore.

    Raises:
        MissingError: there is no such datastore.
        ConflictError: it is storage in Azure.
    """
    if name.lower() in BUILT_IN:
        return store.folder / "datastores" / name.lower()
    found = resources.get(store, "datastore", name)
    raise ConflictError(
        f"datastore {found.name!r} is storage in Azure ({found.spec.get('type', 'of an unknown type')}), which this machine does not reach; "
        f"allowed on the desk: {', '.join(BUILT_IN)}"
    )


def locate(store: Store, reference: Reference, kind: Kind) -> Located:
    """What an address names: an asset, an output of a job, or something in a datastore.

    Raises:
        MissingError: there is no such thing.
        ConflictError: it is not on this machine, or of another kind.
    """
    if reference.kind in ("asset", "registry"):
        asset = asset_of(store, reference, kind)
        if not asset.path or not Path(asset.path).exists():
            where = f"at {asset.path}" if asset.path else "without content"
            raise ConflictError(f"{asset.kind} {asset.name}:{asset.version} is {where}, which this machine does not reach")
        return Located(Path(asset.path), exact(reference, asset), asset.sha256, asset.type, asset.job)
    if reference.kind == "job":
        path = references.job_output(store, reference)
        return Located(path, f"azureml://jobs/{reference.name}/outputs/{reference.output}/paths/{reference.path}", job=reference.name)
    if reference.kind == "datastore":
        base = datastore_folder(store, reference.name)
        path = within(base, reference.path)
        if not path.exists():
            raise MissingError(f"datastore {reference.name!r} has nothing at {reference.path!r} ({base})")
        return Located(path, f"azureml://datastores/{reference.name}/paths/{reference.path}")
    raise ConflictError(f"{reference.path!r} is not on this machine; allowed here: a local path or an azureml: reference")
