"""A real Redis server in a process of its own, and what happens to such a server."""

import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final

import redis

from tests.support.certificates import CertificateFiles
from tests.support.programs import require_program

INSTALL: Final = "apt-get install redis-server redis-sentinel redis-tools"
GUARD: Final = 20.0
"""Seconds after which something that should have happened is taken as a failure."""


def free_port() -> int:
    """A port that nobody listens on now."""
    with closing(socket.socket()) as held:
        held.bind(("127.0.0.1", 0))
        return int(held.getsockname()[1])


class RedisServer:
    """A server without persistence, on a port or a Unix socket that stays the same when it starts again."""

    def __init__(
        self,
        folder: Path,
        *options: str,
        port: int | None = None,
        password: str | None = None,
        tls: CertificateFiles | None = None,
        program: str = "redis-server",
        file: Path | None = None,
    ) -> None:
        self._program = require_program(program, INSTALL)
        self._folder = folder
        self._options = options
        self._file = file
        self._password = password
        self._tls = tls
        self.port = port or free_port()
        self.socket = folder / f"{self.port}.sock"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where it is reached, with its password."""
        user = f":{self._password}@" if self._password else ""
        return f"{'rediss' if self._tls else 'redis'}://{user}localhost:{self.port}"

    def start(self) -> None:
        """Run it, empty; return when it answers."""
        self._process = subprocess.Popen(  # noqa: S603 - the program that the test is about
            [self._program, *self._arguments()],
            cwd=self._folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + GUARD
        while True:
            try:
                self.command("PING")
            except redis.exceptions.ConnectionError as error:
                if time.monotonic() > deadline or self._process.poll() is not None:
                    raise AssertionError(f"the server does not answer: {error}") from error
                time.sleep(0.01)
            else:
                return

    def kill(self) -> None:
        """End it at once (SIGKILL), with all it had."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def pause(self) -> None:
        """It stands still (SIGSTOP): it takes connections and answers nothing."""
        self._signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """The end of a pause."""
        self._signal(signal.SIGCONT)

    def command(self, *words: str | bytes | float) -> Any:
        """What the server says to a command."""
        tls: dict[str, Any] = {}
        if self._tls is not None:
            tls = {"ssl": True, "ssl_ca_certs": str(self._tls.ca)}
        with closing(
            redis.Redis(host="localhost", port=self.port, password=self._password, protocol=2, **tls)
        ) as client:
            return client.execute_command(*words)  # type: ignore[no-untyped-call]

    def key_names(self) -> Sequence[str]:
        """The names of all keys."""
        return sorted(name.decode() for name in self.command("KEYS", "*"))

    def _arguments(self) -> Iterator[str]:
        if self._file is not None:
            yield from (str(self._file), "--bind", "127.0.0.1", "--port", str(self.port))
            return
        yield from ("--bind", "127.0.0.1", "--save", "", "--dir", str(self._folder))
        port = str(self.port)
        yield from ("--port", "0", "--tls-port", port) if self._tls else ("--port", port)
        if self._tls is not None:
            files = self._tls
            yield from ("--tls-cert-file", str(files.certificate), "--tls-key-file", str(files.key))
            yield from ("--tls-ca-cert-file", str(files.ca), "--tls-auth-clients", "no")
        if self._password is not None:
            yield from ("--requirepass", self._password)
        yield from ("--unixsocket", str(self.socket))
        yield from self._options

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)


@contextmanager
def redis_server(folder: Path, *options: str, **more: Any) -> Iterator[RedisServer]:
    """A server until the block ends."""
    server = RedisServer(folder, *options, **more)
    try:
        server.start()
        yield server
    finally:
        server.kill()


@contextmanager
def sentinel(folder: Path, watched: RedisServer, password: str) -> Iterator[RedisServer]:
    """A Sentinel that watches the server as `main`, alone."""
    folder.mkdir()
    settings = (
        f"sentinel monitor main 127.0.0.1 {watched.port} 1",
        f"sentinel auth-pass main {password}",
        "sentinel down-after-milliseconds main 300",
        "sentinel failover-timeout main 3000",
    )
    file = folder / "sentinel.conf"
    file.write_text("\n".join(settings))
    running = RedisServer(folder, program="redis-sentinel", file=file)
    try:
        running.start()
        yield running
    finally:
        running.kill()
