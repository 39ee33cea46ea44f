"""`az ml batch-endpoint` and `batch-deployment`: an invocation is a job."""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from pathlib import Path
from typing import Any, Final

from lockgate.az.context import Context
from lockgate.az.errors import ArgumentError, ServiceError
from lockgate.az.handlers import Handler
from lockgate.workspace import endpoints, jobs, references
from lockgate.workspace.cloud import Place
from lockgate.workspace.endpoints import Deployment, Endpoint
from lockgate.workspace.locate import datastore_folder, locate
from lockgate.workspace.store import Store

_PLACE: Final = ("resource_group", "workspace_name")


def _shown(place: Place, endpoint: Endpoint) -> dict[str, Any]:
    spec = endpoint.spec
    return {
        "auth_mode": "aad_token",
        "defaults": spec.get("defaults") or {},
        "description": spec.get("description") or "",
        "id": f"{place.id}/batchEndpoints/{endpoint.name}",
        "location": place.spec.get("location"),
        "name": endpoint.name,
        "properties": spec.get("properties") or {},
        "provisioning_state": "Succeeded",
        "resourceGroup": place.group,
        "scoring_uri": None,
        "tags": spec.get("tags") or {},
    }


def _deployment(place: Place, endpoint: Endpoint, deployment: Deployment) -> dict[str, Any]:
    from lockgate.execution.batch import settings_of

    settings = settings_of(deployment.spec)
    retry = {key: settings.pop(key) for key in ("max_retries", "timeout")}
    return {
        **{key: value for key, value in deployment.spec.items() if key not in ("$schema", "endpoint_name", "name", "settings", *settings)},
        "endpoint_name": endpoint.name,
        "id": f"{place.id}/batchEndpoints/{endpoint.name}/deployments/{deployment.name}",
        "name": deployment.name,
        "provisioning_state": deployment.state,
        "resourceGroup": place.group,
        "settings": {**settings, "retry_settings": retry},
        "type": "model",
    }


def _create(context: Context) -> Any:
    from lockgate.az.files import read

    place = context.workspace()
    spec = read(context, "batch_endpoint", ("name",)).plain()
    if (spec.get("defaults") or {}).get("deployment_name"):
        raise ServiceError("(BadArgument) defaults.deployment_name: a new endpoint has no deployment; set it once there is one")
    return _shown(place, endpoints.put_endpoint(context.store(place), "batch", str(spec["name"]), spec))


def _find(context: Context, option: str = "name") -> tuple[Place, Store, Endpoint]:
    place = context.workspace()
    store = context.store(place)
    return place, store, endpoints.find_endpoint(store, "batch", context.text(option))


def _update(context: Context) -> Any:
    from lockgate.az.files import read

    place = context.workspace()
    store = context.store(place)
    new = read(context, "batch_endpoint", ("name",)).plain() if context.has("file") else {}
    name = str(new.get("name") or context.text("name"))
    if not name:
        raise ArgumentError("the following arguments are required: --name/-n")
    endpoint = endpoints.find_endpoint(store, "batch", name)
    pairs = dict(word.partition("=")[::2] for word in context.words("defaults"))
    default = pairs.get("deployment_name")
    if pairs and (set(pairs) != {"deployment_name"} or not default):
        raise ArgumentError(f"--defaults: found '{' '.join(context.words('defaults'))}'; allowed: deployment_name=NAME")

    def change(spec: dict[str, Any], there: list[Deployment]) -> dict[str, Any]:
        changed: dict[str, Any] = json.loads(
            json.dumps({**spec, **{key: value for key, value in new.items() if key not in ("name", "auth_mode")}})
        )
        for key, value in () if context.has("file") else context.pairs("set").items():
            first, _, rest = key.partition(".")
            if first in ("tags", "properties") and rest:
                changed.setdefault(first, {})[rest] = value
            elif key == "description":
                changed[key] = value
            elif key == "defaults.deployment_name":
                changed["defaults"] = {"deployment_name": value}
            else:
                raise ArgumentError(f"--set {key}: allowed: defaults.deployment_name, tags.NAME, properties.NAME, description")
        for key in context.words("remove"):
            first, _, rest = key.partition(".")
            if first != "tags" or rest not in changed.get("tags", {}):
                raise ArgumentError(f"--remove {key}: allowed: tags.NAME of those that are there")
            del changed["tags"][rest]
        if default:
            changed["defaults"] = {"deployment_name": default}
        wanted = (changed.get("defaults") or {}).get("deployment_name")
        if wanted and not any(one.name == wanted for one in there):
            names = ", ".join(one.name for one in there) or "none"
            raise ServiceError(f"(BadArgument) defaults.deployment_name: there is no deployment '{wanted}'; there is: {names}")
        return changed

    return _shown(place, endpoints.change_endpoint(store, endpoint, change))


