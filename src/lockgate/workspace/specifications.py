"""What the YAML files of assets and resources may hold, as data, and the check of a file against it.

Sources: Microsoft's pages on the YAML schemas of the ml extension (version 2).
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from lockgate.errors import FileError, Mistake
from lockgate.yaml_source import Node

Shape = Literal["text", "string", "number", "boolean", "mapping", "list", "texts", "numbers", "each", "any"]


@dataclass(frozen=True)
class Key:
    """A key of a file.

    Attributes:
        shape: text takes what YAML types as a number too, string does not; number with `least` takes a number in quotes; texts is a mapping of texts, numbers one of whole numbers from 0 to 100, each one of mappings with `keys`.
        values: the only texts it takes.
        keys: the keys of a mapping; empty: any.
        required: whether the file needs it.
        least: the smallest number.
    """

    shape: Shape = "text"
    values: tuple[str, ...] = ()
    keys: dict[str, Key] = field(default_factory=dict)
    required: bool = False
    least: float | None = None


TEXT: Final = Key()
STRING: Final = Key("string")
NUMBER: Final = Key("number")
BOOLEAN: Final = Key("boolean")
TEXTS: Final = Key("texts")
ANY: Final = Key("any")
_COMMON: Final = {"$schema": TEXT, "name": TEXT, "description": TEXT, "tags": TEXTS, "properties": TEXTS}
_VERSIONED: Final = {**_COMMON, "version": TEXT}
_IDENTITY: Final = Key("mapping")
_INTELLECTUAL: Final = Key("mapping")

MODEL: Final = {
    **_VERSIONED,
    "path": Key(required=True),
    "type": Key(values=("custom_model", "mlflow_model", "triton_model")),
    "flavors": ANY,
    "stage": TEXT,
    "datastore": TEXT,
    "default_deployment_template": ANY,
    "intellectual_property": _INTELLECTUAL,
    "system_metadata": ANY,
}
DATA: Final = {
    **_VERSIONED,
    "path": Key(required=True),
    "type": Key(values=("uri_file", "uri_folder", "mltable")),
    "datastore": TEXT,
    "latest_version": TEXT,
    "skip_validation": BOOLEAN,
    "auto_delete_setting": ANY,
    "referenced_uris": Key("list"),
    "mltable_schema_url": TEXT,
}
_ROUTE: Final = Key("mapping", keys={"port": NUMBER, "path": TEXT})
ENVIRONMENT: Final = {
    **_VERSIONED,
    "image": TEXT,
    "conda_file": ANY,
    "build": Key("mapping", keys={"path": Key(required=True), "dockerfile_path": TEXT}),
    "os_type": Key(values=("linux", "windows")),
    "inference_config": Key("mapping", keys={"liveness_route": _ROUTE, "readiness_route": _ROUTE, "scoring_route": _ROUTE}),
    "datastore": TEXT,
    "intellectual_property": _INTELLECTUAL,
}
COMPUTE: Final = {
    **_COMMON,
    "type": Key(values=("amlcompute", "computeinstance", "kubernetes", "virtualmachine", "synapsespark"), required=True),
    "location": TEXT,
    "resource_id": TEXT,
    "size": TEXT,
    "tier": Key(values=("dedicated", "low_priority")),
    "min_instances": NUMBER,
    "max_instances": NUMBER,
    "idle_time_before_scale_down": NUMBER,
    "ssh_public_access_enabled": BOOLEAN,
    "ssh_settings": Key("mapping"),
    "network_settings": Key("mapping"),
    "identity": _IDENTITY,
    "enable_node_public_ip": BOOLEAN,
    "create_on_behalf_of": ANY,
    "schedules": ANY,
    "setup_scripts": ANY,
    "custom_applications": ANY,
    "namespace": TEXT,
    "enable_sso": BOOLEAN,
    "enable_root_access": BOOLEAN,
    "enable_os_patching": BOOLEAN,
    "release_quota_on_stop": BOOLEAN,
    "idle_time_before_shutdown": TEXT,
    "idle_time_before_shutdown_minutes": NUMBER,
    "subnet": TEXT,
}
_NEEDED: Final = Key(required=True)
_OF_ANY_DATASTORE: Final = {**_COMMON, "credentials": Key("mapping"), "endpoint": TEXT}
_OF_STORAGE: Final = {**_OF_ANY_DATASTORE, "account_name": _NEEDED, "protocol": TEXT}
_OF_DATASTORE: Final = {
    "azure_blob": {**_OF_STORAGE, "container_name": _NEEDED},
    "azure_file": {**_OF_STORAGE, "file_share_name": _NEEDED},
    "azure_data_lake_gen1": {**_OF_ANY_DATASTORE, "store_name": _NEEDED},
    "azure_data_lake_gen2": {**_OF_STORAGE, "filesystem": _NEEDED},
    "one_lake": {**_OF_ANY_DATASTORE, "endpoint": _NEEDED, "one_lake_workspace_name": _NEEDED, "artifact": ANY},
}
"""Type of a datastore → what its file may hold besides the type."""
DATASTORE: Final = {"type": Key(values=tuple(_OF_DATASTORE), required=True)}
WORKSPACE: Final = {
    **_COMMON,
    "display_name": TEXT,
    "location": TEXT,
    "resource_group": TEXT,
    **dict.fromkeys(
        ("storage_account", "key_vault", "application_insights", "container_registry", "image_build_compute", "primary_user_assigned_identity",
         "hub_id", "default_resource_group", "kind", "system_datastores_auth_mode", "allow_roleassignment_on_rg"),
        TEXT,
    ),
    "public_network_access": Key(values=("Enabled", "Disabled")),
    "hbi_workspace": BOOLEAN,
    "enable_data_isolation": BOOLEAN,
    "customer_managed_key": Key("mapping"),
    "managed_network": ANY,
    "network_acls": ANY,
    "identity": _IDENTITY,
    "serverless_compute": Key("mapping"),
    "provision_network_now": BOOLEAN,
}  # fmt: skip
REGISTRY: Final = {
    **_COMMON,
    "display_name": TEXT,
    "location": Key(required=True),
    "resource_group": TEXT,
    "public_network_access": Key(values=("Enabled", "Disabled")),
    "replication_locations": Key("list", required=True),
    "container_registry": TEXT,
    "identity": _IDENTITY,
    "intellectual_property": _INTELLECTUAL,
    "managed_resource_group": TEXT,
    "mlflow_registry_uri": TEXT,
}
_IDENTITIES: Final = Key(
    "mapping", keys={"type": Key(values=("system_assigned", "user_assigned"), required=True), "user_assigned_identities": Key("list")}
)
_ENDPOINT: Final = {
    "$schema": TEXT,
    "name": Key("string", required=True),
    "description": STRING,
    "tags": TEXTS,
    "properties": TEXTS,
    "location": TEXT,
    "identity": _IDENTITIES,
    "provisioning_state": TEXT,
    "scoring_uri": TEXT,
    "openapi_uri": TEXT,
    "id": TEXT,
    "kind": TEXT,
}
ONLINE_ENDPOINT: Final = {
    **_ENDPOINT,
    "auth_mode": Key(values=("key", "aml_token", "aad_token")),
    "traffic": Key("numbers"),
    "mirror_traffic": Key("numbers"),
    "public_network_access": Key(values=("enabled", "disabled")),
    "type": Key(values=("managed", "kubernetes")),
    "compute": TEXT,
}
BATCH_ENDPOINT: Final = {
    **_ENDPOINT,
    "auth_mode": Key(values=("aad_token",)),
    "defaults": Key("mapping", keys={"deployment_name": TEXT}),
}
_COUNT: Final = Key("number", least=1)
_WAIT: Final = Key("number", least=0)
_CODE: Final = Key("mapping", keys={"code": Key(required=True), "scoring_script": Key(required=True)})
_PROBE: Final = Key(
    "mapping",
    keys={
        "initial_delay": _WAIT, "period": _COUNT, "timeout": _COUNT, "success_threshold": _COUNT, "failure_threshold": _COUNT,
    },
)  # fmt: skip
_DEPLOYMENT: Final = {
    "$schema": TEXT,
    "name": Key("string", required=True),
    "endpoint_name": Key("string", required=True),
    "description": STRING,
    "tags": TEXTS,
    "properties": TEXTS,
    "id": TEXT,
    "provisioning_state": TEXT,
    "model": ANY,
    "code_configuration": _CODE,
    "environment": ANY,
    "environment_variables": TEXTS,
}
_SWITCH: Final = Key(values=("true", "false"))
ONLINE_DEPLOYMENT: Final = {
    **_DEPLOYMENT,
    "type": Key(values=("managed", "kubernetes")),
    "app_insights_enabled": BOOLEAN,
    "scale_settings": Key(
        "mapping",
        keys={"type": Key(values=("default", "target_utilization")), "min_instances": _COUNT, "max_instances": _COUNT,
              "polling_interval": _COUNT, "target_utilization_percentage": _COUNT},
    ),
    "request_settings": Key(
        "mapping", keys={"request_timeout_ms": _COUNT, "max_concurrent_requests_per_instance": _COUNT, "max_queue_wait_ms": _WAIT}
    ),
    "liveness_probe": _PROBE,
    "readiness_probe": _PROBE,
    "instance_count": _COUNT,
    "instance_type": Key(required=True),
    "model_mount_path": TEXT,
    "data_collector": Key(
        "mapping",
        keys={
            "collections": Key(
                "each", required=True, keys={"enabled": Key("string", values=("true", "false"), required=True), "data": ANY, "client_id": TEXT}
            ),
            "rolling_rate": Key(values=("minute", "hour", "day", "month", "year")),
            "sampling_rate": Key("number", least=0),
            "request_logging": Key("mapping", keys={"capture_headers": Key("list")}),
        },
    ),
    "egress_public_network_access": Key(values=("enabled", "disabled")),
    "private_network_connection": BOOLEAN,
}  # fmt: skip
_OF_BATCHES: Final = {
    "error_threshold": Key("number", least=-1),
    "retry_settings": Key("mapping", keys={"max_retries": _WAIT, "timeout": _COUNT}),
    "mini_batch_size": _COUNT,
    "logging_level": Key(values=("debug", "info", "warning")),
    "output_action": Key(values=("append_row", "summary_only")),
    "output_file_name": TEXT,
    "max_concurrency_per_instance": _COUNT,
}
BATCH_DEPLOYMENT: Final = {
    **_DEPLOYMENT,
    **_OF_BATCHES,
    "type": Key(values=("model", "pipeline")),
    "compute": TEXT,
    "resources": Key("mapping", keys={"instance_count": _COUNT, "instance_type": TEXT, "shm_size": TEXT, "docker_args": TEXT, "properties": ANY}),
    "settings": Key("mapping", keys={**_OF_BATCHES, "instance_count": _COUNT, "environment_variables": TEXTS}),
    "component": ANY,
    "job_definition": ANY,
}  # fmt: skip
_TRIGGER: Final = {
    "type": Key(values=("cron", "recurrence"), required=True),
    "start_time": TEXT,
    "end_time": TEXT,
    "time_zone": TEXT,
    "expression": TEXT,
    "frequency": Key(values=("minute", "hour", "day", "week", "month")),
    "interval": _COUNT,
    "schedule": Key("mapping", keys={"hours": ANY, "minutes": ANY, "week_days": ANY, "month_days": ANY}),
}
SCHEDULE: Final = {
    **_COMMON,
    "name": Key(required=True),
    "display_name": TEXT,
    "trigger": Key("mapping", keys=_TRIGGER, required=True),
    "is_enabled": BOOLEAN,
    "create_job": ANY,
    "create_monitor": ANY,
    "import_data": ANY,
}
_JOB: Final = {
    **_COMMON,
    "type": TEXT,
    "display_name": TEXT,
    "experiment_name": TEXT,
    "compute": TEXT,
    "identity": _IDENTITY,
    "services": ANY,
    "inputs": Key("mapping"),
    "outputs": Key("mapping"),
    "resources": Key("mapping"),
}
_LIMIT: Final = {"max_total_trials": _COUNT, "max_concurrent_trials": _COUNT, "timeout": _COUNT, "trial_timeout": _COUNT}
SWEEP: Final = {
    **_JOB,
    "trial": Key("mapping", required=True),
    "sampling_algorithm": ANY,
    "search_space": Key("mapping", required=True),
    "objective": Key(
        "mapping", required=True, keys={"goal": Key(values=("minimize", "maximize"), required=True), "primary_metric": Key(required=True)}
    ),
    "early_termination": Key("mapping"),
    "limits": Key("mapping", required=True, keys=_LIMIT),
    "queue_settings": Key("mapping"),
}
SPARK: Final = {
    **_JOB,
    "code": TEXT,
    "entry": Key("mapping", required=True, keys={"file": TEXT, "class_name": TEXT}),
    "py_files": Key("list"),
    "jars": Key("list"),
    "files": Key("list"),
    "archives": Key("list"),
    "conf": Key("mapping"),
    "environment": ANY,
    "args": TEXT,
}
ALL: Final[dict[str, dict[str, Key]]] = {
    "sweep": SWEEP,
    "spark": SPARK,
    "online_endpoint": ONLINE_ENDPOINT,
    "batch_endpoint": BATCH_ENDPOINT,
    "online_deployment": ONLINE_DEPLOYMENT,
    "batch_deployment": BATCH_DEPLOYMENT,
    "schedule": SCHEDULE,
    "model": MODEL,
    "data": DATA,
    "environment": ENVIRONMENT,
    "compute": COMPUTE,
    "datastore": DATASTORE,
    "workspace": WORKSPACE,
    "registry": REGISTRY,
}


def check(node: Node, kind: str) -> None:
    """Compare a file with what it may hold.

    Raises:
        FileError: every mistake, with its place.
    """
    mistakes: list[Mistake] = []
    if not node.is_mapping:
        raise FileError([node.mistake(f"found {node.describe()}; allowed: a mapping, such as name: and type:")])
    _check_keys(node, _keys_of(node, kind), f"a file of kind {kind}", mistakes)
    inline = node.get("environment") if kind in ("online_deployment", "batch_deployment") else None
    if inline is not None and inline.is_mapping:
        _check_keys(inline, ENVIRONMENT, "environment", mistakes)
    if kind == "environment" and node.get("image") is None and node.get("build") is None:
        mistakes.append(node.mistake("an environment needs image: or build:"))
    if mistakes:
        raise FileError(mistakes)


def _keys_of(node: Node, kind: str) -> dict[str, Key]:
    if kind != "datastore":
        return ALL[kind]
    type_ = node.get("type")
    known = _OF_DATASTORE.get(type_.text.lower()) if type_ is not None else None
    # Where the type is wrong, that is said, and not what keys of other types lack.
    every = {name: Key(key.shape) for keys in _OF_DATASTORE.values() for name, key in keys.items()}
    return {**DATASTORE, **(known or every)}


def _check_keys(node: Node, keys: dict[str, Key], what: str, mistakes: list[Mistake]) -> None:
    for name, value in node.items():
        key = keys.get(name)
        if key is None:
            near = difflib.get_close_matches(name, keys, n=1, cutoff=0.75)
            hint = f"did you mean {near[0]!r}?" if near else f"allowed: {', '.join(sorted(keys))}"
            mistakes.append(value.mistake(f"unknown key {name!r} of {what}; {hint}", at_key=True))
            continue
        _check_value(name, value, key, mistakes)
    for name, key in keys.items():
        if key.required and (node.get(name) is None or _is_nothing(node.get(name))):
            mistakes.append(node.mistake(f"{what} needs {name}:"))


def _is_nothing(node: Any) -> bool:
    return node is not None and node.value is None


def _check_value(name: str, value: Node, key: Key, mistakes: list[Mistake]) -> None:
    if value.value is None or key.shape == "any":
        return
    wrong = {
        "text": value.is_mapping or value.is_list,
        "string": not isinstance(value.value, str),
        "number": _number_of(value, key) is None,
        "boolean": not isinstance(value.value, bool),
        "mapping": not value.is_mapping,
        "each": not value.is_mapping or any(not inner.is_mapping for _, inner in value.items()),
        "numbers": not value.is_mapping or any(not _is_percent(inner.value) for _, inner in value.items()),
        "texts": not value.is_mapping or any(inner.is_mapping or inner.is_list for _, inner in value.items()),
        "list": not value.is_list,
    }[key.shape]
    if wrong:
        shapes = {
            "text": "a text",
            "string": "a text, in quotes if YAML would read something else",
            "number": "a number",
            "boolean": "true or false",
            "mapping": "a mapping",
            "texts": "a mapping of texts",
            "numbers": "a mapping of whole numbers from 0 to 100",
            "each": "a mapping of mappings",
            "list": "a list",
        }
        mistakes.append(value.mistake(f"{name}: found {value.describe()}; allowed: {shapes[key.shape]}"))
    elif key.values and _plain(value.text) not in {_plain(word) for word in key.values}:
        mistakes.append(value.mistake(f"{name}: found {value.describe()}; allowed: {', '.join(key.values)}"))
    elif key.least is not None and (_number_of(value, key) or 0) < key.least:
        mistakes.append(value.mistake(f"{name}: found {value.describe()}; allowed: {key.least:g} or more"))
    elif key.shape == "mapping" and key.keys:
        _check_keys(value, key.keys, name, mistakes)
    elif key.shape == "each":
        for inner_name, inner in value.items():
            _check_keys(inner, key.keys, f"{name}.{inner_name}", mistakes)


def _number_of(node: Node, key: Key) -> float | None:
    """The number that a node is, or, where Azure's library takes it, that it is in quotes."""
    if isinstance(node.value, (int, float)) and not isinstance(node.value, bool):
        return node.value
    quoted = key.least is not None and isinstance(node.value, str) and re.fullmatch(r"-?\d+", node.value)
    return int(node.value) if quoted else None


def _plain(word: str) -> str:
    """A word of an enumeration as Azure compares it: aad_token, AADToken and AAD_TOKEN are one."""
    return word.lower().replace("_", "")


def _is_percent(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 100
