"""The data listener: Unix socket, TLS, mTLS, IPv6, and how it ends without dropping anybody."""

import asyncio
import signal
import socket
import ssl
import stat
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import trustme

from gateway.listeners import ListenError
from tests.support import faults
from tests.support.certificates import write_certificates
from tests.support.gateway import running_gateway
from tests.support.process import serving
from tests.support.raw import RawClient, raw_client
from tests.support.upstream import Call, FaultUpstream, fault_upstream
from tests.support.wire import admin, ask, connected, error_of, request

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def _ok(client: RawClient, **more: str) -> None:
    await client.send(request(**more))
    response = await client.response()
    assert (response.status, response.body) == (200, b"hello")


async def test_unix_socket(upstream: FaultUpstream, tmp_path: Path) -> None:
    """It serves on the socket alone, which only owner and group can use, and removes it at the end."""
    path = tmp_path / "gateway.sock"
    async with running_gateway(upstream.origin, listen={"unix_socket": path}) as gateway:
        assert gateway.data == f"unix:{path}"
        assert stat.S_ISSOCK(path.stat().st_mode)
        assert stat.S_IMODE(path.stat().st_mode) == 0o660
        async with raw_client(unix_socket=path) as client:
            await _ok(client)
            # Who can open the socket is decided by its permissions, so any well-formed Host passes.
            await _ok(client, host="anything.example")
    assert not path.exists()
    assert all("client" not in line for line in gateway.exchanges())


async def test_stale_unix_socket_is_replaced(upstream: FaultUpstream, tmp_path: Path) -> None:
    """A socket left by a process that was killed is no obstacle."""
    path = tmp_path / "gateway.sock"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    async with running_gateway(upstream.origin, listen={"unix_socket": path}):
        async with raw_client(unix_socket=path) as client:
            await _ok(client)


async def test_unix_socket_in_use_is_left_alone(upstream: FaultUpstream, tmp_path: Path) -> None:
    """A socket that another process serves is not taken over: one clear line, and the other serves on."""
    path = tmp_path / "gateway.sock"
    async with running_gateway(upstream.origin, listen={"unix_socket": path}):
        with pytest.raises(ListenError, match=r"^listen\.unix_socket: cannot listen on .*in use$"):
            async with running_gateway(upstream.origin, listen={"unix_socket": path}):
                pass
        async with raw_client(unix_socket=path) as client:
            await _ok(client)


