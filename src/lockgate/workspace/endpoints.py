"""Endpoints and their deployments, online and batch: what they should be, what they are, and who runs them.

Whoever changes an endpoint writes what it should be and a new revision; the endpoint's own process sees the change,
brings it about and writes what it is. So a command may die at any moment, and so may the process.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import secrets
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from lockgate.processes import end_marked
from lockgate.workspace.assets import now
from lockgate.workspace.errors import ConflictError, MissingError
from lockgate.workspace.store import Store, dumps

Kind = Literal["online", "batch"]
State = Literal["Creating", "Updating", "Succeeded", "Failed", "Deleting"]
ENDPOINT_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9-]{1,30}[A-Za-z0-9]")
DEPLOYMENT_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9-]{1,30}[A-Za-z0-9]")
_NAMES: Final = "allowed: 3 to 32 letters, digits and '-', a letter first, no '-' last"
_POLL: Final = 0.02


@dataclass(frozen=True)
class Endpoint:
    """An endpoint.

    Attributes:
        spec: as its file has it: auth_mode, traffic (deployment → percent), mirror_traffic, defaults, description, tags, properties.
        port: of an online one, on 127.0.0.1.
        revision: counts its changes; `applied` is the last one that its process has brought about.
    """

    kind: Kind
    name: str
    spec: dict[str, Any]
    port: int
    revision: int
    applied: int
    created: str
    modified: str

    @property
    def traffic(self) -> dict[str, int]:
        """Deployment → percent."""
        return {name: int(share) for name, share in (self.spec.get("traffic") or {}).items()}

    @property
    def mirror_traffic(self) -> dict[str, int]:
        """Deployment → percent."""
        return {name: int(share) for name, share in (self.spec.get("mirror_traffic") or {}).items()}


@dataclass(frozen=True)
class Deployment:
    """A deployment of an endpoint.

    Attributes:
        spec: as its file has it, with references made exact.
        launch: how its processes are started; empty for a batch deployment.
        revision: counts its changes; `good` is the last one that became ready, 0 if none has.
        state: how the last change went; `reason` says why it failed.
    """

    kind: Kind
    endpoint: str
    name: str
    spec: dict[str, Any]
    launch: dict[str, Any]
    revision: int
    good: int
    state: State
    reason: str
    created: str
    modified: str


def _endpoint(row: sqlite3.Row) -> Endpoint:
    return Endpoint(
        row["kind"], row["name"], json.loads(row["spec"]), row["port"], row["revision"], row["applied"], row["created"], row["modified"]
    )


def _deployment(row: sqlite3.Row) -> Deployment:
    return Deployment(
        row["kind"], row["endpoint"], row["name"], json.loads(row["spec"]), json.loads(row["launch"]), row["revision"], row["good"],
        row["state"], row["reason"], row["created"], row["modified"],
    )  # fmt: skip


def folder(store: Store, endpoint: str, deployment: str = "") -> Path:
    """Where an endpoint, or a deployment of it, keeps its files."""
    base = store.folder / "endpoints" / endpoint
    return base / deployment if deployment else base


def check_name(what: str, name: str) -> None:
    """Raise a ConflictError unless Azure takes the name of an endpoint or deployment."""
    if not ENDPOINT_NAME.fullmatch(name):
        raise ConflictError(f"(BadArgument) {what} name '{name}': {_NAMES}")


# Endpoints ------------------------------------------------------------------------------------------------------------------


def all_endpoints(store: Store, kind: Kind) -> list[Endpoint]:
    """All endpoints of a kind, by name."""
    with store.connect() as connection:
        return [_endpoint(row) for row in connection.execute("SELECT * FROM endpoints WHERE kind = ? ORDER BY name", (kind,))]


def find_endpoint(store: Store, kind: Kind, name: str) -> Endpoint:
    """An endpoint.

    Raises:
        MissingError: there is none.
    """
    found = next((one for one in all_endpoints(store, kind) if one.name.lower() == name.lower()), None)
    if found is None:
        there = ", ".join(one.name for one in all_endpoints(store, kind)) or "none"
        raise MissingError(f"(ResourceNotFound) {kind} endpoint '{name}' was not found in workspace {store.workspace}. There is: {there}.")
    return found


def put_endpoint(store: Store, kind: Kind, name: str, spec: dict[str, Any], port: int = 0) -> Endpoint:
    """Make an endpoint.

    Raises:
        ConflictError: its name is not allowed, or taken.
    """
    check_name("endpoint", name)
    moment = now()
    with store.connect() as connection:
        connection.execute("BEGIN IMMEDIATE")
        if connection.execute("SELECT 1 FROM endpoints WHERE name = ? COLLATE NOCASE", (name,)).fetchone():
            raise ConflictError(f"(UserError) There is already an endpoint with name '{name}' in workspace {store.workspace}.")
        connection.execute("INSERT INTO endpoints VALUES (?, ?, ?, ?, 1, 0, ?, ?)", (kind, name, dumps(spec), port, moment, moment))
    return find_endpoint(store, kind, name)


def change_endpoint(store: Store, endpoint: Endpoint, change: Callable[[dict[str, Any], list[Deployment]], dict[str, Any]]) -> Endpoint:
    """Change an endpoint's spec; nobody else changes it meanwhile.

    Args:
        store: the workspace.
        endpoint: says which one.
        change: gets the spec as it is now and the deployments, and gives the new spec.
    """
    with store.connect() as connection:
        connection.execute("BEGIN IMMEDIATE")
        row = connection.execute("SELECT * FROM endpoints WHERE kind = ? AND name = ?", (endpoint.kind, endpoint.name)).fetchone()
        if row is None:
            raise MissingError(f"(ResourceNotFound) {endpoint.kind} endpoint '{endpoint.name}' has been deleted meanwhile")
        there = connection.execute(
            "SELECT * FROM deployments WHERE kind = ? AND endpoint = ? ORDER BY name", (endpoint.kind, endpoint.name)
        ).fetchall()
        new = change(json.loads(row["spec"]), [_deployment(one) for one in there])
        connection.execute(
            "UPDATE endpoints SET spec = ?, revision = revision + 1, modified = ? WHERE kind = ? AND name = ?",
            (dumps(new), now(), endpoint.kind, endpoint.name),
        )
    return find_endpoint(store, endpoint.kind, endpoint.name)


def set_endpoint_deleting(store: Store, endpoint: Endpoint) -> None:
    """Begin to delete an endpoint: its name stays taken, and nobody starts its process any more, until all of it is gone."""
    change_endpoint(store, endpoint, lambda spec, _: {**spec, "deleting": True})


def set_applied(store: Store, name: str, revision: int, port: int) -> None:
    """What an online endpoint's process has brought about."""
    with store.connect() as connection:
        connection.execute("UPDATE endpoints SET applied = ?, port = ? WHERE kind = 'online' AND name = ?", (revision, port, name))


