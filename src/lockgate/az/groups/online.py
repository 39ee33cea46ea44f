"""`az ml online-endpoint` and `online-deployment`: what should be is written down, and the endpoint's process brings it about."""

from __future__ import annotations

import json
import os
import re
import time
from typing import Any, Final

from lockgate.az.context import Context
from lockgate.az.errors import ArgumentError, NotFound, ServiceError
from lockgate.az.handlers import Handler
from lockgate.workspace import endpoints
from lockgate.workspace.cloud import Place
from lockgate.workspace.endpoints import Deployment, Endpoint
from lockgate.workspace.store import Store

_POLL: Final = 0.02
_PATIENCE: Final = 30.0
"""Seconds for an endpoint's process to take up a change of traffic."""
_NAME: Final = "the following arguments are required: --name/-n"
_PLACE: Final = ("resource_group", "workspace_name")
_AUTH: Final = {"key": "key", "amltoken": "aml_token", "aadtoken": "aad_token"}
_FIXED: Final = ("auth_mode", "name", "location", "identity", "kind", "type", "compute")


def _shown(place: Place, store: Store, endpoint: Endpoint) -> dict[str, Any]:
    running = endpoints.process_of(store, endpoint.name) is not None
    found: dict[str, Any] = {
        "auth_mode": endpoint.spec.get("auth_mode") or "key",
        "creation_context": {"created_at": endpoint.created, "created_by": "desk", "last_modified_at": endpoint.modified},
        "description": endpoint.spec.get("description") or "",
        "id": f"{place.id}/onlineEndpoints/{endpoint.name}",
        "identity": endpoint.spec.get("identity") or {"type": "system_assigned"},
        "kind": "Managed",
        "location": place.spec.get("location"),
        "mirror_traffic": endpoint.mirror_traffic,
        "name": endpoint.name,
        "openapi_uri": f"http://127.0.0.1:{endpoint.port}/swagger.json" if endpoint.port else None,
        "properties": endpoint.spec.get("properties") or {},
        "provisioning_state": "Deleting" if endpoint.spec.get("deleting") else "Succeeded",
        "public_network_access": endpoint.spec.get("public_network_access") or "enabled",
        "resourceGroup": place.group,
        "scoring_uri": f"http://127.0.0.1:{endpoint.port}/score" if endpoint.port else None,
        "tags": endpoint.spec.get("tags") or {},
        "traffic": endpoint.traffic,
    }
    if not running:
        found["properties"] = {**found["properties"], "lockgate.stopped": "lockgate up --endpoints starts it"}
    return found


def _deployment(place: Place, endpoint: Endpoint, deployment: Deployment) -> dict[str, Any]:
    spec = deployment.spec
    found = {
        **{key: value for key, value in spec.items() if key not in ("$schema", "endpoint_name", "name")},
        "creation_context": {"created_at": deployment.created, "last_modified_at": deployment.modified},
        "endpoint_name": endpoint.name,
        "id": f"{place.id}/onlineEndpoints/{endpoint.name}/deployments/{deployment.name}",
        "instance_count": spec.get("instance_count") or 1,
        "name": deployment.name,
        "provisioning_state": deployment.state,
        "resourceGroup": place.group,
        "type": spec.get("type") or "managed",
    }
    if deployment.reason:
        found["error"] = deployment.reason
    return found


# Endpoints ------------------------------------------------------------------------------------------------------------------


def _read(context: Context, kind: str, options: tuple[str, ...]) -> Any:
    from lockgate.az.files import read

    return read(context, kind, options)


