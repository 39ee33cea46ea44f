"""`az ml model`, `data` and `environment`: versions that never change."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from lockgate.az import changes
from lockgate.az.context import Context
from lockgate.az.errors import ArgumentError, NotFound
from lockgate.az.handlers import Handler
from lockgate.errors import FileError
from lockgate.workspace import assets, environments, references
from lockgate.workspace.assets import Asset, Kind
from lockgate.workspace.cloud import Place

if TYPE_CHECKING:
    from lockgate.yaml_source import Node

_PARTS: Final = {"model": "models", "data": "data", "environment": "environments", "component": "components"}
_OPTIONS: Final = {
    "model": ("name", "version", "description", "path", "type", "stage", "tags"),
    "data": ("name", "version", "description", "path", "type"),
    "environment": ("name", "version", "description", "image", "conda_file", "tags", "os_type"),
}
_WAITS: Final = ("no_wait", "it is there at once")


def _id(place: Place, kind: str, asset: Asset) -> str:
    if place.kind == "registry":
        return f"azureml://registries/{place.name}/{_PARTS[kind]}/{asset.name}/versions/{asset.version}"
    return f"{place.id}/{_PARTS[kind]}/{asset.name}/versions/{asset.version}"


def shown(place: Place, asset: Asset) -> dict[str, Any]:
    """A version as az shows it."""
    kind = asset.kind
    found: dict[str, Any] = {
        "creation_context": {
            "created_at": asset.created,
            "created_by": "desk",
            "created_by_type": "User",
            "last_modified_at": asset.modified,
            "last_modified_by": "desk",
            "last_modified_by_type": "User",
        },
        "description": asset.description,
        "id": _id(place, kind, asset),
        "name": asset.name,
        "properties": asset.properties,
        "tags": asset.tags,
        "version": asset.version,
    }
    if kind == "component":
        found |= {**asset.spec, "code": asset.path, "type": asset.type}
    elif kind == "environment":
        found |= {key: value for key, value in asset.spec.items() if key in ("image", "conda_file", "build", "inference_config", "os_type")}
        if "build" in found:
            found["build"] = {**found["build"], "path": asset.path}
        found.setdefault("os_type", "linux")
    else:
        found |= {"path": asset.path, "type": asset.type}
    if kind == "model":
        found |= {"job_name": asset.job, "stage": asset.stage or None, "flavors": asset.spec.get("flavors")}
    if place.kind == "workspace":
        found["resourceGroup"] = place.group
    return found


def _create(context: Context, kind: Kind) -> Any:
    from lockgate.az.files import read

    node = read(context, kind, _OPTIONS[kind])
    spec = node.plain()
    name = str(spec.get("name") or "")
    if not name:
        raise ArgumentError("the following arguments are required: --name/-n")
    from lockgate.workspace.content import ignore_patterns

    place = context.place()
    store = context.store(place)
    common: dict[str, Any] = {
        "tags": {key: str(value) for key, value in spec["tags"].items()} if spec.get("tags") is not None else None,
        "properties": {key: str(value) for key, value in (spec.get("properties") or {}).items()},
        "description": str(spec.get("description") or ""),
    }
    version = _version_of(node)
    if kind == "environment":
        built, folder = environments.described(node)
        return shown(place, assets.create(store, kind, name, version, spec=built, content=folder, **common))
    kinds = {"model": "custom_model", "data": "uri_folder"}
    type_ = str(spec.get("type") or kinds[kind]).lower()
    content, remote, job = _content(context, node, store if place.kind == "workspace" else None, kind)
    if content is not None:
        _check_type(node, type_, content)
    extra = {"folder": content.name} if content is not None else {}
    made = assets.create(
        store, kind, name, version, type=type_, content=content, path=remote, spec=extra, stage=str(spec.get("stage") or "") if kind == "model" else "",
        job=job, ignore=ignore_patterns(content) if content is not None and content.is_dir() and job is None else (), **common,
    )  # fmt: skip
    return shown(place, made)


def _version_of(node: Node) -> str:
    version = node.get("version")
    return "" if version is None or version.value is None else version.text


def _check_type(node: Node, type_: str, content: Path) -> None:
    at = node.get("path") or node
    if type_ == "uri_file" and content.is_dir():
        raise FileError([at.mistake(f"path: {at.text!r} is a folder; allowed: a file, or type uri_folder")])
    if type_ in ("uri_folder", "mltable", "mlflow_model") and content.is_file():
        raise FileError([at.mistake(f"path: {at.text!r} is a file; allowed: a folder")])
    if type_ == "mltable" and not (content / "MLTable").is_file():
        raise FileError([at.mistake(f"path: {at.text!r} has no file MLTable, which type mltable needs")])
    if type_ == "mlflow_model" and not (content / "MLmodel").is_file():
        raise FileError([at.mistake(f"path: {at.text!r} has no file MLmodel, which type mlflow_model needs")])


def _content(context: Context, node: Node, store: Any, kind: Kind) -> tuple[Path | None, str, str | None]:
    """Where the bytes of a new asset are on this machine, the address that stays one, and the job that made them."""
    path = node.get("path")
    if path is None:
        raise ArgumentError("the following arguments are required: --path/-p, or path: in the file")
    reference = references.parse(path.text)
    if reference.kind == "local":
        base = Path.cwd() if context.has("path") or not context.text("file") else path.source.path.parent
        found = (base / reference.path).resolve()
        if not found.exists():
            raise FileError([path.mistake(f"path: there is no file or folder {path.text!r}; mend the path")])
        return found, "", None
    if reference.kind == "job" and store is not None:
        return references.job_output(store, reference), "", reference.name
    if reference.kind == "web":
        return None, path.text, None
    if reference.kind == "datastore" and store is not None:
        from lockgate.workspace.locate import locate

        return locate(store, reference, kind).path, "", None
    if reference.kind in ("asset", "registry"):
        place = context.cloud.place("registry", reference.place) if reference.kind == "registry" else context.workspace()
        asset = assets.find(context.store(place), reference.asset, reference.name, reference.version, reference.label)
        return Path(asset.path), "", asset.job
    raise FileError(
        [path.mistake(f"path: {path.text!r} is not on this machine; allowed here: a local path, azureml://jobs/… or azureml:NAME:VERSION")]
    )


def one(context: Context, kind: Kind) -> tuple[Place, Asset]:
    """The version that the options name."""
    if context.has("label") and context.has("version"):
        raise ArgumentError("--label and --version: allowed: one of them")
    if kind in ("model", "data", "environment") and not context.has("version") and not context.has("label"):
        raise ArgumentError("Must provide either version or label.")
    place = context.place()
    return place, assets.find(context.store(place), kind, context.text("name"), context.text("version"), context.text("label"))


def _show(context: Context, kind: Kind) -> Any:
    return shown(*one(context, kind))


def list_all(context: Context, kind: Kind) -> Any:
    """What the options select."""
    place = context.place()
    archived = "only" if context.has("archived_only") else "also" if context.has("include_archived") else "no"
    found = assets.find_all(context.store(place), kind, context.text("name"), archived=archived, limit=0)  # type: ignore[arg-type]
    stage = context.text("stage")
    if not context.text("name"):
        newest: dict[str, Asset] = {}
        for asset in found:
            newest.setdefault(asset.name, asset)
        found = list(newest.values())
    found = [asset for asset in found if not stage or asset.stage == stage]
    return [shown(place, asset) for asset in found[: context.number("max_results") or None]]


def update(context: Context, kind: Kind) -> Any:
    """Change a version's tags, properties, description and stage."""
    place, asset = one(context, kind)

    def change(asset: Asset) -> Asset:
        tags, properties = dict(asset.tags), dict(asset.properties)
        texts = {"description": asset.description, **({"stage": asset.stage} if kind == "model" else {})}
        changes.apply(context, tags, properties, texts)
        stage = context.text("stage", texts.get("stage", asset.stage))
        return replace(asset, tags=tags, properties=properties, description=texts["description"], stage=stage)

    return shown(place, assets.update(context.store(place), asset, change))


