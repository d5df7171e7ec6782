"""Whether the store lets a gateway in, for who wants to know before it serves."""

import asyncio
from typing import Final

from redis.exceptions import RedisError

from gateway import config
from gateway.fleet.keys import Keys
from gateway.fleet.news import subscribe
from gateway.fleet.places import PATIENCE, Chance, Places
from gateway.fleet.reasons import reason_of
from gateway.fleet.wire import Connection, Lost

_DELETE: Final = "return redis.call('DEL', KEYS[1])"
"""A write that a replica refuses too, and that changes nothing where there is no such key."""


class NotLetIn(Exception):
    """Why the store cannot be used, in words without secrets."""


async def try_store(settings: config.Fleet, *, instance: str, chance: Chance) -> str:
    """Find the store, sign in, run a script, hear the channel, and go; nothing is left there.

    The server that was found, as `host:port`, or the path of its socket. Raises NotLetIn after a few seconds
    at most, and ValueError where `settings.url` is not valid.
    """
    url = config.parse_fleet_url(settings.url.get_secret_value() if settings.url else "")
    keys = Keys(instance)
    places = Places(settings, url, key=keys.channel, chance=chance)
    try:
        address = await places.find()
        connection = await places.dial(address)
        try:
            await _write(connection, keys("no-such-key"))
            await subscribe(connection, keys.channel, PATIENCE)
        finally:
            await connection.disconnect(nowait=True)
    except (RedisError, OSError, ValueError, Lost) as error:  # ValueError: a password file was emptied
        raise NotLetIn(reason_of(error)) from error
    return str(url.socket) if address is None else f"{address[0]}:{address[1]}"


async def _write(connection: Connection, key: str) -> None:
    async with asyncio.timeout(PATIENCE):
        await connection.send_packed_command(connection.pack_command("EVAL", _DELETE, 1, key))
        await connection.read_response()