def _create(context: Context) -> Any:
    from lockgate.serving.endpoint_process import ensure

    place = context.workspace()
    store = context.store(place)
    node = _read(context, "online_endpoint", ("name", "auth_mode"))
    spec = node.plain()
    spec["auth_mode"] = _AUTH[str(spec.get("auth_mode") or "key").lower().replace("_", "")]
    for key in ("traffic", "mirror_traffic"):
        if any((spec.get(key) or {}).values()):
            raise ServiceError(f"(BadArgument) {key}: found {spec[key]}; a new endpoint has no deployment that could get traffic")
        spec.pop(key, None)
    endpoint = endpoints.put_endpoint(store, "online", str(spec["name"]), spec)
    endpoints.keys(store, endpoint.name)
    ensure(store, endpoint.name)
    return _shown(place, store, _settled(store, endpoint))


def _settled(store: Store, endpoint: Endpoint) -> Endpoint:
    """The endpoint once its process has taken up its last change.

    Raises:
        ServiceError: it does not.
    """
    deadline = time.monotonic() + _PATIENCE
    while True:
        found = endpoints.find_endpoint(store, "online", endpoint.name)
        if found.applied >= endpoint.revision:
            return found
        if time.monotonic() > deadline:
            raise ServiceError(
                f"the process of endpoint {endpoint.name} did not take up the change; see {endpoints.folder(store, endpoint.name)}/router.txt"
            )
        time.sleep(_POLL)


def _find(context: Context) -> tuple[Place, Store, Endpoint]:
    place = context.workspace()
    store = context.store(place)
    return place, store, endpoints.find_endpoint(store, "online", context.text("name"))


def _shares(context: Context, key: str) -> dict[str, int] | None:
    """--traffic "blue=90 green=10", in one word or in several; None if it was not given."""
    if not context.has(key):
        return None
    found: dict[str, int] = {}
    for word in " ".join(context.words(key)).replace(",", " ").split():
        name, sign, share = word.partition("=")
        if not sign or not name or not (share.isascii() and share.isdigit()) or int(share) > 100:
            raise ArgumentError(f"--{key.replace('_', '-')}: found '{word}'; allowed: DEPLOYMENT=PERCENT, several with spaces between")
        found[name] = int(share)
    return found


def _checked(spec: dict[str, Any], there: list[Deployment]) -> dict[str, Any]:
    """A spec whose traffic is one that Azure takes.

    Raises:
        ServiceError: it is not.
    """
    traffic, mirror = spec.get("traffic") or {}, spec.get("mirror_traffic") or {}
    states = {one.name: one for one in there}
    for key, shares in (("traffic", traffic), ("mirror_traffic", mirror)):
        for name, share in shares.items():
            if name not in states:
                raise ServiceError(f"(BadArgument) {key}: there is no deployment '{name}'; there is: {', '.join(states) or 'none'}")
            if share and states[name].good == 0:
                raise ServiceError(
                    f"(BadArgument) {key}: deployment '{name}' is {states[name].state} and has never been ready; it can't get any"
                )
    total = sum(traffic.values())
    if total not in (0, 100):
        raise ServiceError(f"(BadArgument) traffic sums to {total} %; allowed: 100, or 0")
    mirrored = [name for name, share in mirror.items() if share]
    if len(mirrored) > 1:
        raise ServiceError(f"(BadArgument) mirror_traffic: found {', '.join(mirrored)}; allowed: one deployment")
    for name in mirrored:
        if mirror[name] > 50:
            raise ServiceError(f"(BadArgument) mirror_traffic: found {mirror[name]} % for '{name}'; allowed: at most 50 %")
        if traffic.get(name):
            raise ServiceError(f"(BadArgument) deployment '{name}' has live traffic; a deployment is never live and mirrored at once")
    return {**spec, "traffic": traffic, "mirror_traffic": mirror}


