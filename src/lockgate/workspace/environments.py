"""Environments: what a file or an inline mapping says of one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from lockgate.errors import FileError

if TYPE_CHECKING:
    from lockgate.yaml_source import Node


def described(node: Node) -> tuple[dict[str, Any], Path | None]:
    """What an environment is, with the packages of its conda file in it, and the folder that its image is built from.

    Raises:
        FileError: a file or folder that it names is not there.
    """
    spec = node.plain()
    found = {key: spec[key] for key in ("image", "os_type", "inference_config") if spec.get(key) is not None}
    conda = node.get("conda_file")
    if conda is not None and conda.value is not None:
        if conda.is_mapping:
            found["conda_file"] = conda.plain()
        else:
            path = conda.source.path.parent / conda.text
            if not path.is_file():
                raise FileError([conda.mistake(f"conda_file: there is no file {conda.text!r}; mend the path")])
            from lockgate.yaml_source import load_yaml

            packages = load_yaml(path, conda.text)
            if not packages.is_mapping:
                raise FileError([packages.mistake(f"found {packages.describe()}; allowed: a conda file, a mapping with dependencies:")])
            found["conda_file"] = packages.plain()
    build = node.get("build")
    if build is None or not build.is_mapping:
        return found, None
    at = build.get("path") or build
    folder = (build.source.path.parent / at.text).resolve()
    if not folder.is_dir():
        raise FileError([at.mistake(f"build.path: there is no folder {at.text!r}; mend the path")])
    dockerfile = build.get("dockerfile_path")
    name = dockerfile.text if dockerfile is not None else "Dockerfile"
    if not (folder / name).is_file():
        raise FileError([(dockerfile or at).mistake(f"build: there is no file {name!r} in {at.text!r}; name it by dockerfile_path")])
    found["build"] = {"dockerfile_path": name}
    return found, folder
