"""How the store is reached: passwords, rights, TLS and Unix sockets, and nothing secret told of it."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from gateway.fleet import Fleet
from tests.support.certificates import CertificateFiles, write_certificates
from tests.support.fleets import gateway_of, until
from tests.support.redis_server import RedisServer, redis_server

PASSWORD = "p@ss/word:%5f9c"
QUOTED = "p%40ss%2Fword%3A%255f9c"
RIGHTS = (
    "+eval +evalsha +subscribe +ping "
    "+get +set +del +pexpire +pttl +time +publish +hget +hset +hmget +hdel +hscan "
    "+zadd +zrem +zcard +zrange +zrangebyscore"
)
"""What README says a user needs."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with redis_server(tmp_path_factory.mktemp("redis"), password=PASSWORD) as running:
        yield running


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> CertificateFiles:
    return write_certificates(tmp_path_factory.mktemp("certificates"))


async def use_all(fleet: Fleet) -> None:
    """Every verb does what it should."""
    assert await fleet.reserve() is not None
    fleet.pause(1.0)
    look = await fleet.look("key", 5.0)
    assert look is not None
    assert look.leads
    await fleet.publish("key", b"answer", 0.1, 5.0)
    fleet.release("key")
    fleet.forget()
    assert await fleet.hold("watch", 5.0)
    fleet.drop("watch")
    assert await fleet.claim("job")
    fleet.put("jobs", "one", b"1", 60.0)
    # One whose time is over goes at once.
    fleet.put("jobs", "two", b"2", 0.0)
    fleet.tell("topic", "key", b"payload")
    assert await fleet.settled()
    assert await fleet.get("jobs", "one") == b"1"
    assert await fleet.load("jobs") == {"one": b"1"}
    assert not fleet.away


@asynccontextmanager
async def refused(url: str, instance: str, reason: str, **settings: Any) -> AsyncIterator[Fleet]:
    """A gateway that may not use the store, and says why."""
    async with gateway_of(url, instance, **settings) as fleet:
        assert fleet.away
        told = fleet.view().away
        assert told is not None
        assert reason in told
        yield fleet


