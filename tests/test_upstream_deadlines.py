"""The deadlines of a round trip, every engine: each has its own error, and leaves its slot free."""

import asyncio

import pytest

from gateway import failures
from tests.support import faults
from tests.support.engines import Upload, every_engine, fetch, opened, outbound
from tests.support.upstream import Call, fault_upstream

OK = b"HTTP/1.1 200 OK\r\n"


@every_engine
async def test_answer_that_does_not_come_is_a_timeout(engine: str) -> None:
    """No head within `timeout.first_byte`, interim responses or not: a timeout, and the slot is free."""
    async with (
        fault_upstream() as upstream,
        opened(engine, upstream.origin, max_connections=2, timeout={"first_byte": 0.2}) as room,
    ):
        for start in (b"", b"HTTP/1.1 102 Processing\r\n\r\n", OK):
            upstream.on("/never", faults.never(start))
            with pytest.raises(failures.UpstreamTimeout):
                await fetch(room, outbound(b"/never", "POST", body=b"x"))
        assert (await fetch(room))[2] == b"hello"


@every_engine
async def test_query_has_a_deadline_of_its_own(engine: str) -> None:
    """POST /query is given up after `timeout.query_first_byte` and not after the ordinary time."""
    times = {"first_byte": 30.0, "query_first_byte": 0.2}
    async with (
        fault_upstream(faults.never()) as upstream,
        opened(engine, upstream.origin, timeout=times) as room,
    ):
        with pytest.raises(failures.UpstreamTimeout):
            await fetch(room, outbound(b"/query", "POST", body=b"{}"), query=True)


@every_engine
async def test_upload_has_a_deadline_in_all(engine: str) -> None:
    """An upload the upstream does not take is given up after `timeout.head_total`."""

    async def deaf(call: Call) -> None:
        await asyncio.Event().wait()

    async with (
        fault_upstream(deaf) as upstream,
        opened(engine, upstream.origin, timeout={"head_total": 0.3}) as room,
    ):
        with pytest.raises(failures.UpstreamTimeout):
            await fetch(room, outbound(method="POST", body=Upload(2000)))


@every_engine
async def test_first_byte_counts_from_the_end_of_an_upload(engine: str) -> None:
    """Once an upload is sent, the answer has `timeout.first_byte`, not what is left of `head_total`."""
    times = {"first_byte": 0.2, "head_total": 30.0}
    async with fault_upstream(faults.never()) as upstream:
        async with opened(engine, upstream.origin, timeout=times) as room:
            with pytest.raises(failures.UpstreamTimeout):
                await fetch(room, outbound(method="POST", body=Upload(3)))
        assert upstream.last.complete


@every_engine
async def test_body_that_stops_is_a_timeout(engine: str) -> None:
    """No piece of the body within `timeout.read_idle` ends the exchange, and the slot is free."""
    async with (
        fault_upstream() as upstream,
        opened(engine, upstream.origin, max_connections=1, timeout={"read_idle": 0.2}) as room,
    ):
        upstream.on("/stops", faults.never(OK + b"Content-Length: 10\r\n\r\nhello"))
        with pytest.raises(failures.UpstreamTimeout):
            await fetch(room, outbound(b"/stops"))
        assert (await fetch(room))[2] == b"hello"
