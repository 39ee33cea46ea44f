"""From a deployment's file to how its processes are started: model, code, environment, probes, limits."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

from lockgate.errors import FileError, LockgateError, UnsupportedError
from lockgate.serving import dockerfile
from lockgate.serving.endpoint_process import environment as base_environment
from lockgate.serving.instances import PORT
from lockgate.workspace import endpoints, environments, references
from lockgate.workspace.assets import Asset
from lockgate.workspace.content import Hasher, ignore_patterns
from lockgate.workspace.contents import keep
from lockgate.workspace.locate import asset_of, exact, locate
from lockgate.workspace.store import Store
from lockgate.yaml_source import Node

_Found = TypeVar("_Found")
_APP: Final = "/var/azureml-app"
"""Where Azure puts the code of a deployment in its container."""
_READINESS: Final = {"initial_delay": 10, "period": 10, "timeout": 2, "success_threshold": 1, "failure_threshold": 30}
_LIVENESS: Final = {"initial_delay": 10, "period": 10, "timeout": 2, "success_threshold": 1, "failure_threshold": 30}


class _Planner:
    """Reads one deployment's file."""

    def __init__(self, store: Store, node: Node, folder: Path) -> None:
        self._store = store
        self._node = node
        self._folder = folder
        self._hasher = Hasher(store.folder / "hashes.json")
        self.spec: dict[str, Any] = node.plain()
        self.notes: list[str] = []

    # Model ---------------------------------------------------------------------------------------------------------------

    def model(self) -> Path | None:
        """The folder that AZUREML_MODEL_DIR names: NAME/VERSION with the model's folder or file in it."""
        node = self._node.get("model")
        if node is None or node.value is None:
            return None
        if node.is_mapping:
            path = node.get("path")
            if path is None:
                raise FileError([node.mistake("model: found no path; allowed: azureml:NAME:VERSION, or a mapping with path: and type:")])
            return self._local_model(path)
        reference = references.parse(node.text)
        if reference.kind == "local":
            return self._local_model(node)
        if reference.kind not in ("asset", "registry"):
            raise FileError(
                [node.mistake(f"model: found {node.text!r}; allowed: azureml:NAME:VERSION, azureml://registries/… or a local path")]
            )
        asset = at(node, lambda: asset_of(self._store, reference, "model"))
        self.spec["model"] = exact(reference, asset)
        target = self._folder / "models" / asset.name / asset.version
        _point(target / _name_in_folder(asset), Path(asset.path))
        return target

    def _local_model(self, node: Node) -> Path:
        """A model that is not registered: Azure registers it under a name of its own; so do we, by content."""
        reference = references.parse(node.text)
        if reference.kind == "local":
            path = (node.source.path.parent / reference.path).resolve()
            if not path.exists():
                raise FileError([node.mistake(f"model: there is no file or folder {node.text!r}; mend the path")])
        else:
            path = at(node, lambda: locate(self._store, reference, "model").path)
        sha256 = self._hasher.tree(path)
        kept = self._folder / "content" / sha256[:16]
        if not kept.exists():
            keep(self._store, self._hasher, path, kept)
        target = self._folder / "models" / sha256[:16] / "1"
        _point(target / path.name, kept / path.name if path.is_file() else kept)
        return target

    # Code ----------------------------------------------------------------------------------------------------------------

    def code(self) -> tuple[Path, str] | None:
        """A copy of the code as it is now, and the scoring script in it."""
        node = self._node.get("code_configuration")
        if node is None or node.value is None:
            return None
        path, script = node.value["code"], node.value["scoring_script"]
        source = (path.source.path.parent / path.text).resolve()
        if not source.is_dir():
            raise FileError([path.mistake(f"code_configuration.code: there is no folder {path.text!r}; mend the path")])
        if not (source / script.text).is_file():
            raise FileError(
                [script.mistake(f"code_configuration.scoring_script: there is no file {script.text!r} in {path.text!r}; mend the name")]
            )
        ignore = ignore_patterns(source)
        sha256 = self._hasher.tree(source, ignore)
        target = self._folder / "code" / sha256[:16]
        if not target.exists():
            keep(self._store, self._hasher, source, target, ignore)
        self.spec["code_configuration"] = {"code": f"azureml:{sha256[:16]}", "scoring_script": script.text}
        return target, script.text

    # Environment -----------------------------------------------------------------------------------------------------------

    def environment(self) -> tuple[dict[str, Any], Path | None] | None:
        """What the environment is, and the folder that its image is built from."""
        node = self._node.get("environment")
        if node is None or node.value is None:
            return None
        if node.is_mapping:
            if node.get("image") is None and node.get("build") is None:
                raise FileError([node.mistake("environment: found neither image nor build; allowed: one of them")])
            found, folder = environments.described(node)
            if folder is not None:
                sha256 = self._hasher.tree(folder)
                kept = self._folder / "environment" / sha256[:16]
                if not kept.exists():
                    keep(self._store, self._hasher, folder, kept)
                folder = kept
            return found, folder
        reference = references.parse(node.text)
        if reference.kind not in ("asset", "registry"):
            raise FileError(
                [node.mistake(f"environment: found {node.text!r}; allowed: azureml:NAME:VERSION, azureml://registries/… or a mapping")]
            )
        asset = at(node, lambda: asset_of(self._store, reference, "environment"))
        self.spec["environment"] = exact(reference, asset)
        return asset.spec, Path(asset.path) if asset.path else None

    # All of it -----------------------------------------------------------------------------------------------------------------

    def plan(self) -> dict[str, Any]:
        """The launch plan of an online deployment."""
        node = self._node
        self._say_what_has_no_effect()
        model, code, environment = self.model(), self.code(), self.environment()
        if environment is None:
            what = "a deployment without environment is served by Azure's own image for MLflow models, which the desk has not got"
            raise UnsupportedError(
                [node.mistake(f"environment: found nothing; {what}: name an environment and code_configuration", unsupported=True)]
            )
        described, built = environment
        variables = self._variables()
        own = {"AZUREML_MODEL_DIR": str(model) if model else ""}
        if code is not None:
            own |= {"AML_APP_ROOT": str(code[0]), "AZUREML_ENTRY_SCRIPT": code[1]}
        if built is not None and described.get("inference_config"):
            started = self._container(described, built, code, {**own, **variables})
        else:
            started = self._hosted(code, {**own, **variables})
        self._hasher.save()
        settings = self.spec.get("request_settings") or {}
        if settings.get("max_queue_wait_ms") is not None:
            self.notes.append(
                "request_settings.max_queue_wait_ms has no effect any more, as in Azure: request_timeout_ms counts the whole wait"
            )
        return {
            **started,
            "instances": self._instances(),
            "concurrency": int(settings.get("max_concurrent_requests_per_instance") or 1),
            "timeout": int(settings.get("request_timeout_ms") or 5000) / 1000,
            "readiness": {**_READINESS, **started["readiness"], **self._probe("readiness_probe")},
            "liveness": {**_LIVENESS, **started["liveness"], **self._probe("liveness_probe")},
            "collector": self._collector(),
            "notes": self.notes,
        }

    def _variables(self) -> dict[str, str]:
        section = self._node.get("environment_variables")
        found: dict[str, str] = {}
        for name, value in section.items() if section is not None else ():
            if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
                raise FileError(
                    [value.mistake(f"environment_variables: found the name {name!r}; allowed: letters, digits and '_'", at_key=True)]
                )
            if "\0" in value.text:
                raise FileError([value.mistake(f"environment_variables.{name}: found {value.describe()}; allowed: a text without NUL")])
            found[name] = value.text
        return found

    def _say_what_has_no_effect(self) -> None:
        """Keys that Azure obeys: refused where the answer would be another one, else named in the log."""
        refused = {"model_mount_path": "the model lies in AZUREML_MODEL_DIR"}
        for key, why in refused.items():
            if (node := self._node.get(key)) is not None:
                raise UnsupportedError([node.mistake(f"{key} is not supported on the desk: {why}", unsupported=True, at_key=True)])
        collector = self._node.get("data_collector")
        rate = collector.get("rolling_rate") if collector is not None else None
        if rate is not None and rate.text.lower() != "hour":
            raise UnsupportedError(
                [rate.mistake(f"data_collector.rolling_rate: found {rate.text!r}; allowed on the desk: hour", unsupported=True)]
            )
        if collector is not None and (logging := collector.get("request_logging")) is not None:
            raise UnsupportedError(
                [
                    logging.mistake(
                        "data_collector.request_logging is not supported on the desk: headers are not kept", unsupported=True, at_key=True
                    )
                ]
            )
        silent = ("app_insights_enabled", "egress_public_network_access", "private_network_connection", "instance_type")
        named = [key for key in silent if self._node.get(key) is not None]
        if named:
            self.notes.append(f"without effect on this machine: {', '.join(named)}")

    def _instances(self) -> int:
        count = int(self.spec.get("instance_count") or 1)
        settings = self._node.get("scale_settings")
        if settings is not None and (settings.get("type") or settings).text.lower() == "target_utilization":
            raise UnsupportedError(
                [
                    settings.mistake(
                        "scale_settings: the desk does not scale; allowed here: type default, and instance_count", unsupported=True
                    )
                ]
            )
        machine = os.cpu_count() or 1
        most = max(4, 2 * machine)
        if count > most:
            at_count = self._node.get("instance_count") or self._node
            text = f"instance_count: found {count}; this machine has {machine} cores: allowed here: 1 to {most}"
            raise UnsupportedError([at_count.mistake(text, unsupported=True)])
        if count > machine:
            self.notes.append(f"instance_count is {count} on a machine with {machine} cores: they share them")
        return count

    def _probe(self, key: str) -> dict[str, Any]:
        probe = self.spec.get(key) or {}
        return {name: int(value) for name, value in probe.items() if name in _READINESS}

    def _collector(self) -> dict[str, float]:
        node = self._node.get("data_collector")
        if node is None or not node.is_mapping:
            return {}
        rate = float((self.spec["data_collector"]).get("sampling_rate", 1.0))
        if rate > 1:
            at_rate = node.get("sampling_rate") or node
            raise FileError([at_rate.mistake(f"data_collector.sampling_rate: found {at_rate.text}; allowed: 0 to 1")])
        found = {}
        for name, settings in node.value["collections"].items():
            if name not in ("request", "response", "model_inputs", "model_outputs"):
                text = f"data_collector.collections.{name}: a collection of score.py's own is not kept on the desk; allowed here"
                raise UnsupportedError(
                    [settings.mistake(f"{text}: request, response, model_inputs, model_outputs", unsupported=True, at_key=True)]
                )
            if settings.value["enabled"].text.lower() == "true":
                found[name] = rate
        return found

    def _hosted(self, code: tuple[Path, str] | None, own: dict[str, str]) -> dict[str, Any]:
        """score.py on our own host, in the place of Azure's inference server."""
        if code is None:
            text = "code_configuration: found nothing; without it and without a Dockerfile of your own with inference_config, the desk has nothing to start"
            raise UnsupportedError([self._node.mistake(f"{text}: name code and scoring_script", unsupported=True)])
        self.notes.append("score.py runs in the project's own Python, not in the environment's image")
        return {
            "command": [sys.executable, "-m", "lockgate.serving.host", "--port", PORT],
            "environment": {**base_environment(), "PYTHONUNBUFFERED": "1", **own},
            "folder": str(code[0]),
            "routes": {"/score": "/score", "/": "/", "/swagger.json": "/swagger.json"},
            "readiness": {"path": "/"},
            "liveness": {"path": "/"},
        }

    def _container(self, described: dict[str, Any], built: Path, code: tuple[Path, str] | None, own: dict[str, str]) -> dict[str, Any]:
        """The command of a Dockerfile as a process."""
        name = described["build"].get("dockerfile_path") or "Dockerfile"
        image = dockerfile.read(built / name, name)
        config = described["inference_config"]
        routes = {key: config.get(f"{key}_route") or {} for key in ("scoring", "liveness", "readiness")}
        port = routes["scoring"].get("port")
        node = self._node.get("environment") or self._node
        if port is None or not routes["scoring"].get("path"):
            raise FileError([node.mistake("environment: inference_config.scoring_route has no port or no path; name both")])
        app = code[0] if code is not None else None
        command = [_mapped(word, app, self._folder) for word in image.command]
        variables = {**image.environment, **own}
        if image.unused:
            self.notes.append(
                f"of {name} the desk does not carry out {', '.join(dict.fromkeys(image.unused))}: the command runs in the project's own Python"
            )
        command, variables = self._with_port(int(port), command, variables, name, node)
        if Path(command[0]).name in ("python", "python3") and not Path(command[0]).exists():
            command[0] = sys.executable
        return {
            "command": command,
            "environment": {
                **base_environment(),
                "PYTHONUNBUFFERED": "1",
                **{key: _mapped(value, app, self._folder) for key, value in variables.items()},
            },
            "folder": str(self._workdir(image, built, app)),
            "routes": {"/score": routes["scoring"]["path"], "/": routes["liveness"].get("path") or "/", "/swagger.json": "/swagger.json"},
            "readiness": {"path": routes["readiness"].get("path") or "/"},
            "liveness": {"path": routes["liveness"].get("path") or "/"},
        }

    def _with_port(
        self, port: int, command: list[str], variables: dict[str, str], name: str, node: Node
    ) -> tuple[list[str], dict[str, str]]:
        """Several deployments can't have one port of this machine: each process gets one of its own in the place of the container's."""
        pattern = re.compile(rf"(?<![\w.]){port}(?![\w.])")
        found = any(pattern.search(text) for text in (*command, *variables.values()))
        if not found:
            text = f"environment: port {port} of inference_config stands in neither CMD nor ENV of {name}, so that the desk can't give the process another one"
            raise UnsupportedError([node.mistake(f"{text}; name it there", unsupported=True)])

        def ours(text: str) -> str:
            # In a container 0.0.0.0 is the container's network; here it would be everybody's.
            return pattern.sub(PORT, text).replace("0.0.0.0", "127.0.0.1")  # noqa: S104 - is taken away

        return [ours(word) for word in command], {key: ours(value) for key, value in variables.items()}

    def _workdir(self, image: dockerfile.Image, built: Path, app: Path | None) -> Path:
        """WORKDIR, and what COPY puts into the container, below the deployment's folder."""
        root = self._folder / "root" / hashlib.sha256(json.dumps([str(built), image.copies, image.workdir]).encode()).hexdigest()[:16]
        if image.workdir == "/" and not image.copies:
            return app or self._ready(root)
        if image.workdir == _APP or image.workdir.startswith(_APP + "/"):
            return Path(_mapped(image.workdir, app, self._folder))
        for source, target in image.copies:
            origin = (built / source.lstrip("/")).resolve()
            if not origin.is_relative_to(built.resolve()) or not origin.exists():
                continue
            goal = root / target.lstrip("/")
            if origin.is_dir():
                shutil.copytree(origin, goal, dirs_exist_ok=True)
            else:
                goal = goal / origin.name if target.endswith(("/", "/.")) or goal.is_dir() else goal
                goal.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(origin, goal)
        return self._ready(root / image.workdir.lstrip("/"))

    @staticmethod
    def _ready(folder: Path) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        return folder


