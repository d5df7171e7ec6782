"""Who may use the gateway, and what the log calls them.

The gateway adds a credential to what it forwards, so it has to know who asks. There are three ways to tell:
a shared key in the request, a name in the client's certificate (mTLS), and the user of the process at the
other end of a Unix socket. Every way that is configured has to agree; none stands in for another. The log
names what is known of a caller, key first: `orders`, `spiffe://prod/orders`, `uid:1000`, or several of them
with commas between; also for a request that is refused.

A stranger without a valid key gets 401: it can come again with one. A process or a certificate that is known
but not listed gets 403: no credential would help.
"""

import asyncio
import hmac
import logging
import socket
import struct
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Final

from gateway import failures
from gateway.config import Inbound, read_key
from gateway.config.followed import Followed, follow
from gateway.config.identities import listed_name, shown_name
from gateway.exchange import Exchange, Peer

_UNKNOWN: Final = Peer()
_CREDENTIALS = struct.Struct("iII")
"""`struct ucred` of Linux (unix(7)): pid, uid, gid."""
_MOST_NAMES = 64
"""Of one certificate, that are looked at; each connection keeps them."""

_log = logging.getLogger("gateway.callers")


class Callers:
    """The callers of the data listener.

    Raises OSError or ValueError where a key's file cannot be used, or a listed name can never be shown.
    """

    def __init__(self, inbound: Inbound, *, bearer_keys: bool) -> None:
        """`bearer_keys` takes a key as bearer token, too."""
        self.keys = Keys(
            {name: key.get_secret_value() for name, key in inbound.keys.items()}, inbound.key_files
        )
        self._key_header = inbound.header.lower().encode()
        self._bearer_keys = bearer_keys
        self._uids = frozenset(inbound.peer_uids)
        self._names = frozenset(map(_listed, inbound.client_names))
        self._asks = bool(self.keys or self._uids or self._names)

    def identify(self, exchange: Exchange) -> failures.GatewayError | None:
        """Name the exchange's caller as far as it is known; why it may not use the gateway, or None."""
        if exchange.peer is _UNKNOWN and not self._asks:
            return None
        shown = self._shown(exchange) if self.keys else []
        key = self.keys.owner(shown[0]) if len(shown) == 1 else None
        name, uid = self._name(exchange.peer), exchange.peer.uid
        known = [key, name, None if uid is None else f"uid:{uid}"]
        exchange.caller = ", ".join(filter(None, known)) or None
        if self._uids and uid not in self._uids:
            return failures.Forbidden(f"User {uid} may not use this gateway (auth.inbound.peer_uids).")
        if self._names and name not in self._names:
            return failures.Forbidden(
                "The client's certificate has no name that may use this gateway (auth.inbound.client_names)."
            )
        header = self._key_header.decode()
        if len(shown) > 1:
            return failures.RequestInvalid(f"The request is not forwarded: more than one {header} header.")
        if self.keys and key is None:
            where = f"{header} or as bearer token" if self._bearer_keys else header
            return failures.Unauthorized(f"A key of this gateway is required, in {where}.")
        return None

    async def follow(self, sleep: Callable[[float], Awaitable[object]] = asyncio.sleep) -> None:
        """Keep the keys equal to their files, until cancelled."""
        if self.keys.files:
            await follow(self.keys.look, sleep)

    def _shown(self, exchange: Exchange) -> list[bytes]:
        """What could be a key: what is in its header, or else the bearer token; several are too many."""
        shown = [value for name, value in exchange.headers if name == self._key_header]
        if not shown and self._bearer_keys:
            bearer = exchange.header(b"authorization") or b""
            if bearer[:7].lower() == b"bearer ":
                shown.append(bearer[7:].strip())
        return shown

    def _name(self, peer: Peer) -> str | None:
        """The certificate's name that is listed, else its first."""
        first = peer.names[0] if peer.names else None
        return next((name for name in peer.names if name in self._names), first)


