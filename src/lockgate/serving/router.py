"""The router of an endpoint: who may ask, which deployment answers, how many requests at once, and what callers are told.

Statuses are those of Azure's managed online endpoints: 401 and 403 for keys and tokens, 404 where no deployment has traffic, 408 after
`request_timeout_ms`, 413, 424 for whatever a model answers other than 200 (its own status in ms-azureml-model-error-statuscode), 429 when
more than twice what may run at once is waiting. 502 is a request whose instance died under it; 503 one for which there is none.
"""

from __future__ import annotations

import asyncio
import bisect
import hmac
import itertools
import json
import time
import uuid
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from lockgate.serving import tokens
from lockgate.serving.http import HOP_BY_HOP, ClientConnection, Headers, Request, Response, ServerConnection

BODY_LIMIT: Final = 200 * 1024 * 1024
"""Bytes of a request's body."""
_IDLE: Final = 2.0
"""Seconds after which an idle connection to an instance is not used again: servers close them after 5 s and more."""
_MIRRORS: Final = 32
"""Mirrored requests under way at once; more are left out, so that a slow mirror costs callers nothing."""
_GOLDEN: Final = 0.6180339887498949
_ROUTES: Final = {b"/", b"/score", b"/swagger.json"}


@dataclass(eq=False)
class Instance:
    """A process that answers requests on a port of 127.0.0.1.

    Attributes:
        ready: whether requests go to it.
        busy: requests that it has now.
    """

    port: int
    ready: bool = False
    busy: int = 0
    idle: list[ClientConnection] = field(default_factory=list)
    all: set[ClientConnection] = field(default_factory=set)

    def close(self) -> None:
        """Close its connections. Requests under way are answered 502."""
        for connection in list(self.all):
            connection.fail()
        self.idle.clear()


@dataclass(eq=False)
class Backend:
    """A deployment as the router sees it.

    Attributes:
        instances: its processes.
        routes: path of a caller → path of an instance.
        concurrency: max_concurrent_requests_per_instance.
        timeout: seconds from a request's arrival to its answer.
        collect: is given each request and response, if data are collected.
        counts: status → number of answers.
    """

    name: str
    instances: list[Instance]
    routes: Mapping[bytes, bytes]
    concurrency: int
    timeout: float
    collect: Callable[[Request, Response, str], None] | None = None
    queue: deque[_Exchange] = field(default_factory=deque)
    pending: int = 0
    counts: dict[int, int] = field(default_factory=dict)
    drained: asyncio.Event | None = None

    @property
    def ready(self) -> bool:
        """Whether any instance is ready."""
        return any(instance.ready for instance in self.instances)

    def free(self) -> Instance | None:
        """The ready instance with the least to do, if it can take one more."""
        best: Instance | None = None
        for instance in self.instances:
            if instance.ready and instance.busy < self.concurrency and (best is None or instance.busy < best.busy):
                best = instance
        return best


@dataclass(frozen=True)
class Table:
    """What the router goes by: replaced as a whole, so that a request sees one state and no mixture.

    Attributes:
        backends: deployment → how it is reached.
        traffic, mirror: deployment → percent.
        auth_mode: key, aml_token or aad_token.
        keys: primaryKey, secondaryKey and the secret of tokens.
    """

    endpoint: str
    backends: Mapping[str, Backend]
    traffic: Mapping[str, int]
    mirror: Mapping[str, int]
    auth_mode: str
    keys: Mapping[str, str]
    names: tuple[str, ...] = field(init=False)
    bounds: tuple[int, ...] = field(init=False)

    def __post_init__(self) -> None:
        shares = [(name, share) for name, share in self.traffic.items() if share > 0]
        object.__setattr__(self, "names", tuple(name for name, _ in shares))
        object.__setattr__(self, "bounds", tuple(itertools.accumulate(share for _, share in shares)))


class _Exchange:
    """A request on its way to an answer."""

    __slots__ = ("answered", "backend", "caller", "connection", "identifier", "instance", "mirrored", "pinned", "request", "timer")

    def __init__(self, request: Request, caller: ServerConnection | None, backend: Backend, identifier: bytes, *, pinned: bool) -> None:
        self.mirrored = caller is None
        self.request = request
        self.caller = caller
        self.backend = backend
        self.identifier = identifier
        self.pinned = pinned
        self.timer: asyncio.TimerHandle | None = None
        self.instance: Instance | None = None
        self.connection: ClientConnection | None = None
        self.answered = False


