"""GET /eventroutes, its answer within bounds, and the upstream's clock."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Final

import httpx

from gateway.online.finding import Finding, failed, ok, skipped, warned
from gateway.online.transport import Progress, Way

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
    raw_headers: list[tuple[bytes, bytes]]
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


async def ask(way: Way, token: str | None) -> Answer:
    """Ask the upstream for its event routes, with the token if there is one. Raises Unanswered."""
    progress = Progress(stop=False)
    headers = {} if token is None else {"authorization": f"Bearer {token}"}
    try:
        async with (
            asyncio.timeout(way.connect_timeout + way.answer_timeout),
            way.client(way.trusting()) as client,
        ):
            return await _asked(client, way, headers, progress)
    except (TimeoutError, httpx.TimeoutException):
        finding = failed(
            f"{way.origin.authority} did not answer within {way.answer_timeout:g} s",
            advice="The connection stands but nothing comes back: look at the service's health, and at what"
            " stands between (proxy, firewall). upstream.timeout.first_byte is how long the gateway waits.",
        )
    except httpx.ProxyError as error:
        finding = failed(
            f"the proxy {way.first_hop.authority} refused: {error}", advice="Look at the step tls above."
        )
    except httpx.RemoteProtocolError:
        finding = failed(
            f"{way.origin.authority} did not answer in HTTP",
            advice="Check scheme, host and port in upstream.base_url: something else answers there.",
        )
    except httpx.TransportError:
        finding = failed(
            f"the connection with {way.origin.authority} broke before an answer came",
            advice="Try again; if it stays, look at what stands between: a proxy or firewall that cuts"
            " connections.",
        )
    # Raised outside the handlers: httpx's exceptions hold the request, and so the token.
    raise Unanswered(finding)


async def _asked(client: httpx.AsyncClient, way: Way, headers: dict[str, str], progress: Progress) -> Answer:
    started = time.monotonic()
    async with client.stream(
        "GET", way.url, headers=headers, extensions=dict(progress.extensions)
    ) as response:
        seconds, received = time.monotonic() - started, time.time()
        body = bytearray()
        async for piece in response.aiter_raw():
            body += piece
            if len(body) > LARGEST:
                break
        return Answer(
            response.status_code,
            {name.lower(): value for name, value in response.headers.items()},
            [(name.lower(), value) for name, value in response.headers.raw],
            bytes(body[:LARGEST]),
            len(body) <= LARGEST,
            seconds,
            received,
        )


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
