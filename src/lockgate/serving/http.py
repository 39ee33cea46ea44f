"""HTTP/1.1 on asyncio: a server of small requests, and a client's kept connections. Parsing is llhttp's, by httptools.

Bodies are held whole: a scoring request is small, and a whole one can be tried elsewhere when an instance is gone.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final

import httptools

Headers = list[tuple[bytes, bytes]]
"""Names in lower case."""
_REASONS: Final = {status.value: status.phrase.encode() for status in HTTPStatus}
_HEAD_LIMIT: Final = 64 * 1024
"""Bytes of a request's target and headers."""
_LINGER: Final = 0.5
"""Seconds in which a caller that was refused may go on sending."""
HOP_BY_HOP: Final = frozenset(
    {b"connection", b"keep-alive", b"proxy-authenticate", b"proxy-authorization", b"te", b"trailer", b"transfer-encoding", b"upgrade",
     b"content-length", b"expect"}
)  # fmt: skip
"""Headers that are of a connection, and not of what goes through it."""


@dataclass(slots=True)
class Request:
    """A request. `path` has no query; `target` is as it was sent."""

    method: bytes
    target: bytes
    headers: Headers
    body: bytes
    keep_alive: bool

    @property
    def path(self) -> bytes:
        """The target without its query."""
        return self.target.partition(b"?")[0]

    def header(self, name: bytes) -> bytes | None:
        """The first header with a name."""
        for key, value in self.headers:
            if key == name:
                return value
        return None


@dataclass(slots=True)
class Response:
    """A response."""

    status: int
    headers: Headers = field(default_factory=list)
    body: bytes = b""


def head(status: int, headers: Headers, length: int, *, keep_alive: bool) -> bytes:
    """The bytes of a response up to its body."""
    parts = [b"HTTP/1.1 %d %s\r\n" % (status, _REASONS.get(status, b"Unknown"))]
    parts += [b"%s: %s\r\n" % pair for pair in headers]
    parts.append(b"content-length: %d\r\n" % length)
    if not keep_alive:
        parts.append(b"connection: close\r\n")
    parts.append(b"\r\n")
    return b"".join(parts)