async def test_password_in_the_url(
    server: RedisServer, instance: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A password with all that has to be escaped opens the store, and shows nowhere."""
    caplog.set_level(logging.DEBUG)
    async with gateway_of(f"redis://:{QUOTED}@localhost:{server.port}", instance) as fleet:
        await use_all(fleet)
        shown = f"{fleet.view()!r} {fleet!r} {fleet.__dict__!r}"
    assert f"redis://localhost:{server.port}" in shown
    for secret in (PASSWORD, QUOTED, "5f9c"):
        assert secret not in shown + caplog.text


async def test_password_file(server: RedisServer, instance: str, tmp_path: Path) -> None:
    """A password from a file is read again for each connection: a new one needs no restart."""
    file = tmp_path / "password"
    file.write_text("wrong\n")
    url = f"redis://localhost:{server.port}"
    async with refused(url, instance, "refused", password_file=file) as fleet:
        file.unlink()
        await until(lambda: fleet.view().away != "the user name or password is refused")
        file.write_text(f"{PASSWORD}\n")
        await until(lambda: not fleet.away)
        await use_all(fleet)


@pytest.mark.parametrize(
    ("user", "reason"),
    [("", "a password is required"), (":wrong-5f9c@", "the user name or password is refused")],
)
async def test_wrong_password(
    user: str, reason: str, server: RedisServer, instance: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Without the right password the store is away, and the reason is told without what was tried."""
    caplog.set_level(logging.DEBUG)
    async with refused(f"redis://{user}localhost:{server.port}", instance, reason):
        pass
    assert "5f9c" not in caplog.text


async def test_a_server_without_sign_in(
    tmp_path: Path, instance: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A server that does not know AUTH says the password again; nobody else is told it."""
    caplog.set_level(logging.DEBUG)
    with redis_server(tmp_path, "--rename-command", "AUTH", "") as server:
        async with refused(
            f"redis://me:s5f9c@localhost:{server.port}", instance, "refuses the sign-in"
        ) as fleet:
            assert "5f9c" not in repr(fleet.view()) + caplog.text


async def test_a_password_that_changes(tmp_path: Path, instance: str) -> None:
    """A store that ends its clients' rights is away, and back with the file's new password."""
    file = tmp_path / "password"
    file.write_text("one")
    with redis_server(tmp_path, password="one") as server:
        async with gateway_of(f"redis://localhost:{server.port}", instance, password_file=file) as fleet:
            assert not fleet.away
            server.command("CONFIG", "SET", "requirepass", "two")
            file.write_text("two")
            server._password = "two"
            server.command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
            await until(lambda: fleet.away)
            await until(lambda: not fleet.away)
            await use_all(fleet)


async def test_least_rights(server: RedisServer, instance: str) -> None:
    """A user with the rights in README, on the instance's keys and channel only, can do everything."""
    name = f"adt-gateway:1:{{{instance}}}:*"
    acl = (*f"SETUSER gateway reset on >s5f9c ~{name} &{name} {RIGHTS}".split(),)
    server.command("ACL", *acl)
    server.command("ACL", "LOG", "RESET")
    async with gateway_of(f"redis://gateway:s5f9c@localhost:{server.port}", instance) as fleet:
        await use_all(fleet)
    assert server.command("ACL", "LOG") == []


@pytest.mark.parametrize("missing", ["&", "~", "+evalsha", "+subscribe"])
async def test_rights_that_are_missing(missing: str, server: RedisServer, instance: str) -> None:
    """A user without a right cannot use the store, and the reason says that it is the rights."""
    name = f"adt-gateway:1:{{{instance}}}:*"
    rules = [f"~{name}", f"&{name}", *RIGHTS.split()]
    kept = [
        rule for rule in rules if not rule.startswith(missing) or (missing == "+eval" and rule != missing)
    ]
    server.command("ACL", "SETUSER", "poor", "reset", "on", ">s5f9c", *kept)
    async with gateway_of(f"redis://poor:s5f9c@localhost:{server.port}", instance) as fleet:
        await fleet.reserve()
        await until(lambda: fleet.view().away)
        assert "rights" in (fleet.view().away or "")


async def test_tls(files: CertificateFiles, tmp_path: Path, instance: str) -> None:
    """Over TLS with a CA of one's own, by a name that the certificate has."""
    with redis_server(tmp_path, tls=files, password=PASSWORD) as server:
        url = f"rediss://:{QUOTED}@localhost:{server.port}"
        async with gateway_of(url, instance, ca_file=files.ca) as fleet:
            assert not fleet.away
            await use_all(fleet)
        async with refused(url, instance, "CERTIFICATE_VERIFY_FAILED"):
            pass
        other = url.replace("localhost", "127.0.0.1")
        async with refused(other, instance, "CERTIFICATE_VERIFY_FAILED", ca_file=files.ca):
            pass


async def test_unix_socket(server: RedisServer, instance: str) -> None:
    """Through a Unix socket."""
    async with gateway_of(f"unix://:{QUOTED}@{server.socket}", instance) as fleet:
        assert fleet.view().store == f"unix://{server.socket}"
        await use_all(fleet)


async def test_another_database(server: RedisServer, instance: str) -> None:
    """A database other than the first holds the keys, if the URL says so."""
    async with gateway_of(f"redis://:{QUOTED}@localhost:{server.port}/3", instance) as fleet:
        await use_all(fleet)
        assert "db3" in str(server.command("INFO", "keyspace"))
        assert instance not in str(server.key_names())


async def test_what_is_no_redis(instance: str) -> None:
    """A server that talks something else is told as such, and asked again."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as listening:
        port = listening.sockets[0].getsockname()[1]
        async with refused(f"redis://127.0.0.1:{port}", instance, "Protocol Error"):
            pass


async def test_nobody_there(instance: str) -> None:
    """A port at which nobody listens is told as such."""
    async with refused("redis://127.0.0.1:1", instance, "111"):
        pass