def delete_endpoint(store: Store, endpoint: Endpoint) -> None:
    """Delete an endpoint with its deployments, from the records."""
    with store.connect() as connection:
        connection.execute("DELETE FROM deployments WHERE kind = ? AND endpoint = ?", (endpoint.kind, endpoint.name))
        connection.execute("DELETE FROM endpoints WHERE kind = ? AND name = ?", (endpoint.kind, endpoint.name))


# Deployments ----------------------------------------------------------------------------------------------------------------


def deployments_of(store: Store, endpoint: Endpoint) -> list[Deployment]:
    """The deployments of an endpoint, by name."""
    with store.connect() as connection:
        rows = connection.execute(
            "SELECT * FROM deployments WHERE kind = ? AND endpoint = ? ORDER BY name", (endpoint.kind, endpoint.name)
        ).fetchall()
    return [_deployment(row) for row in rows]


def find_deployment(store: Store, endpoint: Endpoint, name: str) -> Deployment:
    """A deployment.

    Raises:
        MissingError: there is none.
    """
    there = deployments_of(store, endpoint)
    found = next((one for one in there if one.name.lower() == name.lower()), None)
    if found is None:
        names = ", ".join(one.name for one in there) or "none"
        raise MissingError(f"(ResourceNotFound) deployment '{name}' was not found in endpoint '{endpoint.name}'. There is: {names}.")
    return found