class ServerConnection(asyncio.Protocol):
    """A caller's connection. One request is answered after the other; those sent ahead wait.

    Args:
        handle: is given each request, and later answers it by `respond`.
        limit: the largest body in bytes; a larger one is answered 413.
        connections: holds every open connection.
    """

    def __init__(self, handle: Callable[[ServerConnection, Request], None], limit: int, connections: set[ServerConnection]) -> None:
        self._handle = handle
        self._limit = limit
        self._connections = connections
        self._transport: Any = None
        self._parser: Any = None
        self._waiting: deque[Request] = deque()
        self.busy = False
        self.closing = False
        self._refused = False
        self.gone: Callable[[], None] | None = None
        self._keep_alive = True

    # Of asyncio ---------------------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A caller is there."""
        self._transport = transport
        self._parser = httptools.HttpRequestParser(self)
        self._connections.add(self)

    def data_received(self, data: bytes) -> None:
        """A piece of a request."""
        if self._refused:
            return  # Read to its end and thrown away, so that the caller reads the answer and no reset.
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            # The parser stops here, with the body unread: it can't be passed over.
            self._refuse(400, b"an upgrade of the protocol is not offered; send plain HTTP/1.1 without the header Upgrade")
        except httptools.HttpParserError:
            self._refuse(400, b"this is not HTTP/1.1")
        # Here and not in the parser's callbacks, where a fault of a handler would look like one of the caller.
        if self._waiting and not self.busy:
            self._begin(self._waiting.popleft())

    def connection_lost(self, _error: Exception | None) -> None:
        """The caller has gone."""
        self._transport = None
        self._connections.discard(self)
        self._waiting.clear()
        if self.gone is not None:
            self.gone()

    # Of the parser ------------------------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """A request begins."""
        self._target = b""
        self._headers: Headers = []
        self._body: list[bytes] = []
        self._size = 0
        self._head_size = 0

    def on_url(self, url: bytes) -> None:
        """A piece of its target."""
        self._target += url
        self._grow(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header."""
        self._headers.append((name.lower(), value))
        self._grow(len(name) + len(value))

    def _grow(self, size: int) -> None:
        self._head_size += size
        if self._head_size > _HEAD_LIMIT:
            self._refuse(431, b"the headers are too large")

    def on_headers_complete(self) -> None:
        """All headers are there."""
        for name, value in self._headers:
            if name == b"content-length" and int(value) > self._limit:
                self._too_large()
            elif name == b"expect" and value.lower() == b"100-continue" and self._transport is not None and not self.closing:
                self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, data: bytes) -> None:
        """A piece of the body."""
        self._size += len(data)
        if self._size > self._limit:
            self._too_large()
        else:
            self._body.append(data)

    def on_message_complete(self) -> None:
        """The request is whole."""
        if self.closing or self._transport is None:
            return
        body = self._body[0] if len(self._body) == 1 else b"".join(self._body)
        request = Request(self._parser.get_method(), self._target, self._headers, body, self._parser.should_keep_alive())
        self._waiting.append(request)
        if len(self._waiting) >= 16:
            self._transport.pause_reading()

    # Answers -------------------------------------------------------------------------------------------------------------

    def _begin(self, request: Request) -> None:
        self.busy = True
        self._keep_alive = request.keep_alive
        self._handle(self, request)

    def respond(self, status: int, headers: Headers, body: bytes) -> None:
        """Answer the request that is being handled, and go on with the next one."""
        self.busy = False
        self.gone = None
        if self._transport is None:
            return
        keep = self._keep_alive and not self.closing
        self._transport.write(head(status, headers, len(body), keep_alive=keep) + body)
        if not keep:
            self._transport.close()
        elif self._waiting:
            # Not from here: a caller that sends thousands ahead would be answered deeper and deeper in the stack.
            asyncio.get_running_loop().call_soon(self._go_on)

    def _go_on(self) -> None:
        if self._transport is not None and self._waiting and not self.busy:
            self._transport.resume_reading()
            self._begin(self._waiting.popleft())

    def finish(self) -> None:
        """Close once what is being handled is answered."""
        self.closing = True
        if not self.busy and self._transport is not None:
            self._transport.close()

    def _too_large(self) -> None:
        self._refuse(413, b"the body is larger than %d bytes" % self._limit)

    def _refuse(self, status: int, why: bytes) -> None:
        if self._transport is not None and not self.closing:
            self.closing = True
            self._refused = True
            self._transport.write(head(status, [(b"content-type", b"text/plain")], len(why), keep_alive=False) + why)
            self._transport.resume_reading()
            asyncio.get_running_loop().call_later(_LINGER, self._transport.close)


class ClientConnection(asyncio.Protocol):
    """A kept connection to a server: one request at a time.

    Args:
        closed: is told when it has been closed.
    """

    def __init__(self, closed: Callable[[ClientConnection], None]) -> None:
        self._closed = closed
        self._transport: Any = None
        self._done: Callable[[Response | None, Exception | None], None] | None = None
        self._parser: Any = None
        self.idle_since = 0.0

    @property
    def open(self) -> bool:
        """Whether it can take a request."""
        return self._transport is not None and not self._transport.is_closing()

    def send(self, data: bytes, done: Callable[[Response | None, Exception | None], None]) -> None:
        """Send a request; `done` gets its response, or None and the error, which is None if the other side closed in order."""
        self._done = done
        self._status = 0
        self._parser = httptools.HttpResponseParser(self)
        self._transport.write(data)

    def fail(self) -> None:
        """Close it; whoever waits for a response is told that there will be none."""
        done, self._done = self._done, None
        self.close()
        if done is not None:
            done(None, None)

    def close(self) -> None:
        """Close it; nobody is told of a response any more."""
        self._done = None
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It is open."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """A piece of a response."""
        if self._done is None:
            self.close()  # Nothing was asked: whatever it is, it must not be taken for the next answer.
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            done, self._done = self._done, None
            self.close()
            done(None, error)
            return
        if self._whole is not None:
            done, self._done = self._done, None
            response, self._whole = self._whole, None
            if not self._keep:
                self._transport.close()
            done(response, None)

    def connection_lost(self, error: Exception | None) -> None:
        """It is closed."""
        self._transport = None
        self._closed(self)
        done, self._done = self._done, None
        if done is not None:
            # Without a length, the end of the connection is the end of the body.
            whole = self._status and not self._has_length and error is None
            done(Response(self._status, self._headers, b"".join(self._body)) if whole else None, error)

    _status = 0
    _has_length = False
    _keep = True
    _whole: Response | None = None

    def on_message_begin(self) -> None:
        """A response begins."""
        self._headers: Headers = []
        self._body: list[bytes] = []
        self._status = 0
        self._has_length = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header."""
        low = name.lower()
        self._headers.append((low, value))
        if low in (b"content-length", b"transfer-encoding"):
            self._has_length = True

    def on_headers_complete(self) -> None:
        """All headers are there."""
        self._status = self._parser.get_status_code()

    def on_body(self, data: bytes) -> None:
        """A piece of the body."""
        self._body.append(data)

    def on_message_complete(self) -> None:
        """The response is whole."""
        if self._status < 200:
            return  # 100 Continue and its like
        self._keep = self._parser.should_keep_alive()
        self._whole = Response(self._status, self._headers, self._body[0] if len(self._body) == 1 else b"".join(self._body))
        self._status = 0
