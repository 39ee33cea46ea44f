"""Writes tests/cases/bicep/facts.json: which keys Azure's APIs take for the resources of infrastructure/, read from Microsoft's own SDKs.

Run by a Python that has the packages of `PACKAGES` and nothing else; `tools/lock.sh` does not make one:

    uv venv .tools/facts && uv pip install --python .tools/facts/bin/python $(python tools/write_bicep_facts.py --packages)
    .tools/facts/bin/python tools/write_bicep_facts.py
"""

from __future__ import annotations

import importlib
import importlib.metadata
import inspect
import json
import re
import sys
from pathlib import Path
from typing import Any

PAGE = Path(__file__).parents[1] / "tests" / "cases" / "bicep" / "facts.json"
PACKAGES = {
    "azure-mgmt-storage": "25.0.0",
    "azure-mgmt-containerregistry": "15.0.0",
    "azure-mgmt-keyvault": "14.0.1",
    "azure-mgmt-msi": "7.1.0",
    "azure-mgmt-authorization": "4.0.0",
    "azure-mgmt-monitor": "6.0.2",
    "azure-mgmt-consumption": "11.0.0",
    "azure-mgmt-loganalytics": "14.0.0",
    "azure-mgmt-applicationinsights": "4.1.0",
    "azure-ai-ml": "1.35.2",
}
RESOURCES = {
    "Microsoft.Storage/storageAccounts@2025-08-01": ("azure-mgmt-storage", "azure.mgmt.storage.models", "StorageAccountCreateParameters"),
    "Microsoft.Storage/storageAccounts/blobServices@2025-08-01": ("azure-mgmt-storage", "azure.mgmt.storage.models", "BlobServiceProperties"),
    "Microsoft.KeyVault/vaults@2026-02-01": ("azure-mgmt-keyvault", "azure.mgmt.keyvault.models", "VaultCreateOrUpdateParameters"),
    "Microsoft.ContainerRegistry/registries@2025-11-01": ("azure-mgmt-containerregistry", "azure.mgmt.containerregistry.models", "Registry"),
    "Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30": ("azure-mgmt-msi", "azure.mgmt.msi.v2024_11_30.models", "Identity"),
    "Microsoft.Authorization/roleAssignments@2022-04-01": (
        "azure-mgmt-authorization", "azure.mgmt.authorization.v2022_04_01.models", "RoleAssignmentCreateParameters",
    ),
    "Microsoft.Insights/diagnosticSettings@2021-05-01-preview": (
        "azure-mgmt-monitor", "azure.mgmt.monitor.v2021_05_01_preview.models", "DiagnosticSettingsResource",
    ),
    "Microsoft.Insights/actionGroups@2023-01-01": ("azure-mgmt-monitor", "azure.mgmt.monitor.v2023_01_01.models", "ActionGroupResource"),
    "Microsoft.Insights/metricAlerts@2018-03-01": ("azure-mgmt-monitor", "azure.mgmt.monitor.v2018_03_01.models", "MetricAlertResource"),
    "Microsoft.Consumption/budgets@2024-08-01": ("azure-mgmt-consumption", "azure.mgmt.consumption.models", "Budget"),
    "Microsoft.OperationalInsights/workspaces@2025-07-01": ("azure-mgmt-loganalytics", "azure.mgmt.loganalytics.models", "Workspace"),
    "Microsoft.Insights/components@2020-02-02": (
        "azure-mgmt-applicationinsights", "azure.mgmt.applicationinsights.v2020_02_02.models", "ApplicationInsightsComponent",
    ),
    "Microsoft.MachineLearningServices/workspaces@2025-12-01": ("azure-ai-ml", "azure.ai.ml._restclient.arm_ml_service.models", "Workspace"),
    "Microsoft.MachineLearningServices/workspaces/onlineEndpoints@2025-12-01": (
        "azure-ai-ml", "azure.ai.ml._restclient.arm_ml_service.models", "OnlineEndpoint",
    ),
    "Microsoft.MachineLearningServices/workspaces/computes@2025-12-01": (
        "azure-ai-ml", "azure.ai.ml._restclient.arm_ml_service.models", "ComputeResource",
    ),
    "Microsoft.MachineLearningServices/registries@2025-12-01": ("azure-ai-ml", "azure.ai.ml._restclient.arm_ml_service.models", "Registry"),
}  # fmt: skip
"""Type and API version → package, module of its models, model of what is sent."""


