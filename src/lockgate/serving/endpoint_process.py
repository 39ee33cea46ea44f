"""The process of an online endpoint: runs its deployments and its router, and follows what the workspace says they should be."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Final

from lockgate.errors import RunError
from lockgate.serving.collector import Collector
from lockgate.serving.instances import Group, Launch, sweep
from lockgate.serving.router import Backend, Instance, Router, Table, counts_of, drain
from lockgate.workspace import endpoints
from lockgate.workspace.endpoints import Deployment, Endpoint
from lockgate.workspace.errors import MissingError
from lockgate.workspace.store import Store

_LOOK: Final = 0.05
"""Seconds between two looks at whether the workspace has changed; a look takes microseconds."""
_DRAIN: Final = 30.0
"""Seconds for requests under way when a deployment goes."""
_PATIENCE: Final = 30.0
_FIRST: Final = 10.0
"""Seconds that deployments have to become ready before the process says that it listens."""
_COUNTS_EVERY: Final = 0.2
_KEPT: Final = ("PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TMPDIR", "USER", "LOGNAME", "TZ", "LD_LIBRARY_PATH", "SSL_CERT_FILE")


def environment() -> dict[str, str]:
    """What of our environment a deployment gets: no more, since it gets nothing of its creator's in Azure, secrets least of all."""
    found = {name: os.environ[name] for name in _KEPT if name in os.environ}
    found["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{found.get('PATH', os.defpath)}"
    return found


def ensure(store: Store, name: str) -> None:
    """Start an online endpoint's process if it does not run, and come back once it listens.

    Raises:
        RunError: it does not start; with its last line.
    """
    deadline = time.monotonic() + _PATIENCE
    log = endpoints.folder(store, name) / "router.txt"
    process = None
    if endpoints.find_endpoint(store, "online", name).spec.get("deleting"):
        raise MissingError(f"(ResourceNotFound) online endpoint '{name}' is being deleted; delete it again if that was broken off")
    while True:
        listening = (endpoints.folder(store, name) / "listening.json").exists()
        if endpoints.process_of(store, name) is not None:
            if listening:
                return
        elif process is None or process.poll() is not None:
            if process is not None:
                last = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1:]
                raise RunError(f"the process of endpoint {name} ended at its start: {''.join(last) or 'without a word'}")
            log.parent.mkdir(parents=True, exist_ok=True)
            (log.parent / "listening.json").unlink(missing_ok=True)
            with log.open("ab") as stream:
                process = subprocess.Popen(
                    [sys.executable, "-m", "lockgate.serving.endpoint_process", str(store.root), store.workspace, name],
                    stdin=subprocess.DEVNULL, stdout=stream, stderr=subprocess.STDOUT, start_new_session=True, env=environment(), cwd=store.root,
                )  # fmt: skip
        if time.monotonic() > deadline:
            raise RunError(f"the process of endpoint {name} does not listen after {_PATIENCE:g} s; see {log}")
        time.sleep(0.02)


