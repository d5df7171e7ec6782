"""`adt-gateway check --online` on its way to the upstream: names, TCP, TLS."""

import asyncio
import datetime as dt
import socket
from pathlib import Path

import pytest
import trustme

from tests.support import faults
from tests.support.checking import check, entra_jwt, static
from tests.support.upstream import fault_upstream

EVENT_ROUTES = faults.reply(200, b'{"value": []}')

TOKEN = entra_jwt()


@pytest.fixture
def authority(tmp_path: Path) -> trustme.CA:
    """A CA that this machine does not trust; `ca.pem` holds it."""
    ca = trustme.CA()
    ca.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    return ca


async def test_a_name_without_an_address() -> None:
    """A host that does not exist: said so, and what needs an address is not tried."""
    checked = await check("https://instance.invalid", auth=static(TOKEN))
    assert (checked.code, checked.failed) == (1, ["name"])
    assert checked.steps["name"].message.startswith("instance.invalid cannot be resolved: ")
    assert checked.steps["connection"].message == "instance.invalid has no address"
    assert checked.steps["tls"].outcome == checked.steps["request"].outcome == "skipped"


async def test_a_name_with_addresses() -> None:
    """All addresses of a name are told with their family, and what came of each."""
    async with fault_upstream(EVENT_ROUTES) as upstream:
        checked = await check(f"http://localhost:{upstream.port}", auth={"mode": "none"})
    assert checked.code == 0
    assert "127.0.0.1 (IPv4, loopback)" in checked.steps["name"].details
    assert "127.0.0.1 (IPv4, loopback): connected" in checked.steps["connection"].details