def keys(models: Any, name: str, above: tuple[str, ...] = ()) -> dict[str, Any]:
    """The keys of a model: {} for a value, {"*": …} for an object whose keys are free, else the keys below. What Azure alone sets is left out."""
    if name in above:
        return {}
    found: dict[str, Any] = {}
    for one in [getattr(models, name), *subclasses(getattr(models, name))]:
        for key, kind in (old_keys(one) if hasattr(one, "_attribute_map") else new_keys(one)).items():
            target = found
            *outer, last = key
            for part in outer:
                target = target.setdefault(part, {})
            inner = next((word for word in re.findall(r"\w+", kind) if hasattr(models, word) and is_model(getattr(models, word))), "")
            below = keys(models, inner, (*above, name)) if inner else {}
            free = (
                kind.startswith("{")
                or re.match(r"(typing\.)?(Optional\[)?(typing\.)?[dD]ict\[", kind) is not None
                or kind in ("object", "JSON")
            )
            value = {"*": below} if free else below
            target[last] = {**target.get(last, {}), **value}
    return found


def subclasses(one: type) -> list[type]:
    """What a model may be instead, by its discriminator."""
    return [other for inner in one.__subclasses__() for other in (inner, *subclasses(inner)) if is_model(inner)]


def is_model(one: Any) -> bool:
    """Whether it is a model and no enumeration."""
    return isinstance(one, type) and (hasattr(one, "_attribute_map") or hasattr(one, "_deserialize") or "rest" in str(vars(one)))


def old_keys(one: Any) -> dict[tuple[str, ...], str]:
    """Keys of a model of the older generator."""
    fixed = {name for name, rule in one._validation.items() if rule.get("readonly")}
    return {
        tuple(part.replace("\\.", ".") for part in re.split(r"(?<!\\)\.", field["key"])): field["type"]
        for name, field in one._attribute_map.items()
        if name not in fixed
    }


def new_keys(one: Any) -> dict[tuple[str, ...], str]:
    """Keys of a model of the newer generator."""
    found: dict[tuple[str, ...], str] = {}
    for parent in reversed(one.__mro__):
        notes = inspect.get_annotations(parent)
        for name, field in vars(parent).items():
            if hasattr(field, "_rest_name_input"):
                if field._visibility and set(field._visibility) == {"read"}:
                    continue
                note = notes.get(name, "")
                found[(field._rest_name_input or name,)] = note if isinstance(note, str) else str(note)
    return found


def main() -> None:
    """Write the file."""
    if "--packages" in sys.argv:
        print(*(f"{name}=={version}" for name, version in PACKAGES.items()))
        return
    for name, version in PACKAGES.items():
        if importlib.metadata.version(name) != version:
            raise SystemExit(f"{name} is {importlib.metadata.version(name)}, wanted is {version}")
    found = {}
    for what, (package, module, model) in RESOURCES.items():
        models = importlib.import_module(module)
        version = what.partition("@")[2]
        folder = Path(str(models.__file__)).parents[1]
        if not any(version in path.read_text(encoding="utf-8") for path in folder.rglob("*.py")):
            raise SystemExit(f"{package} knows no API version {version}")
        found[what] = {"source": f"{package} {PACKAGES[package]} {model}", "keys": keys(models, model)}
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    PAGE.write_text(json.dumps(found, indent=0, sort_keys=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
