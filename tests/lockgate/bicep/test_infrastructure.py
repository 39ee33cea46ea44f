"""infrastructure/: what its Bicep declares, held against Microsoft's own SDKs and Azure's rules for names."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from lockgate.bicep.evaluator import Outcome, Surroundings, evaluate
from lockgate.bicep.names import problem
from lockgate.bicep.reader import read
from lockgate.errors import FileError

ROOT = Path(__file__).parents[3]
MAIN = ROOT / "infrastructure" / "main.bicep"
FILES = sorted((ROOT / "infrastructure").rglob("*.bicep"))
FACTS = json.loads((ROOT / "tests/cases/bicep/facts.json").read_text(encoding="utf-8"))
EVERYTHING = {
    "namespace": "lockgate", "environmentName": "prod", "workspaceName": "mlw-lockgate-prod", "registryName": "mlr-lockgate",
    "pipelinePrincipalId": "11111111-1111-1111-1111-111111111111", "dataScientistsGroupId": "22222222-2222-2222-2222-222222222222",
    "alertEmails": "a@example.org, b@example.org", "onlineEndpointName": "flight-delay-prod",
}  # fmt: skip


def made(**arguments: Any) -> Outcome:
    """What main.bicep comes to."""
    return evaluate(MAIN, "main.bicep", arguments, Surroundings("sub", "ten", "rg-lockgate", "westeurope", "main"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_file_is_read_without_an_error(path):
    assert read(path, path.name).parameters


def unknown(value: Any, known: dict[str, Any], path: str = "") -> list[str]:
    """Keys that an API does not have."""
    if isinstance(value, list):
        return [one for item in value for one in unknown(item, known, path)]
    # {}: a value, or an object whose keys are not told.
    if not isinstance(value, dict) or not known:
        return []
    found = []
    for key, inner in value.items():
        below = known.get(key, known.get("*"))
        here = f"{path}.{key}" if path else key
        found += [here] if below is None else unknown(inner, below, here)
    return found


@pytest.mark.parametrize("environment", ["dev", "stage", "prod"])
def test_every_type_version_and_key_is_known_to_microsofts_sdk(environment):
    found = made(**{**EVERYTHING, "environmentName": environment}).everything()
    assert len(found) > 20
    for one in found:
        what = f"{one.type}@{one.version}"
        assert what in FACTS, f"{one.place}: no SDK that was read has {what}"
        assert unknown(one.body, FACTS[what]["keys"]) == [], one.place


def test_a_key_that_is_not_there_would_be_found():
    known = FACTS["Microsoft.Storage/storageAccounts@2025-08-01"]["keys"]
    assert unknown({"properties": {"allowSharedKeyAcess": False, "networkAcls": {"defaltAction": "Deny"}}}, known) == [
        "properties.allowSharedKeyAcess",
        "properties.networkAcls.defaltAction",
    ]


def resource(outcome: Outcome, kind: str) -> dict[str, Any]:
    (found,) = [one for one in outcome.everything() if one.type == kind]
    return found.body


def test_what_must_be_shut_is_shut():
    found = made(**EVERYTHING)
    storage = resource(found, "Microsoft.Storage/storageAccounts")["properties"]
    assert (storage["allowSharedKeyAccess"], storage["allowBlobPublicAccess"], storage["minimumTlsVersion"]) == (False, False, "TLS1_2")
    images = resource(found, "Microsoft.ContainerRegistry/registries")["properties"]
    assert (images["adminUserEnabled"], images["anonymousPullEnabled"]) == (False, False)
    vault = resource(found, "Microsoft.KeyVault/vaults")["properties"]
    assert (vault["enableRbacAuthorization"], vault["enableSoftDelete"], vault["enablePurgeProtection"]) == (True, True, True)
    assert resource(found, "Microsoft.MachineLearningServices/workspaces")["properties"]["systemDatastoresAuthMode"] == "identity"
    compute = resource(found, "Microsoft.MachineLearningServices/workspaces/computes")["properties"]
    assert compute["disableLocalAuth"] is True
    assert compute["properties"]["scaleSettings"]["minNodeCount"] == 0
    assert compute["properties"]["vmPriority"] == "Dedicated"


def test_outside_of_production_nodes_are_cheap_and_names_come_free_again():
    found = made(**{**EVERYTHING, "environmentName": "dev"})
    assert (
        resource(found, "Microsoft.MachineLearningServices/workspaces/computes")["properties"]["properties"]["vmPriority"] == "LowPriority"
    )
    assert resource(found, "Microsoft.KeyVault/vaults")["properties"]["enablePurgeProtection"] is None


def test_nobody_gets_more_than_a_role_at_a_resource():
    """No role at the group or above, none that can give roles, and every one to somebody who is named."""
    wide = {"b24988ac-6180-42a0-ab88-20f7382dd24c", "8e3af657-a8ff-443c-a75c-2fe8c4bcb635", "f58310d9-a9f6-439a-9e8d-f62e7b41a168"}
    given_out = [one for one in made(**EVERYTHING).everything() if one.type == "Microsoft.Authorization/roleAssignments"]
    assert len(given_out) >= 8
    for one in given_out:
        scope = one.id.split("/providers/Microsoft.Authorization/")[0]
        assert "/providers/" in scope, one.place
        assert one.body["properties"]["roleDefinitionId"].rsplit("/", 1)[-1] not in wide
        assert one.body["properties"]["principalId"]


def test_what_is_not_wanted_is_not_made():
    least = made(namespace="ab", environmentName="dev", workspaceName="mlw")
    kinds = {one.type for one in least.everything()}
    assert not kinds & {
        "Microsoft.MachineLearningServices/registries", "Microsoft.Insights/actionGroups", "Microsoft.Consumption/budgets",
        "Microsoft.Insights/metricAlerts",
    }  # fmt: skip


PART = st.text(st.characters(codec="ascii", categories=("Ll", "Lu", "Nd"), include_characters="-_ ."), max_size=12)


@settings(max_examples=300, deadline=None)
@given(namespace=PART, postfix=PART, environment=st.sampled_from(["dev", "stage", "prod"]))
def test_any_parts_give_names_that_azure_takes_or_are_refused_by_the_rule(namespace, postfix, environment):
    arguments = {**EVERYTHING, "namespace": namespace, "postfix": postfix, "environmentName": environment}
    allowed = bool(re.fullmatch(r"[a-z0-9]{2,10}", namespace)) and bool(re.fullmatch(r"[a-z0-9]{0,4}", postfix))
    if not (2 <= len(namespace) <= 10 and len(postfix) <= 4):
        with pytest.raises(FileError, match=r"allowed: at (least|most)"):
            made(**arguments)
        return
    outcome = made(**arguments)
    wrong = [said for one in outcome.everything() if (said := problem(one.type, one.name.rsplit("/", 1)[-1]))]
    if allowed:
        assert wrong == []
        assert len({one.id.lower() for one in outcome.everything()}) == len(outcome.everything())
    elif not re.fullmatch(r"[a-z0-9]*", namespace + postfix):
        # The storage account's name shows every character that is not allowed.
        assert wrong


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        ("Microsoft.Storage/storageAccounts", ["abc", "a1" * 12], ["ab", "a" * 25, "Abc", "a-c"]),
        ("Microsoft.KeyVault/vaults", ["kv-a", "a" * 24], ["kv", "1kv", "kv-", "k--v", "a" * 25, "k_v"]),
        ("Microsoft.ContainerRegistry/registries", ["abcde", "A" * 50], ["abcd", "a-cde", "a" * 51]),
        ("Microsoft.MachineLearningServices/workspaces", ["mlw", "a_b-c", "a" * 33], ["ml", "-ml", "a" * 34, "a.b"]),
        ("Microsoft.MachineLearningServices/workspaces/computes", ["ab", "cpu-cluster"], ["a", "cpu-", "1cpu", "a" * 17]),
        ("Microsoft.OperationalInsights/workspaces", ["log1"], ["log", "-log1", "log1-"]),
    ],
)
def test_azures_rules_for_names(kind, good, bad):
    assert [name for name in good if problem(kind, name)] == []
    assert [name for name in bad if not problem(kind, name)] == []


@pytest.mark.parametrize("environment", ["dev", "stage", "prod"])
def test_the_names_in_the_variables_files_are_names_that_azure_takes(environment):
    text = (ROOT / f"infrastructure/env-variables/config-infra-{environment}.yml").read_text(encoding="utf-8")
    values = {one["name"]: str(one["value"]) for one in yaml.safe_load(text)["variables"]}
    ml = "Microsoft.MachineLearningServices/workspaces"
    kinds = {
        "workspace": ml, "registry": "Microsoft.MachineLearningServices/registries", "compute": f"{ml}/computes",
        "online_endpoint": f"{ml}/onlineEndpoints", "batch_endpoint": f"{ml}/onlineEndpoints",
        "resource_group": "Microsoft.Resources/resourceGroups",
    }  # fmt: skip
    assert {name: said for name, kind in kinds.items() if (said := problem(kind, values[name]))} == {}
    suffix = f"{environment}-{values['postfix']}".rstrip("-")
    assert values["endpoint_identity"] == f"id-{values['namespace']}-endpoint-{suffix}"
    assert values["service_connection"] == f"Azure-ARM-{environment.capitalize()}-{values['namespace']}"
