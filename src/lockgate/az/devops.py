"""Azure DevOps as `az rest` sees it: the addresses that the bootstrap and the pipelines ask, answered from what the desk keeps.

Every organisation, project and repository is there; what is made in one is kept, and found again. An address that is not in the table is refused.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
import urllib.parse
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from lockgate.az.errors import ArgumentError, AzError
from lockgate.state import STATE_FOLDER
from lockgate.workspace.cloud import TENANT
from lockgate.workspace.directory import Directory

_IDS: Final = uuid.UUID("2a6a9d6e-6a55-4f6d-8a3d-1f1f0c9f7d10")
_START: Final = 30.0
"""Seconds within which a run that was started is there."""
_SECRET: Final = re.compile(r"key$|password|secret|token", re.IGNORECASE)


def _id(*parts: str) -> str:
    return str(uuid.uuid5(_IDS, " ".join(parts)))


class Organisation:
    """An organisation of Azure DevOps.

    Args:
        root: the folder that holds `.lockgate`.
        address: the organisation's address; what is made in another one is not seen.
    """

    def __init__(self, root: Path, address: str) -> None:
        self.directory = Directory(root)
        self.address = address.lower().rstrip("/")

    # Keeping ----------------------------------------------------------------------------------------------------------------

    def _all(self, kind: str) -> list[dict[str, Any]]:
        return [one for one in self.directory.all(f"devops {kind}") if one["_of"] == self.address]

    def _keep(self, kind: str, key: str, spec: dict[str, Any]) -> dict[str, Any]:
        self.directory.put(f"devops {kind}", f"{self.address} {key}", {**spec, "_of": self.address})
        return spec

    def _next(self, kind: str) -> int:
        return len(self._all(kind)) + 1

    # What is always there ---------------------------------------------------------------------------------------------------------

    def me(self, **_: Any) -> Any:
        """Who asks."""
        return {"authenticatedUser": {"id": _id("user"), "providerDisplayName": "desk"}, "instanceId": _id(self.address)}

    def project(self, project: str, **_: Any) -> Any:
        """A project."""
        return {"id": _id(self.address, project), "name": project, "state": "wellFormed"}

    def repository(self, project: str, name: str, **_: Any) -> Any:
        """A repository of a project."""
        return {"id": _id(self.address, project, name), "name": name, "defaultBranch": "refs/heads/main", "project": self.project(project)}

    def queues(self, query: dict[str, str], **_: Any) -> Any:
        """The pools of the names asked for: this machine stands for every pool."""
        names = [name for name in query.get("queueNames", "").split(",") if name]
        return _listed([{"id": 10 + number, "name": name, "pool": {"id": 10 + number, "name": name}} for number, name in enumerate(names)])

    def agents(self, **_: Any) -> Any:
        """The agents of a pool: this machine."""
        return _listed([{"id": 1, "name": "desk", "status": "online", "enabled": True}])

    # What is made ---------------------------------------------------------------------------------------------------------------------

    def connections(self, project: str, query: dict[str, str], **_: Any) -> Any:
        """Service connections; their secrets stay out."""
        names = query.get("endpointNames", "").split(",") if query.get("endpointNames") else None
        return _listed(
            [
                _without_secrets(one)
                for one in self._all("connection")
                if (names is None or one["name"] in names) and self._sees(one, project)
            ]
        )

    def _sees(self, connection: dict[str, Any], project: str) -> bool:
        return any(
            reference["projectReference"]["name"].lower() == project.lower()
            for reference in connection.get("serviceEndpointProjectReferences") or []
        )

    def add_connection(self, body: dict[str, Any], identifier: str = "", **_: Any) -> Any:
        """A service connection; with workload identity federation it says who issues its tokens and for whom."""
        name = body.get("name")
        if not name or not body.get("serviceEndpointProjectReferences"):
            raise AzError('Bad Request({"message": "name and serviceEndpointProjectReferences are needed"})')
        if not identifier and any(one["name"] == name for one in self._all("connection")):
            raise AzError(f'Conflict({{"message": "Service connection with name {name} already exists."}})')
        identifier = identifier or _id(self.address, "connection", str(name))
        authorization = dict(body.get("authorization") or {})
        if authorization.get("scheme") == "WorkloadIdentityFederation":
            more = {
                "workloadIdentityFederationIssuer": f"https://login.microsoftonline.com/{TENANT}/v2.0",
                "workloadIdentityFederationSubject": f"/eid1/c/pub/t/desk/a/desk/sc/{_id(self.address)}/{identifier}",
            }
            authorization["parameters"] = {**(authorization.get("parameters") or {}), **more}
        # The desk keeps no secret that it is given.
        spec = _without_secrets({**body, "authorization": authorization, "id": identifier})
        return self._keep("connection", str(name), spec)

    def environments(self, query: dict[str, str], **_: Any) -> Any:
        """Environments, of one name if it is given."""
        return _listed([_shown(one) for one in self._all("environment") if query.get("name", one["name"]).lower() == one["name"].lower()])

    def add_environment(self, body: dict[str, Any], **_: Any) -> Any:
        """An environment."""
        name = _needed(body, "name")
        if any(one["name"].lower() == name.lower() for one in self._all("environment")):
            raise AzError(f'Conflict({{"message": "Environment {name} already exists."}})')
        return self._keep("environment", name, {"id": self._next("environment"), "name": name, "description": body.get("description", "")})

    def checks(self, query: dict[str, str], **_: Any) -> Any:
        """The checks of a resource."""
        wanted = (query.get("resourceType"), query.get("resourceId"))
        found = [one for one in self._all("check") if (one["resource"]["type"], str(one["resource"]["id"])) == wanted]
        expanded = "settings" in query.get("$expand", "")
        return _listed([{key: value for key, value in _shown(one).items() if expanded or key != "settings"} for one in found])

    def add_check(self, body: dict[str, Any], **_: Any) -> Any:
        """A check of a resource."""
        for key in ("type", "resource", "settings"):
            if key not in body:
                raise AzError(f'Bad Request({{"message": "{key} is needed"}})')
        number = self._next("check")
        return self._keep("check", str(number), {**body, "id": number})

    def pipelines(self, **_: Any) -> Any:
        """The pipelines."""
        return _listed([_shown(one) for one in self._all("pipeline")])

    def add_pipeline(self, body: dict[str, Any], **_: Any) -> Any:
        """A pipeline."""
        name = _needed(body, "name")
        if any(one["name"].lower() == name.lower() for one in self._all("pipeline")):
            raise AzError(f'Conflict({{"message": "A pipeline with name {name} already exists."}})')
        return self._keep("pipeline", name, {**body, "id": self._next("pipeline"), "revision": 1})

    def start(self, number: str, body: dict[str, Any], **_: Any) -> Any:
        """Run a pipeline here, as `lockgate run` does: what it asks is approved, and what it triggers follows."""
        path = str(self._pipeline(number)["configuration"]["path"]).lstrip("/")
        branch = ((body.get("resources") or {}).get("repositories") or {}).get("self", {}).get("refName", "refs/heads/main")
        command = [sys.executable, "-m", "lockgate", "run", path, "--plain", "--yes", "--branch", branch]
        for name, value in (body.get("templateParameters") or {}).items():
            command += ["-p", f"{name}={value}"]
        before = max((one["id"] for one in self._runs(number)), default=0)
        log = self.directory.root / STATE_FOLDER / f"started-{number}.log"
        # Nothing of whoever asks goes along: a run of Azure DevOps has an environment of its own.
        environment = {key: value for key, value in os.environ.items() if key in ("PATH", "HOME", "LANG", "TMPDIR", "LOCKGATE_ROOT")}
        with log.open("wb") as stream:
            process = subprocess.Popen(
                command,
                cwd=self.directory.root,
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
                env=environment,
                start_new_session=True,
            )
        end = time.monotonic() + _START
        while time.monotonic() < end:
            new = [one for one in self._runs(number) if one["id"] > before]
            if new:
                return new[-1]
            if process.poll() is not None:
                break
            time.sleep(0.1)
        lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        raise AzError(f'Bad Request({{"message": "{lines[-1] if lines else "the run did not begin"}"}})')

    def runs(self, number: str, **_: Any) -> Any:
        """The runs of a pipeline."""
        return _listed(self._runs(number))

    def run(self, number: str, run: str, **_: Any) -> Any:
        """A run of a pipeline."""
        found = next((one for one in self._runs(number) if str(one["id"]) == run), None)
        if found is None:
            raise AzError(f'Not Found({{"message": "The run {run} could not be found."}})')
        return found

    def _pipeline(self, number: str) -> dict[str, Any]:
        found = next((one for one in self._all("pipeline") if str(one["id"]) == number), None)
        if found is None:
            raise AzError(f'Not Found({{"message": "The pipeline with ID {number} does not exist."}})')
        return found

    def _runs(self, number: str) -> list[dict[str, Any]]:
        name = Path(str(self._pipeline(number)["configuration"]["path"])).stem
        found = []
        for path in sorted((self.directory.root / STATE_FOLDER / "runs").glob("*/run.json"), key=lambda one: int(one.parent.name)):
            record = json.loads(path.read_text(encoding="utf-8"))
            if record.get("pipeline") == name:
                result = record.get("result")
                shown = {
                    "id": record["id"],
                    "name": record.get("number"),
                    "state": "completed" if result else "inProgress",
                    "result": _RESULTS.get(str(result)),
                }
                found.append({**shown, "pipeline": {"id": int(number), "name": name}})
        return found

    def permissions(self, kind: str, identifier: str, **_: Any) -> Any:
        """Which pipelines may use a resource."""
        found = next((one for one in self._all("permission") if one["resource"] == {"type": kind, "id": identifier}), None)
        return _shown(found) if found else {"resource": {"type": kind, "id": identifier}, "pipelines": []}

    def add_permissions(self, kind: str, identifier: str, body: dict[str, Any], **_: Any) -> Any:
        """Let pipelines use a resource, or no longer."""
        known = {one["id"]: one for one in self.permissions(kind, identifier)["pipelines"]}
        for one in body.get("pipelines") or []:
            known[one["id"]] = {"id": one["id"], "authorized": bool(one.get("authorized"))}
        pipelines = [one for one in known.values() if one["authorized"]]
        return self._keep("permission", f"{kind} {identifier}", {"resource": {"type": kind, "id": identifier}, "pipelines": pipelines})

    def policies(self, **_: Any) -> Any:
        """The policies of branches."""
        return _listed([_shown(one) for one in self._all("policy")])

    def add_policy(self, body: dict[str, Any], **_: Any) -> Any:
        """A policy of branches."""
        number = self._next("policy")
        return self._keep("policy", str(number), {**body, "id": number})


def _shown(one: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in one.items() if key != "_of"}


def _without_secrets(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            key: None if _SECRET.search(key) and isinstance(inner, str) else _without_secrets(inner) for key, inner in _shown(value).items()
        }
    return [_without_secrets(inner) for inner in value] if isinstance(value, list) else value


def _listed(value: list[Any]) -> dict[str, Any]:
    return {"count": len(value), "value": value}


def _needed(body: dict[str, Any], key: str) -> str:
    if not body.get(key):
        raise AzError(f'Bad Request({{"message": "{key} is needed"}})')
    return str(body[key])


_RESULTS: Final = {"Succeeded": "succeeded", "SucceededWithIssues": "succeeded", "Failed": "failed", "Canceled": "canceled"}
_P: Final = "(?P<project>[^/]+)/_apis"
_ROUTES: Final[tuple[tuple[str, str, Callable[..., Any]], ...]] = (
    ("get", r"_apis/connectionData", Organisation.me),
    ("get", r"_apis/projects/(?P<project>[^/]+)", Organisation.project),
    ("get", rf"{_P}/git/repositories/(?P<name>[^/]+)", Organisation.repository),
    ("get", rf"{_P}/distributedtask/queues", Organisation.queues),
    ("get", r"_apis/distributedtask/pools/(?P<pool>\d+)/agents", Organisation.agents),
    ("get", rf"{_P}/serviceendpoint/endpoints", Organisation.connections),
    ("post", r"_apis/serviceendpoint/endpoints", Organisation.add_connection),
    ("put", r"_apis/serviceendpoint/endpoints/(?P<identifier>[^/]+)", Organisation.add_connection),
    ("get", rf"{_P}/distributedtask/environments", Organisation.environments),
    ("post", rf"{_P}/distributedtask/environments", Organisation.add_environment),
    ("get", rf"{_P}/pipelines/checks/configurations", Organisation.checks),
    ("post", rf"{_P}/pipelines/checks/configurations", Organisation.add_check),
    ("get", rf"{_P}/pipelines", Organisation.pipelines),
    ("post", rf"{_P}/pipelines", Organisation.add_pipeline),
    ("get", rf"{_P}/pipelines/(?P<number>\d+)/runs", Organisation.runs),
    ("post", rf"{_P}/pipelines/(?P<number>\d+)/runs", Organisation.start),
    ("get", rf"{_P}/pipelines/(?P<number>\d+)/runs/(?P<run>\d+)", Organisation.run),
    ("get", rf"{_P}/pipelines/pipelinepermissions/(?P<kind>\w+)/(?P<identifier>[^/]+)", Organisation.permissions),
    ("patch", rf"{_P}/pipelines/pipelinepermissions/(?P<kind>\w+)/(?P<identifier>[^/]+)", Organisation.add_permissions),
    ("get", rf"{_P}/policy/configurations", Organisation.policies),
    ("post", rf"{_P}/policy/configurations", Organisation.add_policy),
)


def addresses() -> list[str]:
    """What is answered, for messages: method and address."""
    named = re.compile(r"\(\?P<(\w+)>[^)]+\)")
    return [f"{method.upper()} {named.sub(lambda match: f'{{{match[1]}}}', path)}" for method, path, _ in _ROUTES]


def answer(root: Path, organisation: str, method: str, path: str, query: dict[str, str], body: Any) -> Any:
    """Answer a call.

    Args:
        root: the folder that holds `.lockgate`.
        organisation: its address.
        method: lower case.
        path: behind the organisation's address.
        query: what stands behind the question mark.
        body: the JSON that was sent; None without.

    Returns:
        The answer, or None if there is no such address here.

    Raises:
        ArgumentError: api-version or the body is missing.
        AzError: Azure DevOps would refuse it.
    """
    for wanted, pattern, call in _ROUTES:
        found = re.fullmatch(pattern, path, re.IGNORECASE) if wanted == method else None
        if found is None:
            continue
        if "api-version" not in query:
            raise ArgumentError("az rest: the address lacks api-version")
        if method != "get" and not isinstance(body, dict):
            raise ArgumentError(f"az rest: {method.upper()} {path} wants --body with a JSON object")
        given = {key: urllib.parse.unquote(value) for key, value in found.groupdict().items()}
        answered = call(Organisation(root, organisation), **given, query=query, body=body)
        return _shown(answered) if isinstance(answered, dict) else answered
    return None
