"""References to what a workspace or registry holds, in all forms that Azure takes."""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from lockgate.workspace.errors import ConflictError, MissingError
from lockgate.workspace.store import Store

_ASSET: Final = re.compile(r"azureml:(?P<name>[\w.-]+)(?::(?P<version>[\w.-]+)|@(?P<label>[\w.-]+))")
_REGISTRY: Final = re.compile(
    r"azureml://registries/(?P<place>[\w-]+)/(?P<kind>models|data|environments|components)/(?P<name>[\w.-]+)/(?:versions/(?P<version>[\w.-]+)|labels/(?P<label>[\w.-]+))"
)
_JOB: Final = re.compile(r"azureml://jobs/(?P<name>[\w.-]+)/outputs/(?P<output>[\w-]+)(?:/paths/?(?P<path>.*))?")
_DATASTORE: Final = re.compile(r"azureml://(?:.*/)?datastores/(?P<name>[\w-]+)/paths/(?P<path>.*)")
_WEB: Final = re.compile(r"(?:https?|wasbs?|abfss?|adl)://.+")
_KINDS: Final = {"models": "model", "data": "data", "environments": "environment", "components": "component"}


@dataclass(frozen=True)
class Reference:
    """A reference.

    Attributes:
        kind: what it points to.
        name: of the asset, job or datastore.
        place: the registry.
        asset: kind of the registry's asset; what an `azureml:` name is, its user knows.
        path: a local path, or one within a job's output or datastore.
    """

    kind: Literal["local", "asset", "registry", "job", "datastore", "web"]
    name: str = ""
    version: str = ""
    label: str = ""
    place: str = ""
    asset: Any = "model"
    output: str = ""
    path: str = ""


def parse(text: str) -> Reference:
    """A reference from its text; what is none of Azure's forms is a local path."""
    if match := _REGISTRY.fullmatch(text):
        return Reference("registry", match["name"], match["version"] or "", match["label"] or "", match["place"], _KINDS[match["kind"]])
    if match := _JOB.fullmatch(text):
        return Reference("job", match["name"], output=match["output"], path=match["path"] or "")
    if match := _DATASTORE.fullmatch(text):
        return Reference("datastore", match["name"], path=match["path"])
    if match := _ASSET.fullmatch(text):
        return Reference("asset", match["name"], match["version"] or "", match["label"] or "")
    if _WEB.fullmatch(text):
        return Reference("web", path=text)
    return Reference("local", path=text.removeprefix("file://").removeprefix("file:"))


def within(base: Path, path: str) -> Path:
    """A path below a folder, whatever `path` says.

    Raises:
        ConflictError: it leads out of the folder, or to the folder itself.
    """
    found = Path(os.path.normpath(base / path.lstrip("/")))
    if not found.is_relative_to(base) or found == base:
        raise ConflictError(f"path {path!r}: allowed: a path below {base.name!r}, without '..'")
    return found


def job_output(store: Store, reference: Reference) -> Path:
    """Where an output of a job lies. A node of a pipeline is `job.node`; the pipeline itself has the outputs of its nodes.

    Raises:
        MissingError: there is no such job or output.
    """
    job, _, node = reference.name.partition(".")
    with store.connect() as connection:
        rows = connection.execute("SELECT name, outputs FROM nodes WHERE job = ?", (job,)).fetchall()
    found = {
        (row["name"], name): Path(path)
        for row in rows
        if not node or row["name"] == node
        for name, path in json.loads(row["outputs"]).items()
    }
    fitting = [path for key, path in found.items() if key[1] == reference.output]
    if not node and ("", reference.output) in found:
        fitting = [found["", reference.output]]  # The pipeline's own output counts before those of its nodes.
    if not rows:
        raise MissingError(f"workspace {store.workspace!r} has no job {job!r} that has ended")
    if len(fitting) != 1:
        there = ", ".join(sorted(f"{key[0]}.{key[1]}".lstrip(".") for key in found))
        what = "several outputs" if fitting else "no output"
        raise MissingError(f"job {reference.name!r} has {what} {reference.output!r}; it has: {there or 'none'}")
    path = within(fitting[0], reference.path) if reference.path else fitting[0]
    if not path.exists():
        raise MissingError(f"job {reference.name!r} has nothing at {reference.output}/{reference.path}")
    return path