def archive(context: Context, kind: Kind, *, archived: bool) -> None:
    """Hide a version, or all of a name; or show again."""
    version = context.text("version")
    if context.has("label"):
        version = assets.find(context.store(), kind, context.text("name"), "", context.text("label")).version
    assets.archive(context.store(), kind, context.text("name"), version, archived=archived)


def _share(context: Context, kind: Kind) -> Any:
    """From a workspace to a registry, by exact version; tags stay behind, as in Azure."""
    asset = assets.find(context.store(context.workspace()), kind, context.text("name"), context.text("version"))
    registry = context.cloud.place("registry", context.invocation.text("registry_name"))
    made = assets.create(
        context.store(registry), kind, context.text("share_with_name"), context.text("share_with_version"), type=asset.type,
        content=_bytes_of(asset), spec=asset.spec, description=asset.description, path="" if _bytes_of(asset) else asset.path,
    )  # fmt: skip
    if _bytes_of(asset) and made.sha256 != asset.sha256:
        raise NotFound(f"{asset.name}:{asset.version} came to the registry with other bytes: {made.sha256} instead of {asset.sha256}")
    return shown(registry, made)


def _bytes_of(asset: Asset) -> Path | None:
    path = Path(asset.path)
    return path if asset.path and path.exists() else None


