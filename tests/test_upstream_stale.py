"""Connections that the upstream ends: one that was announced as the last use of it is not used again."""

from tests.support import faults
from tests.support.engines import both_engines, fetch, opened, outbound
from tests.support.upstream import fault_upstream


@both_engines
async def test_an_announced_end_fails_no_request(engine: str) -> None:
    """An upstream that says `Connection: close` gets each request on a fresh connection; no write fails."""
    closing = faults.closing(faults.reply(200, b"last", [(b"Connection", b"close")]))
    async with fault_upstream(closing) as upstream, opened(engine, upstream.origin) as room:
        for method in ("POST", "PUT", "PATCH", "GET") * 5:
            status, _, body = await fetch(room, outbound(method=method, body=b"{}"))
            assert (status, body) == (200, b"last")
        assert upstream.connections == len(upstream.requests) == 20


@both_engines
async def test_an_idle_connection_is_closed_before_the_upstream_does(engine: str) -> None:
    """After `pool_idle` a connection is not used again, so a write meets none that the upstream has ended."""
    async with (
        fault_upstream() as upstream,
        opened(engine, upstream.origin, pool_idle=0.05) as room,
    ):
        await fetch(room, outbound(method="POST", body=b"{}"))
        await upstream.idle()
        await fetch(room, outbound(method="POST", body=b"{}"))
        assert upstream.connections == 2
