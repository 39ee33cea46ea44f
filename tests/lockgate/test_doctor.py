"""`lockgate doctor` in real processes: with no az, with the desk's az as Azure, and with a stand-in for what only Azure can answer."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


class House:
    """A copy of the infrastructure, and what is on PATH."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / ".lockgate").mkdir()
        shutil.copytree(ROOT / "infrastructure", folder / "infrastructure")
        self.bin = folder / "bin"
        self.bin.mkdir()
        for program in ("git", "bash", "python3"):
            (self.bin / program).symlink_to(shutil.which(program) or program)

    def az(self, script: str) -> None:
        path = self.bin / "az"
        path.write_text(f"#!{shutil.which('bash')}\n{script}\n")
        path.chmod(0o755)

    def desk(self, *words: str) -> None:
        environment = {**os.environ, "LOCKGATE_ROOT": str(self.folder)}
        done = subprocess.run([sys.executable, "-m", "lockgate.az", *words], env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "PATH": str(self.bin), "LOCKGATE_ROOT": str(self.folder)}
        command = [sys.executable, "-m", "lockgate", "doctor", *words]
        return subprocess.run(command, cwd=self.folder, env=environment, capture_output=True, text=True, check=False, timeout=200)

    def findings(self, *words: str) -> dict[tuple[str, str], dict[str, str]]:
        done = self.run("--json", *words)
        assert done.stdout, done.stderr
        return {(one["area"], one["what"]): one for one in json.loads(done.stdout)["findings"]}


@pytest.fixture
def house(tmp_path):
    return House(tmp_path)


DESK = f'exec {shlex.quote(sys.executable)} -m lockgate.az "$@"'


def test_without_az_the_offline_parts_are_looked_at(house):
    found = house.findings()
    assert found["machine", "Python"]["state"] == "right"
    assert found["machine", "Azure CLI"]["mend"] == "pip install azure-cli==2.91.0"
    assert [found[environment, "names"]["state"] for environment in ("dev", "stage", "prod")] == ["right"] * 3
    assert found["Azure", "login"]["state"] == "unknown"
    done = house.run()
    assert done.returncode == 1
    assert "✘ Azure CLI" in done.stdout
    assert "→ pip install azure-cli==2.91.0" in done.stdout


def test_without_a_login_it_says_what_is_not_looked_at(house):
    house.az(
        'case "$1" in version) echo \'{"azure-cli": "2.90.0", "extensions": {}}\' ;; *) echo "ERROR: Please run \'az login\' to setup account." >&2; exit 1 ;; esac'
    )
    found = house.findings()
    assert found["machine", "Azure CLI"]["found"] == "2.90.0, pinned is 2.91.0"
    assert found["machine", "ml extension"]["mend"].startswith("az extension add --name ml --version 2.40.0")
    assert found["Azure", "login"]["mend"] == "az login"
    assert "what needs a login is not looked at" in found["Azure", "login"]["found"]
    assert ("Azure", "subscription") not in found


def test_a_name_that_azure_refuses_is_said_with_its_rule(house):
    path = house.folder / "infrastructure/env-variables/config-infra-dev.yml"
    path.write_text(path.read_text().replace("{name: namespace, value: lockgate}", "{name: namespace, value: Lock-Gate}"))
    found = house.findings("--environment", "dev")
    assert found["dev", "names"]["state"] == "missing"
    assert "'stLock-Gatedev' (14 characters); allowed: 3 to 24 lower-case letters and digits" in found["dev", "names"]["found"]
    assert not any(area in ("stage", "prod") for area, _ in found)


def test_a_variables_file_that_is_wrong_is_said_with_its_place(house):
    path = house.folder / "infrastructure/env-variables/config-infra-dev.yml"
    path.write_text(path.read_text().replace("- {name: workspace, value: mlw-lockgate-dev}\n", ""))
    found = house.findings("--environment", "dev")
    assert "config-infra-dev.yml:2:1: lacks the variable workspace" in found["files", "variables"]["found"]


@pytest.mark.long
def test_the_way_from_nothing_to_all_right(house):
    """Each finding's command mends it, until only what the desk can't answer is left."""
    house.az(DESK)
    dev = ("--environment", "dev")
    found = house.findings(*dev)
    assert found["dev", "resource group rg-lockgate-dev"]["state"] == "missing"
    assert "bootstrap.sh" in found["dev", "resource group rg-lockgate-dev"]["mend"]
    house.desk("group", "create", "--name", "rg-lockgate-dev", "--location", "westeurope")
    found = house.findings(*dev)
    assert found["dev", "identity of the pipelines"]["state"] == "missing"
    path = house.folder / "infrastructure/env-variables/config-infra-dev.yml"
    principal = "11111111-1111-1111-1111-111111111111"
    path.write_text(path.read_text().replace("pipeline_principal_id, value: ''", f"pipeline_principal_id, value: '{principal}'"))
    scope = "/subscriptions/00000000-0000-0000-0000-00000000de5c/resourceGroups/rg-lockgate-dev"
    for role in ("Contributor", "Role Based Access Control Administrator"):
        assert house.findings(*dev)["dev", f"right {role}"]["state"] == "missing"
        give = ("role", "assignment", "create", "--assignee-object-id", principal, "--role", role, "--scope", scope)
        if role != "Contributor":
            # Without its condition it could make itself Owner.
            house.desk(*give)
            assert "without the condition" in house.findings(*dev)["dev", f"right {role}"]["found"]
            house.desk("role", "assignment", "delete", "--assignee-object-id", principal, "--role", role, "--scope", scope)
            give = (*give, "--condition", "(true)", "--condition-version", "2.0")
        house.desk(*give)
    found = house.findings(*dev)
    assert found["dev", "workspace mlw-lockgate-dev"]["state"] == "missing"
    assert found["dev", "name stlockgatedev"]["found"] == "free"
    house.desk(
        "deployment", "group", "create", "--resource-group", "rg-lockgate-dev", "--template-file", str(house.folder / "infrastructure/main.bicep"),
        "--parameters", "namespace=lockgate", "environmentName=dev", "workspaceName=mlw-lockgate-dev",
    )  # fmt: skip
    done = house.run(*dev)
    assert done.returncode == 0, done.stdout
    assert "✔ name stlockgatedev" in done.stdout
    assert "ours" in done.stdout
    assert "0 missing" in done.stdout


