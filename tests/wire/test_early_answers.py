"""An app whose upload is refused before it was read gets the refusal, also where it reads only afterwards."""

import asyncio

import pytest

from tests.support import faults
from tests.support.gateway import RunningGateway
from tests.support.raw import GUARD
from tests.support.upstream import Call, FaultUpstream
from tests.support.wire import QUERY, connected, request

pytestmark = pytest.mark.asyncio(loop_scope="module")

SIZE = 8_388_608
REFUSAL = b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n"


@pytest.mark.parametrize("close", [False, True])
async def test_early_refusal_reaches_the_app(
    gateway: RunningGateway, upstream: FaultUpstream, *, close: bool
) -> None:
    """An upload of 8 MiB that the upstream refuses unread: the app has sent it all, and gets 413."""

    async def refuse(call: Call) -> None:
        await call.send(REFUSAL)
        await call.some(100_000)
        if close:
            call.close()
        else:
            await call.body()

    upstream.on("/query", refuse)
    async with connected(gateway) as client:
        head = request(QUERY, "POST", [(b"content-length", b"%d" % SIZE)])
        await asyncio.wait_for(client.offer(head + b"a" * SIZE), GUARD)
        response = await client.response("POST")
        assert (response.status, response.complete) == (413, True)
    upstream.on("/query", faults.reply(200, b"next"))
    async with connected(gateway) as client:
        await client.send(request(QUERY, "POST", body=b"{}"))
        assert (await client.response("POST")).body == b"next"
