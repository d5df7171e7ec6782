"""What arrives from the server: the ASGI scope's types and keys, and a request's record made from it."""

import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import unquote

from gateway.exchange import Exchange, Peer, RawHeaders

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

REFUSAL = "adt_gateway.refusal"
"""Scope key under which the server's protocol leaves the GatewayError of a request it could not read."""

CONNECTION = "adt_gateway.connection"
"""Scope key of the request's `Connection`."""


class Connection:
    """What the server's protocol offers beyond ASGI; one for the life of a connection."""

    __slots__ = ("abort", "lost", "on_lost", "peer")

    def __init__(self, abort: Callable[[], None], peer: Peer) -> None:
        self.peer = peer
        self.abort = abort
        """Break the connection without sending what is still buffered."""
        self.on_lost: Callable[[], None] | None = None
        """Called when the client has gone; set by the exchange under way. ASGI needs a task for that."""
        self.lost = False
        """Whether the client has gone."""


def http_scope(raw_path: bytes, connection: Connection, **known: Any) -> Scope:
    """A request's ASGI scope: what is `known` of it, and what follows from that."""
    path = raw_path.decode("ascii")
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "root_path": "",
        "path": unquote(path) if "%" in path else path,
        "raw_path": raw_path,
        CONNECTION: connection,
        **known,
    }


def read_exchange(scope: Scope) -> Exchange:
    """The record of a request that has just arrived."""
    raw: RawHeaders = list(scope["headers"])
    exchange = Exchange(
        method=scope["method"],
        raw_path=scope["raw_path"],
        query=scope["query_string"],
        headers=raw,
        scheme=scope["scheme"],
        http_version=scope["http_version"],
        client=scope["client"][0] if scope["client"] else None,
        peer=scope[CONNECTION].peer,
        started=time.perf_counter(),
        started_ns=time.time_ns(),
    )
    exchange.host = exchange.header(b"host") or b""
    request_id = exchange.header(b"x-ms-client-request-id")
    exchange.client_request_id = request_id.decode("latin-1") if request_id is not None else None
    return exchange