def _delete(context: Context) -> None:
    _, store, endpoint = _find(context)
    endpoints.delete_endpoint(store, endpoint)
    shutil.rmtree(endpoints.folder(store, endpoint.name), ignore_errors=True)


# Deployments ----------------------------------------------------------------------------------------------------------------


def _deploy(context: Context, *, update: bool) -> Any:
    from lockgate.az.files import read
    from lockgate.errors import FileError, UnsupportedError
    from lockgate.serving.launch import batch

    place = context.workspace()
    store = context.store(place)
    node = read(context, "batch_deployment", ("name", "endpoint_name"))
    name = node.value["name"].text
    endpoint = endpoints.find_endpoint(store, "batch", node.value["endpoint_name"].text)
    if update:
        endpoints.find_deployment(store, endpoint, name)
    endpoints.check_name("deployment", name)
    for key in ("component", "job_definition"):
        if (found := node.get(key)) is not None:
            raise UnsupportedError(
                [
                    found.mistake(
                        f"{key}: a batch deployment of a pipeline is not run on the desk; allowed here: type model",
                        unsupported=True,
                        at_key=True,
                    )
                ]
            )
    kind = node.get("type")
    if kind is not None and kind.text.lower() == "pipeline":
        raise UnsupportedError(
            [kind.mistake("type: a batch deployment of a pipeline is not run on the desk; allowed here: model", unsupported=True)]
        )
    if node.get("code_configuration") is None:
        text = "code_configuration: found nothing; without it Azure scores an MLflow model with an image of its own, which the desk has not got"
        raise UnsupportedError([node.mistake(f"{text}: name code and scoring_script", unsupported=True)])
    if node.get("model") is None:
        raise FileError([node.mistake("a batch deployment needs model:")])
    for holder in (node, node.get("settings")):
        written = holder.get("output_file_name") if holder is not None else None
        if written is not None and not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_. -]*", written.text):
            raise FileError([written.mistake(f"output_file_name: found {written.text!r}; allowed: the name of a file, without a folder")])
    spec, launch = batch(store, endpoint.name, name, node)
    made = endpoints.put_deployment(store, endpoint, name, spec, launch)
    if not update and context.has("set_default"):
        endpoints.change_endpoint(store, endpoint, lambda spec, _: {**spec, "defaults": {"deployment_name": name}})
    return _deployment(place, endpoint, made)


def _find_deployment(context: Context) -> tuple[Place, Endpoint, Deployment]:
    place, store, endpoint = _find(context, "endpoint_name")
    return place, endpoint, endpoints.find_deployment(store, endpoint, context.text("name"))


def _update_deployment(context: Context) -> Any:
    if context.has("file"):
        return _deploy(context, update=True)
    for key in ("name", "endpoint_name"):
        if not context.text(key):
            raise ArgumentError(f"the following arguments are required: --{key.replace('_', '-')}, or --file/-f")
    place, store, endpoint = _find(context, "endpoint_name")
    deployment = endpoints.find_deployment(store, endpoint, context.text("name"))
    whole = ("mini_batch_size", "max_concurrency_per_instance", "error_threshold")

    def change(spec: dict[str, Any], launch: dict[str, Any]) -> bool:  # noqa: ARG001
        for key, value in context.pairs("set").items():
            first, _, rest = key.removeprefix("settings.").partition(".")
            least = -1 if first == "error_threshold" else 1
            if first in ("tags", "properties") and rest:
                spec.setdefault(first, {})[rest] = value
            elif key == "description":
                spec[key] = value
            elif first in whole and not rest:
                if not (value.isascii() and value.removeprefix("-").isdigit()) or int(value) < least:
                    raise ArgumentError(f"--set {key}: found '{value}'; allowed: a whole number, {least} or more")
                spec.setdefault("settings", {})[first] = int(value)
            elif first == "output_file_name" and re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_. -]*", value):
                spec.setdefault("settings", {})[first] = value
            else:
                raise ArgumentError(
                    f"--set {key}: allowed: settings.{', settings.'.join(whole)}, settings.output_file_name, tags.NAME, description; else --file"
                )
        return False

    return _deployment(place, endpoint, endpoints.change_deployment(store, endpoint, deployment.name, change))


