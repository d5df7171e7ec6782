"""Where the store is now, and connections to it: one server, the one Sentinels name, or a Cluster's node.

All keys of an instance lie in one slot of a Cluster, so that there, too, one node is all that is asked.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, Protocol, TypeVar, cast

from redis.asyncio import Connection as TcpConnection
from redis.asyncio import SSLConnection, UnixDomainSocketConnection
from redis.crc import key_slot
from redis.exceptions import AuthenticationError, RedisError, ResponseError

from gateway import config
from gateway.fleet.wire import Connection, Lost

PATIENCE: Final = 2.0
"""Seconds for each step of opening: nobody waits for it."""

_Item = TypeVar("_Item")
_Address = tuple[str, int]


class Chance(Protocol):
    """What is used of `random.Random`."""

    def uniform(self, a: float, b: float, /) -> float:
        """A number between the two."""

    def sample(self, population: Sequence[_Item], k: int, /) -> list[_Item]:
        """The items in some order."""


class Places:
    """The ways to the store. Raises RedisError, OSError, TimeoutError or Lost where there is none."""

    def __init__(self, settings: config.Fleet, url: config.FleetUrl, *, key: str, chance: Chance) -> None:
        self._settings = settings
        self._url = url
        self._slot = key_slot(key.encode())
        self._chance = chance
        self._tls: ssl.SSLContext | None = None

    async def find(self) -> _Address | None:
        """The server that takes writes now; None for a Unix socket."""
        # Read again each time, and in a thread: files are renewed, and reading them takes a while.
        self._tls = await asyncio.to_thread(self._context) if self._url.tls else None
        if self._url.socket is not None:
            return None
        if self._url.mode == "single":
            return self._url.hosts[0]
        reasons = []
        for seed in self._chance.sample(self._url.hosts, len(self._url.hosts)):
            try:
                async with asyncio.timeout(PATIENCE):
                    found = await (self._master(seed) if self._url.mode == "sentinel" else self._node(seed))
            except (RedisError, OSError, TimeoutError, Lost) as error:
                reasons.append(error)
                continue
            if found is not None:
                return found
        unknown = "no Sentinel knows the service" if self._url.mode == "sentinel" else "no node has the slot"
        raise reasons[-1] if reasons else Lost(unknown)

    async def dial(self, address: _Address | None) -> Connection:
        """A connection that is open, signed in, and in the right database."""
        async with asyncio.timeout(PATIENCE):
            return await self._open(address, await self._credentials(), self._url.database)

    async def _master(self, sentinel: _Address) -> _Address | None:
        ask = ("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self._url.service)
        credentials = await self._credentials()
        try:
            found = await self._ask(sentinel, credentials, *ask)
        except AuthenticationError:
            # Sentinels have a password of their own, or none.
            found = await self._ask(sentinel, {}, *ask)
        return None if found is None else (found[0].decode(), int(found[1]))

    async def _node(self, seed: _Address) -> _Address | None:
        for first, last, (host, port, *_), *_replicas in await self._ask(
            seed, await self._credentials(), "CLUSTER", "SLOTS"
        ):
            if first <= self._slot <= last:
                # A node that does not know its own address means the one that was asked.
                return (host.decode() if host and host != b"?" else seed[0]), int(port)
        return None

    async def _ask(self, address: _Address, credentials: dict[str, str], *words: str) -> Any:
        async with self._opened(address, credentials) as connection:
            await connection.send_packed_command(connection.pack_command(*words))
            return await connection.read_response()

    @asynccontextmanager
    async def _opened(self, address: _Address, credentials: dict[str, str]) -> AsyncIterator[Connection]:
        connection = await self._open(address, credentials, 0)
        try:
            yield connection
        finally:
            await connection.disconnect(nowait=True)

    async def _open(self, address: _Address | None, credentials: dict[str, str], database: int) -> Connection:
        common: dict[str, Any] = {
            **credentials,
            "db": database,
            "protocol": 2,
            "socket_timeout": None,
            "socket_connect_timeout": PATIENCE,
            # What it would tell the store of itself needs rights of its own.
            "driver_info": None,
        }
        made: Any
        if address is None:
            made = UnixDomainSocketConnection(path=str(self._url.socket), **common)
        elif self._tls is not None:
            made = SSLConnection(host=address[0], port=address[1], **common)
            made.ssl_context.context = self._tls
        else:
            made = TcpConnection(host=address[0], port=address[1], **common)
        connection = cast("Connection", made)
        try:
            await connection.connect()
        except BaseException as error:
            await connection.disconnect(nowait=True)
            if type(error) is ResponseError and "password" in credentials:
                # Whoever does not know AUTH says it again, with the password.
                raise Lost("the server refuses the sign-in or the database") from None
            raise
        return connection

    async def _credentials(self) -> dict[str, str]:
        password = self._url.password
        if self._settings.password_file is not None:
            secret = await asyncio.to_thread(config.read_secret, self._settings.password_file)
            password = secret.get_secret_value()
        pairs: Iterable[tuple[str, str | None]] = (("username", self._url.username), ("password", password))
        return {name: value for name, value in pairs if value is not None}

    def _context(self) -> ssl.SSLContext:
        context = ssl.create_default_context()
        if self._settings.ca_file is not None:
            context.load_verify_locations(cafile=self._settings.ca_file)
        return context
