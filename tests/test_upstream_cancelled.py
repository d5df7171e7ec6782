"""A request that is given up at any moment leaves nothing taken: no slot, no connection, every engine."""

import asyncio

import pytest

from tests.support import faults
from tests.support.engines import Upload, every_engine, fetch, opened, outbound
from tests.support.upstream import fault_upstream

SLOTS = 2
MOMENTS = 60
"""Steps of the event loop after which a request is given up; more than one takes from connect to answer."""


@every_engine
@pytest.mark.parametrize("uploads", [False, True], ids=["without a body", "with an upload"])
async def test_every_slot_is_usable_whenever_a_request_was_given_up(engine: str, *, uploads: bool) -> None:
    """Given up after each number of steps, twice: after that all slots can be used at the same time."""
    settings = {"max_connections": SLOTS, "timeout": {"pool": 5.0}}
    async with fault_upstream() as upstream, opened(engine, upstream.origin, **settings) as room:
        for steps in [*range(MOMENTS), *range(MOMENTS)]:
            body = Upload(2) if uploads else None
            asking = asyncio.create_task(
                fetch(room, outbound(b"/left", "POST" if uploads else "GET", body=body))
            )
            for _ in range(steps):
                await asyncio.sleep(0)
            asking.cancel()
            await asyncio.wait((asking,))
            assert asking.cancelled() or not asking.exception()
        everybody = asyncio.Event()
        upstream.on("/gated", faults.gated(everybody, faults.reply(200, b"whole")))
        upstream.requests.clear()
        asked = [asyncio.create_task(fetch(room, outbound(b"/gated"))) for _ in range(SLOTS)]
        try:
            async with asyncio.timeout(10):
                while sum(seen.path == b"/gated" for seen in upstream.requests) < SLOTS:  # noqa: ASYNC110
                    await asyncio.sleep(0.005)
        finally:
            everybody.set()
        assert [body for _, _, body in await asyncio.gather(*asked)] == [b"whole"] * SLOTS
