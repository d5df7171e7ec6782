"""How many connections a data listener with TLS holds: those in their handshake count as well."""

import asyncio
import ssl
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tests.support import faults
from tests.support.certificates import write_certificates
from tests.support.gateway import running_gateway
from tests.support.raw import GUARD, raw_client
from tests.support.upstream import FaultUpstream
from tests.support.wire import chunked, error_of, request, until
from tests.wire.test_connections_bound import BIG, CHUNKED, MOST, TOLD, opened, served

pytestmark = pytest.mark.asyncio(loop_scope="module")


def secured(folder: Path) -> tuple[dict[str, Path], ssl.SSLContext]:
    """The section `listen.tls`, and what a client trusts."""
    files = write_certificates(folder)
    tls = {"certificate_file": files.certificate, "key_file": files.key}
    return tls, ssl.create_default_context(cafile=files.ca)


async def test_handshakes_make_room(upstream: FaultUpstream, tmp_path: Path) -> None:
    """Connections that do not finish their TLS handshake count from the start, and keep nobody out."""
    tls, trusting = secured(tmp_path)
    limits = {"connections": MOST, "head_timeout": 3 * GUARD}
    async with (
        running_gateway(upstream.origin, limits=limits, listen={"tls": tls}) as gateway,
        AsyncExitStack() as stack,
    ):
        silent = await opened(gateway, stack, 4 * MOST)
        assert [await client.closed() for client in silent[: 3 * MOST]] == [True] * 3 * MOST
        for _ in range(MOST):
            client = raw_client(*gateway.address, tls=trusting, server_name="localhost")
            assert await served(await stack.enter_async_context(client))
        assert [await client.closed() for client in silent] == [True] * 4 * MOST


async def test_one_too_many_is_told_after_its_handshake(upstream: FaultUpstream, tmp_path: Path) -> None:
    """Where every connection has a request under way a TLS client gets 503 too, whoever else is silent."""
    tls, trusting = secured(tmp_path)
    limits = {"connections": 1, "head_timeout": 3 * GUARD}
    gate = asyncio.Event()
    upstream.on("/held", faults.gated(gate, faults.reply(200, b"held")))
    async with (
        running_gateway(upstream.origin, limits=limits, listen={"tls": tls}) as gateway,
        raw_client(*gateway.address, tls=trusting, server_name="localhost") as busy,
        AsyncExitStack() as stack,
    ):
        await busy.send(request("/held"))
        await upstream.received(1)
        flood = await opened(gateway, stack, TOLD // 2)
        async with raw_client(*gateway.address, tls=trusting, server_name="localhost") as newest:
            assert error_of(await newest.response())["code"] == "GatewayOverloaded"
        gate.set()
        assert (await busy.response()).body == b"held"

        async def let_in() -> bool:
            async with raw_client(*gateway.address, tls=trusting, server_name="localhost") as later:
                return await served(later)

        # The kernel of a peer may be slow to say that it has the answer.
        await until(let_in)
        assert [await client.closed() for client in flood] == [True] * len(flood)


async def test_an_answer_that_is_still_sent_is_not_cut(upstream: FaultUpstream, tmp_path: Path) -> None:
    """With TLS, too, a connection makes no room before its app has taken the whole answer."""
    tls, trusting = secured(tmp_path)
    upstream.on("/big", faults.raw(CHUNKED + chunked(b"x" * BIG)))
    limits = {"connections": 1, "observed_body": BIG}
    async with (
        running_gateway(upstream.origin, limits=limits, listen={"tls": tls}) as gateway,
        raw_client(*gateway.address, tls=trusting, server_name="localhost") as slow,
    ):
        await slow.send(b"GET /big HTTP/1.0\r\nHost: localhost\r\n\r\n")
        async with asyncio.timeout(GUARD):
            while not gateway.exchanges():  # noqa: ASYNC110 - no event tells
                await asyncio.sleep(0.01)
        async with raw_client(*gateway.address, tls=trusting, server_name="localhost") as newest:
            assert error_of(await newest.response())["code"] == "GatewayOverloaded"
        assert len((await slow.until_close()).partition(b"\r\n\r\n")[2]) == BIG