def _update(context: Context) -> Any:
    from lockgate.serving.endpoint_process import ensure

    if context.has("file"):
        name = str(_read(context, "online_endpoint", ("name",)).plain()["name"])
        new = _read(context, "online_endpoint", ("name",)).plain()
    else:
        name, new = context.text("name"), {}
        if not name:
            raise ArgumentError(_NAME)
    place = context.workspace()
    store = context.store(place)
    endpoint = endpoints.find_endpoint(store, "online", name)
    traffic, mirror = _shares(context, "traffic"), _shares(context, "mirror_traffic")

    def change(spec: dict[str, Any], there: list[Deployment]) -> dict[str, Any]:
        for key in _FIXED[:1]:
            if new.get(key) is not None and _AUTH[str(new[key]).lower().replace("_", "")] != spec.get(key):
                raise ServiceError(
                    f"(BadArgument) {key} of an endpoint can't be changed: it is {spec.get(key)}; delete the endpoint and create it again"
                )
        changed = {**spec, **{key: value for key, value in new.items() if key not in _FIXED}}
        if not context.has("file"):
            changed = _set(context, changed)
        if traffic is not None:
            changed["traffic"] = traffic
        if mirror is not None:
            changed["mirror_traffic"] = mirror
        return _checked(changed, there)

    changed = endpoints.change_endpoint(store, endpoint, change)
    ensure(store, endpoint.name)
    return _shown(place, store, _settled(store, changed))


def _set(context: Context, spec: dict[str, Any]) -> dict[str, Any]:
    """--set and --remove of what an endpoint lets change: traffic, mirror_traffic, tags, description, public_network_access."""
    changed: dict[str, Any] = json.loads(json.dumps(spec))
    for key, value in context.pairs("set").items():
        first, _, rest = key.partition(".")
        if first in ("traffic", "mirror_traffic") and rest:
            if not (value.isascii() and value.isdigit() and int(value) <= 100):
                raise ArgumentError(f"--set {key}: found '{value}'; allowed: a whole number from 0 to 100")
            changed.setdefault(first, {})[rest] = int(value)
        elif first in ("tags", "properties") and rest:
            changed.setdefault(first, {})[rest] = value
        elif key in ("description", "public_network_access"):
            changed[key] = value
        else:
            raise ArgumentError(
                f"--set {key}: allowed: traffic.NAME, mirror_traffic.NAME, tags.NAME, properties.NAME, description, public_network_access"
            )
    for key in context.words("remove"):
        first, _, rest = key.partition(".")
        if first not in ("traffic", "mirror_traffic", "tags") or rest not in changed.get(first, {}):
            raise ArgumentError(f"--remove {key}: allowed: traffic.NAME, mirror_traffic.NAME, tags.NAME of those that are there")
        del changed[first][rest]
    return changed


def _delete(context: Context) -> None:
    import shutil

    _, store, endpoint = _find(context)
    endpoints.set_endpoint_deleting(store, endpoint)
    endpoints.stop(store, endpoint.name)
    shutil.rmtree(endpoints.folder(store, endpoint.name), ignore_errors=True)
    endpoints.delete_endpoint(store, endpoint)


def _credentials(context: Context) -> Any:
    from datetime import UTC, datetime

    from lockgate.serving import tokens

    _, store, endpoint = _find(context)
    keys = endpoints.keys(store, endpoint.name)
    if str(endpoint.spec.get("auth_mode", "key")).lower() == "key":
        return {"primaryKey": keys["primaryKey"], "secondaryKey": keys["secondaryKey"]}
    token, ends = tokens.make(endpoint.name, keys["secret"])
    return {
        "accessToken": token,
        "expiryTimeUtc": ends,
        "refreshAfterTimeUtc": ends - tokens.LIFETIME // 2,
        "tokenType": "Bearer",
        "expiresOn": datetime.fromtimestamp(ends, UTC).isoformat(),
    }


def _regenerate(context: Context) -> None:
    _, store, endpoint = _find(context)
    if str(endpoint.spec.get("auth_mode", "key")).lower() != "key":
        raise ServiceError(f"(BadArgument) endpoint '{endpoint.name}' has auth_mode {endpoint.spec['auth_mode']}: it has no keys")
    which = context.text("key_type", "primary").lower()
    if which not in ("primary", "secondary"):
        raise ArgumentError(f"--key-type: found '{which}'; allowed: primary, secondary")
    endpoints.renew_key(store, endpoint.name, f"{which}Key")


