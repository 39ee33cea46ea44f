"""What the delivery needs before it can run on the desk, and how it stands: workspaces and registries as the variables files name them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from lockgate.errors import FileError
from lockgate.workspace import assets, endpoints
from lockgate.workspace.cloud import Cloud, all_stores
from lockgate.workspace.errors import MissingError
from lockgate.workspace.store import Store
from lockgate.yaml_source import load_yaml

BUILT: Final = ".lockgate/infrastructure.json"
"""Environment → what its infrastructure was deployed from."""
FILES: Final = "infrastructure/env-variables/config-infra-*.yml"
ENVIRONMENTS: Final = ("dev", "stage", "prod")
_NEEDED: Final = ("location", "resource_group", "workspace", "registry", "online_endpoint", "batch_endpoint")
_CHECKS: Final = """\
# What has to hold before a stage deploys to an environment; in Azure DevOps the same stands at the environment itself.
infra-stage:
  approval:
    instructions: Look at what the run's first stage says that would change.
  branches: [refs/heads/main]
infra-prod:
  approval:
    instructions: Look at what the run's first stage says that would change.
  branches: [refs/heads/main]
stage:
  exclusiveLock: true
  branches: [refs/heads/main]
prod:
  approval:
    instructions: Look at the reports of dev-model-training and stage-model-testing first.
  exclusiveLock: true
  branches: [refs/heads/main]
"""


@dataclass(frozen=True)
class Place:
    """An environment of the delivery: its variables by name."""

    name: str
    variables: dict[str, str]

    def __getitem__(self, name: str) -> str:
        return self.variables[name]


def places(root: Path) -> list[Place]:
    """The environments of a repository, in the order of the delivery.

    Raises:
        FileError: a variables file is wrong or lacks a name.
    """
    found: list[Place] = []
    for name in ENVIRONMENTS:
        path = root / FILES.replace("*", name)
        if not path.exists():
            continue
        top = load_yaml(path, str(path.relative_to(root)))
        section = top.get("variables")
        variables: dict[str, str] = {}
        for item in section.value if section is not None and section.is_list else ():
            key, value = item.get("name"), item.get("value")
            if key is not None and value is not None:
                variables[key.text] = value.text
        lacking = [key for key in _NEEDED if not variables.get(key)]
        if lacking:
            raise FileError([top.mistake(f"lacks the variable {', '.join(lacking)}; the delivery needs it")])
        found.append(Place(name, variables))
    return found


def prepare(root: Path) -> list[str]:
    """Make what the bootstrap makes in Azure: the resource groups, and the checks of the environments.

    Returns:
        What was made.
    """
    cloud = Cloud(root)
    made: list[str] = []
    known = {group.name.lower() for group in cloud.groups()}
    for place in places(root):
        cloud.create_group(place["resource_group"], place["location"], {"managed_by": "lockgate"})
        if place["resource_group"].lower() not in known:
            made.append(f"resource group {place['resource_group']}")
    checks = root / ".lockgate" / "environments.yml"
    if not checks.exists():
        checks.write_text(_CHECKS, encoding="utf-8")
        made.append("checks of the environments, .lockgate/environments.yml")
    return made


def is_built(root: Path, place: Place, fingerprint: str) -> bool:
    """Whether the infrastructure of an environment was deployed from the same files before, and its workspace is there still."""
    try:
        kept = json.loads((root / BUILT).read_text(encoding="utf-8"))
        Cloud(root).place("workspace", place["workspace"], place["resource_group"])
    except (OSError, ValueError, MissingError):
        return False
    return bool(kept.get(place.name) == fingerprint)


def built(root: Path, place: Place, fingerprint: str) -> None:
    """Note that the infrastructure of an environment was deployed."""
    path = root / BUILT
    kept = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    path.write_text(json.dumps({**kept, place.name: fingerprint}), encoding="utf-8")


def store_of(root: Path, place: Place) -> Store:
    """The workspace of an environment."""
    return Store(root, place["workspace"])


def deployments(root: Path, place: Place) -> list[dict[str, Any]]:
    """What answers in an environment: endpoint, deployment, model, traffic, state, address."""
    found: list[dict[str, Any]] = []
    if not any(store.workspace == place["workspace"] for store in all_stores(root)):
        return found
    store = store_of(root, place)
    for kind in ("online", "batch"):
        for endpoint in endpoints.all_endpoints(store, kind):
            running = kind == "batch" or endpoints.process_of(store, endpoint.name) is not None
            for one in endpoints.deployments_of(store, endpoint):
                default = (endpoint.spec.get("defaults") or {}).get("deployment_name")
                share = f"{endpoint.traffic.get(one.name, 0)} %" if kind == "online" else "default" if default == one.name else ""
                found.append(
                    {
                        "kind": kind,
                        "endpoint": endpoint.name,
                        "deployment": one.name,
                        "model": short(str(one.spec.get("model") or "")),
                        "traffic": share,
                        "state": one.state if running else "stopped",
                        "uri": f"http://127.0.0.1:{endpoint.port}/score" if kind == "online" and endpoint.port else "",
                    }
                )
    return found


def champion(root: Path, registry: str) -> str:
    """NAME:VERSION of the version that production answers with; empty if there is none."""
    if not (root / ".lockgate" / "registries" / registry).exists():
        return ""
    store = Store(root, registry, registry=True)
    found = [one for one in assets.find_all(store, "model", archived="also") if one.tags.get("champion_now") == "yes"]
    return f"{found[0].name}:{found[0].version}" if found else ""


def newest(root: Path, place: Place) -> str:
    """NAME:VERSION of the newest model of an environment: of its workspace for dev, of its registry for the others."""
    registry = place.name != "dev"
    name = place["registry"] if registry else place["workspace"]
    if not (root / ".lockgate" / ("registries" if registry else "workspaces") / name / "workspace.db").exists():
        return ""
    found = assets.find_all(Store(root, name, registry=registry), "model")
    return f"{found[0].name}:{found[0].version}" if found else ""


def short(model: str) -> str:
    """NAME:VERSION of a reference."""
    parts = model.split("/")
    return f"{parts[-3]}:{parts[-1]}" if model.startswith("azureml://registries/") and len(parts) > 5 else model.removeprefix("azureml:")


def key_of(root: Path, place: Place) -> str:
    """The first key of an environment's online endpoint."""
    return endpoints.keys(store_of(root, place), place["online_endpoint"])["primaryKey"]


def table(rows: list[dict[str, Any]], columns: tuple[str, ...], indent: str = "  ") -> str:
    """Rows as aligned text with a head."""
    heads = [column.upper() for column in columns]
    cells = [[str(row.get(column, "")) for column in columns] for row in rows]
    widths = [max(len(head), *(len(row[i]) for row in cells)) if cells else len(head) for i, head in enumerate(heads)]
    return "\n".join(
        indent + "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in (heads, *cells)
    )


def release_of(folder: Path) -> dict[str, Any]:
    """The release that a run handed on; empty if it handed on none."""
    path = folder / "artifacts" / "release" / "release.json"
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return found
