"""How the gateway ends: nobody is dropped within the time it has, and afterwards nobody is told a lie."""

import asyncio
import signal
from collections.abc import Awaitable, Callable

import pytest

from tests.support import faults
from tests.support.gateway import RunningGateway, running_gateway
from tests.support.process import serving
from tests.support.raw import RawClient, raw_client
from tests.support.upstream import Behaviour, Call, FaultUpstream
from tests.support.wire import admin, ask, connected, error_of, request, until

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def _ok(client: RawClient, *, host: str = "localhost") -> None:
    await client.send(request(host=host))
    response = await client.response()
    assert (response.status, response.body) == (200, b"hello")


async def test_exchange_in_flight_is_finished(engine: str, upstream: FaultUpstream) -> None:
    """Told to stop, the gateway answers what it has begun, to the last byte, and says that it closes."""
    gate = asyncio.Event()
    upstream.on("/head", faults.gated(gate, faults.reply(200, b"late")))
    upstream.on("/body", _in_two_parts(gate))
    async with (
        running_gateway(upstream.origin, upstream={"engine": engine}) as gateway,
        connected(gateway) as head,
        connected(gateway) as body,
        connected(gateway) as upload,
    ):
        await head.send(request("/head"))
        await body.send(request("/body"))
        await body.until(b"first\r\n")
        await upload.send(request("/upload", "PUT", [(b"content-length", b"200000")]) + b"x" * 100_000)
        await upstream.received(3)
        gateway.stop.ask()
        await _refuses(gateway.address)
        gate.set()
        await upload.send(b"x" * 100_000)
        answer = await head.response()
        assert (answer.status, answer.body, answer.value(b"connection")) == (200, b"late", b"close")
        assert (await body.until_close()) == b"6\r\nsecond\r\n0\r\n\r\n"
        assert (await upload.response()).status == 200
        await gateway.serving
    assert upstream.requests[2].complete
    assert {line["status"] for line in gateway.exchanges()} == {200}
    assert not any("cut" in line for line in gateway.exchanges())


def _in_two_parts(gate: asyncio.Event) -> Behaviour:
    async def behaviour(call: Call) -> None:
        await call.send_head(200, [(b"Transfer-Encoding", b"chunked")])
        await call.send_chunk(b"first")
        await gate.wait()
        await call.send_chunk(b"second")
        await call.send_chunk(b"")

    return behaviour


async def _refuses(address: tuple[str, int]) -> None:
    """Wait until nobody listens at the address."""
    async with asyncio.timeout(20):
        while True:
            try:
                async with raw_client(*address):
                    pass
            except ConnectionError:
                return
            await asyncio.sleep(0.005)


def _not_ready(gateway: RunningGateway) -> Callable[[], Awaitable[bool]]:
    async def holds() -> bool:
        return (await admin(gateway, "/readyz")).status == 503

    return holds


async def test_requests_during_the_delay_are_served(upstream: FaultUpstream) -> None:
    """During `limits.drain_delay` it is not ready but serves; each answer is its connection's last."""
    limits = {"drain_delay": 60, "drain_timeout": 90}
    async with running_gateway(upstream.origin, limits=limits) as gateway:
        assert (await admin(gateway, "/readyz")).status == 200
        async with connected(gateway) as kept:
            await _ok(kept)
            gateway.stop.ask()
            await until(_not_ready(gateway))
            assert (await admin(gateway, "/livez")).status == 200
            await kept.send(request())
            last = await kept.response()
            assert (last.status, last.value(b"connection")) == (200, b"close")
            assert await kept.closed()
        for _ in range(3):
            answer = await ask(gateway)
            assert (answer.status, answer.value(b"connection")) == (200, b"close")
        gateway.stop.ask()


