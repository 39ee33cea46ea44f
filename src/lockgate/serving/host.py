"""Hosts a score.py: `init()` once, then `run(body)` per request, with the contract of Azure's inference server.

Routes: `/` (alive, once init() has ended), `/score` (POST, GET, OPTIONS), `/swagger.json`. What run() returns is the answer, as JSON. What it raises is a 500 with the exception's text and x-ms-run-function-failed, or the status of `status_code`
where the exception has one, with what its `to_dict()` says.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib.util
import inspect
import json
import os
import signal
import sys
import traceback
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from lockgate.serving.http import Headers, Request, ServerConnection
from lockgate.serving.router import BODY_LIMIT

_JSON: Final = (b"content-type", b"application/json")
_TEXT: Final = (b"content-type", b"text/plain; charset=utf-8")


def load(path: Path) -> ModuleType:
    """Import the script as module `score`, from its own folder."""
    sys.path.insert(0, str(path.parent))
    specification = importlib.util.spec_from_file_location(path.stem, path)
    if specification is None or specification.loader is None:
        raise ImportError(f"{path} is no Python file")
    module = importlib.util.module_from_spec(specification)
    sys.modules[path.stem] = module
    specification.loader.exec_module(module)
    return module


class Host:
    """Answers requests by a script's run(). One after the other, since scripts are not written for threads."""

    def __init__(self, run: Callable[[Any], Any]) -> None:
        self._run = run
        self._pool = ThreadPoolExecutor(1)
        self._loop = asyncio.get_running_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        self.connections: set[ServerConnection] = set()

    def handle(self, caller: ServerConnection, request: Request) -> None:
        """Take a request."""
        identifier = request.header(b"x-ms-request-id") or str(uuid.uuid4()).encode()
        headers: Headers = [(b"x-ms-request-id", identifier), (b"x-ms-server-version", b"lockgate")]
        if client := request.header(b"x-ms-client-request-id"):
            headers.append((b"x-ms-client-request-id", client))
        path = request.path
        if path == b"/":
            caller.respond(200, [*headers, _TEXT], b"Healthy")
        elif path == b"/swagger.json":
            caller.respond(200, [*headers, _JSON], json.dumps(_swagger()).encode())
        elif path != b"/score":
            caller.respond(404, [*headers, _TEXT], b"there are: /score, /swagger.json, /")
        elif request.method == b"OPTIONS":
            caller.respond(200, [*headers, (b"allow", b"GET, OPTIONS, POST")], b"")
        elif request.method not in (b"GET", b"POST"):
            caller.respond(405, [*headers, (b"allow", b"GET, OPTIONS, POST")], b"")
        else:
            task = self._loop.create_task(self._score(caller, request, headers))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _score(self, caller: ServerConnection, request: Request, headers: Headers) -> None:
        try:
            if inspect.iscoroutinefunction(self._run):
                found = await self._run(_body(request))
            else:
                found = await self._loop.run_in_executor(self._pool, self._run, _body(request))
            body, kind = _encoded(found)
        except Exception as error:  # noqa: BLE001 - whatever a script raises is told to its caller and written to its log
            status = getattr(error, "status_code", 500)
            if not (isinstance(status, int) and 400 <= status < 600):
                status = 500
            if status == 500:
                traceback.print_exc()
            described = getattr(error, "to_dict", None)
            answer = json.dumps(described()).encode() if callable(described) else str(error).encode()
            failed = [(b"x-ms-run-function-failed", b"True")]
            caller.respond(status, [*headers, *failed, _JSON if callable(described) else _TEXT], answer)
            return
        caller.respond(200, [*headers, kind], body)


def _body(request: Request) -> str:
    """What run() is given: a body as text, or the query of a GET as a JSON object of texts."""
    if request.method == b"GET":
        from urllib.parse import parse_qsl

        return json.dumps(dict(parse_qsl(request.target.partition(b"?")[2].decode())))
    return request.body.decode("utf-8")


def _encoded(found: Any) -> tuple[bytes, tuple[bytes, bytes]]:
    if isinstance(found, bytes):
        return found, (b"content-type", b"application/octet-stream")
    return json.dumps(found, default=_plain).encode(), _JSON


def _plain(value: Any) -> Any:
    """NumPy's arrays and numbers as JSON has them."""
    convert = getattr(value, "tolist", None)
    if not callable(convert):
        raise TypeError(f"run() returned a {type(value).__name__}, which is no JSON; return dict, list, text or number")
    return convert()


def _swagger() -> dict[str, Any]:
    """The API; a swagger.json beside the script says more, as with Azure's server."""
    for name in ("swagger3.json", "swagger.json", "swagger2.json"):
        path = Path(os.environ.get("AML_APP_ROOT", ".")) / name
        if path.is_file():
            found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            return found
    answer = {"200": {"description": "what run() returned"}}
    body = {"required": True, "content": {"application/json": {"schema": {}}}}
    return {
        "openapi": "3.0.3",
        "info": {"title": "ML service", "version": "1.0"},
        "paths": {
            "/": {"get": {"operationId": "health", "responses": {"200": {"description": "Healthy"}}}},
            "/score": {"post": {"operationId": "score", "requestBody": body, "responses": answer}},
        },
    }


async def serve(port: int, script: Path) -> None:
    """Serve a script until SIGTERM; what is under way is answered first."""
    module = load(script)
    if not callable(getattr(module, "run", None)):
        raise ImportError(f"{script.name} has no function run(); the contract is init() and run(body)")
    init = getattr(module, "init", None)
    if callable(init):
        init()
    host = Host(module.run)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    server = await loop.create_server(lambda: ServerConnection(host.handle, BODY_LIMIT, host.connections), "127.0.0.1", port)
    print(f"{script.name} is served on port {port}", flush=True)
    await stop.wait()
    server.close()
    for connection in list(host.connections):
        connection.finish()
    while any(connection.busy for connection in host.connections):
        await asyncio.sleep(0.01)


def main() -> None:
    """Serve the script that AML_APP_ROOT and AZUREML_ENTRY_SCRIPT name."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    args = parser.parse_args()
    import uvloop

    script = Path(os.environ["AML_APP_ROOT"]) / os.environ["AZUREML_ENTRY_SCRIPT"]
    uvloop.run(serve(args.port, script))


if __name__ == "__main__":
    main()