def _invoke(context: Context) -> Any:
    """POST a file to the endpoint, as any caller does."""
    import http.client
    from pathlib import Path

    from lockgate.serving import tokens
    from lockgate.serving.endpoint_process import ensure

    _, store, endpoint = _find(context)
    if not context.text("request_file"):
        raise ArgumentError("the following arguments are required: --request-file/-r")
    body = Path(context.text("request_file")).read_bytes()
    ensure(store, endpoint.name)
    endpoint = _settled(store, endpoint)
    keys = endpoints.keys(store, endpoint.name)
    word = keys["primaryKey"] if endpoint.spec.get("auth_mode") == "key" else tokens.make(endpoint.name, keys["secret"])[0]
    headers = {"Authorization": f"Bearer {word}", "Content-Type": "application/json"}
    if context.has("deployment_name"):
        headers["azureml-model-deployment"] = endpoints.find_deployment(store, endpoint, context.text("deployment_name")).name
    connection = http.client.HTTPConnection("127.0.0.1", endpoint.port, timeout=600)
    try:
        connection.request("POST", "/score", body, headers)
        answer = connection.getresponse()
        text = answer.read().decode("utf-8", "replace")
    finally:
        connection.close()
    if answer.status != 200:
        own = answer.getheader("ms-azureml-model-error-statuscode")
        raise ServiceError(
            f"(HttpResponseError) the endpoint answered {answer.status} {answer.reason}{f' (the model: {own})' if own else ''}: {text}"
        )
    return text


# Deployments ----------------------------------------------------------------------------------------------------------------


def _create_deployment(context: Context) -> Any:
    return _deploy(context, update=False)


def _deploy(context: Context, *, update: bool) -> Any:
    """Make a deployment, or change one by a file: the new processes have to be ready before the old ones go."""
    from lockgate.serving.endpoint_process import ensure
    from lockgate.serving.launch import plan

    place = context.workspace()
    store = context.store(place)
    node = _read(context, "online_deployment", ("name", "endpoint_name"))
    name, endpoint_name = str(node.value["name"].text), str(node.value["endpoint_name"].text)
    endpoint = endpoints.find_endpoint(store, "online", endpoint_name)
    there = [one.name for one in endpoints.deployments_of(store, endpoint) if one.name.lower() == name.lower()]
    if update:
        endpoints.find_deployment(store, endpoint, name)
    endpoints.check_name("deployment", name)
    spec, launch = plan(store, endpoint.name, name, node)
    if there and not update:
        raise ServiceError(
            f"(UserError) deployment '{there[0]}' of endpoint '{endpoint.name}' already exists; change it with az ml online-deployment update, "
            "or delete it first"
        )
    made = endpoints.put_deployment(store, endpoint, name, spec, launch)
    ensure(store, endpoint.name)
    if context.has("no_wait"):
        return _deployment(place, endpoint, made)
    made = _ready(store, endpoint, made)
    if not update and context.has("all_traffic"):
        changed = endpoints.change_endpoint(
            store, endpoint, lambda spec, there: _checked({**spec, "traffic": {name: 100}, "mirror_traffic": {}}, there)
        )
        _settled(store, changed)
    return _deployment(place, endpoint, made)


def _ready(store: Store, endpoint: Endpoint, wanted: Deployment) -> Deployment:
    """The deployment once it is ready.

    Raises:
        ServiceError: it failed; with the reason and the last lines of its log.
    """
    while True:
        found = endpoints.find_deployment(store, endpoint, wanted.name)
        if found.revision != wanted.revision:
            raise ServiceError(f"(Conflict) deployment '{wanted.name}' was changed by another command meanwhile; this change was given up")
        if found.state == "Succeeded":
            return found
        if found.state == "Failed":
            still = f" Revision {found.good} goes on answering." if found.good else ""
            raise ServiceError(
                f"(ResourceNotReady) deployment '{wanted.name}' of endpoint '{endpoint.name}' did not become ready: {found.reason}{still}"
            )
        if endpoints.process_of(store, endpoint.name) is None:
            raise ServiceError(f"the process of endpoint '{endpoint.name}' ended; see {endpoints.folder(store, endpoint.name)}/router.txt")
        time.sleep(_POLL)