async def test_what_is_not_over_in_time_is_cut_or_gets_an_error_of_ours(
    engine: str, upstream: FaultUpstream
) -> None:
    """After `limits.drain_timeout` a response that has begun is cut; what has none is told that it timed out.

    A POST gets 502 without Retry-After, or its SDK would send it again to the next gateway.
    """
    upstream.on("/digitaltwins/t1", faults.never())
    upstream.on("/begun", faults.never(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello"))
    limits = {"drain_timeout": 1}
    async with (
        running_gateway(upstream.origin, upstream={"engine": engine}, limits=limits) as gateway,
        connected(gateway) as client,
    ):
        await client.send(request("/begun"))
        await client.until(b"hello")
        asked = [asyncio.create_task(ask(gateway, method=method)) for method in ("GET", "PUT", "POST")]
        await upstream.received(4)
        gateway.stop.ask()
        answers = await asyncio.gather(*asked)
        assert await client.until_close() == b""
    assert [answer.status for answer in answers] == [504, 504, 502]
    for answer in answers:
        assert error_of(answer)["code"] == "GatewayUpstreamTimeout"
        assert answer.value(b"retry-after") is None
    lines = {line["path"]: line for line in gateway.exchanges()}
    assert (lines["/begun"]["status"], lines["/begun"]["cut"]) == (200, True)
    assert "cut" not in lines["/digitaltwins/t1"]


def _environ(upstream: FaultUpstream, **more: str) -> dict[str, str]:
    return {
        "ADT_GATEWAY_UPSTREAM__BASE_URL": upstream.origin,
        "ADT_GATEWAY_AUTH__MODE": "none",
        "ADT_GATEWAY_LIMITS__DRAIN_DELAY": "0",
        **more,
    }


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_signal_ends_the_process_with_0(upstream: FaultUpstream, number: signal.Signals) -> None:
    """A signal: the exchange in flight is finished, the process exits 0, and every line was written."""
    gate = asyncio.Event()
    upstream.on("/slow", faults.gated(gate, faults.reply(200, b"late")))
    async with serving(_environ(upstream)) as running, raw_client(*running.address) as client:
        await client.send(request("/slow"))
        await upstream.received(1)
        running.send_signal(number)
        await running.said("draining")
        await _refuses(running.address)
        gate.set()
        assert (await client.response()).body == b"late"
        assert await running.ended() == 0
    assert [line["message"] for line in running.lines] == ["draining", "GET unmatched 200"]


async def test_second_signal_ends_the_process_now(upstream: FaultUpstream) -> None:
    """A second signal does not wait for what is in flight, nor for the delay."""
    upstream.on("/slow", faults.never())
    environ = _environ(
        upstream, ADT_GATEWAY_LIMITS__DRAIN_DELAY="200", ADT_GATEWAY_LIMITS__DRAIN_TIMEOUT="300"
    )
    async with serving(environ) as running, raw_client(*running.address) as client:
        await client.send(request("/slow"))
        await upstream.received(1)
        running.send_signal(signal.SIGTERM)
        await running.said("draining")
        running.send_signal(signal.SIGTERM)
        await running.ended()
        assert error_of(await client.response())["code"].startswith("GatewayUpstream")
    assert not any(line["level"] == "error" for line in running.lines)


async def test_no_connection_is_lost_while_a_process_drains(upstream: FaultUpstream) -> None:
    """New connections all through the delay are all answered; refused only once the listener is closed."""
    environ = _environ(upstream, ADT_GATEWAY_LIMITS__DRAIN_DELAY="0.5")
    outcomes: list[int] = []
    async with serving(environ) as running:
        running.send_signal(signal.SIGTERM)
        async with asyncio.timeout(20):
            while True:
                try:
                    async with raw_client(*running.address) as client:
                        await client.send(request())
                        response = await client.response()
                except ConnectionError:
                    break
                if response.status == 0:
                    break
                if response.status == 503:
                    assert error_of(response)["code"] == "GatewayDraining"
                outcomes.append(response.status)
        assert await running.ended() == 0
    assert outcomes.count(200) > 10
    assert set(outcomes) <= {200, 503}
