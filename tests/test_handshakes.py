"""TLS connections before their handshake is over, on both event loops."""

import asyncio
import contextlib
import resource
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import cast

import pytest
import uvloop

from gateway.handshakes import Counted, Handshakes
from tests.support.certificates import CertificateFiles, write_certificates
from tests.support.raw import GUARD

LONG = 60.0
both_loops = pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
Loop = Callable[[], asyncio.AbstractEventLoop]


class Echo(Counted):
    """Says what it hears, and notes what it is told of its connection."""

    def __init__(self, notes: list[str], *, wanted: bool) -> None:
        self.notes = notes
        self.wanted = wanted

    def accepted(self, give_up: Callable[[], object]) -> None:
        self.notes.append("accepted")
        if not self.wanted:
            give_up()

    def shaken(self) -> None:
        self.notes.append("shaken")

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # of uvloop's it is no subclass
        self.notes.append("made")

    def data_received(self, data: bytes) -> None:
        self.transport.write(data)
        self.transport.close()


@contextlib.asynccontextmanager
async def listening(
    files: CertificateFiles, notes: list[str], *, wanted: bool = True, seconds: float = LONG
) -> AsyncIterator[tuple[str, int]]:
    """The address of a listener whose connections note what happens to them."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.certificate, files.key)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = Handshakes(listener, lambda: Echo(notes, wanted=wanted), context, seconds=seconds)
        try:
            yield listener.getsockname()
        finally:
            server.close()
            server.close()
            await server.wait_closed()


async def noted(notes: list[str], count: int) -> None:
    """Wait until so much is noted."""
    async with asyncio.timeout(GUARD):
        while len(notes) < count:  # noqa: ASYNC110 - no event tells
            await asyncio.sleep(0.01)


async def echoed(address: tuple[str, int], files: CertificateFiles) -> bytes:
    """What is said to what a client says."""
    trusting = ssl.create_default_context(cafile=files.ca)
    reader, writer = await asyncio.open_connection(*address, ssl=trusting, server_hostname="localhost")
    writer.write(b"hello")
    answer = await reader.read()
    writer.close()
    with contextlib.suppress(ConnectionError, ssl.SSLError):
        await writer.wait_closed()
    return answer


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> CertificateFiles:
    return write_certificates(tmp_path_factory.mktemp("tls"))


def run(new_loop: Loop, main: Coroutine[object, object, None]) -> None:
    """Run it on a loop of its own."""
    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(main)


@both_loops
def test_served_after_its_handshake(new_loop: Loop, files: CertificateFiles) -> None:
    """A connection is counted when it is accepted, and served once its handshake is over."""
    notes: list[str] = []

    async def main() -> None:
        async with listening(files, notes) as address:
            assert await echoed(address, files) == b"hello"
            await noted(notes, 3)

    run(new_loop, main())
    assert notes == ["accepted", "made", "shaken"]


@both_loops
@pytest.mark.parametrize("said", [b"", b"GET / HTTP/1.1\r\n\r\n"])
@pytest.mark.parametrize(("wanted", "seconds"), [(False, LONG), (True, 0.1)])
def test_no_handshake(
    new_loop: Loop, files: CertificateFiles, *, said: bytes, wanted: bool, seconds: float
) -> None:
    """A connection whose handshake is given up, fails or does not come is closed, and was never made."""
    notes: list[str] = []

    async def main() -> None:
        async with listening(files, notes, wanted=wanted, seconds=seconds) as address:
            reader, writer = await asyncio.open_connection(*address)
            writer.write(said)
            with contextlib.suppress(ConnectionError):
                async with asyncio.timeout(GUARD):
                    await reader.read()
            await noted(notes, 2)
            writer.close()

    run(new_loop, main())
    assert notes == ["accepted", "shaken"]


@both_loops
def test_the_end_comes_before_a_handshake(new_loop: Loop, files: CertificateFiles) -> None:
    """A handshake that is under way at the end does not hold it up."""
    notes: list[str] = []

    async def main() -> None:
        async with asyncio.timeout(GUARD):
            async with listening(files, notes) as address:
                _, writer = await asyncio.open_connection(*address)
                await noted(notes, 1)
            writer.transport.abort()

    run(new_loop, main())
    assert notes == ["accepted", "shaken"]


@both_loops
def test_no_file_is_left(new_loop: Loop, files: CertificateFiles, caplog: pytest.LogCaptureFixture) -> None:
    """Where no more files may be opened that is told, and connections are accepted again once they may."""
    notes: list[str] = []
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)

    async def main() -> None:
        async with listening(files, notes) as address:
            with socket.socket() as client:
                resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
                client.connect(address)
                async with asyncio.timeout(GUARD):
                    while not caplog.records:  # noqa: ASYNC110 - no event tells
                        await asyncio.sleep(0.01)
                resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
                await noted(notes, 1)

    try:
        run(new_loop, main())
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert [vars(record)["reason"] for record in caplog.records] == ["Too many open files"]