def _find_deployment(context: Context) -> tuple[Place, Store, Endpoint, Deployment]:
    place = context.workspace()
    store = context.store(place)
    endpoint = endpoints.find_endpoint(store, "online", context.text("endpoint_name"))
    return place, store, endpoint, endpoints.find_deployment(store, endpoint, context.text("name"))


def _show_deployment(context: Context) -> Any:
    place, _, endpoint, deployment = _find_deployment(context)
    return _deployment(place, endpoint, deployment)


def _update_deployment(context: Context) -> Any:
    if context.has("file"):
        return _deploy(context, update=True)
    for key in ("name", "endpoint_name"):
        if not context.text(key):
            raise ArgumentError(f"the following arguments are required: --{key.replace('_', '-')}, or --file/-f")
    from lockgate.serving.endpoint_process import ensure

    place, store, endpoint, deployment = _find_deployment(context)

    def change(spec: dict[str, Any], launch: dict[str, Any]) -> bool:
        anew = [_set_of_deployment(spec, launch, key, value) for key, value in context.pairs("set").items()]
        return any(anew)

    made = endpoints.change_deployment(store, endpoint, deployment.name, change)
    if made.state != "Updating":
        return _deployment(place, endpoint, made)
    ensure(store, endpoint.name)
    return _deployment(place, endpoint, made if context.has("no_wait") else _ready(store, endpoint, made))


def _set_of_deployment(spec: dict[str, Any], launch: dict[str, Any], key: str, value: str) -> bool:
    """One --set of a deployment. Whether its processes have to be started anew."""
    first, _, rest = key.partition(".")
    if first in ("tags", "properties") and rest:
        spec.setdefault(first, {})[rest] = value
        return False
    if key == "description":
        spec[key] = value
        return False
    if first == "environment_variables" and re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", rest) and "\0" not in value:
        spec.setdefault(first, {})[rest] = value
        launch["environment"][rest] = value
        return True
    if key != "instance_count" and key not in (
        "request_settings.request_timeout_ms",
        "request_settings.max_concurrent_requests_per_instance",
    ):
        allowed = "tags.NAME, properties.NAME, description, instance_count, request_settings.…, environment_variables.NAME"
        raise ArgumentError(f"--set {key}: allowed: {allowed}; for anything else use --file")
    most = max(4, 2 * (os.cpu_count() or 1)) if key == "instance_count" else 3_600_000
    if not (value.isascii() and value.isdigit() and 1 <= int(value) <= most):
        raise ArgumentError(f"--set {key}: found '{value}'; allowed on this machine: a whole number from 1 to {most}")
    number = int(value)
    if key == "instance_count":
        spec[key] = launch["instances"] = number
    elif rest == "request_timeout_ms":
        spec.setdefault(first, {})[rest] = number
        launch["timeout"] = number / 1000
    else:
        spec.setdefault(first, {})[rest] = launch["concurrency"] = number
    return True


def _delete_deployment(context: Context) -> None:
    from lockgate.serving.endpoint_process import ensure

    _, store, endpoint, deployment = _find_deployment(context)
    endpoints.set_deleting(store, endpoint, deployment.name)
    ensure(store, endpoint.name)
    while not context.has("no_wait"):
        if not any(one.name == deployment.name for one in endpoints.deployments_of(store, endpoint)):
            return
        if endpoints.process_of(store, endpoint.name) is None:
            raise ServiceError(f"the process of endpoint '{endpoint.name}' ended; see {endpoints.folder(store, endpoint.name)}/router.txt")
        time.sleep(_POLL)


