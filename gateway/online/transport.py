"""The way to the upstream, direct or through the configured proxy, and a client that looks at it.

The client is for the diagnosis of TLS alone: it sends no request. That goes through the gateway's own engine.
"""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from http.cookiejar import CookieJar, DefaultCookiePolicy
from pathlib import Path
from typing import Any, Final

import httpx

from gateway.config import Origin, Upstream, parse_origin
from gateway.config.origin import parse_url

TARGET: Final = "/eventroutes?api-version=2023-10-31"
"""A read that every role has and that costs nothing; the jobs API, with its one request a second,
is left alone.
"""


@dataclass(frozen=True, slots=True)
class Way:
    """How requests get to the upstream."""

    origin: Origin
    ca_file: Path | None
    connect_timeout: float
    """Seconds for name resolution, TCP and TLS each."""
    answer_timeout: float
    """Seconds for an answer once the request was sent."""
    proxy: str | None
    """With user and password, if any: never shown."""
    engine: str
    """Name of the gateway's engine, which sends the request."""

    @classmethod
    def of(cls, upstream: Upstream, *, longest: float) -> "Way":
        """As configured; no answer is waited for longer than `longest` seconds."""
        times = upstream.timeout
        return cls(
            parse_origin(upstream.base_url),
            upstream.ca_file,
            min(times.connect, longest),
            min(times.first_byte, longest),
            upstream.proxy,
            upstream.engine,
        )

    @property
    def first_hop(self) -> Origin:
        """Where connections of ours end: the proxy, else the upstream."""
        return self.origin if self.proxy is None else parse_url(self.proxy, userinfo=True)

    def trusting(self) -> ssl.SSLContext:
        """OpenSSL with the CAs that the engines trust: the system's, and `upstream.ca_file`."""
        context = ssl.create_default_context()
        if self.ca_file is not None:
            context.load_verify_locations(self.ca_file)
        return context

    def client(self, tls: ssl.SSLContext) -> httpx.AsyncClient:
        """A client for one connection: no redirect, no cookie, nothing of the environment."""
        return httpx.AsyncClient(
            verify=tls,
            proxy=self._proxy(),
            trust_env=False,
            follow_redirects=False,
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
            limits=httpx.Limits(max_keepalive_connections=0),
            timeout=self.connect_timeout,
        )

    def _proxy(self) -> httpx.Proxy | None:
        """The proxy; its own certificate is verified even where the upstream's is only looked at."""
        if self.proxy is None:
            return None
        secure = self.first_hop.scheme == "https"
        return httpx.Proxy(self.proxy, ssl_context=self.trusting() if secure else None)

    @property
    def url(self) -> str:
        """What is asked for."""
        return f"{self.origin.text}{TARGET}"


class Established(Exception):
    """The connection stands, and nothing of the request has been sent."""


class Progress:
    """Follows a connection (httpcore's trace extension), and ends it before a request is sent."""

    def __init__(self) -> None:
        self.secured: Any = None
        """The innermost TLS connection's ssl.SSLObject."""
        self.tunnelled = False
        """Whether the proxy has opened a tunnel."""

    @property
    def extensions(self) -> Mapping[str, object]:
        """What a request needs to be followed."""
        return {"trace": self}

    async def __call__(self, event: str, info: Mapping[str, Any]) -> None:
        """Take note of an event; raises Established."""
        self.tunnelled = self.tunnelled or event == "proxy.start_tls.started"
        if event.endswith("start_tls.complete"):
            self.secured = info["return_value"].get_extra_info("ssl_object")
        # A proxy's CONNECT has to go out: it makes the connection.
        if event == "http11.send_request_headers.started" and info["request"].method != b"CONNECT":
            raise Established


def cause(error: BaseException, kind: type[BaseException]) -> BaseException | None:
    """The first exception of this kind in the chain of causes."""
    seen: BaseException | None = error
    while seen is not None and not isinstance(seen, kind):
        seen = seen.__cause__ or seen.__context__
    return seen
