"""What arrives from the server: the ASGI scope's types and keys, and a request's record made from it."""

import asyncio
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from gateway.exchange import Exchange, Peer, RawHeaders
from gateway.request_line import RequestLine

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Address = tuple[str, int | None]

REFUSAL = "adt_gateway.refusal"
"""Scope key under which the server's protocol leaves the GatewayError of a request it could not read."""

CONNECTION = "adt_gateway.connection"
"""Scope key of the request's `Connection`."""

_ASGI = {"version": "3.0", "spec_version": "2.3"}


class Connection:
    """What the server's protocol offers beyond ASGI; one for the life of a connection."""

    __slots__ = ("abort", "address", "client", "lost", "on_lost", "peer", "scheme", "server", "task")

    def __init__(
        self,
        abort: Callable[[], None],
        peer: Peer,
        *,
        scheme: str = "http",
        server: Address | None = None,
        client: Address | None = None,
    ) -> None:
        self.peer = peer
        self.scheme, self.server, self.client = scheme, server, client
        """As ASGI has them."""
        self.address = client[0] if client else None
        """Of the peer; None on a Unix socket."""
        self.abort = abort
        """Break the connection without sending what is still buffered."""
        self.on_lost: Callable[[], None] | None = None
        """Called when the client has gone; set by the exchange under way. ASGI needs a task for that."""
        self.lost = False
        """Whether the client has gone."""
        self.task: asyncio.Task[None] | None = None
        """What the exchange under way runs in."""


def http_scope(connection: Connection, line: RequestLine, headers: RawHeaders) -> Scope:
    """A request's ASGI scope."""
    return {
        "type": "http",
        "asgi": _ASGI,
        "http_version": line.version,
        "server": connection.server,
        "client": connection.client,
        "scheme": connection.scheme,
        "method": line.method,
        "root_path": "",
        "path": line.path,
        "raw_path": line.raw_path,
        "query_string": line.query,
        "headers": headers,
        "state": {},
        CONNECTION: connection,
    }


def read_exchange(scope: Scope) -> Exchange:
    """The record of a request that has just arrived."""
    connection: Connection = scope[CONNECTION]
    # By position, as in `Exchange`: names would be put into a dictionary, for a microsecond.
    exchange = Exchange(
        scope["method"],
        scope["raw_path"],
        scope["query_string"],
        scope["headers"],
        connection.scheme,
        scope["http_version"],
        connection.address,
        connection.peer,
        b"",
        time.perf_counter(),
        time.time_ns(),
    )
    fields = exchange.fields
    exchange.host = fields.get(b"host", b"")
    request_id = fields.get(b"x-ms-client-request-id")
    if request_id is not None:
        exchange.client_request_id = request_id.decode("latin-1")
    return exchange
