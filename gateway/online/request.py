"""GET /eventroutes through the gateway's own engine, its answer within bounds, and the upstream's clock."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Final, Protocol

from gateway import failures
from gateway._version import __version__
from gateway.exchange import RawHeaders
from gateway.online.advice import engine_advice
from gateway.online.finding import Finding, failed, ok, skipped, warned
from gateway.online.transport import TARGET, Way

LARGEST: Final = 65_536
"""Bytes of a body that are read."""
_SKEW: Final = 300.0
"""Seconds; Entra and its tokens allow for five minutes."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A response whose body was read within the bound."""

    status: int
    headers: Mapping[str, str]
    """Names in lower case; lines of one name are joined."""
    raw_headers: RawHeaders
    body: bytes
    whole: bool
    """Whether that is all of the body."""
    seconds: float
    """From the request to its head, with a new connection."""
    received: float = field(default_factory=time.time)
    """This machine's clock when the head came, seconds since the epoch."""


class Unanswered(Exception):
    """There was no answer in HTTP; `finding` tells why."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.message)
        self.finding = finding


class Reply(Protocol):
    """A response whose head has come."""

    status: int
    headers: RawHeaders

    async def read(self) -> bytes | None:
        """The next piece of the body, None at its end. Raises GatewayError."""

    async def aclose(self) -> None:
        """End it, read or not."""


class Send(Protocol):
    """The gateway's engine: sends a GET without a body."""

    async def __call__(self, target: bytes, headers: RawHeaders, authorization: str | None) -> Reply:
        """Send, and wait for the head. Raises GatewayError."""


async def ask(way: Way, send: Send, token: str | None) -> Answer:
    """Ask the upstream for its event routes, with the token if there is one. Raises Unanswered."""
    reply = None
    try:
        async with asyncio.timeout(way.connect_timeout + way.answer_timeout):
            started = time.monotonic()
            reply = await _sent(way, send, token)
            return await _read(reply, time.monotonic() - started)
    except (TimeoutError, failures.UpstreamTimeout):
        finding = _silent(way) if reply is None else _unfinished(way)
    except failures.GatewayError as error:
        finding = _failed(way, error)
    # Raised outside the handlers: an engine's exceptions may hold the request, and so the token.
    raise Unanswered(finding)


async def _sent(way: Way, send: Send, token: str | None) -> Reply:
    headers = [
        (b"host", way.origin.authority.encode()),
        (b"accept", b"application/json"),
        (b"accept-encoding", b"identity"),
        (b"user-agent", f"adt-gateway/{__version__}".encode()),
    ]
    return await send(TARGET.encode(), headers, None if token is None else f"Bearer {token}")


async def _read(reply: Reply, seconds: float) -> Answer:
    received = time.time()
    try:
        body = bytearray()
        while len(body) <= LARGEST and (piece := await reply.read()) is not None:
            body += piece
        whole = len(body) <= LARGEST
        return Answer(
            reply.status,
            _joined(reply.headers),
            reply.headers,
            bytes(body[:LARGEST]),
            whole,
            seconds,
            received,
        )
    finally:
        await reply.aclose()


def _joined(headers: RawHeaders) -> dict[str, str]:
    joined: dict[str, str] = {}
    for name, value in headers:
        known, text = name.decode("latin-1").lower(), value.decode("latin-1")
        joined[known] = f"{joined[known]}, {text}" if known in joined else text
    return joined


def _silent(way: Way) -> Finding:
    between = "proxy, firewall" if way.proxy is None else f"the proxy {way.first_hop.authority}, a firewall"
    return failed(
        f"{way.origin.authority} did not answer within {way.answer_timeout:g} s",
        advice="The connection stands but nothing comes back: look at the service's health, and at what"
        f" stands between ({between}). upstream.timeout.first_byte is how long the gateway waits.",
    )


def _unfinished(way: Way) -> Finding:
    return failed(
        f"{way.origin.authority} did not finish its answer within"
        f" {way.connect_timeout + way.answer_timeout:g} s",
        advice="The answer began, and its body came too slowly or stopped: look at the service's health, and"
        " at what stands between (proxy, firewall).",
    )


def _failed(way: Way, error: failures.GatewayError) -> Finding:
    where = way.origin.authority
    if isinstance(error, failures.UpstreamUnreachable):
        return _unreachable(way, error)
    if isinstance(error, failures.BadUpstreamResponse):
        return failed(
            f"the gateway cannot take the answer of {where}: {error.message}",
            advice="Check scheme, host and port in upstream.base_url: something else answers there.",
        )
    if isinstance(error, failures.UpstreamConnectionLost):
        return failed(
            f"the connection with {where} broke before a whole answer came",
            advice="Try again; if it stays, look at what stands between: a proxy or firewall that cuts"
            " connections.",
        )
    return failed(f"the request cannot be sent: {error.message}", advice="Look at the token's source.")


def _unreachable(way: Way, error: failures.UpstreamUnreachable) -> Finding:
    where = way.origin.authority
    if error.inner == "Tls":
        reason = _told(error)
        return failed(
            f"the gateway's engine ({way.engine}) makes no TLS connection with {where}: {reason}",
            advice=engine_advice(way.engine, reason),
        )
    return failed(
        f"the gateway's engine ({way.engine}) cannot reach {where}: {error.inner}",
        advice="The steps above got there, so try again; if it stays, look at what stands between: a proxy or"
        " firewall that lets only some connections pass.",
    )


def _told(error: failures.UpstreamUnreachable) -> str:
    """The engine's own words: pyreqwest keeps the cause in `details`."""
    details = getattr(error.__cause__, "details", None)
    causes = details.get("causes") if isinstance(details, dict) else None
    return str(causes[-1]["message"] if causes else error.__cause__)


def clock(answer: Answer) -> Finding:
    """Compare this machine's clock with the upstream's `Date`."""
    try:
        told = parsedate_to_datetime(answer.headers.get("date", "")).timestamp()
    except (ValueError, OverflowError):
        return skipped("the upstream told no time")
    skew = answer.received - told
    if abs(skew) <= _SKEW:
        return ok("this machine's clock agrees with the upstream's, within five minutes")
    side = "ahead of" if skew > 0 else "behind"
    return warned(
        f"this machine's clock is {abs(skew) / 60:.0f} min {side} the upstream's",
        advice="Set the clock (NTP): tokens and certificates are refused as not yet valid or expired.",
    )