class EndpointProcess:
    """Brings about what the workspace says."""

    def __init__(self, store: Store, name: str) -> None:
        self._store = store
        self._name = name
        self._folder = endpoints.folder(store, name)
        self._groups: dict[str, Group] = {}
        self._backends: dict[str, Backend] = {}
        self._revisions: dict[str, int] = {}
        self._changes: dict[str, asyncio.Task[None]] = {}
        self._collectors: dict[str, Collector] = {}
        self._endpoint: Endpoint | None = None
        self._router: Router | None = None
        self._port = 0
        self._stop = asyncio.Event()
        self._again = False
        self._keys_seen: tuple[int, int] = (0, 0)
        self._keys: dict[str, str] = {}
        self._counts_at = 0.0
        self._counts = ""

    async def run(self) -> None:
        """Run until the endpoint is deleted, or somebody says stop."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        sweep(endpoints.mark(self._store, self._name))
        self._endpoint = endpoints.find_endpoint(self._store, "online", self._name)
        self._router = Router(self._table(), self._suspect)
        self._port = await self._router.listen(self._endpoint.port)
        watch = sqlite3.connect(self._store.folder / "workspace.db", timeout=30)
        seen = -1
        try:
            await self._look()
            # What has traffic is to answer from the first request on; what hangs is not waited for.
            if self._changes:
                await asyncio.wait(self._changes.values(), timeout=_FIRST)
            listening = self._folder / f".listening.{os.getpid()}"
            listening.write_text(json.dumps({"process": os.getpid(), "port": self._port}), encoding="utf-8")
            listening.replace(self._folder / "listening.json")
            while not self._stop.is_set():
                version = watch.execute("PRAGMA data_version").fetchone()[0]
                if version != seen or self._again or self._keys_changed():
                    seen, self._again = version, False
                    await self._look()
                self._write_counts()
                try:
                    await asyncio.wait_for(self._stop.wait(), _LOOK)
                except TimeoutError:
                    continue
        finally:
            watch.close()
            await self._end()

    async def _end(self) -> None:
        for task in self._changes.values():
            task.cancel()
        await asyncio.gather(*self._changes.values(), return_exceptions=True)
        if self._router is not None:
            await self._router.close(_DRAIN)
        await asyncio.gather(*(group.stop() for group in self._groups.values()))
        for collector in self._collectors.values():
            await collector.close()
        (self._folder / "listening.json").unlink(missing_ok=True)
        print(f"endpoint {self._name} has stopped", flush=True)

    # The workspace -----------------------------------------------------------------------------------------------------------

    def _keys_changed(self) -> bool:
        try:
            stat = (self._folder / "keys.json").stat()
        except FileNotFoundError:
            return False
        return (stat.st_mtime_ns, stat.st_ino) != self._keys_seen

    def _read_keys(self) -> dict[str, str]:
        self._keys = endpoints.keys(self._store, self._name)
        stat = (self._folder / "keys.json").stat()
        self._keys_seen = (stat.st_mtime_ns, stat.st_ino)
        return self._keys

    async def _look(self) -> None:
        """Compare what should be with what is."""
        try:
            self._endpoint = endpoints.find_endpoint(self._store, "online", self._name)
        except MissingError:
            self._stop.set()
            return
        found = {one.name: one for one in endpoints.deployments_of(self._store, self._endpoint)}
        for name, deployment in found.items():
            if self._revisions.get(name) == deployment.revision:
                continue
            self._revisions[name] = deployment.revision
            before = self._changes.get(name)
            self._changes[name] = asyncio.create_task(self._change(deployment, before))
        self._apply()
        if self._endpoint.applied != self._endpoint.revision or self._endpoint.port != self._port:
            await asyncio.to_thread(endpoints.set_applied, self._store, self._name, self._endpoint.revision, self._port)

    def _apply(self) -> None:
        if self._router is not None:
            self._router.table = self._table()

    def _table(self) -> Table:
        endpoint = self._endpoint
        if endpoint is None:
            raise RunError("the endpoint has not been read")
        return Table(
            endpoint=self._name,
            backends=dict(self._backends),
            traffic=endpoint.traffic,
            mirror=endpoint.mirror_traffic,
            auth_mode=str(endpoint.spec.get("auth_mode") or "key").lower(),
            keys=self._read_keys(),
        )

    async def _change(self, deployment: Deployment, before: asyncio.Task[None] | None) -> None:
        """Bring one change of a deployment about; an earlier one that is under way is given up."""
        if before is not None:
            before.cancel()
            await asyncio.gather(before, return_exceptions=True)
        if deployment.state == "Deleting":
            await self._take_away(deployment.name)
            await asyncio.to_thread(endpoints.forget_deployment, self._store, "online", self._name, deployment.name)
            self._revisions.pop(deployment.name, None)
            shutil.rmtree(self._folder / deployment.name, ignore_errors=True)
            return
        kept = self._folder / deployment.name / "good.json"
        plan = deployment.launch
        if deployment.state == "Failed" and kept.exists() and deployment.name not in self._groups:
            good = json.loads(kept.read_text(encoding="utf-8"))
            # The last change failed: what was good before it goes on. Had it only died too often, it is tried anew.
            plan = plan if good == plan else good
        group = self._group(deployment.name, Launch(plan), deployment.revision)
        try:
            why = await group.start()
        except asyncio.CancelledError:
            await group.stop()
            raise
        if why:
            await asyncio.to_thread(endpoints.set_state, self._store, self._name, deployment.name, deployment.revision, "Failed", why)
            return
        await self._put_in_place(deployment.name, group)
        if plan is deployment.launch:
            beside = kept.with_name(f".good.{os.getpid()}")
            beside.write_text(json.dumps(plan), encoding="utf-8")
            beside.replace(kept)
            await asyncio.to_thread(endpoints.set_state, self._store, self._name, deployment.name, deployment.revision, "Succeeded")

    def _group(self, name: str, launch: Launch, revision: int) -> Group:
        def changed(instance: Instance) -> None:
            backend = self._backends.get(name)
            if backend is not None and self._router is not None and instance in backend.instances:
                self._router.instance_changed(backend, instance)

        def failed(reason: str) -> None:
            print(f"deployment {name}: {reason}", flush=True)
            if self._groups.get(name) is group and not any(instance.ready for instance in group.instances):
                task = asyncio.create_task(
                    asyncio.to_thread(endpoints.set_state, self._store, self._name, name, revision, "Failed", reason)
                )
                self._changes[f"{name} state"] = task

        log = self._folder / name / "log.txt"
        group = Group(name, launch, log, endpoints.mark(self._store, self._name), changed, failed)
        return group

    async def _put_in_place(self, name: str, group: Group) -> None:
        """Requests go to the new processes from now on; the old ones answer what they have and end."""
        launch = group.launch
        old_group, old_backend = self._groups.get(name), self._backends.get(name)
        collector = self._collectors.pop(name, None)
        if collector is not None:
            await collector.close()
        if launch.collector:
            collector = Collector(self._folder / name / "data", f"{self._store.workspace}/{self._name}/{name}", launch.collector)
            self._collectors[name] = collector
        self._groups[name] = group
        self._backends[name] = Backend(
            name=name,
            instances=group.instances,
            routes={ours.encode(): theirs.encode() for ours, theirs in launch.routes.items()},
            concurrency=launch.concurrency,
            timeout=launch.timeout,
            collect=self._collectors[name].take if launch.collector else None,
            counts=old_backend.counts if old_backend is not None else {},
        )
        self._apply()
        if old_group is not None and old_backend is not None:
            await drain(old_backend, max(_DRAIN, old_backend.timeout))
            await old_group.stop()

    async def _take_away(self, name: str) -> None:
        backend, group = self._backends.pop(name, None), self._groups.pop(name, None)
        self._apply()
        if backend is not None and group is not None:
            await drain(backend, max(_DRAIN, backend.timeout))
            await group.stop()
        collector = self._collectors.pop(name, None)
        if collector is not None:
            await collector.close()

    def _suspect(self, instance: Instance) -> None:
        for group in self._groups.values():
            if instance in group.instances:
                group.suspect(instance)

    def _write_counts(self) -> None:
        """Leave the number of answers beside the log, for whoever judges a release."""
        now = time.monotonic()
        if now - self._counts_at < _COUNTS_EVERY:
            return
        self._counts_at = now
        text = json.dumps(counts_of(self._backends))
        if text != self._counts:
            self._counts = text
            beside = self._folder / f".counts.{os.getpid()}"
            beside.write_text(text, encoding="utf-8")
            beside.replace(self._folder / "counts.json")


def main() -> None:
    """Run the endpoint that the command line names."""
    parser = argparse.ArgumentParser()
    for word in ("root", "workspace", "name"):
        parser.add_argument(word)
    args: Any = parser.parse_args()
    store = Store(Path(args.root), args.workspace)
    import gc

    import uvloop

    with endpoints.held(store, args.name) as mine:
        if mine:
            gc.freeze()
            uvloop.run(EndpointProcess(store, args.name).run())


if __name__ == "__main__":
    main()
