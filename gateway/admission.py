"""Who and what may pass: an ambiguous request, a foreign page or a caller without a key gets no further.

The gateway adds a credential to what it forwards, so it decides here, before anything else is done, that the
request is one unambiguous origin-form request for this gateway, from somebody who may use it.
"""

import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from urllib.parse import unquote_to_bytes, urlsplit

from gateway import failures, headers
from gateway.exchange import Exchange

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})

_NEVER_FORWARDED = frozenset({"TRACE", "CONNECT"})
_METHODS = frozenset({
    "ACL", "BASELINE-CONTROL", "BIND", "CHECKIN", "CHECKOUT", "COPY", "DELETE", "GET", "HEAD", "LABEL",
    "LINK", "LOCK", "MERGE", "MKACTIVITY", "MKCALENDAR", "MKCOL", "MKREDIRECTREF", "MKWORKSPACE", "MOVE",
    "OPTIONS", "ORDERPATCH", "PATCH", "POST", "PROPFIND", "PROPPATCH", "PURGE", "PUT", "QUERY", "REBIND",
    "REPORT", "SEARCH", "UNBIND", "UNCHECKOUT", "UNLINK", "UNLOCK", "UPDATE", "UPDATEREDIRECTREF",
    "VERSION-CONTROL",
})  # fmt: skip
"""IANA's HTTP Method Registry without PRI, and PURGE, which many know."""
# RFC 3986, sections 3.3 and 3.4: pchar, "/" in a path, "/" and "?" in a query.
_PATH = re.compile(rb"/(?:[A-Za-z0-9\-._~!$&'()*+,;=:@/]|%[0-9A-Fa-f]{2})*")
_QUERY = re.compile(rb"(?:[A-Za-z0-9\-._~!$&'()*+,;=:@/?]|%[0-9A-Fa-f]{2})*")
_HOST = re.compile(r"(\[[0-9a-f:.]*:[0-9a-f:.]*\]|[a-z0-9._~-]+)(?::([0-9]{0,5}))?")
_HIGHEST_PORT = 65_535
_BROWSER_FIELDS = frozenset({b"origin", b"sec-fetch-site"})
_OWN_SITES = frozenset({b"same-origin", b"none"})
_REMEMBERED = 1_024
"""Request lines that are kept with what was said of them."""
_SHORT = 256
"""Bytes of the target of one that is kept."""


class Admission:
    """The rules of one listener; `admit` raises the failure the app is answered with."""

    def __init__(
        self,
        *,
        allowed_hosts: Iterable[str] | None,
        public_base_url: str | None,
        key_header: str,
        denied: Callable[[str, bytes], str | None],
    ) -> None:
        """`allowed_hosts` None lets any well-formed Host pass; nothing may look like `key_header`."""
        self._hosts = None if allowed_hosts is None else frozenset(host.lower() for host in allowed_hosts)
        self._public_origin = _origin(public_base_url) if public_base_url else None
        self._guarded = headers.guarding((key_header.lower().encode(),))
        self._denied = denied
        self._kept_line = lru_cache(_REMEMBERED)(self._check_line)
        self._passed_host: bytes | None = None
        """The Host that passed last; most clients have one."""

    def admit(self, exchange: Exchange, stranger: failures.GatewayError | None = None) -> None:
        """Let the exchange pass; `stranger` says why its caller may not use the gateway.

        Raises MethodNotAllowed, RequestInvalid, Misdirected, Forbidden, or `stranger`: that is told before
        what is denied, and only to a request that could have been sent.
        """
        path, query = exchange.raw_path, exchange.query
        check_line = self._kept_line if len(path) + len(query) <= _SHORT else self._check_line
        denied = check_line(exchange.method, path, query)
        problem = headers.problem(exchange.headers, self._guarded)
        if problem is not None:
            raise failures.RequestInvalid(f"The request is not forwarded: {problem}.")
        if exchange.host != self._passed_host:
            self._check_host(exchange.host)
        if not _BROWSER_FIELDS.isdisjoint(exchange.fields):
            self._check_browser(exchange)
        if stranger is not None:
            raise stranger
        if denied is not None:
            raise failures.Forbidden(f"This gateway's configuration (routes.deny) refuses {denied}.")

    def _check_line(self, method: str, raw_path: bytes, query: bytes) -> str | None:
        """What denies a request with this first line; raises where the line itself is refused."""
        if method in _NEVER_FORWARDED:
            raise failures.MethodNotAllowed(f"{method} is not forwarded.")
        if method not in _METHODS:
            raise failures.RequestInvalid("The method is not one that is known.")
        check_target(raw_path, query)
        return self._denied(method, raw_path)

    def _check_host(self, host: bytes) -> None:
        name = host_name(host)
        if name is None:
            raise failures.RequestInvalid("The Host header is missing or malformed.")
        if self._hosts is not None and name not in self._hosts:
            raise failures.Misdirected(
                "The Host is not a name of this gateway; listen.allowed_hosts can allow it."
            )
        self._passed_host = host

    def _check_browser(self, exchange: Exchange) -> None:
        """Refuse what a web page of another site can make a browser send (Fetch standard, section 3.1)."""
        for name, value in exchange.headers:
            if name == b"sec-fetch-site" and value not in _OWN_SITES:
                raise failures.Forbidden("Requests from a web page of another site are refused.")
            if name == b"origin":
                own = f"{exchange.scheme}://{exchange.host.decode('latin-1')}".lower()
                if value.decode("latin-1").lower() not in {own, self._public_origin}:
                    raise failures.Forbidden("The Origin is not this gateway.")


def check_target(raw_path: bytes, query: bytes) -> None:
    """Raise RequestInvalid unless path and query have one reading for every server (RFC 3986).

    Engines and servers resolve dot segments, merge slashes and turn backslashes in ways of their own, after
    the gateway's checks; what could be read in two ways is refused.
    """
    if not _PATH.fullmatch(raw_path) or not _QUERY.fullmatch(query):
        raise failures.RequestInvalid("The request target has characters that RFC 3986 does not allow.")
    if b"//" in raw_path:
        raise failures.RequestInvalid("The request path has an empty segment.")
    if b"%" not in raw_path and b"/." not in raw_path:
        return
    decoded = unquote_to_bytes(raw_path).replace(b"\\", b"/")
    if b"%" in raw_path and re.search(rb"[\x00-\x1f\x7f]", decoded):
        raise failures.RequestInvalid("The request path has an encoded control character.")
    if b"%5c" in raw_path.lower() or any(
        # Some servers cut `;parameters` off a segment before they resolve it.
        part.partition(b";")[0] in {b".", b".."}
        for part in decoded.split(b"/")
    ):
        raise failures.RequestInvalid("The request path has a dot segment or a backslash.")


def host_name(host: bytes) -> str | None:
    """The name in a Host header, lower case and without its port; None where it is malformed."""
    match = _HOST.fullmatch(host.decode("latin-1").lower())
    if match is None or int(match[2] or 0) > _HIGHEST_PORT:
        return None
    return match[1]


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}".lower()
