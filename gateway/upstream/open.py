"""Settings to a ready upstream."""

import ssl
from functools import partial
from urllib.parse import urlsplit

from gateway.config import Upstream as UpstreamSettings
from gateway.upstream.asyncio_engine import AsyncioEngine
from gateway.upstream.dialling import Dialler, Peer
from gateway.upstream.generations import Generations
from gateway.upstream.httpx_engine import HttpxEngine
from gateway.upstream.pool import Pool
from gateway.upstream.pyreqwest_client import build_client
from gateway.upstream.pyreqwest_engine import PyreqwestEngine
from gateway.upstream.round_trip import Deadlines, Engine, Upstream
from gateway.upstream.slots import Slots
from gateway.upstream.trust import Trust

_UPLOADS = 0.75
"""Share of the round trips under way that may be streamed uploads."""


def open_upstream(settings: UpstreamSettings, *, origin: str, version: str) -> Upstream:
    """Build the engine named in the settings; `origin` is scheme://host[:port], without a path."""
    times = settings.timeout
    slots = partial(Slots, max_queued=settings.max_queued, wait=times.pool)
    return Upstream(
        _engine(settings, origin, version),
        slots=slots(settings.max_connections),
        uploads=slots(
            max(1, int(settings.max_connections * _UPLOADS)),
            what="Every upstream connection that large uploads may have",
        ),
        deadlines=Deadlines(
            first_byte=times.first_byte,
            query_first_byte=times.query_first_byte,
            head_total=times.head_total,
            read_idle=times.read_idle,
        ),
    )


def _engine(settings: UpstreamSettings, origin: str, version: str) -> Engine:
    if settings.engine == "asyncio":
        return _asyncio_engine(settings, origin)
    if settings.engine == "httpx":
        return HttpxEngine(
            origin,
            connect_timeout=settings.timeout.connect,
            tls=_tls(settings, origin),
            proxy=settings.proxy,
        )
    build = partial(build_client, settings, user_agent=f"adt-gateway/{version}")
    return PyreqwestEngine(origin, Generations(build, age=settings.connection_age))


def _asyncio_engine(settings: UpstreamSettings, origin: str) -> AsyncioEngine:
    peer, proxy = Peer(origin), Peer(settings.proxy) if settings.proxy else None
    plain = proxy is not None and not peer.secured
    secured = peer.secured or (proxy is not None and proxy.secured)
    trust = Trust(partial(_tls, settings, origin), age=settings.connection_age) if secured else None
    return AsyncioEngine(
        Dialler(peer, proxy, trust=trust, timeout=settings.timeout.connect),
        Pool(idle=settings.pool_idle, age=settings.connection_age),
        prefix=origin.encode("ascii") if plain else b"",
        proxy_credentials=proxy.credentials if plain and proxy is not None else b"",
    )


def _tls(settings: UpstreamSettings, origin: str) -> ssl.SSLContext:
    # Reading the CAs takes 30 ms, which an origin without TLS has no use for.
    encrypted = "https" in {urlsplit(origin).scheme, urlsplit(settings.proxy or "").scheme}
    tls = ssl.create_default_context() if encrypted else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if settings.ca_file is not None:
        tls.load_verify_locations(settings.ca_file)
    return tls
