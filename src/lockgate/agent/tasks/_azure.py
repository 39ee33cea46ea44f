"""Service connections, which on the desk are names."""

from __future__ import annotations

import json
import uuid
from pathlib import Path


def identity_of(connection: str) -> dict[str, str]:
    """The ids of a service connection's identity, subscription and tenant: made of its name, so the same every time."""
    kinds = ("client", "subscription", "tenant")
    return {kind: str(uuid.uuid5(uuid.NAMESPACE_URL, f"https://desk.invalid/{connection}/{kind}")) for kind in kinds}


def log_in(connection: str, folder: Path) -> None:
    """Leave what `az login` and `az account set` leave: a profile. az itself is not started for that."""
    ids = identity_of(connection)
    folder.mkdir(parents=True, exist_ok=True)
    subscription = {
        "id": ids["subscription"],
        "name": connection,
        "state": "Enabled",
        "isDefault": True,
        "tenantId": ids["tenant"],
        "user": {"name": ids["client"], "type": "servicePrincipal"},
        "environmentName": "AzureCloud",
    }
    profile = {"installationId": str(uuid.uuid5(uuid.NAMESPACE_URL, "https://desk.invalid/")), "subscriptions": [subscription]}
    (folder / "azureProfile.json").write_text(json.dumps(profile), encoding="utf-8")