@pytest.mark.long
def test_a_right_at_the_subscription_is_too_much(house):
    house.az(DESK)
    path = house.folder / "infrastructure/env-variables/config-infra-dev.yml"
    path.write_text(path.read_text().replace("pipeline_principal_id, value: ''", "pipeline_principal_id, value: 'p'"))
    house.desk("group", "create", "--name", "rg-lockgate-dev", "--location", "westeurope")
    house.desk(
        "role",
        "assignment",
        "create",
        "--assignee-object-id",
        "p",
        "--role",
        "Contributor",
        "--scope",
        "/subscriptions/00000000-0000-0000-0000-00000000de5c",
    )
    found = house.findings("--environment", "dev")
    assert found["dev", "least privilege"]["found"] == "Contributor at the subscription"


SKU = {"name": "Standard_DS3_v2", "family": "standardDSv2Family", "capabilities": [{"name": "vCPUs", "value": "4"}], "restrictions": []}


@pytest.mark.long
@pytest.mark.parametrize("environment", ["dev", "prod"])
@pytest.mark.parametrize(
    ("sku", "limit", "state", "said"),
    [
        ([SKU], 20, "right", "16 cores of virtual machines"),
        (
            [SKU],
            10,
            "right",
            "6 cores of virtual machines (Azure ML's own is known once the workspace is there) are left, fewer than the 16 of all nodes",
        ),
        ([SKU], 5, "missing", "1 cores of virtual machines"),
        ([], 20, "missing", "westeurope does not offer it"),
        ([{**SKU, "restrictions": [{"type": "Location"}]}], 20, "missing", "this subscription may not use it in westeurope"),
        ([{**SKU, "family": "other"}], 20, "unknown", "no figure for other in westeurope"),
    ],
)
def test_quota_and_region(house, environment, sku, limit, state, said):
    """Azure's part is played by a script: the desk has no quota."""
    # dev has nodes of low priority, which have a quota over all families; production's have their family's.
    usage = [
        {"name": {"value": name}, "limit": limit, "currentValue": 4}
        for name in ("standardDSv2Family" if environment == "prod" else "lowPriorityCores",)
    ]
    (house.folder / "sku.json").write_text(json.dumps(sku))
    (house.folder / "usage.json").write_text(json.dumps(usage))
    house.az(
        f'case "$1 $2" in "vm list-skus") cat {house.folder}/sku.json ;; "vm list-usage") cat {house.folder}/usage.json ;; *) {DESK} ;; esac'.replace(
            "cat ", f"{shutil.which('cat')} "
        )
    )
    # Before anything is there: that is when it is asked.
    found = house.findings("--environment", environment)[environment, "quota for Standard_DS3_v2"]
    if said.startswith("no figure"):
        state, said = ("right", "cores") if environment == "dev" else (state, said)
    assert (found["state"], said in found["found"]) == (state, True), found


@pytest.mark.long
def test_azure_devops_is_looked_at_where_it_is_named(house):
    house.az(DESK)
    words = ("--environment", "dev", "--organization", "https://dev.azure.com/contoso", "--project", "my flights")
    found = house.findings(*words)
    assert found["Azure DevOps", "connection Azure-ARM-Dev-lockgate"]["found"] == "not there"
    assert found["Azure DevOps", "agent pool lockgate"]["state"] == "right"
    assert "--part devops" in found["Azure DevOps", "pipelines"]["mend"]
    # An environment without its checks is not right: anybody's branch would deploy.
    for name in ("prod", "infra-prod"):
        (house.folder / "body.json").write_text(json.dumps({"name": name}))
        url = "https://dev.azure.com/contoso/my%20flights/_apis/distributedtask/environments?api-version=7.1"
        house.desk("rest", "--method", "post", "--url", url, "--resource", "x", "--body", f"@{house.folder / 'body.json'}")
    found = house.findings("--environment", "prod", *words[2:])
    assert found["Azure DevOps", "environment prod"]["state"] == "missing"
    assert found["Azure DevOps", "environment prod"]["found"] == "there, without Approval, ExclusiveLock, Task Check"
    assert house.findings("--environment", "dev")["Azure DevOps", "connections, environments, agents"]["state"] == "unknown"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--organization", "https://dev.azure.com/contoso"), "--organization and --project belong together"),
        (("--organization", "contoso", "--project", "p"), "--organization: found 'contoso'; allowed: its address"),
    ],
)
def test_a_wrong_command_line_is_one_sentence(house, words, said):
    done = house.run(*words)
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert said in done.stderr


def test_outside_of_a_repository_it_says_so(tmp_path):
    command = [sys.executable, "-m", "lockgate", "doctor"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "found no infrastructure/main.bicep here or above" in done.stderr
