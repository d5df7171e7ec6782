"""`serve` as a real process that runs: where it takes its settings from, and what does not end it."""

import resource
import signal
from pathlib import Path

from tests.support.process import serving
from tests.support.raw import raw_client
from tests.support.upstream import FaultUpstream, fault_upstream
from tests.support.wire import request

URL = "ADT_GATEWAY_UPSTREAM__BASE_URL"
GOOD = {URL: "http://127.0.0.1:1", "ADT_GATEWAY_AUTH__MODE": "none"}
SECRET = "hunter2-hunter2"


async def test_serve_from_the_environment_alone() -> None:
    """Without a file it serves from variables; its log is JSON on standard error."""
    async with fault_upstream() as upstream:
        environ = {**GOOD, URL: upstream.origin, "ADT_GATEWAY_LIMITS__DRAIN_DELAY": "0"}
        async with serving(environ) as running:
            async with raw_client(*running.address) as client:
                await client.send(request())
                assert (await client.response()).body == b"hello"
            running.send_signal(signal.SIGTERM)
            assert await running.ended() == 0
    assert [line.get("event") for line in running.lines] == ["exchange", None]


async def test_serve_may_hold_as_many_files_as_it_is_allowed() -> None:
    """Started with room for few open files, as many places do, it takes what the hard limit allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    few = hard // 2 if 0 < hard < 2048 else 1024
    resource.setrlimit(resource.RLIMIT_NOFILE, (few, hard))
    try:
        async with fault_upstream() as upstream, serving({**GOOD, URL: upstream.origin}) as running:
            await _answers(upstream, running.address)
            had = resource.prlimit(running.process.pid, resource.RLIMIT_NOFILE)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert had == (hard, hard) != (few, hard)


async def test_serve_with_a_file_and_a_variable_over_it(tmp_path: Path) -> None:
    """A variable wins over the file."""
    config = tmp_path / "gateway.toml"
    async with fault_upstream() as upstream:
        config.write_text(
            'upstream.base_url = "http://127.0.0.1:1"\nauth.mode = "none"\nlog.level = "warning"\n'
        )
        environ = {URL: upstream.origin, "ADT_GATEWAY_LOG__LEVEL": "info"}
        async with serving(environ, "--config", str(config)) as running:
            await _answers(upstream, running.address)


async def _answers(upstream: FaultUpstream, address: tuple[str, int]) -> None:
    async with raw_client(*address) as client:
        await client.send(request())
        assert (await client.response()).status == 200
    assert len(upstream.requests) == 1


async def test_upstream_that_is_not_there_does_not_end_serve() -> None:
    """A wrong or unreachable upstream is answered per request, in our shape; the process stays up."""
    async with serving(GOOD) as running:
        for _ in range(2):
            async with raw_client(*running.address) as client:
                await client.send(request())
                response = await client.response()
            assert response.status == 503
            assert response.value(b"x-ms-error-code") == b"GatewayUpstreamUnreachable"
        assert running.process.returncode is None


async def test_unreachable_issuer_does_not_end_serve() -> None:
    """An issuer that is down: it stays up, not ready, and says so once."""
    oauth2 = {
        "ADT_GATEWAY_AUTH__MODE": "oauth2",
        "ADT_GATEWAY_AUTH__OAUTH2__TOKEN_URL": "http://127.0.0.1:1/token",
        "ADT_GATEWAY_AUTH__OAUTH2__CLIENT_ID": "app",
        "ADT_GATEWAY_AUTH__OAUTH2__CLIENT_SECRET": SECRET,
    }
    async with serving({**GOOD, **oauth2}) as running:
        host, _, port = running.admin.rpartition("/")[2].rpartition(":")
        async with raw_client(host, int(port)) as client:
            await client.send(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert (await client.response()).status == 503
        async with raw_client(*running.address) as client:
            await client.send(request())
            response = await client.response()
        assert response.value(b"x-ms-error-code") == b"GatewayTokenUnavailable"
        assert running.process.returncode is None
        assert SECRET not in str(running.lines)
