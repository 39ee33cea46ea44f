"""What is right and what is missing before a first run in Azure: each finding with the command that mends it. Asks, and changes nothing."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from lockgate import delivery
from lockgate.errors import FileError, LockgateError

State = Literal["right", "missing", "unknown"]
PROVIDERS: Final = (
    "Microsoft.MachineLearningServices", "Microsoft.Storage", "Microsoft.KeyVault", "Microsoft.ContainerRegistry",
    "Microsoft.ManagedIdentity", "Microsoft.Insights", "Microsoft.OperationalInsights",
)  # fmt: skip
_DEVOPS: Final = "499b84ac-1321-427f-aa17-267ca6975798"
_PATIENCE: Final = 120.0
"""Seconds that one command of az may take."""
_BOOTSTRAP: Final = "infrastructure/identity/bootstrap.sh --organization https://dev.azure.com/ORG --project NAME"
_PARAMETERS: Final = "infrastructure/pipelines/steps/parameters.yml"


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        area: what it belongs to: this machine, or an environment.
        what: what was looked at.
        state: right, missing, or unknown where it could not be found out.
        found: what was found, in words.
        mend: the command or the step that mends it; empty if nothing needs to be done.
    """

    area: str
    what: str
    state: State
    found: str
    mend: str = ""


class NoAnswer(Exception):  # noqa: N818 - what az said instead of an answer
    """A command of az failed. `str()` is its last line."""

    @property
    def is_missing(self) -> bool:
        """Whether what was asked for is not there."""
        text = str(self).lower()
        return any(sign in text for sign in ("notfound", "not found", "could not be found", "does not exist", "was not found"))