def put_deployment(store: Store, endpoint: Endpoint, name: str, spec: dict[str, Any], launch: dict[str, Any]) -> Deployment:
    """Make a deployment or change it: its process brings that about, and says how it went.

    Raises:
        ConflictError: its name is not allowed.
    """
    check_name("deployment", name)
    moment = now()
    # A batch deployment has no process: it is there with its record.
    waiting = endpoint.kind == "online"
    with store.connect() as connection:
        connection.execute("BEGIN IMMEDIATE")
        if not connection.execute("SELECT 1 FROM endpoints WHERE kind = ? AND name = ?", (endpoint.kind, endpoint.name)).fetchone():
            raise MissingError(f"(ResourceNotFound) {endpoint.kind} endpoint '{endpoint.name}' has been deleted meanwhile")
        there = connection.execute(
            "SELECT name FROM deployments WHERE kind = ? AND endpoint = ? AND name = ? COLLATE NOCASE", (endpoint.kind, endpoint.name, name)
        ).fetchone()
        # Azure's names know no case: the one that is there keeps its own.
        name = there["name"] if there else name
        key = (endpoint.kind, endpoint.name, name)
        if there:
            connection.execute(
                "UPDATE deployments SET spec = ?, launch = ?, revision = revision + 1, state = ?, reason = '', modified = ?"
                " WHERE kind = ? AND endpoint = ? AND name = ?",
                (dumps(spec), dumps(launch), "Updating" if waiting else "Succeeded", moment, *key),
            )
        else:
            connection.execute(
                "INSERT INTO deployments VALUES (?, ?, ?, ?, ?, 1, 0, ?, '', ?, ?)",
                (*key, dumps(spec), dumps(launch), "Creating" if waiting else "Succeeded", moment, moment),
            )
    return find_deployment(store, endpoint, name)


def change_deployment(store: Store, endpoint: Endpoint, name: str, change: Callable[[dict[str, Any], dict[str, Any]], bool]) -> Deployment:
    """Change a deployment; nobody else changes it meanwhile.

    Args:
        store: the workspace.
        endpoint, name: say which one.
        change: gets spec and launch as they are now, changes them in place, and says whether its processes are to be started anew.
    """
    with store.connect() as connection:
        connection.execute("BEGIN IMMEDIATE")
        key = (endpoint.kind, endpoint.name, name)
        row = connection.execute("SELECT * FROM deployments WHERE kind = ? AND endpoint = ? AND name = ?", key).fetchone()
        if row is None or row["state"] == "Deleting":
            raise MissingError(f"(ResourceNotFound) deployment '{name}' has been deleted meanwhile")
        spec, launch = json.loads(row["spec"]), json.loads(row["launch"])
        anew = change(spec, launch) and endpoint.kind == "online"
        connection.execute(
            "UPDATE deployments SET spec = ?, launch = ?, modified = ?, revision = revision + ?, state = ?, reason = ?"
            " WHERE kind = ? AND endpoint = ? AND name = ?",
            (dumps(spec), dumps(launch), now(), int(anew), "Updating" if anew else row["state"], "" if anew else row["reason"], *key),
        )
    return find_deployment(store, endpoint, name)


def set_state(store: Store, endpoint: str, name: str, revision: int, state: State, reason: str = "") -> None:
    """How a change of an online deployment went; nothing, if there has been another change since."""
    good = ", good = revision" if state == "Succeeded" else ""
    with store.connect() as connection:
        connection.execute(
            f"UPDATE deployments SET state = ?, reason = ?{good} WHERE kind = 'online' AND endpoint = ? AND name = ? AND revision = ?",  # noqa: S608 - only words of ours
            (state, reason, endpoint, name, revision),
        )