def at(node: Node, find: Callable[[], _Found]) -> _Found:
    """What `find` gives; what it refuses is said with the place."""
    try:
        return find()
    except FileError:
        raise
    except LockgateError as error:
        raise type(error)(f"{node.place}: {error}") from None


def _mapped(text: str, app: Path | None, folder: Path) -> str:
    """A text with Azure's folder for code made ours."""
    return text.replace(_APP, str(app if app is not None else folder))


def _name_in_folder(asset: Asset) -> str:
    return str(asset.spec.get("folder") or ("model" if Path(asset.path).is_dir() else Path(asset.path).name))


def _point(link: Path, target: Path) -> None:
    """Make a link, whatever was there."""
    link.parent.mkdir(parents=True, exist_ok=True)
    beside = link.with_name(f".{link.name}.{os.getpid()}")
    beside.unlink(missing_ok=True)
    beside.symlink_to(target)
    beside.replace(link)


def plan(store: Store, endpoint: str, name: str, node: Node) -> tuple[dict[str, Any], dict[str, Any]]:
    """What a deployment of a checked file is: its spec with exact references, and how its processes are started.

    Args:
        store: the workspace.
        endpoint, name: of the deployment.
        node: the file.

    Raises:
        FileError: something that it names is not there.
        UnsupportedError: Azure would run it, the desk does not.
        StateError: there is no such asset.
    """
    planner = _Planner(store, node, endpoints.folder(store, endpoint, name))
    launch = planner.plan()
    return planner.spec, launch


def batch(store: Store, endpoint: str, name: str, node: Node) -> tuple[dict[str, Any], dict[str, Any]]:
    """What a batch deployment of a checked file is: its spec with exact references, and model, code and environment on this machine."""
    planner = _Planner(store, node, endpoints.folder(store, endpoint, name))
    model, code, environment = planner.model(), planner.code(), planner.environment()
    planner._hasher.save()  # noqa: SLF001 - of this module
    return planner.spec, {
        "model": str(model) if model else "",
        "code": str(code[0]) if code else "",
        "script": code[1] if code else "",
        "conda_file": environment[0].get("conda_file") if environment else None,
    }