class Keys:
    """Shared keys by their owners' names; what is in files is read again when it changes.

    A changed file that cannot be used (gone, empty, too short, the key of another owner) is told in the log
    and tried again, and the key before stays valid: nobody is shut out by a file that is not ready.
    """

    def __init__(self, keys: Mapping[str, str], files: Mapping[str, Path]) -> None:
        """Raises OSError or ValueError where a file cannot be used."""
        self.files = Followed(files.values())
        self._paths = dict(files)
        self._keys = {name: key.encode() for name, key in keys.items()}
        self._keys |= {name: _read(path) for name, path in files.items()}
        self._told: dict[str, str] = {}
        """Why the files that cannot be used cannot, as far as the log has it."""

    def __bool__(self) -> bool:
        """Whether a key is asked for at all."""
        return bool(self._keys)

    def owner(self, shown: bytes) -> str | None:
        """Whose key this is."""
        owner = None
        for name, key in self._keys.items():
            # Every key is compared, so that the time tells nothing.
            if hmac.compare_digest(key, shown):
                owner = name
        return owner

    async def look(self) -> None:
        """Take up the files' keys if one is another than before."""
        found = await self.files.renewed(self._read_all)
        if found is not None and self._take(found):
            self.files.take()

    def _read_all(self) -> dict[str, bytes | str]:
        """Each file's key, or why it has none."""
        found: dict[str, bytes | str] = {}
        for name, path in self._paths.items():
            try:
                found[name] = _read(path)
            except OSError as error:
                found[name] = f"the file cannot be read: {error.strerror}"
            except ValueError as error:
                found[name] = str(error)
        return found

    def _take(self, found: Mapping[str, bytes | str]) -> bool:
        """Put the new keys in place, all in one step; whether every file could be used."""
        keys = dict(self._keys)
        changed = {name for name, key in found.items() if isinstance(key, bytes) and key != keys[name]}
        keys |= {name: key for name, key in found.items() if isinstance(key, bytes)}
        faults = {name: fault for name, fault in found.items() if isinstance(fault, str)}
        while twins := [name for name in changed if list(keys.values()).count(keys[name]) > 1]:
            # One that goes back to the key before may be the twin of another that changed.
            for name in twins:
                keys[name] = self._keys[name]
                faults[name] = "it is the key of another name"
            changed -= set(twins)
        self._keys = keys
        for name in sorted(changed):
            _log.info(
                "auth.inbound.key_files.%s: the new key is valid from now on, the old one no more", name
            )
        for name, fault in sorted(faults.items()):
            if self._told.get(name) != fault:
                _log.error(
                    "auth.inbound.key_files.%s: the changed file cannot be used, the key before stays",
                    name,
                    extra={"reason": fault},
                )
        self._told = faults
        return not faults


def read_peer(transport: asyncio.BaseTransport) -> Peer:
    """What kernel and TLS say of the other end; asked once for each connection."""
    certificate = transport.get_extra_info("peercert")
    end = transport.get_extra_info("socket")
    uid = _uid(end) if end is not None and end.family == getattr(socket, "AF_UNIX", None) else None
    return Peer(uid, _names(certificate)) if certificate or uid is not None else _UNKNOWN


def _uid(end: socket.socket) -> int | None:
    """The user who connected (SO_PEERCRED); what the process became later changes nothing."""
    option = getattr(socket, "SO_PEERCRED", None)
    if option is None:
        return None
    uid: int = _CREDENTIALS.unpack(end.getsockopt(socket.SOL_SOCKET, option, _CREDENTIALS.size))[1]
    return uid


def _names(certificate: Mapping[str, Any] | None) -> tuple[str, ...]:
    """The subjectAltNames, never the CN, of what `getpeercert` told; those that are odd are left out."""
    shown = (certificate or {}).get("subjectAltName", ())[:_MOST_NAMES]
    names = (shown_name(kind, value) for kind, value in shown if isinstance(value, str))
    return tuple(name for name in names if name)


def _listed(text: str) -> str:
    name = listed_name(text)
    if name is None:
        # It would stand for a client without a certificate, which has no name either.
        raise ValueError(f"{text!r} can be no name in a certificate")
    return name


def _read(path: Path) -> bytes:
    return read_key(path).get_secret_value().encode()