async def test_port_in_use(upstream: FaultUpstream) -> None:
    """A taken port of either listener: one clear line that names the key, and the other port is free again."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        for section in ("listen", "admin"):
            with pytest.raises(
                ListenError, match=rf"^{section}\.port: cannot listen on 127\.0\.0\.1:{port}: "
            ):
                async with running_gateway(upstream.origin, **{section: {"port": port}}):
                    pass


async def test_ipv6(upstream: FaultUpstream) -> None:
    """The listener takes IPv6 addresses, and their names are allowed as Host."""
    async with running_gateway(upstream.origin, listen={"host": "::1"}) as gateway:
        assert gateway.data.startswith("http://[::1]:")
        assert (await ask(gateway, host=f"[::1]:{gateway.address[1]}")).status == 200


async def test_tls(upstream: FaultUpstream, tmp_path: Path) -> None:
    """TLS with the configured certificate, from version 1.2, verified by an ordinary client."""
    files = write_certificates(tmp_path)
    tls = {"certificate_file": files.certificate, "key_file": files.key}
    async with running_gateway(upstream.origin, listen={"tls": tls}) as gateway:
        assert gateway.data.startswith("https://")
        trusting = ssl.create_default_context(cafile=files.ca)
        async with raw_client(*gateway.address, tls=trusting, server_name="localhost") as client:
            await _ok(client)
            await _ok(client)
        with pytest.raises(ssl.SSLCertVerificationError):
            async with raw_client(
                *gateway.address, tls=ssl.create_default_context(), server_name="localhost"
            ):
                pass
        old = ssl.create_default_context(cafile=files.ca)
        old.set_ciphers("ALL:@SECLEVEL=0")
        old.minimum_version, old.maximum_version = ssl.TLSVersion.MINIMUM_SUPPORTED, ssl.TLSVersion.TLSv1_2
        async with raw_client(*gateway.address, tls=old, server_name="localhost") as client:
            await _ok(client)


async def test_plain_text_on_the_tls_port_gets_nothing(upstream: FaultUpstream, tmp_path: Path) -> None:
    """A client that speaks plain HTTP to the TLS listener is dropped, and the listener lives on."""
    files = write_certificates(tmp_path)
    tls = {"certificate_file": files.certificate, "key_file": files.key}
    async with running_gateway(upstream.origin, listen={"tls": tls}) as gateway:
        async with connected(gateway) as client:
            await client.send(request())
            assert not (await client.until_close()).startswith(b"HTTP/1.1 2")
        trusting = ssl.create_default_context(cafile=files.ca)
        async with raw_client(*gateway.address, tls=trusting, server_name="localhost") as client:
            await _ok(client)
    assert len(upstream.requests) == 1


async def test_mtls(upstream: FaultUpstream, tmp_path: Path) -> None:
    """With a client CA only a certificate of that CA gets in."""
    files = write_certificates(tmp_path)
    ours, foreign = trustme.CA(), trustme.CA()
    ours.cert_pem.write_to_path(tmp_path / "clients.pem")
    tls = {
        "certificate_file": files.certificate,
        "key_file": files.key,
        "client_ca_file": tmp_path / "clients.pem",
    }
    async with running_gateway(upstream.origin, listen={"tls": tls}) as gateway:
        for authority, admitted in ((ours, True), (foreign, False), (None, False)):
            context = ssl.create_default_context(cafile=files.ca)
            if authority is not None:
                authority.issue_cert("app.example").configure_cert(context)
            assert await _admitted(gateway.address, context) == admitted
    assert len(upstream.requests) == 1


async def _admitted(address: tuple[str, int], context: ssl.SSLContext) -> bool:
    """Whether a request over this context is answered; TLS 1.3 refuses after the handshake."""
    try:
        async with raw_client(*address, tls=context, server_name="localhost") as client:
            await client.send(request())
            return (await client.response()).status == 200
    except (ssl.SSLError, ConnectionError):
        return False


async def test_exchange_in_flight_is_finished(engine: str, upstream: FaultUpstream) -> None:
    """Told to stop, the gateway answers what it has begun, to the last byte, and says that it closes."""
    gate = asyncio.Event()
    upstream.on("/head", faults.gated(gate, faults.reply(200, b"late")))
    upstream.on("/body", _in_two_parts(gate))
    async with running_gateway(upstream.origin, upstream={"engine": engine}) as gateway:
        async with AsyncExitStack() as stack:
            head, body, upload = [await stack.enter_async_context(connected(gateway)) for _ in range(3)]
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


def _in_two_parts(gate: asyncio.Event) -> faults.Behaviour:
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


async def test_requests_during_the_delay_are_served(upstream: FaultUpstream) -> None:
    """During `limits.drain_delay` it is not ready but serves, old connections and new ones; each is the last."""
    limits = {"drain_delay": 60, "drain_timeout": 90}
    async with running_gateway(upstream.origin, limits=limits) as gateway:
        assert (await admin(gateway, "/readyz")).status == 200
        async with connected(gateway) as kept:
            await _ok(kept)
            gateway.stop.ask()
            async with asyncio.timeout(20):
                while (await admin(gateway, "/readyz")).status != 503:
                    await asyncio.sleep(0.005)
            assert (await admin(gateway, "/livez")).status == 200
            await kept.send(request())
            last = await kept.response()
            assert (last.status, last.value(b"connection")) == (200, b"close")
            assert await kept.closed()
        for _ in range(3):
            answer = await ask(gateway)
            assert (answer.status, answer.value(b"connection")) == (200, b"close")
        gateway.stop.ask()


async def test_what_does_not_end_in_time_is_cut(engine: str) -> None:
    """After `limits.drain_timeout` an exchange that has begun to answer is cut, and the log says so."""
    stalled = faults.never(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello")
    async with fault_upstream(stalled) as upstream:
        limits = {"drain_timeout": 1}
        async with running_gateway(upstream.origin, upstream={"engine": engine}, limits=limits) as gateway:
            async with connected(gateway) as client:
                await client.send(request())
                await client.until(b"hello")
                gateway.stop.ask()
                await gateway.serving
                assert await client.until_close() == b""
    [line] = gateway.exchanges()
    assert (line["status"], line["cut"]) == (200, True)


async def test_what_is_not_answered_in_time_gets_an_error_of_ours(
    engine: str, upstream: FaultUpstream
) -> None:
    """After `limits.drain_timeout` a request that was sent upstream is answered as one that timed out.

    A POST gets 502 without Retry-After, or its SDK would send it again to the next gateway.
    """
    upstream.on("/digitaltwins/t1", faults.never())
    limits = {"drain_timeout": 1}
    async with running_gateway(upstream.origin, upstream={"engine": engine}, limits=limits) as gateway:
        methods = ("GET", "PUT", "POST")
        asked = [asyncio.create_task(ask(gateway, method=method)) for method in methods]
        await upstream.received(3)
        gateway.stop.ask()
        answers = await asyncio.gather(*asked)
    assert [answer.status for answer in answers] == [504, 504, 502]
    for answer in answers:
        assert error_of(answer)["code"] == "GatewayUpstreamTimeout"
        assert answer.value(b"retry-after") is None
    assert {line["error_code"] for line in gateway.exchanges()} == {"GatewayUpstreamTimeout"}


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
