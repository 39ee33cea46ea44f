"""`az deployment`: a Bicep file's resources come to be, with the names that its parameters give; in Azure's shapes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
MAIN = """\
param name string = 'mlw-one'
param nodes int = 2
param tags object = {}

resource workspace 'Microsoft.MachineLearningServices/workspaces@2025-12-01' = {
  name: name
  location: resourceGroup().location
  tags: tags
  properties: { friendlyName: name }
}

resource compute 'Microsoft.MachineLearningServices/workspaces/computes@2025-12-01' = {
  parent: workspace
  name: 'cpu'
  location: resourceGroup().location
  properties: {
    computeType: 'AmlCompute'
    properties: { vmSize: 'Standard_DS3_v2', vmPriority: 'LowPriority', scaleSettings: { minNodeCount: 0, maxNodeCount: nodes, nodeIdleTimeBeforeScaleDown: 'PT5M' } }
  }
}

module storage 'storage.bicep' = {
  name: 'storage'
  params: { name: 'st${replace(name, '-', '')}' }
}

output workspaceName string = workspace.name
output nodes int = nodes
output storage object = { name: storage.outputs.name }
"""
STORAGE = """\
param name string

resource account 'Microsoft.Storage/storageAccounts@2025-08-01' = {
  name: name
  location: resourceGroup().location
  sku: { name: 'Standard_LRS' }
  kind: 'StorageV2'
  properties: { allowSharedKeyAccess: false }
}

