"""Command lines: what is understood, refused by name, and printed."""

from __future__ import annotations

import json

import pytest


def test_account_is_there_by_hand_and_gone_after_logout(cloud):
    assert cloud.get("account", "show", "--query", "user.type") == "user"
    cloud.get("logout")
    assert cloud.refused(1, "ml", "model", "list") == "Please run 'az login' to setup account."
    cloud.get("login", "--service-principal", "-u", "me", "--tenant", "t", "--federated-token", "x", "-o", "none")
    assert cloud.get("account", "show", "--query", "user.name") == "me"
    assert cloud.get("ml", "model", "list") == []


def test_inside_a_run_a_step_has_to_log_in(cloud):
    done = cloud.az("account", "show", LOCKGATE_RUN="x")
    assert (done.returncode, done.stderr) == (1, "ERROR: Please run 'az login' to setup account.\n")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("ml model shw", "'shw' is misspelled or not recognized by the system. Did you mean 'show'? See what there is: az ml model --help"),
        ("mll model show", "'mll' is misspelled or not recognized by the system. Did you mean 'ml'? See what there is: az --help"),
        ("ml model show --nam x", "unrecognized arguments: --nam x. Did you mean '--name'?"),
        ("ml model show", "the following arguments are required: --name/-n"),
        ("ml model show --name", "argument --name/-n: expected one argument"),
        ("ml model show -n a", "Must provide either version or label."),
        (
            "ml data create -n a -p model -t table",
            "--type: 'table' is not a valid value for '--type'. Allowed values: mltable, uri_file, uri_folder.",
        ),
        ("ml model list --query [", "argument --query: invalid jmespath_type value: '['"),
        ("ml model list --max-results none", "argument --max-results: invalid int value: 'none'"),
        ("ml data mount --path x", "az ml data mount is not run on the desk: data lie in plain files"),
        ("ml index list", "az ml index list is not run on the desk: run this one in Azure"),
        (
            "ml compute create -n c --subnet s",
            "--subnet of az ml compute create is not supported on the desk; leave it out, or run this in Azure",
        ),
        ("ml model create -n a -p model --tags novalue", "--tags: found 'novalue'; allowed: name=value, several with spaces between"),
    ],
)
def test_a_wrong_command_line_ends_with_2_and_one_sentence(cloud, words, message):
    assert cloud.refused(2, *words.split()).startswith(message)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("ml model show -n a -v 1", "workspace 'dev1' has no model a:1; it has: none yet"),
        (
            "ml model list -w none",
            "(ResourceNotFound) The Resource 'Microsoft.MachineLearningServices/workspaces/none' under resource group 'rg'",
        ),
        ("ml registry show -n none -g rg", "(ResourceNotFound) The Resource 'Microsoft.MachineLearningServices/registries/none'"),
        ("group show -n none", "(ResourceGroupNotFound) Resource group 'none' could not be found."),
        ("ml job show -n none", "(UserError) Run none was not found in workspace dev1."),
        ("ml compute show -n none", "(UserError) compute with name none not found in workspace dev1. There is: none."),
    ],
)
def test_what_is_not_there_ends_with_3(cloud, words, message):
    assert cloud.refused(3, *words.split()).startswith(message)


def test_required_options_come_from_the_defaults_or_the_environment(cloud):
    assert cloud.get("ml", "workspace", "show", "-n", "dev1")["name"] == "dev1"
    cloud.get("configure", "--defaults", "group=", "workspace=")
    assert cloud.refused(2, "ml", "job", "list") == "the following arguments are required: --resource-group/-g, --workspace-name/-w"
    done = cloud.az("ml", "job", "list", AZURE_DEFAULTS_GROUP="rg", AZURE_DEFAULTS_WORKSPACE="dev1")
    assert (done.returncode, json.loads(done.stdout)) == (0, [])


def test_forms_of_output(cloud):
    cloud.get("ml", "model", "create", "-n", "a", "-p", "model", "--type", "mlflow_model")
    listed = ("ml", "model", "list", "--query", "[].{name: name, version: version, tags: tags}")
    assert cloud.az(*listed, "-o", "tsv").stdout == "a\t1\t\n"
    assert cloud.az(*listed, "-o", "table").stdout == "Name  Version\n----  -------\na     1\n"
    assert cloud.az(*listed, "-o", "yaml").stdout == "- name: a\n  version: '1'\n  tags: {}\n"
    assert cloud.az(*listed, "-o", "none").stdout == ""
    assert cloud.az("group", "exists", "-n", "rg", "-o", "tsv").stdout == "true\n"
    assert cloud.az("ml", "model", "list", "--query", "[0].nothing", "-o", "tsv").stdout == ""