def _download(context: Context) -> None:
    _, asset = one(context, "model")
    source = _bytes_of(asset)
    if source is None:
        raise NotFound(f"{asset.name}:{asset.version} has no content on this machine; it is at {asset.path}")
    target = Path(context.text("download_path", ".")) / asset.name / asset.spec.get("folder", source.name)
    if source.is_dir():
        shutil.copytree(source, target, dirs_exist_ok=True, copy_function=_copy)
    else:
        target.parent.mkdir(parents=True, exist_ok=True)
        _copy(str(source), str(target))


def _copy(source: str, target: str) -> str:
    shutil.copyfile(source, target)  # Not the mode: what is kept is read-only, a copy is its owner's.
    return target


def _handlers(kind: Kind) -> dict[str, Handler]:
    words = f"ml {kind}"
    create: tuple[str, ...] = (*_OPTIONS[kind], "file", "set", "registry_name", "resource_group", "workspace_name")
    accepts: tuple[tuple[str, str], ...] = (
        (_WAITS,) if kind == "environment" else (_WAITS, ("datastore", "the bytes are kept in the workspace"))
    )
    if kind == "data":
        accepts = (*accepts, ("skip_validation", "a file is always checked"))
    found = {
        f"{words} create": Handler(lambda c: _create(c, kind), f"register a version: {kind}", create, accepts),
        f"{words} show": Handler(lambda c: _show(c, kind), f"a version: {kind}"),
        f"{words} list": Handler(lambda c: list_all(c, kind), f"the newest of each name, or all versions of one: {kind}"),
        f"{words} update": Handler(
            lambda c: update(c, kind), f"change tags, description: {kind}",
            ("name", "version", "label", "set", "remove", "registry_name", "resource_group", "workspace_name", *(("stage",) if kind == "model" else ())),
            (("force_string", "values of tags are texts"),),
        ),
        f"{words} archive": Handler(lambda c: archive(c, kind, archived=True), f"hide: {kind}"),
        f"{words} restore": Handler(lambda c: archive(c, kind, archived=False), f"show again: {kind}"),
        f"{words} share": Handler(lambda c: _share(c, kind), f"copy to a registry: {kind}"),
    }  # fmt: skip
    if kind == "model":
        found["ml model download"] = Handler(_download, "copy a model's files out")
    return found


COMMANDS: Final = {**_handlers("model"), **_handlers("data"), **_handlers("environment")}