def _logs(context: Context) -> Any:
    from lockgate.processes import tail

    _, store, endpoint, deployment = _find_deployment(context)
    if context.text("container", "inference-server") != "inference-server":
        raise NotFound(f"--container: found '{context.text('container')}'; on the desk there is: inference-server")
    lines = tail(endpoints.folder(store, endpoint.name, deployment.name) / "log.txt", context.number("lines") or 5000)
    return "\n".join(lines) + "\n"


_LOCAL: Final = ("local", "the desk is local, with or without it")
_WEB: Final = (("web", "no page is opened"),)
_SCRIPT: Final = (
    ("skip_script_validation", "the script is started, which is its validation"),
    ("vscode_debug", "no debugger is started"),
    ("local_enable_gpu", "jobs and deployments get what this machine has"),
    ("package_model", "the model is served from where it lies"),
)
COMMANDS: Final = {
    "ml online-endpoint create": Handler(
        _create, "make an endpoint", ("name", "auth_mode", "file", "set", *_PLACE), (_LOCAL, ("no_wait", "it is there at once"), *_WEB)
    ),
    "ml online-endpoint show": Handler(lambda c: _shown(*_find(c)), "an endpoint", ("name", *_PLACE), (_LOCAL, *_WEB)),
    "ml online-endpoint list": Handler(
        lambda c: [_shown(c.workspace(), c.store(), one) for one in endpoints.all_endpoints(c.store(), "online")], "all endpoints", _PLACE, (_LOCAL,)
    ),
    "ml online-endpoint update": Handler(
        _update, "change traffic, mirrored traffic, tags",
        ("name", "file", "traffic", "mirror_traffic", "set", "remove", *_PLACE),
        (_LOCAL, ("no_wait", "it is done at once"), ("force_string", "values of tags are texts"), *_WEB),
    ),
    "ml online-endpoint delete": Handler(
        _delete, "delete an endpoint with its deployments", ("name", "yes", *_PLACE), (_LOCAL, ("no_wait", "it is gone at once"))
    ),
    "ml online-endpoint get-credentials": Handler(_credentials, "keys, or a token"),
    "ml online-endpoint regenerate-keys": Handler(
        _regenerate, "make a key anew", ("name", "key_type", *_PLACE), (("no_wait", "it is done at once"),)
    ),
    "ml online-endpoint invoke": Handler(_invoke, "send a request", ("name", "request_file", "deployment_name", *_PLACE), (_LOCAL,)),
    "ml online-deployment create": Handler(
        _create_deployment, "start a deployment", ("file", "name", "endpoint_name", "all_traffic", "no_wait", "set", *_PLACE), (_LOCAL, *_SCRIPT, *_WEB)
    ),
    "ml online-deployment update": Handler(
        _update_deployment, "change a deployment; the new processes are ready before the old ones go",
        ("file", "name", "endpoint_name", "no_wait", "set", *_PLACE), (_LOCAL, *_SCRIPT[:3], ("force_string", "values are typed by their key"), *_WEB),
    ),
    "ml online-deployment show": Handler(
        _show_deployment, "a deployment", ("name", "endpoint_name", *_PLACE), (_LOCAL, *_WEB)
    ),
    "ml online-deployment list": Handler(
        lambda c: [
            _deployment(c.workspace(), endpoint, one)
            for endpoint in [endpoints.find_endpoint(c.store(), "online", c.text("endpoint_name"))]
            for one in endpoints.deployments_of(c.store(), endpoint)
        ],
        "the deployments of an endpoint", ("endpoint_name", *_PLACE), (_LOCAL,),
    ),
    "ml online-deployment delete": Handler(
        _delete_deployment, "end and delete a deployment", ("name", "endpoint_name", "no_wait", "yes", *_PLACE), (_LOCAL,)
    ),
    "ml online-deployment get-logs": Handler(
        _logs, "what its processes have written", ("name", "endpoint_name", "lines", "container", *_PLACE), (_LOCAL,)
    ),
}  # fmt: skip
