"""Serves score.py over HTTP with the contract of Azure's inference server; an ASGI application for uvicorn.

    python serve.py --host 0.0.0.0 --port 5001

`/` (alive), `/score` (POST), `/swagger.json` (OpenAPI, made from the model's contract). A body that breaks the contract is a 400 that names field
and row, one that is too large a 413, and more requests at once than --concurrency a 429. SIGTERM lets what is under way end.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import signal
import sys
import uuid
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import score

_JSON: Final = (b"content-type", b"application/json")
_TEXT: Final = (b"content-type", b"text/plain; charset=utf-8")
_GRACE: Final = 30
"""Seconds for requests under way after SIGTERM."""
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


class _Gone(Exception):  # noqa: N818 - what it is
    """The caller has hung up."""


class _TooLarge(Exception):  # noqa: N818 - what it is
    """The body is larger than allowed."""


class Application:
    """The ASGI application.

    Args:
        largest: bytes of a body.
        concurrency: requests that are scored or wait for it; more are told to come again.
    """

    def __init__(self, largest: int, concurrency: int) -> None:
        self._largest = largest
        self._concurrency = concurrency
        self._pending = 0
        # One at a time: ONNX Runtime has its own threads, and scoring a row takes less than handing it over.
        self._pool = ThreadPoolExecutor(1)
        self._swagger = b""

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """Answer a request, or start and stop with the server."""
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["type"] == "http":
            await self._http(scope, receive, send)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                try:
                    await asyncio.to_thread(score.init)
                    self._swagger = json.dumps(score.openapi()).encode()
                except Exception as error:  # noqa: BLE001 - whatever it is, the server says so and ends
                    await send({"type": "lifespan.startup.failed", "message": f"{type(error).__name__}: {error}"})
                    return
                await send({"type": "lifespan.startup.complete"})
            else:
                await send({"type": "lifespan.shutdown.complete"})
                return

    async def _http(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        headers = dict(scope["headers"])
        identifier = headers.get(b"x-ms-request-id") or str(uuid.uuid4()).encode()
        own = [(b"x-ms-request-id", identifier)]
        if client := headers.get(b"x-ms-client-request-id"):
            own.append((b"x-ms-client-request-id", client))
        try:
            status, more, body = await self._answer(scope["method"], scope["path"], headers, receive)
        except _Gone:
            return  # There is nobody to answer.
        length = (b"content-length", str(len(body)).encode())
        await send({"type": "http.response.start", "status": status, "headers": [*own, *more, length]})
        await send({"type": "http.response.body", "body": body})

    async def _answer(
        self, method: str, path: str, headers: dict[bytes, bytes], receive: Receive
    ) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
        if path == "/" and method in ("GET", "HEAD"):
            return 200, [_TEXT], b"Healthy"
        if path == "/swagger.json" and method in ("GET", "HEAD"):
            return 200, [_JSON], self._swagger
        if path not in ("/", "/score", "/swagger.json"):
            return 404, [_JSON], _error("NotFound", f"there is no {path}; there are: /score, /swagger.json, /")
        if path != "/score" or method not in ("POST", "OPTIONS"):
            allowed = "OPTIONS, POST" if path == "/score" else "GET"
            return 405, [_JSON, (b"allow", allowed.encode())], _error("MethodNotAllowed", f"{method} {path}: allowed: {allowed}")
        if method == "OPTIONS":
            return 200, [(b"allow", b"OPTIONS, POST")], b""
        if self._pending >= self._concurrency:
            return (
                429,
                [_JSON, (b"retry-after", b"1")],
                _error("TooManyRequests", f"more than {self._concurrency} requests at once; send this one again later"),
            )
        self._pending += 1
        try:
            body = await self._body(headers, receive)
            found = await asyncio.get_running_loop().run_in_executor(self._pool, score.run, body)
            return 200, [_JSON], json.dumps(found).encode()
        except score.RequestError as error:
            return 400, [_JSON], json.dumps(error.to_dict()).encode()
        except _TooLarge:
            return 413, [_JSON], _error("TooLarge", f"the body is larger than {self._largest:,} bytes; send fewer rows")
        finally:
            self._pending -= 1

    async def _body(self, headers: dict[bytes, bytes], receive: Receive) -> bytes:
        declared = headers.get(b"content-length", b"")
        if declared.isdigit() and int(declared) > self._largest:
            raise _TooLarge
        parts: list[bytes] = []
        size = 0
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise _Gone
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            if size > self._largest:
                raise _TooLarge
            if not message.get("more_body", False):
                return b"".join(parts)


def _error(code: str, message: str) -> bytes:
    return json.dumps({"error": {"code": code, "message": message}}).encode()


def main() -> None:
    """Serve until SIGTERM."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=5001)
    parser.add_argument("--largest", type=int, default=5_000_000, help="bytes of a body; the contract takes no more than 5,000,000")
    parser.add_argument("--concurrency", type=int, default=128, help="requests at once")
    args = parser.parse_args()
    import uvicorn

    class Server(uvicorn.Server):
        """Ends with exit code 0 after SIGTERM: uvicorn's own raises the signal once more when all is done."""

        @contextlib.contextmanager
        def capture_signals(self) -> Iterator[None]:
            """Let SIGTERM and SIGINT end the server in order."""
            loop = asyncio.get_running_loop()
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(number, self.handle_exit, number, None)
            yield

    application: Any = Application(args.largest, args.concurrency)
    config = uvicorn.Config(
        application, host=args.host, port=args.port, access_log=False, log_level="warning", timeout_graceful_shutdown=_GRACE
    )
    server = Server(config)
    server.run()
    sys.exit(0 if server.started else 1)


if __name__ == "__main__":
    main()