class Azure:
    """The `az` on PATH.

    Args:
        folder: where it is run.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.program = shutil.which("az") or ""

    def ask(self, *words: str) -> Any:
        """What a command answers, as JSON.

        Raises:
            NoAnswer: it failed, or took too long.
        """
        command = [self.program or "az", *words, "--output", "json"]
        try:
            done = subprocess.run(
                command, cwd=self._folder, capture_output=True, text=True, timeout=_PATIENCE, check=False, stdin=subprocess.DEVNULL
            )
        except subprocess.TimeoutExpired:
            raise NoAnswer(f"az {words[0]} … gave no answer within {_PATIENCE:.0f} s") from None
        except OSError as error:
            raise NoAnswer(f"az can't be started: {error.strerror}") from None
        if done.returncode:
            lines = [line for line in done.stderr.splitlines() if line.strip()]
            raise NoAnswer(lines[0].removeprefix("ERROR: ") if lines else f"az ended with {done.returncode}")
        # Progress dots come before the answer.
        text = done.stdout.lstrip(". \r\n")
        try:
            return json.loads(text) if text else None
        except ValueError:
            raise NoAnswer(f"az {' '.join(words[:3])} answered no JSON: {text[:60]!r}") from None

    def devops(self, organization: str, path: str) -> Any:
        """What Azure DevOps answers to a GET."""
        return self.ask("rest", "--method", "get", "--url", f"{organization}/{path}", "--resource", _DEVOPS)


def examine(root: Path, environments: list[str], organization: str, project: str) -> Iterator[Finding]:
    """Look at everything, one finding after the other.

    Args:
        root: the repository.
        environments: which of dev, stage, prod.
        organization: address of the organisation of Azure DevOps; empty: it is not looked at.
        project: its project.
    """
    azure = Azure(root)
    yield from _machine(root, azure)
    try:
        places = [place for place in delivery.places(root) if place.name in environments]
    except FileError as error:
        yield Finding("files", "variables", "missing", str(error), "mend the file that is named")
        return
    for place in places:
        yield from _names(root, place)
    known = list(_account(azure))
    yield from known
    if any(one.what == "login" and one.state != "right" for one in known):
        return
    for name in PROVIDERS:
        yield _provider(azure, name)
    for place in places:
        yield from _environment(root, azure, place)
    if organization and project:
        yield from _organisation(azure, places, organization.rstrip("/"), project)
    else:
        yield Finding(
            "Azure DevOps", "connections, environments, agents", "unknown", "not asked",
            "lockgate doctor --organization https://dev.azure.com/ORG --project NAME",
        )  # fmt: skip


# This machine ----------------------------------------------------------------------------------------------------------------


def _machine(root: Path, azure: Azure) -> Iterator[Finding]:
    from lockgate.az.groups.account import CLI, ML

    version = ".".join(map(str, sys.version_info[:3]))
    fits = (3, 11) <= sys.version_info[:2] <= (3, 13)
    yield Finding(
        "machine", "Python", "right" if fits else "missing", version, "" if fits else "install Python 3.12: LOCKGATE_PYTHON=… ./run"
    )
    for program, mend in (
        ("git", "install git"),
        ("bash", "install bash"),
        ("python3", "install Python 3.9 or newer as python3, for the steps"),
    ):
        path = shutil.which(program)
        yield Finding("machine", program, "right" if path else "missing", path or "not on PATH", "" if path else mend)
    if (root / ".git").exists() and shutil.which("git"):
        done = subprocess.run(
            [shutil.which("git") or "git", "status", "--porcelain"], cwd=root, capture_output=True, text=True, check=False
        )
        changed = len(done.stdout.splitlines())
        yield Finding(
            "machine", "committed", "unknown" if changed else "right", f"{changed} files are not committed" if changed else "everything is",
            "commit and push: Azure DevOps runs what is pushed" if changed else "",
        )  # fmt: skip
    if not azure.program:
        yield Finding("machine", "Azure CLI", "missing", "not on PATH", f"pip install azure-cli=={CLI}")
        return
    try:
        found = azure.ask("version")
    except NoAnswer as error:
        yield Finding("machine", "Azure CLI", "missing", str(error), f"pip install azure-cli=={CLI}")
        return
    cli, ml = str(found.get("azure-cli")), str((found.get("extensions") or {}).get("ml") or "")
    yield Finding(
        "machine",
        "Azure CLI",
        "right" if cli == CLI else "missing",
        f"{cli}, pinned is {CLI}",
        "" if cli == CLI else f"pip install azure-cli=={CLI}",
    )
    yield Finding(
        "machine", "ml extension", "right" if ml == ML else "missing", f"{ml or 'none'}, pinned is {ML}",
        "" if ml == ML else f"az extension add --name ml --version {ML} --upgrade --yes",
    )  # fmt: skip


def _names(root: Path, place: delivery.Place) -> Iterator[Finding]:
    """Whether Azure takes every name of an environment, those that Bicep makes too."""
    from lockgate.bicep.names import problem

    try:
        resources = declared(root, place)
    except LockgateError as error:
        yield Finding(place.name, "names", "missing", str(error), f"mend infrastructure/env-variables/config-infra-{place.name}.yml")
        return
    wrong = [said for one in resources if (said := problem(one.type, one.name.rsplit("/", 1)[-1]))]
    kinds = (
        ("resource_group", "Microsoft.Resources/resourceGroups"),
        ("online_endpoint", "Microsoft.MachineLearningServices/workspaces/onlineEndpoints"),
    )
    wrong += [f"{name}: {said}" for name, kind in kinds if (said := problem(kind, place[name]))]
    yield Finding(
        place.name, "names", "missing" if wrong else "right", "; ".join(wrong) or f"{len(resources)} keep Azure's rules",
        f"change namespace or postfix, or the name, in config-infra-{place.name}.yml" if wrong else "",
    )  # fmt: skip


def declared(root: Path, place: delivery.Place) -> list[Any]:
    """The resources that the infrastructure pipeline would deploy to an environment.

    Raises:
        LockgateError: the Bicep or the variables are wrong.
    """
    from lockgate.bicep.evaluator import Surroundings, evaluate
    from lockgate.yaml_source import load_yaml

    arguments: dict[str, Any] = {}
    top = load_yaml(root / _PARAMETERS, _PARAMETERS).plain()
    (step,) = top["steps"]
    for name, value in step["env"].items():
        if name.startswith("IN_"):
            found = place.name if str(value).startswith("${{") else place.variables.get(str(value)[2:-1], "")
            if found:
                arguments[name.removeprefix("IN_")] = found
    surroundings = Surroundings("subscription", "tenant", place["resource_group"], place["location"], "doctor")
    return evaluate(root / "infrastructure/main.bicep", "infrastructure/main.bicep", arguments, surroundings).everything()


# Azure -------------------------------------------------------------------------------------------------------------------------


def _account(azure: Azure) -> Iterator[Finding]:
    if not azure.program:
        yield Finding("Azure", "login", "unknown", "there is no az; what needs a login is not looked at")
        return
    try:
        found = azure.ask("account", "show")
    except NoAnswer as error:
        yield Finding("Azure", "login", "missing", f"{error}; what needs a login is not looked at", "az login")
        return
    fine = found.get("state") == "Enabled"
    who = (found.get("user") or {}).get("name", "?")
    yield Finding("Azure", "login", "right", f"{who}, tenant {found.get('tenantId')}")
    yield Finding(
        "Azure", "subscription", "right" if fine else "missing", f"{found.get('name')} ({found.get('id')}), {found.get('state')}",
        "" if fine else "az account set --subscription NAME",
    )  # fmt: skip


def _provider(azure: Azure, name: str) -> Finding:
    try:
        state = str(azure.ask("provider", "show", "--namespace", name).get("registrationState"))
    except NoAnswer as error:
        return Finding("Azure", f"provider {name}", "unknown", str(error))
    fine = state == "Registered"
    return Finding(
        "Azure", f"provider {name}", "right" if fine else "missing", state, "" if fine else f"az provider register --namespace {name}"
    )


def _environment(root: Path, azure: Azure, place: delivery.Place) -> Iterator[Finding]:
    group, workspace, where = place["resource_group"], place["workspace"], place.name
    try:
        there = azure.ask("group", "show", "--name", group)
        yield Finding(where, f"resource group {group}", "right", f"in {there.get('location')}")
    except NoAnswer as error:
        yield Finding(
            where, f"resource group {group}", "missing" if error.is_missing else "unknown", str(error), f"{_BOOTSTRAP} --part azure"
        )
        yield from _free_names(root, azure, place, set())
        yield _quota(azure, place, made=False)
        return
    yield from _rights(azure, place, str(there["id"]))
    try:
        resources = azure.ask("resource", "list", "--resource-group", group)
    except NoAnswer as error:
        yield Finding(where, "resources", "unknown", str(error))
        return
    known = {(str(one["type"]).lower(), str(one["name"]).lower()) for one in resources}
    yield from _free_names(root, azure, place, known)
    made = ("microsoft.machinelearningservices/workspaces", workspace.lower()) in known
    yield Finding(
        where, f"workspace {workspace}", "right" if made else "missing", "there" if made else "not made yet",
        "" if made else f"run the pipeline bicep-ado-deploy-infra with environment {where}",
    )  # fmt: skip
    yield _quota(azure, place, made=made)


def _rights(azure: Azure, place: delivery.Place, scope: str) -> Iterator[Finding]:
    principal = place.variables.get("pipeline_principal_id", "")
    if not principal:
        mend = f"{_BOOTSTRAP} --part azure, then commit config-infra-{place.name}.yml"
        yield Finding(place.name, "identity of the pipelines", "missing", "pipeline_principal_id is empty", mend)
        return
    try:
        given = azure.ask("role", "assignment", "list", "--assignee-object-id", principal, "--scope", scope, "--include-inherited")
    except NoAnswer as error:
        yield Finding(place.name, "rights of the pipelines", "unknown", str(error))
        return
    names = {one["roleDefinitionName"]: one for one in given}
    for name in ("Contributor", "Role Based Access Control Administrator"):
        fine = name in names
        if fine and name != "Contributor" and not names[name].get("condition"):
            # Without its condition this right gives itself every other one.
            mend = f"az role assignment delete --ids {names[name].get('id')}, then {_BOOTSTRAP} --part azure"
            yield Finding(place.name, f"right {name}", "missing", "given without the condition on what it may give", mend)
            continue
        yield Finding(
            place.name,
            f"right {name}",
            "right" if fine else "missing",
            f"at {scope.rsplit('/', 1)[-1]}" if fine else "not given",
            "" if fine else f"{_BOOTSTRAP} --part azure",
        )
    wide = [name for name, one in names.items() if "/resourceGroups/" not in str(one["scope"])]
    if wide:
        yield Finding(
            place.name,
            "least privilege",
            "missing",
            f"{', '.join(wide)} at the subscription",
            f"az role assignment delete --assignee-object-id {principal} …",
        )


_CHECKED: Final = {
    "microsoft.storage/storageaccounts": ("storage", "account", "check-name"),
    "microsoft.containerregistry/registries": ("acr", "check-name"),
    "microsoft.keyvault/vaults": ("keyvault", "check-name"),
}


def _free_names(root: Path, azure: Azure, place: delivery.Place, known: set[tuple[str, str]]) -> Iterator[Finding]:
    """Whether the names that are taken once in all of Azure are ours or free."""
    try:
        resources = declared(root, place)
    except LockgateError:
        return  # Said before, with the names.
    for one in resources:
        command = _CHECKED.get(one.type.lower())
        if command is None:
            continue
        if (one.type.lower(), one.name.lower()) in known:
            yield Finding(place.name, f"name {one.name}", "right", "ours")
            continue
        try:
            found = azure.ask(*command, "--name", one.name)
        except NoAnswer as error:
            yield Finding(place.name, f"name {one.name}", "unknown", str(error))
            continue
        free = bool(found.get("nameAvailable"))
        yield Finding(
            place.name, f"name {one.name}", "right" if free else "missing", "free" if free else str(found.get("message") or "taken"),
            "" if free else f"set postfix in config-infra-{place.name}.yml",
        )  # fmt: skip


def _quota(azure: Azure, place: delivery.Place, *, made: bool) -> Finding:
    """Whether the region has the size, and the subscription cores enough for one node."""
    size, location = place.variables.get("compute_size", ""), place["location"]
    what = f"quota for {size}"
    try:
        sizes = azure.ask("vm", "list-skus", "--location", location, "--size", size, "--resource-type", "virtualMachines")
        sku = next((one for one in sizes if str(one.get("name", "")).lower() == size.lower()), None)
        if sku is None:
            return Finding(
                place.name,
                what,
                "missing",
                f"{location} does not offer it",
                f"set compute_size or location in config-infra-{place.name}.yml",
            )
        if any(one.get("type") == "Location" for one in sku.get("restrictions") or []):
            return Finding(
                place.name,
                what,
                "missing",
                f"this subscription may not use it in {location}",
                "ask for it in the portal: Help + support, quotas",
            )
        cores = next((int(one["value"]) for one in sku.get("capabilities") or [] if one.get("name") == "vCPUs"), 0)
        if made:
            usage = azure.ask(
                "ml",
                "compute",
                "list-usage",
                "--resource-group",
                place["resource_group"],
                "--workspace-name",
                place["workspace"],
                "--location",
                location,
            )
        else:
            usage = azure.ask("vm", "list-usage", "--location", location)
        # Low priority, outside of production, has a quota of its own, over all families.
        family = "lowprioritycores" if place.name != "prod" and not made else str(sku.get("family", "")).lower()
        own = next((one for one in usage if str((one.get("name") or {}).get("value", "")).lower() == family), None)
    except NoAnswer as error:
        return Finding(place.name, what, "unknown", str(error))
    if own is None:
        return Finding(place.name, what, "unknown", f"no figure for {family} in {location}")
    left = int(own.get("limit") or 0) - int(own.get("currentValue") or own.get("current_value") or 0)
    wanted = cores * int(place.variables.get("compute_max_instances", "1") or 1)
    whose = "of Azure ML" if made else "of virtual machines (Azure ML's own is known once the workspace is there)"
    if left >= cores > 0:
        short = "" if left >= wanted else f", fewer than the {wanted} of all nodes together"
        return Finding(place.name, what, "right", f"{left} cores {whose} are left{short}")
    return Finding(
        place.name,
        what,
        "missing",
        f"{left} cores {whose} are left, {cores} are needed for a node",
        "ask for more in the portal: Quotas, Machine learning",
    )


# Azure DevOps ----------------------------------------------------------------------------------------------------------------


def _organisation(azure: Azure, places: list[delivery.Place], organization: str, project: str) -> Iterator[Finding]:
    area, path = "Azure DevOps", urllib.parse.quote(project)
    try:
        azure.devops(organization, f"_apis/projects/{path}?api-version=7.1")
        yield Finding(area, f"project {project}", "right", "there")
        connections = azure.devops(organization, f"{path}/_apis/serviceendpoint/endpoints?api-version=7.1")["value"]
        environments = azure.devops(organization, f"{path}/_apis/distributedtask/environments?api-version=7.1")["value"]
        pipelines = azure.devops(organization, f"{path}/_apis/pipelines?api-version=7.1")["value"]
    except NoAnswer as error:
        yield Finding(
            area,
            f"project {project}",
            "missing" if error.is_missing else "unknown",
            str(error),
            "az login, as somebody who is in the project",
        )
        return
    schemes = {one["name"]: (one.get("authorization") or {}).get("scheme") for one in connections}
    for place in places:
        name = place["service_connection"] if "service_connection" in place.variables else ""
        scheme = schemes.get(name)
        fine = scheme == "WorkloadIdentityFederation"
        found = "not there" if scheme is None else "no secret" if fine else f"signs in by {scheme}"
        yield Finding(area, f"connection {name}", "right" if fine else "missing", found, "" if fine else _BOOTSTRAP)
        for one in (place.name, f"infra-{place.name}"):
            there = any(environment["name"] == one for environment in environments)
            if there:
                yield _checks(azure, organization, path, next(found for found in environments if found["name"] == one))
                continue
            yield Finding(
                area,
                f"environment {one}",
                "right" if there else "missing",
                "there" if there else "not there",
                "" if there else f"{_BOOTSTRAP} --part devops",
            )
    wanted = {"dev-model-training", "stage-register-in-staging", "prod-online-endpoint", "pr-validation", "bicep-ado-deploy-infra"}
    lacking = sorted(wanted - {one["name"] for one in pipelines})
    yield Finding(
        area, "pipelines", "missing" if lacking else "right", f"not there: {', '.join(lacking)}" if lacking else f"{len(pipelines)} are there",
        f"{_BOOTSTRAP} --part devops" if lacking else "",
    )  # fmt: skip
    for pool in sorted({place.variables.get("agent_pool", "") for place in places}):
        yield _agents(azure, organization, path, pool)


_CHECKS: Final = {
    "dev": set(), "infra-dev": {"ExclusiveLock"}, "stage": {"Task Check", "ExclusiveLock"}, "infra-stage": {"Approval", "Task Check", "ExclusiveLock"},
    "prod": {"Approval", "Task Check", "ExclusiveLock"}, "infra-prod": {"Approval", "Task Check", "ExclusiveLock"},
}  # fmt: skip
"""Environment → the checks that it needs; Task Check is the one on branches."""


def _checks(azure: Azure, organization: str, path: str, environment: dict[str, Any]) -> Finding:
    area, what = "Azure DevOps", f"environment {environment['name']}"
    query = f"resourceType=environment&resourceId={environment['id']}&api-version=7.1-preview.1"
    try:
        found = {
            str(one["type"]["name"]) for one in azure.devops(organization, f"{path}/_apis/pipelines/checks/configurations?{query}")["value"]
        }
    except NoAnswer as error:
        return Finding(area, what, "unknown", f"there; its checks: {error}")
    lacking = sorted(_CHECKS.get(environment["name"], set()) - found)
    said = f"there, without {', '.join(lacking)}" if lacking else f"there, with {', '.join(sorted(found)) or 'no check, as it should be'}"
    return Finding(area, what, "missing" if lacking else "right", said, f"{_BOOTSTRAP} --part devops" if lacking else "")


def _agents(azure: Azure, organization: str, path: str, pool: str) -> Finding:
    area, what = "Azure DevOps", f"agent pool {pool}"
    try:
        queues = azure.devops(organization, f"{path}/_apis/distributedtask/queues?queueNames={urllib.parse.quote(pool)}&api-version=7.1")[
            "value"
        ]
        if not queues:
            return Finding(area, what, "missing", "not there, or not for this project", "Project settings, Agent pools, Add pool")
        agents = azure.devops(organization, f"_apis/distributedtask/pools/{queues[0]['pool']['id']}/agents?api-version=7.1")["value"]
    except NoAnswer as error:
        return Finding(area, what, "unknown", str(error))
    online = [one["name"] for one in agents if one.get("status") == "online" and one.get("enabled")]
    return Finding(
        area,
        what,
        "right" if online else "missing",
        f"online: {', '.join(online) or 'none'}",
        "" if online else "start an agent: docs/azure.md",
    )
