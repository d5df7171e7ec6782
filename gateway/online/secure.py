"""TLS with the upstream: version, certificate, and where it fails, whose certificate it was.

The first handshake verifies with OpenSSL, which tells best what is wrong. The engines asyncio and httpx do so
too; pyreqwest verifies with rustls, which takes fewer certificates: whether the gateway gets through, only
the request itself can tell. Where OpenSSL refuses, a second handshake without verification reads the
certificate, to say who signed it; it is closed at once, and nothing is ever sent over it.
"""

import asyncio
import ssl
import time
from collections.abc import Callable
from typing import Final, Protocol

import httpx

from gateway.online.advice import SILENT, certificate_advice, proxy_advice, silent_proxy_advice, tls_advice
from gateway.online.finding import Finding, failed, ok, skipped
from gateway.online.transport import Established, Progress, Way, cause

_PATIENCE: Final = 3
"""TCP, tunnel and TLS may each take `upstream.timeout.connect`."""


class Sheet(Protocol):
    """A certificate as people know it; times are seconds since the epoch."""

    @property
    def subject(self) -> str:
        """Whose it is."""

    @property
    def issuer(self) -> str:
        """Who signed it."""

    @property
    def hosts(self) -> tuple[str, ...]:
        """What it is for."""

    @property
    def not_before(self) -> float:
        """Its beginning."""

    @property
    def not_after(self) -> float:
        """Its end."""


ReadSheet = Callable[[bytes], Sheet | None]
"""Reads a certificate in DER; None where it cannot be read."""


async def handshake(way: Way, read_sheet: ReadSheet) -> Finding:
    """Connect, through the proxy where there is one, verify with OpenSSL, and stop before any request."""
    if way.origin.scheme != "https":
        return skipped("upstream.base_url is plain http")
    progress = Progress()
    try:
        await _connect(way, way.trusting(), progress)
    except httpx.ProxyError as error:
        return failed(
            f"the proxy {way.first_hop.authority} does not open a tunnel to {way.origin.authority}: {error}",
            advice=proxy_advice(str(error), authenticated="@" in (way.proxy or "")),
        )
    except httpx.TimeoutException:
        return _silent(way, f"no answer within {way.connect_timeout:g} s", tunnelled=progress.tunnelled)
    except TimeoutError:
        limit = _PATIENCE * way.connect_timeout
        return _silent(way, f"no whole answer within {limit:g} s", tunnelled=progress.tunnelled)
    except httpx.TransportError as error:
        return await _diagnosed(way, error, read_sheet)
    secured = progress.secured
    sheet = read_sheet(secured.getpeercert(binary_form=True))
    through = "" if way.proxy is None else f" through the proxy {way.first_hop.authority}"
    details = [] if sheet is None else _told(sheet)
    if way.ca_file is not None:
        details.append(f"trusted: the system's CAs and upstream.ca_file ({way.ca_file})")
    return ok(f"{_version(secured)} with {way.origin.host}{through}", *details)


async def _connect(way: Way, tls: ssl.SSLContext, progress: Progress) -> None:
    # The client's own limit is for each piece that comes, of which there could be many.
    async with asyncio.timeout(_PATIENCE * way.connect_timeout), way.client(tls) as client:
        try:
            # The body of a GET without one: the tracing callback ends it before its head is written.
            await client.get(way.url, extensions=dict(progress.extensions))
        except Established:
            return


async def _diagnosed(way: Way, error: httpx.TransportError, read_sheet: ReadSheet) -> Finding:
    refused = cause(error, ssl.SSLCertVerificationError)
    if not isinstance(refused, ssl.SSLCertVerificationError):
        other = cause(error, ssl.SSLError)
        reason = other.reason if isinstance(other, ssl.SSLError) else None
        return _broken(way, reason or str(error) or "the connection was closed", reason or "")
    sheet = await _presented(way, read_sheet)
    message = refused.verify_message or "it cannot be verified"
    return failed(
        f"the certificate of {way.origin.host} is not accepted: {message}",
        *([] if sheet is None else _told(sheet)),
        advice=certificate_advice(
            refused.verify_code, None if sheet is None else sheet.issuer, has_ca_file=way.ca_file is not None
        ),
    )


async def _presented(way: Way, read_sheet: ReadSheet) -> Sheet | None:
    unverified = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    unverified.check_hostname = False
    unverified.verify_mode = ssl.CERT_NONE
    progress = Progress()
    try:
        await _connect(way, unverified, progress)
    except (httpx.TransportError, TimeoutError):
        return None
    encoded = progress.secured.getpeercert(binary_form=True)
    return read_sheet(encoded) if encoded else None


def _silent(way: Way, message: str, *, tunnelled: bool) -> Finding:
    if way.proxy is None or tunnelled:
        return _broken(way, message, SILENT)
    return failed(
        f"the proxy {way.first_hop.authority} does not open a tunnel to {way.origin.authority}: {message}",
        advice=silent_proxy_advice(),
    )


def _broken(way: Way, message: str, reason: str) -> Finding:
    return failed(f"no TLS connection with {way.origin.authority}: {message}", advice=tls_advice(reason))


def _told(sheet: Sheet) -> list[str]:
    hosts = ", ".join(sheet.hosts) or "no host"
    return [
        f"certificate: {sheet.subject}, for {hosts}",
        f"issued by: {sheet.issuer}",
        f"valid: {_day(sheet.not_before)} to {_day(sheet.not_after)}",
    ]


def _day(at: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(at))


def _version(secured: ssl.SSLObject) -> str:
    return (secured.version() or "TLS").replace("TLSv", "TLS ")
