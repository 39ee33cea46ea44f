"""Compares an environment's pins with what is installed here, since the desk runs jobs in the project's own Python."""

from __future__ import annotations

import importlib.metadata
import re
import sys
from pathlib import Path
from typing import Final

from lockgate.yaml_source import Node, load_yaml

_PIN: Final = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^\]]*\])?==([^\s;]+)")
_AZURE_ONLY: Final = frozenset({"azureml-mlflow", "azureml-defaults", "azureml-inference-server-http"})
"""Packages that connect a job to Azure: there is nothing for them to do on the desk."""


def pin_differences(conda_file: Path) -> list[str]:
    """A sentence per pin of a conda file's pip part that is not what is installed.

    Raises:
        FileError: the file is not YAML.
    """
    top = load_yaml(conda_file)
    differences: list[str] = []
    dependencies = top.get("dependencies")
    for item in dependencies.value if dependencies is not None and dependencies.is_list else ():
        if isinstance(item.value, str):
            differences += _python(item)
            continue
        pip = item.get("pip")
        for line in pip.value if pip is not None and pip.is_list else ():
            match = _PIN.match(line.text)
            if match is None or match[1].lower() in _AZURE_ONLY:
                continue
            try:
                installed = importlib.metadata.version(match[1])
            except importlib.metadata.PackageNotFoundError:
                differences.append(f"{match[1]} {match[2]} is not installed here")
                continue
            if installed != match[2]:
                differences.append(f"{match[1]} is {installed} here, {match[2]} in Azure")
    return differences


def installed_packages() -> list[str]:
    """NAME-VERSION of everything installed for this Python, sorted: the names of the folders with its description, since reading them takes a second."""
    found = set()
    for folder in sys.path:
        try:
            names = [path.name for path in Path(folder or ".").iterdir()]
        except OSError:
            continue  # A zip file, or nothing.
        found |= {name.removesuffix(".dist-info") for name in names if name.endswith(".dist-info")}
    return sorted(found)


def _python(item: Node) -> list[str]:
    match = re.fullmatch(r"python\s*=+\s*([\d.]+)", item.text)
    if match is None:
        return []
    parts = match[1].split(".")
    here = [str(part) for part in sys.version_info[: len(parts)]]
    return [] if here == parts else [f"Python is {'.'.join(here)} here, {match[1]} in Azure"]
