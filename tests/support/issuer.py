"""A token issuer on a real socket: an OAuth2 token endpoint that can be told how to misbehave.

It also speaks what azure-identity expects of an Entra authority (POST …/oauth2/v2.0/token, over TLS) and of
an App Service managed identity endpoint (GET with `X-IDENTITY-HEADER`). Tokens are not signed.
"""

import asyncio
import base64
import json
import ssl
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qsl, unquote_plus, urlsplit


@dataclass(frozen=True)
class Seen:
    """One request as it arrived."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    form: dict[str, str]


@dataclass
class Issuer:
    """`async with Issuer() as issuer`; change the fields at any time, each request reads them afresh."""

    secret: str = "right-secret"
    """Any other secret is answered 401 `invalid_client`."""
    expires_in: object = 3_600
    extra: dict[str, object] = field(default_factory=dict)
    """Further members of the token response; None removes one."""
    status: int = 200
    """Anything but 200 is answered without a body."""
    headers: Mapping[str, str] = field(default_factory=dict)
    raw: bytes | None = None
    """A whole response, sent instead of a proper one; empty to close without an answer."""
    body: bytes | None = None
    """Body of a 200, sent instead of a token."""
    gate: asyncio.Event | None = None
    """While set and not opened, requests get no answer."""
    token: str | None = None
    """The token to give; unset, every answer has another one."""
    tls: ssl.SSLContext | None = None
    seen: list[Seen] = field(default_factory=list)
    asked: asyncio.Event = field(default_factory=asyncio.Event)

    async def __aenter__(self) -> Self:
        self._connections: set[asyncio.Task[None]] = set()
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self.tls)
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        for connection in list(self._connections):
            connection.cancel()
        await asyncio.gather(*self._connections)
        await self._server.wait_closed()

    @property
    def origin(self) -> str:
        return f"{'http' if self.tls is None else 'https'}://127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"{self.origin}/tenant/oauth2/v2.0/token"

    @property
    def requests(self) -> int:
        return len(self.seen)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = asyncio.current_task()
        assert connection is not None
        self._connections.add(connection)
        # A client that gave up, and the end of the test, are no faults of the issuer's.
        with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            writer.write(await self._exchange(reader))
            await writer.drain()
        self._connections.discard(connection)
        writer.close()

    async def _exchange(self, reader: asyncio.StreamReader) -> bytes:
        self.seen.append(await _read(reader))
        self.asked.set()
        if self.gate is not None:
            await self.gate.wait()
        if self.raw is not None:
            return self.raw
        return self._answer(self.seen[-1])

    def _answer(self, request: Seen) -> bytes:
        if self.status != 200:
            return _response(self.status, b"", self.headers)
        if request.method == "POST" and not self._authentic(request):
            refusal = {"error": "invalid_client", "error_description": "AADSTS7000215: Invalid secret."}
            return _response(401, json.dumps(refusal).encode(), self.headers)
        body = json.dumps(self._token(request)).encode() if self.body is None else self.body
        return _response(200, body, self.headers)

    def _authentic(self, request: Seen) -> bool:
        scheme, _, pair = request.headers.get("authorization", "").partition(" ")
        if scheme == "Basic":
            return unquote_plus(base64.b64decode(pair).decode().partition(":")[2]) == self.secret
        return "client_assertion" in request.form or request.form.get("client_secret") == self.secret

    def _token(self, request: Seen) -> dict[str, Any]:
        token: dict[str, Any] = {
            "access_token": self.token or f"issued-{self.requests}",
            "token_type": "Bearer",
            "expires_in": self.expires_in,
        }
        if request.method == "GET":
            token["resource"] = request.query["resource"]
        members = {**token, **self.extra}
        return {name: value for name, value in members.items() if value is not None}


async def _read(reader: asyncio.StreamReader) -> Seen:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head.rstrip().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    method, target, _ = first.split(" ")
    url = urlsplit(target)
    form = dict(parse_qsl(body.decode(), keep_blank_values=True))
    return Seen(method, url.path, dict(parse_qsl(url.query)), headers, form)


def _response(status: int, body: bytes, headers: Mapping[str, str]) -> bytes:
    lines = {"content-type": "application/json", "content-length": str(len(body)), "connection": "close"}
    head = "".join(f"{name}: {value}\r\n" for name, value in {**lines, **headers}.items())
    return f"HTTP/1.1 {status} Status\r\n{head}\r\n".encode() + body