output name string = account.name
"""
WHERE = ("--resource-group", "rg-d")


@pytest.fixture
def group(cloud):
    cloud.get("group", "create", "--name", "rg-d", "--location", "northeurope")
    cloud.write("main.bicep", MAIN)
    cloud.write("storage.bicep", STORAGE)
    return cloud


def deploy(cloud, verb="create", *words, code=0):
    done = cloud.az("deployment", "group", verb, *WHERE, "--template-file", "main.bicep", *words)
    assert done.returncode == code, done.stdout + done.stderr
    return done


def test_what_is_declared_comes_to_be_and_is_shown(group):
    made = json.loads(deploy(group, "create", "--parameters", "nodes=3", 'tags={"team": "a"}').stdout)
    assert made["properties"]["provisioningState"] == "Succeeded"
    assert made["properties"]["outputs"] == {
        "workspaceName": {"type": "String", "value": "mlw-one"},
        "nodes": {"type": "Int", "value": 3},
        "storage": {"type": "Object", "value": {"name": "stmlwone"}},
    }
    assert len(made["properties"]["outputResources"]) == 3
    assert group.get("deployment", "group", "show", *WHERE, "--name", "main") == made
    workspace = group.get("ml", "workspace", "show", "--name", "mlw-one", *WHERE)
    assert (workspace["location"], workspace["tags"]) == ("northeurope", {"team": "a"})
    compute = group.get("ml", "compute", "show", "--name", "cpu", *WHERE, "--workspace-name", "mlw-one")
    assert (compute["max_instances"], compute["min_instances"], compute["tier"], compute["idle_time_before_scale_down"]) == (
        3,
        0,
        "low_priority",
        300,
    )
    shown = group.get("resource", "show", *WHERE, "--resource-type", "Microsoft.Storage/storageAccounts", "--name", "stmlwone")
    assert shown["properties"] == {"allowSharedKeyAccess": False}
    # Computes are listed with their workspace.
    assert [one["name"] for one in group.get("resource", "list", *WHERE)] == ["mlw-one", "stmlwone"]


def test_another_name_in_the_file_is_another_resource_here(group):
    deploy(group)
    group.write("main.bicep", MAIN.replace("mlw-one", "mlw-other"))
    deploy(group)
    names = {one["name"] for one in group.get("ml", "workspace", "list", *WHERE)}
    # As in Azure, what was there stays.
    assert {"mlw-one", "mlw-other"} <= names


def what_if(group, *words):
    found = json.loads(deploy(group, "what-if", "--no-pretty-print", *words).stdout)["changes"]
    return {change["resourceId"].split("/providers/")[1].split("/", 1)[1]: (change["changeType"], change["delta"]) for change in found}


def test_what_if_says_what_would_change_and_changes_nothing(group):
    assert {kind for kind, _ in what_if(group).values()} == {"Create"}
    assert group.get("resource", "list", *WHERE) == []
    deploy(group)
    assert {kind for kind, _ in what_if(group).values()} == {"NoChange"}
    found = what_if(group, "--parameters", "nodes=5")
    path = "properties.properties.scaleSettings.maxNodeCount"
    assert found["workspaces/mlw-one/computes/cpu"] == (
        "Modify", [{"path": path, "propertyChangeType": "Modify", "before": 2, "after": 5, "children": None}],
    )  # fmt: skip
    said = deploy(group, "what-if", "--parameters", "nodes=5").stdout
    assert f"~ {path}: 2 => 5" in said
    assert "Resource changes: 1 to modify, 2 no change." in said
    group.write("main.bicep", "output x string = 'y'\n")
    assert {kind for kind, _ in what_if(group).values()} == {"Ignore"}


@pytest.mark.parametrize(
    ("text", "words", "code", "said"),
    [
        (MAIN.replace("'mlw-one'", "'m'"), (), 1, "main.bicep:5:1: workspaces name 'm' (1 characters); allowed: 3 to 33"),
        (MAIN.replace("'Standard_DS3_v2'", "nosuch"), (), 1, "there is no parameter, variable, resource or module nosuch"),
        (MAIN, ("--parameters", "nodes=many"), 1, "the parameter nodes is 'many'; allowed: int"),
        (MAIN, ("--parameters", "nodse=1"), 2, "there is no parameter nodse; there is: name, nodes, tags"),
        (MAIN, ("--parameters", "nodes"), 2, "found 'nodes'; allowed: NAME=VALUE, or @FILE with JSON"),
        (MAIN, ("--parameters", "{"), 2, "the JSON can't be read"),
        (MAIN, ("--mode", "Complete"), 2, "--mode Complete deletes"),
        (MAIN + "\nresource again 'Microsoft.MachineLearningServices/workspaces@2025-12-01' = {\n  name: 'mlw-one'\n}\n", (), 1, "is declared twice"),
        ("targetScope = 'subscription'\n", (), 1, "targetScope is 'subscription'; deploy it with az deployment sub"),
        (MAIN.replace("nodes int = 2", "nodes int = map([1], x => x)"), (), 1, "map() is not evaluated on the desk"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_and_nothing_is_made(group, text, words, code, said):
    group.write("main.bicep", text)
    for verb in ("validate", "create"):
        assert said in deploy(group, verb, *words, code=code).stderr
    assert group.get("resource", "list", *WHERE) == []


def test_a_file_of_parameters_is_read(group):
    group.write("values.json", json.dumps({"$schema": "x", "parameters": {"name": {"value": "mlw-two"}, "nodes": {"value": 7}}}))
    made = json.loads(deploy(group, "create", "--parameters", "@values.json", "--parameters", "nodes=8").stdout)
    assert (made["properties"]["outputs"]["workspaceName"]["value"], made["properties"]["outputs"]["nodes"]["value"]) == ("mlw-two", 8)


def test_text_that_reads_like_a_number_stays_text(group):
    group.write("main.bicep", "param a string\nparam b int\noutput both object = {a: a, b: b}\n")
    made = json.loads(deploy(group, "create", "--parameters", "a=007", "b=7").stdout)
    assert made["properties"]["outputs"]["both"]["value"] == {"a": "007", "b": 7}


def test_a_group_that_is_deleted_takes_its_resources_along(group):
    deploy(group)
    group.az("group", "delete", "--name", "rg-d", "--yes")
    group.get("group", "create", "--name", "rg-d", "--location", "northeurope")
    assert group.get("resource", "list", *WHERE) == []
    assert "DeploymentNotFound" in group.refused(3, "deployment", "group", "show", *WHERE, "--name", "main")


SUBSCRIPTION = """\
targetScope = 'subscription'
resource group 'Microsoft.Resources/resourceGroups@2024-03-01' = {
  name: 'rg-new'
  location: 'westeurope'
}
module storage 'storage.bicep' = {
  name: 'storage'
  scope: resourceGroup('rg-new')
  params: { name: 'stnew' }
}
"""


def test_a_template_of_the_subscription_makes_groups(group):
    group.write("main.bicep", SUBSCRIPTION)
    made = group.get("deployment", "sub", "create", "--location", "westeurope", "--template-file", "main.bicep")
    assert made["properties"]["provisioningState"] == "Succeeded"
    assert group.get("group", "exists", "--name", "rg-new") is True
    assert [one["name"] for one in group.get("resource", "list", "--resource-group", "rg-new")] == ["stnew"]
    assert group.get("deployment", "sub", "show", "--name", "main")["name"] == "main"


@pytest.mark.long
@pytest.mark.parametrize("environment", ["dev", "stage", "prod"])
def test_the_infrastructure_pipeline_runs_here(cloud, environment):
    """From nothing but the group that the bootstrap makes; the second time nothing changes."""
    subprocess.run(["git", "clone", "-q", str(ROOT), str(cloud.folder / "clone")], check=True)
    where = cloud.folder / "clone"
    group = f"rg-lockgate-{environment}"

    def run(*command):
        return subprocess.run([sys.executable, "-m", *command], cwd=where, capture_output=True, text=True, check=False, timeout=200)

    run("lockgate.az", "group", "create", "--name", group, "--location", "westeurope")
    words = (
        "infrastructure/pipelines/bicep-ado-deploy-infra.yml",
        "--plain",
        "--logs",
        "--yes",
        "--branch",
        "refs/heads/main",
        "-p",
        f"environment={environment}",
    )
    done = run("lockgate", "run", *words)
    said = done.stdout + done.stderr
    assert done.returncode == 0, said[-3000:]
    assert f"keyvault name kv-lockgate-{environment} is free" in said
    assert "passed  key vault: rights by role: true" in said
    assert f"passed  workspace: mlw-lockgate-{environment}" in said
    again = run("lockgate", "run", *words)
    assert again.returncode == 0
    assert "to create" not in again.stdout + again.stderr
    assert "to modify" not in again.stdout + again.stderr
    # Alerts come with the endpoint that they watch; a budget keeps the month that it began with.
    if environment == "prod":
        path = where / "infrastructure/env-variables/config-infra-prod.yml"
        path.write_text(path.read_text().replace("{name: alert_emails, value: ''}", "{name: alert_emails, value: 'a@example.org'}"))
        kind = (
            "lockgate.az",
            "resource",
            "list",
            "--resource-group",
            group,
            "--query",
            "length([?type=='Microsoft.Insights/metricAlerts'])",
            "--resource-type",
        )
        assert run("lockgate", "run", *words).returncode == 0
        assert run(*kind, "Microsoft.Insights/metricAlerts").stdout.strip() == "0"
        budget = f"/subscriptions/00000000-0000-0000-0000-00000000de5c/resourceGroups/{group}/providers/Microsoft.Consumption/budgets/budget-lockgate-prod"
        shown = run(
            "lockgate.az", "resource", "show", "--ids", budget, "--query", "properties.timePeriod.startDate", "-o", "tsv"
        ).stdout.strip()
        place = ("--resource-group", group, "--workspace-name", "mlw-lockgate-prod")
        assert run("lockgate.az", "ml", "online-endpoint", "create", "--name", "flight-delay-prod", *place).returncode == 0
        watched = run("lockgate", "run", *words)
        run("lockgate", "down")
        assert watched.returncode == 0, watched.stdout[-2000:] + watched.stderr
        assert f"budgetStart: {shown}" in watched.stdout + watched.stderr
        assert run(*kind, "Microsoft.Insights/metricAlerts").stdout.strip() == "2"
    # Somebody else's name is found before anything is deployed.
    if environment == "dev":
        text = (where / "infrastructure/main.bicep").read_text().replace("st${namespace}${environmentName}${postfix}", "stlockgatedev2")
        (where / "infrastructure/main.bicep").write_text(text)
        run("lockgate.az", "group", "create", "--name", "rg-other", "--location", "westeurope")
        other = "param name string = 'stlockgatedev2'\nresource a 'Microsoft.Storage/storageAccounts@2025-08-01' = {\n  name: name\n}\n"
        (where / "other.bicep").write_text(other)
        run("lockgate.az", "deployment", "group", "create", "--resource-group", "rg-other", "--template-file", "other.bicep")
        taken = run("lockgate", "run", *words)
        assert taken.returncode == 1
        assert "storage name stlockgatedev2 is taken in Azure" in taken.stdout + taken.stderr