def _delete_deployment(context: Context) -> None:
    _, store, endpoint = _find(context, "endpoint_name")
    deployment = endpoints.find_deployment(store, endpoint, context.text("name"))

    def change(spec: dict[str, Any], _: list[Deployment]) -> dict[str, Any]:
        if (spec.get("defaults") or {}).get("deployment_name") == deployment.name:
            raise ServiceError(
                f"(UserError) deployment '{deployment.name}' is the default of endpoint '{endpoint.name}'; make another one that first: "
                "az ml batch-endpoint update --defaults deployment_name=NAME"
            )
        return spec

    of_it = {"azureml.batch_endpoint": endpoint.name, "azureml.batch_deployment": deployment.name}
    running = [
        job.name
        for job in jobs.find_jobs(store, archived="also")
        if job.status not in jobs.ENDED and of_it.items() <= job.properties.items()
    ]
    if running:
        raise ServiceError(
            f"(Conflict) deployment '{deployment.name}' has running jobs: {', '.join(running)}; wait, or end them: az ml job cancel"
        )
    endpoints.change_endpoint(store, endpoint, change)
    endpoints.forget_deployment(store, "batch", endpoint.name, deployment.name)
    shutil.rmtree(endpoints.folder(store, endpoint.name, deployment.name), ignore_errors=True)


# Jobs -----------------------------------------------------------------------------------------------------------------------


def _invoke(context: Context) -> Any:
    from lockgate.az.groups.job import checked_name, shown_job
    from lockgate.execution.batch import write_job
    from lockgate.execution.job_file import load_job
    from lockgate.execution.job_process import begin

    _, store, endpoint = _find(context)
    wanted = context.text("deployment_name") or (endpoint.spec.get("defaults") or {}).get("deployment_name")
    if not wanted:
        raise ServiceError(f"(BadArgument) endpoint '{endpoint.name}' has no default deployment; name one: --deployment-name")
    deployment = endpoints.find_deployment(store, endpoint, wanted)
    name = checked_name(context.text("job_name") or jobs.new_job_name())
    changed = {key: context.number(key) for key in ("mini_batch_size", "instance_count") if context.has(key)}
    target = context.text("output_path")
    if target:
        address = references.parse(target)
        if address.kind != "datastore":
            raise ArgumentError(f"--output-path: found '{target}'; allowed: azureml://datastores/NAME/paths/…")
        references.within(datastore_folder(store, address.name), address.path)
    data = _data(context, store)
    invocations = endpoints.folder(store, endpoint.name) / "invocations"
    invocations.mkdir(parents=True, exist_ok=True)
    file = Path(tempfile.mkdtemp(prefix="job-", dir=invocations)) / "job.yml"
    try:
        write_job(
            file, endpoint.name, deployment.name, deployment.spec, deployment.launch, data, name=name,
            experiment=context.text("experiment_name"), output_path=target, changed=changed,
        )  # fmt: skip
        load_job(file, store=store)
        begin(store, name, file, [])
    except Exception:
        shutil.rmtree(file.parent)  # What was refused leaves nothing behind.
        raise
    return shown_job(context, store, name)


