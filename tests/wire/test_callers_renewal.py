"""`serve` as a real process while its callers' keys are renewed, and what its own server knows of callers."""

import asyncio
import ssl
from pathlib import Path

import pytest

from tests.support.certificates import write_certificates
from tests.support.client_certificates import URI, ClientAuthority, showing
from tests.support.process import Serving, serving
from tests.support.raw import RawClient, raw_client
from tests.support.upstream import fault_upstream
from tests.support.wire import request

GUARD = 30.0
"""Seconds in which a change must have been taken up, which takes two looks, five seconds apart."""
OLD, NEW = "old-key-of-the-app-0123456789", "a-new-key-of-the-app-0123456789"
KEY_OF_FIRST = "auth.inbound.key_files.first:"
NAME = "spiffe://prod/ns/orders"


@pytest.mark.slow
async def test_a_renewed_key_fails_no_request(tmp_path: Path) -> None:
    """With two names a key is renewed without a failed request, over mTLS and a connection that stays open.

    A key file that is empty meanwhile does no harm: what was valid stays so. The log has key and certificate.
    """
    files, clients = write_certificates(tmp_path), ClientAuthority(tmp_path)
    first, second = tmp_path / "first", tmp_path / "second"
    first.write_text(OLD)
    second.write_text("not-in-use-yet-0123456789")
    environ = {
        "ADT_GATEWAY_AUTH__MODE": "none",
        "ADT_GATEWAY_LIMITS__DRAIN_DELAY": "0",
        "ADT_GATEWAY_LISTEN__TLS__CERTIFICATE_FILE": str(files.certificate),
        "ADT_GATEWAY_LISTEN__TLS__KEY_FILE": str(files.key),
        "ADT_GATEWAY_LISTEN__TLS__CLIENT_CA_FILE": str(clients.file),
        "ADT_GATEWAY_AUTH__INBOUND__CLIENT_NAMES": NAME,
        "ADT_GATEWAY_AUTH__INBOUND__KEY_FILES__FIRST": str(first),
        "ADT_GATEWAY_AUTH__INBOUND__KEY_FILES__SECOND": str(second),
    }
    tls = showing(clients.issue((URI, NAME.encode())), files.ca)
    async with (
        fault_upstream() as upstream,
        serving({**environ, "ADT_GATEWAY_UPSTREAM__BASE_URL": upstream.origin}) as running,
        raw_client(*running.address, tls=tls, server_name="localhost") as standing,
    ):

        async def answered(key: str, client: RawClient) -> int:
            await client.send(request(headers=[(b"x-gateway-key", key.encode())]))
            return (await client.response()).status

        async def status(key: str, shown: ssl.SSLContext = tls) -> int:
            async with raw_client(*running.address, tls=shown, server_name="localhost") as client:
                return await answered(key, client)

        second.write_text(NEW)
        first.write_text("")
        async with asyncio.timeout(GUARD):
            while await status(NEW) != 200:
                assert await answered(OLD, standing) == 200
                await asyncio.sleep(0.1)
        await running.said(f"{KEY_OF_FIRST} the changed file cannot be used, the key before stays")
        assert await answered(OLD, standing) == 200
        first.write_text("retired-0123456789")
        await running.said(f"{KEY_OF_FIRST} the new key is valid from now on, the old one no more")
        assert await answered(NEW, standing) == 200
        assert await answered(OLD, standing) == 401
        odd = showing(clients.issue((URI, NAME.encode()), (URI, b"\xff")), files.ca)
        assert await status(NEW, odd) == 403
        running.process.terminate()
        await running.ended()
    assert callers(running) == {f"first, {NAME}", f"second, {NAME}", NAME, "second"}
    assert not any(key in str(running.lines) for key in (OLD, NEW))


def callers(running: Serving) -> set[str]:
    """Everybody in the log of exchanges."""
    return {line["caller"] for line in running.lines if line.get("event") == "exchange"}