def set_deleting(store: Store, endpoint: Endpoint, name: str) -> None:
    """Begin to delete an online deployment; its process ends it, and then deletes its record.

    Raises:
        ConflictError: traffic goes to it.
    """
    with store.connect() as connection:
        connection.execute("BEGIN IMMEDIATE")
        row = connection.execute("SELECT spec FROM endpoints WHERE kind = ? AND name = ?", (endpoint.kind, endpoint.name)).fetchone()
        spec = json.loads(row["spec"]) if row else {}
        for key, word in (("traffic", "traffic"), ("mirror_traffic", "mirrored traffic")):
            share = int((spec.get(key) or {}).get(name, 0))
            if share:
                raise ConflictError(
                    f"(UserError) deployment '{name}' has {share} % of the {word} of endpoint '{endpoint.name}'; "
                    "give it to another deployment first: az ml online-endpoint update --traffic"
                )
        connection.execute(
            "UPDATE deployments SET state = 'Deleting', revision = revision + 1 WHERE kind = ? AND endpoint = ? AND name = ?",
            (endpoint.kind, endpoint.name, name),
        )


def forget_deployment(store: Store, kind: Kind, endpoint: str, name: str) -> None:
    """Delete a deployment's record."""
    with store.connect() as connection:
        connection.execute("DELETE FROM deployments WHERE kind = ? AND endpoint = ? AND name = ?", (kind, endpoint, name))


# Keys -----------------------------------------------------------------------------------------------------------------------


def keys(store: Store, endpoint: str) -> dict[str, str]:
    """The keys of an online endpoint: primaryKey, secondaryKey, and the secret that tokens are signed with. Made when first asked for."""
    path = folder(store, endpoint) / "keys.json"
    if not path.exists():
        new = {name: secrets.token_urlsafe(32) for name in ("primaryKey", "secondaryKey", "secret")}
        _write_secret(path, new, replace=False)
    found: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
    return found


def renew_key(store: Store, endpoint: str, which: str) -> None:
    """Make another primaryKey or secondaryKey; the old one is refused once the endpoint's process has seen that."""
    path = folder(store, endpoint) / "keys.json"
    _write_secret(path, {**keys(store, endpoint), which: secrets.token_urlsafe(32)}, replace=True)


def _write_secret(path: Path, content: dict[str, str], *, replace: bool) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as stream:
        json.dump(content, stream)
    if replace:
        beside.replace(path)
        return
    try:
        os.link(beside, path)
    except FileExistsError:
        pass  # Another process was first; its keys count.
    beside.unlink()


# The process ----------------------------------------------------------------------------------------------------------------


@contextmanager
def held(store: Store, endpoint: str) -> Iterator[bool]:
    """While this process runs an online endpoint. The lock goes with the process; False if another one has it."""
    path = folder(store, endpoint) / ".running"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        stream.truncate(0)
        stream.write(str(os.getpid()))
        stream.flush()
        yield True


def process_of(store: Store, endpoint: str) -> int | None:
    """The process that runs an online endpoint; None if none does."""
    try:
        with (folder(store, endpoint) / ".running").open() as stream:
            try:
                fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                text = stream.read()
                return int(text) if text else -1
    except FileNotFoundError:
        return None
    return None


def mark(store: Store, endpoint: str) -> str:
    """NAME=value of the environment of all processes of an endpoint, and of no other one's."""
    return f"LOCKGATE_AZUREML_ENDPOINT={folder(store, endpoint)}"


def stop(store: Store, endpoint: str, patience: float = 20.0) -> bool:
    """End an online endpoint's process and all that it runs.

    Returns:
        Whether there was one.
    """
    process = process_of(store, endpoint)
    if process is not None and process > 0:
        try:
            os.kill(process, signal.SIGTERM)
        except ProcessLookupError:
            pass  # It has just ended.
        deadline = time.monotonic() + patience
        while process_of(store, endpoint) is not None:
            if time.monotonic() > deadline:
                os.kill(process, signal.SIGKILL)
                break
            time.sleep(_POLL)
    end_marked(mark(store, endpoint))
    return process is not None
