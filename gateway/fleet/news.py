"""What gateways tell each other: one channel, heard on a connection of its own."""

import asyncio
import contextlib
import itertools
import logging
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from redis.exceptions import RedisError

from gateway.fleet.clock import StoreClock
from gateway.fleet.wire import Connection, Lost

Hear = Callable[[str, bytes, float], None]

_FIELDS: Final = 4
_AT_ONCE: Final = 50

_log = logging.getLogger("gateway.fleet")


@dataclass(frozen=True, slots=True)
class Message:
    """One piece of news, as the script puts it together."""

    by: str
    topic: str
    sent: int
    """The moment it is about, in microseconds of the store's clock."""
    key: str
    payload: bytes


def parse(data: bytes) -> Message:
    """Read a message. Raises ValueError where it is none."""
    fields = data.split(b"\n", _FIELDS)
    if len(fields) <= _FIELDS:
        raise ValueError("too few fields")
    by, topic, sent, length, rest = fields
    size = int(length)
    if not 0 <= size <= len(rest):
        raise ValueError("the key is longer than the message")
    key = rest[:size].decode("utf-8", "surrogateescape")
    return Message(by.decode(), topic.decode(), int(sent), key, rest[size:])


class News:
    """Hears the channel while there is a connection, and passes on what others told."""

    def __init__(self, channel: str, me: str, clock: StoreClock) -> None:
        self.channel = channel
        self._me = me
        self._clock = clock
        self._hearers: dict[str, list[Hear]] = defaultdict(list)

    def listen(self, topic: str, hear: Hear) -> None:
        """Call `hear` for what others tell of the topic."""
        self._hearers[topic].append(hear)

    def take(self, data: bytes) -> None:
        """One message, whatever it is."""
        try:
            message = parse(data)
        except ValueError:
            return
        if message.by == self._me:
            return
        age = self._clock.age(message.sent)
        for hear in self._hearers.get(message.topic, ()):
            try:
                hear(message.key, message.payload, age)
            except Exception:  # noqa: BLE001 - the next to hear shall hear, and the connection go on
                _log.exception("news could not be taken in", extra={"topic": message.topic})


async def subscribe(connection: Connection, channel: str, patience: float) -> None:
    """Begin to hear. Raises what the store says against it."""
    async with asyncio.timeout(patience):
        await connection.send_packed_command(connection.pack_command("SUBSCRIBE", channel))
        await connection.read_response()


class Hearing:
    """A connection that has subscribed; `lost` is told once, when it is of no use any more."""

    def __init__(self, news: News, connection: Connection, lost: Callable[[Exception], None]) -> None:
        self._news = news
        self._connection = connection
        self._lost = lost
        self._answered = True
        self._task = asyncio.ensure_future(self._hear())

    async def check(self) -> None:
        """Ask for a sign of life; the one before must have come."""
        if not self._answered:
            self._end(Lost("the subscription is silent"))
            return
        self._answered = False
        try:
            packed = self._connection.pack_command("PING")
            await self._connection.send_packed_command(packed, check_health=False)
        except (RedisError, OSError) as error:
            self._end(error)

    async def aclose(self) -> None:
        """Close the connection."""
        self._task.cancel()
        try:
            await asyncio.gather(self._task, return_exceptions=True)
        finally:
            # One that cannot be closed is gone as well.
            with contextlib.suppress(Exception):
                await self._connection.disconnect(nowait=True)

    async def _hear(self) -> None:
        try:
            for count in itertools.count(1):
                told = await self._connection.read_response(timeout=float("inf"), disconnect_on_error=False)
                self._take(told)
                if count % _AT_ONCE == 0:
                    # What has arrived already is read without a pause.
                    await asyncio.sleep(0)
        except Exception as error:  # noqa: BLE001 - whatever it was, nothing more is heard
            self._end(error)

    def _take(self, told: Any) -> None:
        kind, *rest = told
        match kind.decode():
            case "message":
                self._news.take(rest[-1])
            case "pong":
                self._answered = True
            case _:
                raise Lost("the store sent what nobody asked for")

    def _end(self, error: Exception) -> None:
        self._lost(error)