async def test_nobody_listens() -> None:
    """A refused connection: said so, and which key to look at."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    checked = await check(f"http://127.0.0.1:{port}", auth=static(TOKEN))
    connection = checked.steps["connection"]
    assert (checked.code, checked.failed) == (1, ["connection"])
    assert connection.details == ["127.0.0.1 (IPv4, loopback): Connection refused"]
    assert connection.advice == "Nothing listens there: check host and port in upstream.base_url."
    assert checked.steps["request"].outcome == "skipped"


async def test_nobody_answers() -> None:
    """A SYN that nobody answers ends with upstream.timeout.connect, and a firewall is suspected."""
    with socket.socket() as full, socket.socket() as one, socket.socket() as two:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        # The queue is full with these, so the kernel drops the next one.
        for waiting in (one, two):
            waiting.setblocking(False)
            waiting.connect_ex(full.getsockname())
        origin = f"http://127.0.0.1:{full.getsockname()[1]}"
        limit = {"base_url": origin, "timeout": {"connect": 0.3}}
        checked = await check(origin, auth=static(TOKEN), upstream=limit)
    assert checked.failed == ["connection"]
    assert checked.steps["connection"].details == ["127.0.0.1 (IPv4, loopback): no answer within 0.3 s"]
    assert "firewall" in checked.steps["connection"].advice


async def test_tls(authority: trustme.CA, tmp_path: Path) -> None:
    """With upstream.ca_file: version, certificate and its CA are told, and the request goes through."""
    async with fault_upstream(EVENT_ROUTES, tls=authority) as upstream:
        trusting = {"base_url": upstream.origin, "ca_file": tmp_path / "ca.pem"}
        checked = await check(upstream.origin, auth=static(TOKEN), upstream=trusting)
        assert [request.values(b"authorization") for request in upstream.requests] == [
            [f"Bearer {TOKEN}".encode()]
        ]
    tls = checked.steps["tls"]
    assert checked.code == 0
    assert tls.message == "TLS 1.3 with 127.0.0.1"
    assert any("for 127.0.0.1, localhost" in line for line in tls.details)
    assert checked.steps["files"].details == [f"upstream.ca_file: {tmp_path}/ca.pem"]


async def test_a_ca_that_is_not_trusted(authority: trustme.CA, tmp_path: Path) -> None:
    """An unknown CA is named, and that upstream.ca_file may be missing, or another one; nothing is sent."""
    other = tmp_path / "other.pem"
    trustme.CA().cert_pem.write_to_path(str(other))
    async with fault_upstream(EVENT_ROUTES, tls=authority) as upstream:
        unknown = await check(upstream.origin, auth=static(TOKEN))
        wrong = await check(
            upstream.origin, auth=static(TOKEN), upstream={"base_url": upstream.origin, "ca_file": other}
        )
        assert upstream.requests == []
    for checked in (unknown, wrong):
        assert (checked.code, checked.failed) == (1, ["tls"])
        assert "is not accepted: " in checked.steps["tls"].message
        assert any(line.startswith("issued by: ") for line in checked.steps["tls"].details)
        assert "put it into upstream.ca_file" in checked.steps["tls"].advice
        assert checked.steps["request"].message == "there is no TLS connection"
    assert wrong.steps["tls"].advice.startswith("The CA in upstream.ca_file is another one.")


async def test_a_certificate_for_another_host(authority: trustme.CA, tmp_path: Path) -> None:
    """A host that the certificate does not name: the hosts that it does are told, with a warning."""
    async with fault_upstream(EVENT_ROUTES, tls=authority, host="127.0.0.2") as upstream:
        origin = f"https://127.0.0.2:{upstream.port}"
        trusting = {"base_url": origin, "ca_file": tmp_path / "ca.pem"}
        checked = await check(origin, auth=static(TOKEN), upstream=trusting)
    assert checked.failed == ["tls"]
    assert any("for 127.0.0.1, localhost" in line for line in checked.steps["tls"].details)
    advice = checked.steps["tls"].advice
    assert advice.startswith("If one of the names above is that of your instance, correct upstream.base_url.")
    assert "answers in the instance's place (a proxy that inspects TLS, a firewall" in advice
    assert "do not use it" in advice


class Expired(trustme.CA):
    """A CA whose certificates have ended."""

    def issue_cert(self, *identities: str, **_: object) -> trustme.LeafCert:
        """As the CA does, but of yesterday."""
        return super().issue_cert(*identities, not_after=dt.datetime(2020, 1, 1, tzinfo=dt.UTC))


async def test_a_certificate_that_has_ended(tmp_path: Path) -> None:
    """An expired certificate: its end is told, and the clock suspected."""
    ca = Expired()
    ca.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    async with fault_upstream(EVENT_ROUTES, tls=ca) as upstream:
        trusting = {"base_url": upstream.origin, "ca_file": tmp_path / "ca.pem"}
        checked = await check(upstream.origin, auth=static(TOKEN), upstream=trusting)
    assert "expired" in checked.steps["tls"].message
    assert any("2020-01-01" in line for line in checked.steps["tls"].details)
    assert "clock" in checked.steps["tls"].advice


async def test_no_tls_there() -> None:
    """A port that speaks plain HTTP, one that cuts and one that says nothing in the handshake."""

    async def cut(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async def plain(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    for behaviour, advice in ((plain, "does not speak TLS"), (cut, "cuts the connection")):
        async with await asyncio.start_server(behaviour, "127.0.0.1", 0) as server:
            origin = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            checked = await check(origin, auth=static(TOKEN))
        assert checked.failed == ["tls"]
        assert advice in checked.steps["tls"].advice


async def test_a_handshake_without_end() -> None:
    """A server that says nothing in the handshake is waited for as long as upstream.timeout.connect."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        origin = f"https://127.0.0.1:{silent.getsockname()[1]}"
        limit = {"base_url": origin, "timeout": {"connect": 0.3}}
        checked = await check(origin, auth=static(TOKEN), upstream=limit)
    assert checked.failed == ["tls"]
    assert checked.steps["tls"].message.endswith("no answer within 0.3 s")
    assert "it may wait for plain http" in checked.steps["tls"].advice