class Router:
    """Routes the requests of one endpoint.

    Args:
        table: what to go by at first.
        unreachable: is told of an instance that takes no connection any more.
    """

    def __init__(self, table: Table, unreachable: Callable[[Instance], None]) -> None:
        self.table = table
        self._unreachable = unreachable
        self._loop = asyncio.get_running_loop()
        self._connections: set[ServerConnection] = set()
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._position = 0.0
        self._mirror_position = 0.0
        self._mirrors = 0
        self._prefix = uuid.uuid4().hex[:16]
        self._number = itertools.count(1)

    async def listen(self, port: int) -> int:
        """Listen on a port of 127.0.0.1, or on any that is free if that is 0 or taken.

        Returns:
            The port.
        """

        def made() -> ServerConnection:
            return ServerConnection(self.handle, BODY_LIMIT, self._connections)

        try:
            self._server = await self._loop.create_server(made, "127.0.0.1", port, backlog=1024)
        except OSError:
            if not port:
                raise
            self._server = await self._loop.create_server(made, "127.0.0.1", 0, backlog=1024)
        found: int = self._server.sockets[0].getsockname()[1]
        return found

    async def close(self, patience: float) -> None:
        """Take no more requests, and answer those that are there."""
        if self._server is not None:
            self._server.close()
        for connection in list(self._connections):
            connection.finish()
        deadline = time.monotonic() + patience
        while self._connections and time.monotonic() < deadline:
            await asyncio.sleep(0.01)

    # A request ----------------------------------------------------------------------------------------------------------

    def handle(self, caller: ServerConnection, request: Request) -> None:
        """Take a request."""
        table = self.table
        identifier = request.header(b"x-ms-request-id") or request.header(b"x-request-id")
        if not identifier or len(identifier) > 128 or not identifier.replace(b"-", b"").isalnum():
            identifier = b"%s-%012x" % (self._prefix.encode(), next(self._number))
        refused = self._authorize(table, request)
        if refused is not None:
            self._say(caller, identifier, *refused)
            return
        path = request.path
        if path not in _ROUTES:
            self._say(caller, identifier, 404, f"no route {path.decode('ascii', 'replace')}; there are: /score, /swagger.json, /")
            return
        wanted = request.header(b"azureml-model-deployment")
        if wanted is not None:
            name = wanted.decode("ascii", "replace")
            backend = table.backends.get(name)
            if backend is None:
                self._say(caller, identifier, 404, f"endpoint {table.endpoint} has no deployment {name}")
                return
        else:
            backend = self._choose(table)
            if backend is None and table.names:
                self._say(caller, identifier, 503, f"no deployment that has traffic is ready: {', '.join(table.names)}")
                return
            if backend is None:
                self._say(caller, identifier, 404, "no deployment of this endpoint has traffic")
                return
        exchange = _Exchange(request, caller, backend, identifier, pinned=wanted is not None)
        caller.gone = lambda: self._forget(exchange)
        self._submit(exchange)
        if table.mirror and path == b"/score":
            self._mirror(table, request, identifier)

    def _authorize(self, table: Table, request: Request) -> tuple[int, str] | None:
        given = request.header(b"authorization")
        kind = "key" if table.auth_mode == "key" else "token"
        if given is None or given[:7].lower() != b"bearer " or not given[7:].strip():
            return 403, f"{kind}_auth_bad_header_forbidden: send the header Authorization: Bearer {kind.upper()}"
        word = given[7:].strip()
        if kind == "key":
            # Both are compared, so that the time says nothing of which one it was.
            fits = [hmac.compare_digest(word, table.keys[name].encode()) for name in ("primaryKey", "secondaryKey")]
            return None if any(fits) else (401, "key_auth_access_denied: this is no key of the endpoint")
        wrong = tokens.refuse(word.decode("ascii", "replace"), table.endpoint, table.keys["secret"])
        return (401, f"token_auth_access_denied: {wrong}") if wrong else None

    def _choose(self, table: Table) -> Backend | None:
        """By traffic: every run of requests has very nearly the shares that were asked for.

        A deployment without a ready instance is left out while another one with traffic has one.
        """
        if not table.names:
            return None
        if len(table.names) == 1:
            return table.backends.get(table.names[0])
        self._position = (self._position + _GOLDEN) % 1.0
        place = bisect.bisect_right(table.bounds, self._position * table.bounds[-1])
        name = table.names[min(place, len(table.names) - 1)]
        chosen = table.backends.get(name)
        return chosen if chosen is not None and chosen.ready else self._sibling(table, name) or chosen

    @staticmethod
    def _sibling(table: Table, name: str) -> Backend | None:
        others = [other for other in table.names if other != name and other in table.backends and table.backends[other].ready]
        return table.backends[max(others, key=lambda name: table.traffic[name])] if others else None

    def _mirror(self, table: Table, request: Request, identifier: bytes) -> None:
        for name, share in table.mirror.items():
            backend = table.backends.get(name)
            self._mirror_position = (self._mirror_position + _GOLDEN) % 1.0
            if backend is None or not backend.ready or self._mirror_position * 100 >= share or self._mirrors >= _MIRRORS:
                continue
            self._mirrors += 1
            self._submit(_Exchange(request, None, backend, identifier, pinned=True))

    # To an instance ------------------------------------------------------------------------------------------------------

    def _submit(self, exchange: _Exchange) -> None:
        backend = exchange.backend
        if backend.pending >= 2 * backend.concurrency * max(1, len(backend.instances)):
            self._answer(exchange, 429, "too many pending requests; send this one again later", counted=False)
            return
        backend.pending += 1
        exchange.timer = self._loop.call_later(backend.timeout, self._time_out, exchange)
        self._place(exchange)

    def _place(self, exchange: _Exchange) -> None:
        """Give it to an instance, or let it wait for one."""
        backend = exchange.backend
        instance = backend.free()
        if instance is not None:
            self._send(exchange, instance)
        elif backend.ready:
            backend.queue.append(exchange)
        else:
            self._elsewhere(exchange)

    def _elsewhere(self, exchange: _Exchange) -> None:
        """Its deployment has no instance: another one with traffic answers, unless the caller named this one."""
        other = None if exchange.pinned else self._sibling(self.table, exchange.backend.name)
        if other is None:
            self._answer(exchange, 503, f"deployment {exchange.backend.name} has no instance that is ready")
            return
        self._leave(exchange.backend)
        exchange.backend = other
        other.pending += 1
        self._place(exchange)

    def _send(self, exchange: _Exchange, instance: Instance) -> None:
        instance.busy += 1
        exchange.instance = instance
        now = self._loop.time()
        while instance.idle:
            connection = instance.idle.pop()
            if connection.open and now - connection.idle_since < _IDLE:
                self._write(exchange, instance, connection)
                return
            connection.close()
        task = self._loop.create_task(self._connect(exchange, instance))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _connect(self, exchange: _Exchange, instance: Instance) -> None:
        def closed(connection: ClientConnection) -> None:
            instance.all.discard(connection)

        try:
            _, connection = await self._loop.create_connection(lambda: ClientConnection(closed), "127.0.0.1", instance.port)
        except OSError:
            instance.busy -= 1
            exchange.instance = None
            instance.ready = False
            self._unreachable(instance)
            if not exchange.answered:
                self._place(exchange)
            return
        instance.all.add(connection)
        if exchange.answered:
            instance.busy -= 1
            connection.idle_since = self._loop.time()
            instance.idle.append(connection)
            self._next(exchange.backend)
            return
        self._write(exchange, instance, connection)

    def _write(self, exchange: _Exchange, instance: Instance, connection: ClientConnection) -> None:
        exchange.connection = connection
        request = exchange.request
        path = exchange.backend.routes.get(request.path, request.path)
        query = request.target[len(request.path) :]
        parts = [b"%s %s%s HTTP/1.1\r\nhost: 127.0.0.1:%d\r\n" % (request.method, path, query, instance.port)]
        parts += [
            b"%s: %s\r\n" % pair
            for pair in request.headers
            if pair[0] not in HOP_BY_HOP and pair[0] not in (b"host", b"authorization", b"azureml-model-deployment", b"x-ms-request-id")
        ]
        parts.append(b"x-ms-request-id: %s\r\ncontent-length: %d\r\n\r\n" % (exchange.identifier, len(request.body)))
        parts.append(request.body)
        connection.send(b"".join(parts), lambda response, error: self._done(exchange, instance, connection, response, error))

    def _done(
        self, exchange: _Exchange, instance: Instance, connection: ClientConnection, response: Response | None, error: Exception | None
    ) -> None:
        instance.busy -= 1
        exchange.connection = exchange.instance = None
        if response is not None:
            if connection.open:
                connection.idle_since = self._loop.time()
                instance.idle.append(connection)
            self._pass_on(exchange, response)
        elif isinstance(error, ConnectionResetError | BrokenPipeError):
            # The system says that nobody has read it: the process was dead already. It is as good as not sent.
            instance.ready = False
            self._unreachable(instance)
            if not exchange.answered:
                self._place(exchange)
        else:
            self._unreachable(instance)
            self._answer(exchange, 502, f"the instance of deployment {exchange.backend.name} that had this request has ended")
        self._next(exchange.backend)

    def _next(self, backend: Backend) -> None:
        """Give what waits to instances that are free; where there are none any more, elsewhere."""
        while backend.queue:
            if backend.queue[0].answered:
                backend.queue.popleft()
                continue
            instance = backend.free()
            if instance is not None:
                self._send(backend.queue.popleft(), instance)
            elif not backend.ready:
                self._elsewhere(backend.queue.popleft())
            else:
                return

    def instance_changed(self, backend: Backend, instance: Instance) -> None:
        """An instance has become ready, or has ended."""
        if not instance.ready:
            for connection in list(instance.idle):
                connection.close()
            instance.idle.clear()
        self._next(backend)

    # Answers -----------------------------------------------------------------------------------------------------------------

    def _time_out(self, exchange: _Exchange) -> None:
        if exchange.connection is not None and exchange.instance is not None:
            exchange.connection.close()  # Its answer would be taken for that of the next request.
            exchange.instance.busy -= 1
            exchange.connection = exchange.instance = None
        self._answer(exchange, 408, f"no answer within request_timeout_ms ({exchange.backend.timeout * 1000:.0f} ms)")
        self._next(exchange.backend)

    def _forget(self, exchange: _Exchange) -> None:
        """The caller has gone; the instance is left to finish, as its work can't be taken back."""
        if not exchange.answered:
            exchange.caller = None
            if exchange.instance is None:
                self._answer(exchange, 499, "")

    def _pass_on(self, exchange: _Exchange, response: Response) -> None:
        if exchange.answered:
            return
        backend = exchange.backend
        headers: Headers = [
            pair for pair in response.headers if pair[0] not in HOP_BY_HOP and pair[0] not in (b"date", b"server", b"x-ms-request-id")
        ]
        headers += [(b"x-ms-request-id", exchange.identifier), (b"azureml-model-deployment", backend.name.encode())]
        status = response.status
        if status != 200:
            headers += [(b"ms-azureml-model-error-statuscode", b"%d" % status), (b"ms-azureml-model-error-reason", b"model_error")]
            status = 424
        if backend.collect is not None and exchange.request.path == b"/score":
            backend.collect(exchange.request, response, exchange.identifier.decode("ascii"))
        self._end(exchange, status)
        if exchange.caller is not None:
            exchange.caller.respond(status, headers, response.body)

    def _answer(self, exchange: _Exchange, status: int, why: str, *, counted: bool = True) -> None:
        """Answer with a sentence of the router's own."""
        if exchange.answered:
            return
        self._end(exchange, status, pending=counted)
        if exchange.caller is not None:
            self._say(exchange.caller, exchange.identifier, status, why, exchange.backend.name)

    def _end(self, exchange: _Exchange, status: int, *, pending: bool = True) -> None:
        exchange.answered = True
        if exchange.timer is not None:
            exchange.timer.cancel()
        exchange.backend.counts[status] = exchange.backend.counts.get(status, 0) + 1
        if pending:
            self._leave(exchange.backend)
        if exchange.mirrored:
            self._mirrors -= 1

    @staticmethod
    def _leave(backend: Backend) -> None:
        backend.pending -= 1
        if not backend.pending and backend.drained is not None:
            backend.drained.set()

    @staticmethod
    def _say(caller: ServerConnection, identifier: bytes, status: int, why: str, deployment: str = "") -> None:
        headers: Headers = [(b"content-type", b"application/json"), (b"x-ms-request-id", identifier)]
        if deployment:
            headers.append((b"azureml-model-deployment", deployment.encode()))
        if status == 401:
            headers.append((b"www-authenticate", b"Bearer"))
        caller.respond(status, headers, json.dumps({"error": {"code": status, "message": why}}).encode())


async def drain(backend: Backend, patience: float) -> None:
    """Wait until a deployment that gets no more requests has answered those it has."""
    if backend.pending:
        backend.drained = asyncio.Event()
        try:
            await asyncio.wait_for(backend.drained.wait(), patience)
        except TimeoutError:
            pass  # Whoever is left gets what a dead instance gives: 502.


def counts_of(backends: Mapping[str, Backend]) -> dict[str, dict[str, Any]]:
    """Deployment → status → number of answers, for people and for releases to judge by."""
    return {name: {str(status): count for status, count in sorted(backend.counts.items())} for name, backend in backends.items()}
