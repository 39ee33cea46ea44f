"""What Azure adds to a resource once it is there: the properties that other resources read. Values are the desk's own, stable by the resource's id."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any, Final

_IDS: Final = uuid.UUID("0f1f3c9e-7b0e-4f39-8a0f-6d5a3d0e5c11")


def principal_of(identifier: str) -> str:
    """The object id of the identity that a resource has."""
    return str(uuid.uuid5(_IDS, f"principal {identifier.lower()}"))


def client_of(identifier: str) -> str:
    """The client id of a user-assigned identity."""
    return str(uuid.uuid5(_IDS, f"client {identifier.lower()}"))


def _storage(name: str, identifier: str) -> dict[str, Any]:
    del identifier
    return {
        "primaryEndpoints": {kind: f"https://{name}.{kind}.core.windows.net/" for kind in ("blob", "dfs", "file", "queue", "table", "web")}
    }


def _identity(name: str, identifier: str) -> dict[str, Any]:
    del name
    return {"principalId": principal_of(identifier), "clientId": client_of(identifier), "tenantId": "tenant"}


def _insights(name: str, identifier: str) -> dict[str, Any]:
    key = str(uuid.uuid5(_IDS, f"key {identifier.lower()}"))
    return {"InstrumentationKey": key, "ConnectionString": f"InstrumentationKey={key}", "AppId": client_of(identifier), "Name": name}


_KNOWN: Final[dict[str, Callable[[str, str], dict[str, Any]]]] = {
    "microsoft.storage/storageaccounts": _storage,
    "microsoft.managedidentity/userassignedidentities": _identity,
    "microsoft.keyvault/vaults": lambda name, _: {"vaultUri": f"https://{name}.vault.azure.net/"},
    "microsoft.containerregistry/registries": lambda name, _: {"loginServer": f"{name}.azurecr.io"},
    "microsoft.insights/components": _insights,
    "microsoft.operationalinsights/workspaces": lambda _, identifier: {"customerId": client_of(identifier)},
    "microsoft.machinelearningservices/workspaces": lambda name, identifier: {
        "workspaceId": client_of(identifier),
        "discoveryUrl": f"https://desk.invalid/discovery/{name}",
        "mlFlowTrackingUri": f"azureml://desk.invalid/mlflow/v1.0{identifier}",
    },
}


def added(kind: str, name: str, identifier: str) -> dict[str, Any]:
    """The properties that Azure adds to a resource of a type (`Provider/type`, in any case)."""
    make = _KNOWN.get(kind.lower())
    return make(name, identifier) if make else {}