def test_help_lists_commands_and_says_what_is_not_run(cloud):
    group = cloud.az("ml", "model", "--help")
    assert (group.returncode, "    create " in group.stdout) == (0, True)
    command = cloud.az("ml", "compute", "create", "--help").stdout
    assert "--name -n" in command
    assert "--subnet                                 not supported on the desk" in command
    assert cloud.az("--help").returncode == 0
    assert cloud.az("ml").returncode == 2


def test_versions_are_those_that_pipelines_pin(cloud):
    ml = cloud.get("extension", "show", "--name", "ml")["version"]
    assert cloud.get("version")["extensions"] == {"ml": ml}
    cloud.get("extension", "add", "--name", "ml", "--version", ml, "--yes")
    assert cloud.refused(1, "extension", "add", "-n", "ml", "--version", "2.0.1").startswith(
        "No matching extensions for 'ml' version '2.0.1'."
    )
    assert cloud.refused(1, "extension", "show", "-n", "other") == "The extension other is not installed. The desk has: ml."


def test_groups_come_and_go_with_all_that_is_in_them(cloud):
    assert cloud.get("group", "exists", "-n", "RG") is True
    assert cloud.refused(1, "group", "create", "-n", "rg", "-l", "eastus").startswith("(InvalidResourceGroupLocation)")
    cloud.get("group", "delete", "-n", "rg", "--yes")
    assert cloud.get("group", "exists", "-n", "rg") is False
    assert not (cloud.folder / ".lockgate/workspaces/dev1").exists()


def test_nothing_heavy_is_imported_for_a_list(cloud):
    code = (
        "import sys; from lockgate.az.main import main; main(['ml', 'model', 'list', '-o', 'none'])\n"
        "print(sorted({'yaml', 'rich', 'mlflow', 'numpy', 'jmespath', 'pathspec', 'wcmatch', 'subprocess'} & set(sys.modules)))"
    )
    import os
    import subprocess
    import sys

    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=cloud.folder,
        env={**os.environ, "LOCKGATE_ROOT": str(cloud.folder)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "[]\n"


@pytest.mark.parametrize("words", ["group delete -n rg", "ml workspace delete -n dev -g rg"])
def test_what_deletes_all_wants_a_yes_where_nobody_can_be_asked(cloud, words):
    assert cloud.refused(1, *words.split()) == "Unable to prompt for confirmation as no tty available. Use --yes."
    assert cloud.get("group", "exists", "-n", "rg") is True


def test_an_option_without_effect_says_why(cloud):
    assert "--use-device-code" in (help_ := cloud.az("login", "--help").stdout)
    assert "without effect here: whoever runs the desk is let in" in help_
    assert cloud.refused(2, "extension", "add", "-n", "ml", "--source", "x").startswith(
        "--source of az extension add is not supported on the desk"
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("ml workspace update -n dev1 -g rg --set tags=abc", "--set tags: allowed here: "),
        ("ml workspace update -n dev1 -g rg --set description.x=abc", "--set description.x: allowed here: "),
        ("ml workspace update -n dev1 -g rg --set public_network_access=half", "public_network_access: found 'half'; allowed: Enabled, Disabled"),
        ("ml job list --max-results ²", "argument --max-results: invalid int value: '²'"),
        ("ml compute create -n c --type amlcompute --size S --identity-type SystemAssigned", "--identity-type of az ml compute create is not supported"),
    ],
)  # fmt: skip
def test_values_that_are_not_allowed(cloud, words, message):
    assert cloud.refused(2, *words.split()).startswith(message)


def test_a_compute_is_updated_by_whole_numbers(cloud):
    cloud.get("ml", "compute", "create", "-n", "c", "--type", "amlcompute", "--size", "S")
    said = cloud.refused(2, "ml", "compute", "update", "-n", "c", "--max-instances", "abc")
    assert said == "argument --max-instances: invalid int value: 'abc'"
    changed = cloud.get("ml", "compute", "update", "-n", "c", "--max-instances", "2", "--min-instances", "0")
    assert (changed["min_instances"], changed["max_instances"]) == (0, 2)