def _data(context: Context, store: Store) -> dict[str, str]:
    """Type and path of what is scored."""
    given = context.text("input")
    if not given:
        raise ArgumentError("the following arguments are required: --input")
    reference = references.parse(given)
    kind = context.text("input_type", "").lower()
    if kind not in ("", "uri_file", "uri_folder"):
        raise ArgumentError(f"--input-type: found '{kind}'; allowed: uri_file, uri_folder")
    if reference.kind == "web":
        raise ArgumentError(f"--input: '{given}' is not on this machine; allowed on the desk: a local path or an azureml: reference")
    if reference.kind != "local":
        found = locate(store, reference, "data")
        own = found.type if found.type in ("uri_file", "uri_folder") else "uri_file" if found.path.is_file() else "uri_folder"
        if kind and kind != own:
            raise ArgumentError(f"--input-type {kind}: '{given}' is of type {own}")
        return {"type": own, "path": given}
    path = Path(reference.path).resolve()
    if not path.exists():
        raise ArgumentError(f"--input: there is no file or folder '{given}'")
    if kind and (kind == "uri_file") != path.is_file():
        raise ArgumentError(f"--input-type {kind}: '{given}' is a {'file' if path.is_file() else 'folder'}")
    return {"type": "uri_file" if path.is_file() else "uri_folder", "path": str(path)}


def _jobs(context: Context, option: str) -> Any:
    from lockgate.az.groups.job import shown_job

    _, store, endpoint = _find(context, option)
    key = {"azureml.batch_endpoint": endpoint.name}
    if option == "endpoint_name":
        key["azureml.batch_deployment"] = endpoints.find_deployment(store, endpoint, context.text("name")).name
    return [shown_job(context, store, job.name) for job in jobs.find_jobs(store) if key.items() <= job.properties.items()]


def _list_deployments(context: Context) -> Any:
    place, store, endpoint = _find(context, "endpoint_name")
    return [_deployment(place, endpoint, one) for one in endpoints.deployments_of(store, endpoint)]


def _show(context: Context) -> Any:
    place, _, endpoint = _find(context)
    return _shown(place, endpoint)


def _show_deployment(context: Context) -> Any:
    return _deployment(*_find_deployment(context))


_WAITS: Final = (("no_wait", "it is done at once"),)
COMMANDS: Final = {
    "ml batch-endpoint create": Handler(_create, "make an endpoint", ("name", "file", "set", *_PLACE), _WAITS),
    "ml batch-endpoint show": Handler(_show, "an endpoint", ("name", *_PLACE)),
    "ml batch-endpoint list": Handler(
        lambda c: [_shown(c.workspace(), one) for one in endpoints.all_endpoints(c.store(), "batch")], "all endpoints", _PLACE
    ),
    "ml batch-endpoint update": Handler(
        _update, "change the default deployment, tags", ("name", "file", "defaults", "set", "remove", *_PLACE),
        (*_WAITS, ("force_string", "values of tags are texts")),
    ),
    "ml batch-endpoint delete": Handler(_delete, "delete an endpoint with its deployments", ("name", "yes", *_PLACE), _WAITS),
    "ml batch-endpoint invoke": Handler(
        _invoke, "begin a job that scores files",
        ("name", "deployment_name", "input", "input_type", "job_name", "experiment_name", "mini_batch_size", "instance_count", "output_path", *_PLACE),
    ),
    "ml batch-endpoint list-jobs": Handler(lambda c: _jobs(c, "name"), "its jobs", ("name", *_PLACE)),
    "ml batch-deployment create": Handler(
        lambda c: _deploy(c, update=False), "make a deployment", ("file", "name", "endpoint_name", "set_default", "set", *_PLACE),
        (*_WAITS, ("skip_script_validation", "the script runs with its first job")),
    ),
    "ml batch-deployment update": Handler(
        _update_deployment, "change a deployment", ("file", "name", "endpoint_name", "set", *_PLACE),
        (*_WAITS, ("force_string", "values are typed by their key")),
    ),
    "ml batch-deployment show": Handler(_show_deployment, "a deployment", ("name", "endpoint_name", *_PLACE)),
    "ml batch-deployment list": Handler(_list_deployments, "the deployments of an endpoint", ("endpoint_name", *_PLACE)),
    "ml batch-deployment delete": Handler(_delete_deployment, "delete a deployment", ("name", "endpoint_name", "yes", *_PLACE), _WAITS),
    "ml batch-deployment list-jobs": Handler(lambda c: _jobs(c, "endpoint_name"), "its jobs", ("name", "endpoint_name", *_PLACE)),
}  # fmt: skip
