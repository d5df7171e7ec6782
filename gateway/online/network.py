"""Name resolution and TCP, address by address."""

import asyncio
import errno
import ipaddress
import os
import socket
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, TypeVar

from gateway.online.advice import connect_advice, resolution_advice
from gateway.online.finding import Finding, failed, ok

_MOST: Final = 16
"""Addresses of one name that are tried."""
_LONGEST_ADDRESS: Final = 64

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Address:
    """One address of a host, as the resolver gave it."""

    family: socket.AddressFamily
    peer: tuple[str, int] | tuple[str, int, int, int]

    @property
    def text(self) -> str:
        """The address with its family, and where it is no public one, that."""
        host = str(self.peer[0])[:_LONGEST_ADDRESS]
        family = "IPv6" if self.family == socket.AF_INET6 else "IPv4"
        return f"{host} ({family}{_kind(host)})"


async def resolve(host: str, port: int, within: float) -> tuple[Finding, tuple[Address, ...]]:
    """All addresses of the host, within so many seconds."""
    if _is_address(host):
        found = await asyncio.get_running_loop().getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST
        )
        return ok(f"{host} is an address: there is nothing to resolve"), _addresses(found)
    try:
        async with asyncio.timeout(within):
            found = await in_background(lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
    except TimeoutError:
        cause = f"no answer within {within:g} s"
    except (OSError, UnicodeError) as error:
        cause = (error.strerror if isinstance(error, OSError) else None) or "the name is not valid"
    else:
        addresses = _addresses(found)
        return ok(f"{host} has {_counted(len(addresses))}", *(each.text for each in addresses)), addresses
    return failed(f"{host} cannot be resolved: {cause}", advice=resolution_advice(host)), ()


async def connect(name: str, addresses: Sequence[Address], within: float, *, proxy: bool) -> Finding:
    """Whether a TCP connection can be had with at least one of the addresses, within so many seconds."""
    faults = await asyncio.gather(*(_fault(address, within) for address in addresses))
    details = [
        f"{address.text}: {'connected' if fault is None else fault[1]}"
        for address, fault in zip(addresses, faults, strict=True)
    ]
    reached = sum(fault is None for fault in faults)
    if reached == len(addresses):
        return ok(f"{name} accepts connections", *details)
    if reached:
        return ok(f"{name} accepts connections on {reached} of {len(addresses)} addresses", *details)
    codes = [fault[0] for fault in faults if fault is not None]
    # Where several addresses fail in several ways, the way of the first IPv4 one says most.
    first = next((i for i, each in enumerate(addresses) if each.family == socket.AF_INET), 0)
    return failed(f"{name} cannot be reached", *details, advice=connect_advice(codes[first], proxy=proxy))


async def in_background(work: Callable[[], T]) -> T:
    """Do blocking work in a thread whose end nobody has to wait for, unlike those of the loop's executor."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, error: BaseException | None) -> None:
        if done.cancelled():
            return
        if error is None:
            done.set_result(result)  # type: ignore[arg-type]  # None only if T has it
        else:
            done.set_exception(error)

    def run() -> None:
        result, failure = None, None
        try:
            result = work()
        except Exception as error:  # noqa: BLE001 - it is raised where it is waited for
            failure = error
        # The loop may be gone by now, and with it whoever waited.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(settle, result, failure)

    threading.Thread(target=run, daemon=True).start()
    return await done


async def _fault(address: Address, within: float) -> tuple[int, str] | None:
    """Error number and words for a connection that cannot be made, else None."""
    with socket.socket(address.family, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            async with asyncio.timeout(within):
                await asyncio.get_running_loop().sock_connect(probe, address.peer)
        except TimeoutError:
            return errno.ETIMEDOUT, f"no answer within {within:g} s"
        except OSError as error:
            number = error.errno or 0
            return number, os.strerror(number) if number else "cannot connect"
    return None


def _addresses(found: Sequence[tuple[object, ...]]) -> tuple[Address, ...]:
    unique = dict.fromkeys((family, peer) for family, _, _, _, peer in found)
    return tuple(
        Address(family, peer)  # type: ignore[arg-type]  # typed as objects above, since uvloop's differ
        for family, peer in list(unique)[:_MOST]
    )


def _counted(number: int) -> str:
    return f"{number} address{'' if number == 1 else 'es'}"


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _kind(host: str) -> str:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return ""
    if address.is_loopback:
        return ", loopback"
    return ", private" if address.is_private else ""
